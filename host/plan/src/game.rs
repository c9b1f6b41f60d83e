//! The frozen plan of a batch group of finite-game runs.

use serde::{Deserialize, Serialize};

use crate::{CheckpointKeep, DevicePlan, JudgePlan, Method, Schedule};

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

/// One run: one cell × one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameRunPlan {
    /// The run's number in the record.
    pub run: i64,
    /// Index into [`GroupPlan::games`].
    pub game: usize,
    /// The run's seed.
    pub seed: u64,
    /// Temperatures of this run.
    pub temperatures: Temperatures,
    /// Method and settings. Name, gradient, preconditioner, optimizer, steps and `num_generations` agree in a group.
    pub method: Method,
    /// The schedule. May differ from run to run in a group; the realisation agrees.
    pub schedule: Schedule,
}

/// What one worker computes: runs whose shapes agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPlan {
    /// Device, threads, path, precision.
    pub device: DevicePlan,
    /// Metrics and gaps are recorded at step 0, every so many steps, and at the end.
    pub evaluation_every: u64,
    /// A checkpoint is written every so many steps, and when the run ends or is stopped.
    pub checkpoint_every: u64,
    /// See [`crate::CheckpointKeep`].
    #[serde(default, skip_serializing_if = "CheckpointKeep::is_usual")]
    pub checkpoint_keep: CheckpointKeep,
    /// The distinct games of the runs.
    pub games: Vec<GamePlan>,
    /// The runs.
    pub runs: Vec<GameRunPlan>,
}
