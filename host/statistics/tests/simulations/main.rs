//! Error rates, coverage and power of what is concluded from seeds and prompts, by simulation.
//!
//! Bars are those that the method was accepted by; draws are seeded, so that a run repeats itself.

mod claims;
mod cycles;
mod shares;
mod world;
