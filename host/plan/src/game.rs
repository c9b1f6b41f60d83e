//! A finite game as a plan holds it: actions, references, temperatures, and who judges.

use serde::{Deserialize, Serialize};

use crate::plugin::JudgePlan;

/// The regularisation temperatures of game.md; dimensionless multipliers of KL divergences in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperatures {
    /// `τ_L`
    pub tau_leader: f64,
    /// `τ_F`
    pub tau_follower: f64,
    /// τ of the Nash equilibrium.
    pub tau_nash: f64,
    /// τ of RLHF.
    pub tau_rlhf: f64,
}

/// One action of a finite game, as the judge is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionPlan {
    /// Unique name.
    pub name: String,
    /// The response's text (the name, unless given).
    pub text: String,
    /// The response's metadata: JSON, `{}` unless attributes are given.
    pub metadata: serde_json::Value,
}

/// A finite game before its judge was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GamePlan {
    /// The prompt every comparison carries.
    pub prompt: String,
    /// JSON metadata every comparison carries.
    pub metadata: serde_json::Value,
    /// The actions, n ≥ 2.
    pub actions: Vec<ActionPlan>,
    /// Who judges all n² ordered pairs.
    pub judge: JudgePlan,
    /// `π_ref`, n entries, full support.
    pub reference_leader: Vec<f64>,
    /// `ω_ref`(· | i) in row i, n × n, full support.
    pub reference_follower: Vec<Vec<f64>>,
    /// How often each ordered pair was compared, where the game was counted from data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison_counts: Option<Vec<Vec<f64>>>,
}
