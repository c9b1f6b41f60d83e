//! The frozen plan of a batch group of finite-game runs.

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointKeep;
use crate::device::DevicePlan;
use crate::game::{GamePlan, Temperatures};
use crate::methods::Method;
use crate::schedule::Schedule;

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
    /// The distance to its target at which a run's gradients are counted, looked at after every step; absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_distance: Option<f64>,
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
