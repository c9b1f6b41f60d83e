//! The two-timescale schedule as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Curve;

/// What realises κ, the ratio of the Follower's speed to the Leader's. The realisations are not equivalent
/// (docs: which is valid where).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Realisation {
    /// The Follower's loss is multiplied by κ (the paper's `follower_weight`). Does nothing under Adam with
    /// separate parameters, where it is a planning error.
    LossWeight,
    /// The Follower's learning rate is κ times the Leader's. Needs separate parameters.
    LearningRateRatio,
    /// The Follower takes κ updates (a whole number) for each of the Leader's.
    UpdatesPerLeaderUpdate,
}

/// The adaptive rule for κ: multiplicative integral control in log κ.
///
/// Every `interval` steps the signal `s` (on games: the Follower's gap; on language models: its win rate) is smoothed,
/// `m ← smoothing · m + (1 − smoothing) · s` (the first reading is taken as it is), and
/// `log κ ← clamp(log κ + gain · clamp((m − target) / target, −1, 1), log minimum, log maximum)`.
/// Direction: a Follower's gap above the target makes the Follower faster; of a win rate the error is taken with the
/// other sign, so that a win rate (mean over the interval) below the target makes it faster. (`log κ`, `m`) is the rule's whole state
/// and is in every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveRule {
    /// κ before the first reading.
    pub start: f64,
    /// The signal's target, > 0.
    pub target: f64,
    /// Change of log κ per reading at saturation.
    #[serde(default = "AdaptiveRule::default_gain")]
    pub gain: f64,
    /// Weight of the past in the smoothed signal, in [0, 1).
    #[serde(default = "AdaptiveRule::default_smoothing")]
    pub smoothing: f64,
    /// Lower bound of κ.
    #[serde(default = "AdaptiveRule::default_minimum")]
    pub minimum: f64,
    /// Upper bound of κ.
    #[serde(default = "AdaptiveRule::default_maximum")]
    pub maximum: f64,
    /// Steps between readings.
    #[serde(default = "AdaptiveRule::default_interval")]
    pub interval: u64,
}

impl AdaptiveRule {
    fn default_gain() -> f64 {
        0.1
    }
    fn default_smoothing() -> f64 {
        0.9
    }
    fn default_minimum() -> f64 {
        0.1
    }
    fn default_maximum() -> f64 {
        100.0
    }
    fn default_interval() -> u64 {
        10
    }
}

/// κ over the run: a curve, or the adaptive rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kappa {
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
        /// Steps by which the curve is shifted.
        #[serde(default)]
        offset: f64,
    },
    /// Keeps a measured signal at a target.
    Adaptive(AdaptiveRule),
}

impl Kappa {
    /// The curve, or `None` for the adaptive rule.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        match *self {
            Self::Constant { value } => Some(Curve::Constant { value }),
            Self::Linear { start, end } => Some(Curve::Linear { start, end }),
            Self::Cosine { start, end } => Some(Curve::Cosine { start, end }),
            Self::Power { start, exponent, offset } => Some(Curve::Power { start, exponent, offset }),
            Self::Adaptive(_) => None,
        }
    }
}

/// How the two speeds change over a run. Every field is explicit; the lab fills in the defaults of the method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What realises κ.
    pub realisation: Realisation,
    /// κ over the run. Ignored by methods with one policy.
    pub kappa: Kappa,
    /// The Leader's learning rate (the only one of a method with one policy).
    pub learning_rate: Curve,
    /// The Follower's learning rate given directly, for power-law pairs t^(−a), t^(−b); κ is then their ratio and
    /// `kappa` must not be given. Only with `learning_rate_ratio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follower_learning_rate: Option<Curve>,
    /// Steps over which both learning rates rise linearly from 0.
    #[serde(default)]
    pub warmup_steps: u64,
}
