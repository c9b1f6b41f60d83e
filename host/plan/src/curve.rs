//! A value that changes over a run by a formula of the step alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named, parametrised curve over the steps of a run.
///
/// `t` counts steps from 1 to `steps`; every curve is a pure function of (`t`, `steps`), so a resumed run sees the
/// same values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// The same value at every step.
    Constant {
        /// The value.
        value: f64,
    },
    /// Straight from `start` (step 1) to `end` (last step).
    Linear {
        /// Value at step 1.
        start: f64,
        /// Value at the last step.
        end: f64,
    },
    /// Half a cosine from `start` (step 1) to `end` (last step).
    Cosine {
        /// Value at step 1.
        start: f64,
        /// Value at the last step.
        end: f64,
    },
    /// `start · ((t + offset) / (1 + offset))^(−exponent)`; with `offset = 0` this is `start · t^(−exponent)`.
    Power {
        /// Value at step 1.
        start: f64,
        /// The exponent a of t^(−a); a negative one grows.
        exponent: f64,
        /// Delays the decay: roughly the number of steps before it bites.
        #[serde(default)]
        offset: f64,
    },
}

impl Curve {
    /// The value at step `t` (from 1) of `steps`.
    #[must_use]
    pub fn at(&self, t: u64, steps: u64) -> f64 {
        let progress = if steps <= 1 { 0.0 } else { (t.saturating_sub(1)) as f64 / (steps - 1) as f64 };
        match *self {
            Self::Constant { value } => value,
            Self::Linear { start, end } => start + (end - start) * progress,
            Self::Cosine { start, end } => end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Power { start, exponent, offset } => {
                start * ((t.max(1) as f64 + offset) / (1.0 + offset)).powf(-exponent)
            }
        }
    }
}
