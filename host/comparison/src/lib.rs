//! Policies compared by recorded responses: who is compared, judged by whom, and where they stand.
//!
//! A [`Field`] is an experiment's policies with their responses to held-out prompts, as the record has them ([`gather`]); others
//! join it from files. [`evaluate`] asks one judge about every pair of policies on every prompt and seed, in both orders, and
//! [`measure`] asks a reward plugin about every response. What comes of it is numbers ([`Evaluation`], [`Finding`]), sentences
//! ([`remarks`]) and the record's document ([`row`]). This crate prints nothing and trains nothing.
//!
//! Begin with `field.rs`, then `judging.rs`.
//!
//! ```
//! assert_eq!(slhf_comparison::split_execution("quickstart#3"), ("quickstart", Some(3)));
//! assert_eq!(slhf_comparison::split_execution("quickstart"), ("quickstart", None));
//! ```

mod asking;
mod document;
mod error;
mod field;
mod judges;
mod judging;
mod measures;
mod merging;
mod plugins;
mod policy;
mod prompts;
mod run_responses;
mod say;
mod sentences;
mod stopping;
mod stopping_said;
mod training_pairs;

pub use document::{document, parameters, row};
pub use error::ComparisonError;
pub use field::{Field, ResponsesFrom, Sample, gather, split_execution};
pub use judges::{Named, TRAINING, judge_plan, mark_training_judge, named};
pub use judging::{Evaluation, PolicyFacts, evaluate};
pub use measures::{Finding, measure, named_measures};
pub use plugins::{chain, present};
pub use policy::{HeldOutResponse, Policy, response};
pub use prompts::HeldOut;
pub use run_responses::{RunResponses, run_responses};
pub use say::Say;
pub use sentences::{answer_cycles, cycles, misfit, remarks};
pub use stopping::{Stopped, StoppedPair};
pub use stopping_said::{StoppingSaid, stopping_sentences};
pub use training_pairs::{AskedVerdict, TrainingPairs, training_pairs};
