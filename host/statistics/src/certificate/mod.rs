//! How far a trained pair (π, ω) is from its Stackelberg equilibrium where no closed form exists: bounds of the gaps from samples alone.
//!
//! `follower_gap` is the mean over pairs (x, y) of `E_ω P(y, y′) + τ_F KL(ω ‖ ω_ref) − f(y)`, and `leader_gap` the mean over prompts of
//! `τ_L log E_{π_ref} exp(f/τ_L) − E_π f + τ_L KL(π ‖ π_ref)`, with the value of committing to an answer,
//! `f(y) = −τ_F log E_{y′ ~ ω_ref} exp(−P(y, y′)/τ_F)` (Pásztor, Kleine Buening & Krause, arXiv 2512.16626). Means of what lies in a known
//! range, and lower ends of what is not negative, are bounded by betting (see [`crate::SequentialMean`]), without any assumption; the upper end of a
//! divergence by Student's t, which is *asymptotic*, and so is every whole that has one in it. The judge's verdict must be a function of the pair, no
//! verdict may have failed, and samples must come from the whole distribution (no `top_p`, no `top_k`): the functions here cannot see whether that is so.
//!
//! Begin with `value.rs`.

mod error;
mod follower;
mod leader;
mod tilted;
mod upper_end;
mod value;

pub use error::CertificateError;
pub use follower::{FollowerCertificate, FollowerPair, follower_certificate};
pub use leader::{LeaderAnswer, LeaderCertificate, LeaderPrompt, UpperEnd, leader_certificate};
pub use value::{OwnAnswer, ValueBounds, ValueSamples};
