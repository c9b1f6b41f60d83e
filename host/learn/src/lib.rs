//! The methods: how a policy learns from verdicts, on finite games and on language models, each a file.
//!
//! On games [`Training`] takes a group of runs ([`slhf_plan::GroupPlan`]) with the preference matrices that judges gave, computes exact or
//! sampled gradients under two-timescale schedules, and tells an [`Observer`] what it measures. Two programs do so and agree: batched
//! libtorch tensors and a plain scalar loop. On language models [`language::LanguageTrainer`] is the loop, and a method is one number a
//! token. [`reward::RewardTrainer`] fits reward models: one number a value of their head. What each method converges to is in `docs/`, and is each method's test.
//!
//! Invariants:
//! - No SQLite, no wasmtime, no path: judges arrive as matrices or as a [`language::PairJudge`], `baseline` plugins as
//!   [`BaselineEstimator`]s, a checkpoint is bytes.
//! - A run's numbers depend on its own plan alone: not on its group, nor on threads, nor on where it was cut and resumed.
//! - Every call of libtorch is a `Result`.
//!
//! Begin reading with a method: `finite/online_ipo.rs` and `language/online_ipo.rs`; `finite/mod.rs` and `language/mod.rs` list them all. The loops
//! are `training/mod.rs` and `language/training.rs`.
//!
//! ```
//! use slhf_learn::language::outcomes_from_rewards;
//!
//! // RLOO: each response of a prompt is rewarded against the mean of the others.
//! let outcomes = outcomes_from_rewards(&[1.0, 2.0, 6.0]);
//! assert_eq!(outcomes[2].reward - outcomes[2].baseline, 4.5);
//! ```

mod adam;
mod clusters;
mod control;
mod derivatives;
mod error;
mod evaluation;
mod finite;
pub mod language;
mod log_probabilities;
mod mean_policy;
mod order;
mod problem;
mod problem_key;
pub mod reward;
mod rules;
mod sampling;
mod scalar;
mod schedule;
mod state;
mod tensor;
mod training;
mod transcendental;

pub use control::{BaselineEstimator, BaselineRole, BaselineSample};
pub use error::{Cause, LearnError};
pub use evaluation::{FinalPolicy, Measurement};
pub use state::{RunState, STATE_VERSION};
pub use tensor::parse_device;
pub use training::{DRAWN_ACTIONS, Ended, Observer, PhaseSeconds, Training};
