//! Language models whose closed form is known: answers of one or two tokens from a table of logits.

mod convergence;
mod failures;
mod gradients;
mod measuring;
mod play;
mod resume;
mod rloo;
mod setup;
mod tabular;
