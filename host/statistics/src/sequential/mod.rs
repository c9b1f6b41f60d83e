//! Bounds that hold at every moment at once, so that one may look after each value and stop when it suffices: bets against every candidate
//! mean (Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024, arXiv 2010.09686).
//!
//! A candidate m is a game that is fair if m is the mean: a player who stakes λ on the next value X has his capital multiplied by
//! 1 + λ (X − m). Under the true mean the capital is a martingale that is never negative, and so it ever reaches 1/α with probability α at
//! most (Ville 1939). Every m whose game made the player that rich is out. With a finite population, drawn without replacement, the fair
//! price of the next value is the mean of what is left if m were the mean of all; with the last value everything is known.
//!
//! Begin with `lower_bound.rs`; everything else is made of it.

mod bets;
mod certain;
mod e_bh;
mod error;
mod family;
mod lower_bound;
mod mean;
mod order;
mod stopping;

pub use bets::Horizon;
pub use certain::Population;
pub use e_bh::e_bh;
pub use error::SequentialError;
pub use family::SequentialFamily;
pub use lower_bound::{LowerBound, Risk};
pub use mean::SequentialMean;
pub use order::draw_order;
pub use stopping::StopAt;
