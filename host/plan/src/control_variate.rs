//! What is subtracted from the score of a sampled gradient.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::{Limits, PluginPlan, PluginReference};
use crate::settings::Problems;

/// The control variate subtracted from the score of a sampled gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlVariate {
    /// A constant, 0.5 by default (the paper's `score_baseline`).
    Constant {
        /// The constant.
        value: f64,
    },
    /// The mean score of the *other* Leader samples of the same step; needs `num_generations ≥ 2`. Leader only:
    /// over Follower samples of one y it would cancel the gradient, so the Follower keeps the constant 0.5.
    LeaveOneOut,
    /// An exponential moving average per agent that excludes the current batch.
    MovingAverage {
        /// Weight of the past, in [0, 1).
        decay: f64,
    },
    /// A `baseline` plugin, one instance per run.
    Plugin {
        /// The plugin.
        plugin: Box<PluginPlan>,
    },
}

impl ControlVariate {
    /// A control variate that is defined for so many samples.
    pub(crate) fn check(&self, num_generations: u32, problems: &mut Problems) {
        match *self {
            Self::LeaveOneOut if num_generations < 2 => problems.push(
                "method.score_baseline",
                "leave_one_out with num_generations = 1: there is no other sample to take a mean over; use at least 2",
            ),
            Self::MovingAverage { decay } if !(0.0..1.0).contains(&decay) => {
                problems.push("method.score_baseline.decay", format!("{decay}; expected a number in [0, 1)"));
            }
            Self::Constant { value } if !value.is_finite() => {
                problems.push("method.score_baseline.value", format!("{value}; expected a finite number"));
            }
            _ => {}
        }
    }
}

/// A control variate as an experiment writes it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GivenBaseline {
    /// A constant.
    Constant {
        /// The constant.
        value: f64,
    },
    /// The mean score of the other Leader samples of the same step.
    LeaveOneOut,
    /// An exponential moving average per agent.
    MovingAverage {
        /// Weight of the past, in [0, 1); default: 0.9.
        decay: Option<f64>,
    },
    /// A `baseline` plugin.
    Plugin {
        /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
        plugin: String,
        /// Its parameters; default: none.
        #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
        parameters: Option<toml::Table>,
        /// Its limits.
        limits: Option<Limits>,
    },
}

impl GivenBaseline {
    /// In the plan.
    ///
    /// # Errors
    /// It is a plugin, which has to be found first.
    pub fn in_the_plan(self) -> Result<ControlVariate, PluginReference> {
        match self {
            Self::Constant { value } => Ok(ControlVariate::Constant { value }),
            Self::LeaveOneOut => Ok(ControlVariate::LeaveOneOut),
            Self::MovingAverage { decay } => Ok(ControlVariate::MovingAverage { decay: decay.unwrap_or(0.9) }),
            Self::Plugin { plugin, parameters, limits } => {
                Err(PluginReference { plugin, parameters, limits, upstream: None, models: None })
            }
        }
    }
}
