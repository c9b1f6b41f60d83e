//! The engine against the reference library's numbers, against itself computed another way, and against closed forms.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod generation;
mod hidden_states;
mod packed;
mod parts;
mod passes;
mod places;
mod reference_numbers;
mod rewards;
mod support;
mod trees;
mod truncated;
mod value_gradients;
