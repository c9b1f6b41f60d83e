//! Training on finite preference games: StackelbergGDA, Nash-MD-PG, RLHF and the methods that they stand beside (RLOO, GRPO,
//! online DPO and IPO, SPPO, INPO, SFT, best-of-N, self-refinement), each with exact or sampled gradients, under two-timescale
//! schedules, on two programs that agree: batched libtorch tensors and a plain scalar loop.
//!
//! [`Training`] takes a group of runs ([`slhf_plan::GroupPlan`]) with the preference matrices that judges gave, and
//! tells an [`Observer`] what it measures. What each method converges to is in `docs/`, and is each method's test.
//!
//! Invariants:
//! - No SQLite, no wasmtime, no path: judges arrive as matrices, `baseline` plugins as [`BaselineEstimator`]s, a
//!   checkpoint is bytes.
//! - A run's numbers depend on its own plan alone: not on its group, nor on threads, nor on where it was cut and resumed.
//! - Every call of libtorch is a `Result`.

mod adam;
mod control;
mod error;
mod evaluation;
mod finite;
pub mod language;
mod log_probabilities;
mod mean_policy;
mod problem;
mod problem_key;
mod rules;
mod sampling;
mod scalar;
mod schedule;
mod slopes;
mod state;
mod tensor;
mod training;
mod transcendental;

pub use control::{BaselineEstimator, BaselineRole, BaselineSample};
pub use error::{Cause, LearnError};
pub use evaluation::{FinalPolicy, Measurement};
pub use state::{RunState, STATE_VERSION};
pub use tensor::parse_device;
pub use training::{Ended, Observer, PhaseSeconds, Training};
