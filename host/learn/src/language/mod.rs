//! Training of language models: the methods as coefficients of log-probabilities.
//!
//! Every method here is a policy gradient or another function of the chosen tokens' log-probabilities, so what a
//! method says to a policy is one number a token: ∂loss/∂log `π(y_t)`, detached. [`LanguagePolicies`] runs the forward
//! pass, shows the log-probabilities, is told the coefficients, and runs the backward pass. This module never touches a
//! tensor of a model.
//!
//! [`LanguageTrainer`] is the loop: prompts, answers, verdicts, coefficients, updates, evaluations, checkpoints. It tells
//! a [`LanguageObserver`] everything.
//!
//! Invariants:
//! - A run that was cut at any step and resumed computes the numbers of one that was not.
//! - Nothing that is decided depends on a clock.
//! - A verdict that failed is left out or ends the run; it never becomes a number.

mod completions;
mod divergence;
mod evaluation;
mod failure;
mod metrics;
mod observer;
mod passing;
mod playing;
mod prompts;
mod rloo;
mod settings;
mod stackelberg_gda;
mod state;
mod step;
mod training;
mod traits;

pub use divergence::{KlTerm, ScoreProblem, WeighError};
pub use metrics::is_machine_metric;
pub use observer::{LanguageObserver, MachineReading};
pub use prompts::PromptSource;
pub use rloo::{AnswerOutcome, RlooLoss, outcomes_from_rewards, outcomes_from_verdicts};
pub use stackelberg_gda::{PairFactors, PairOutcome, StackelbergLoss, WeighedPair};
pub use state::{LANGUAGE_STATE_VERSION, LanguageCounters, policies_in_checkpoint};
pub use training::{LanguageSeconds, LanguageTrainer};
pub use traits::{
    Agents, Answer, Comparison, GradientNorms, LanguagePolicies, Pair, PairJudge, PolicyName, Prompt, Request, Update,
    Verdict,
};
