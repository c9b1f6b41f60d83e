//! The methods against their closed forms, the two paths against each other, a resumed run against an uninterrupted one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, helpers included, what must not happen may panic")]

mod convergence;
mod equilibrium;
mod failures;
mod finite;
mod finite_grpo;
mod gradients;
mod groups;
mod language;
mod libtorch;
mod mnpo;
mod regularizers;
mod resume;
mod reward;
mod support;
