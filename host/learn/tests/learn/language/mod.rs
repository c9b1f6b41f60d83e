//! Language models whose closed form is known: answers of one or two tokens from a table of logits.

mod certificate;
mod closed;
mod closed_certificate;
mod closed_mirror;
mod convergence;
mod draws;
mod expectation;
mod failures;
mod gradients;
mod measuring;
mod mnpo;
mod mnpo_closed;
mod offline;
mod play;
mod recorded_verdicts;
mod resume;
mod reward_model;
mod rivals;
mod rivals_grpo;
mod rivals_grpo_settings;
mod rivals_regularizers;
mod rivals_sampled;
mod rloo;
mod score;
mod setup;
mod tabular;
