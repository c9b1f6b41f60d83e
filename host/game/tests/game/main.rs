//! What is true of finite preference games, against the crate: closed forms, invariants, and second
//! methods that share no code with the first.

#![expect(clippy::float_cmp, reason = "where a result is exact, the tests say so")]

mod bradley_terry;
mod examples;
mod held;
mod invariants;
mod lotteries;
mod nash;
mod refusals;
mod social_choice;
mod stackelberg;
mod support;
