//! What a worker reports of its runs: the one form in which it goes through the frames, the lab and into the record.

use serde::{Deserialize, Serialize};

use crate::{EvaluationName, ModelUsage, PromptId, Role};

/// Something that became true of a run. The worker sends it, the lab passes it on, the record writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// What the runs are computed on, in this attempt.
    Environment(RunEnvironment),
    /// A game's judge was asked.
    GameJudged(GameJudged),
    /// Metric values.
    Metrics(MetricsBatch),
    /// Realised schedule values.
    Schedules(Vec<ScheduleRow>),
    /// Evaluations.
    Evaluations(Vec<EvaluationRow>),
    /// A checkpoint file is on disk, fsynced and renamed.
    Checkpoint(CheckpointWritten),
    /// Sampled completions, with what was said of them.
    Completions(Vec<CompletionRow>),
    /// A file or folder of a run is on disk besides its checkpoints.
    Artefact(ArtefactWritten),
    /// Measured use of a plugin.
    PluginUse(PluginUse),
    /// What a run asked of a model that a plugin was granted.
    ModelUse(ModelUse),
    /// What a run cost.
    RunCost(RunCost),
    /// A run ended.
    RunEnd(RunEnd),
}

macro_rules! reports {
    ($($variant:ident($payload:ty);)*) => {
        $(impl From<$payload> for Report {
            fn from(payload: $payload) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}

reports! {
    Environment(RunEnvironment);
    GameJudged(GameJudged);
    Metrics(MetricsBatch);
    Schedules(Vec<ScheduleRow>);
    Evaluations(Vec<EvaluationRow>);
    Checkpoint(CheckpointWritten);
    Completions(Vec<CompletionRow>);
    Artefact(ArtefactWritten);
    PluginUse(PluginUse);
    ModelUse(ModelUse);
    RunCost(RunCost);
    RunEnd(RunEnd);
}

/// What a run asked of a model since it was said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The run.
    pub run: i64,
    /// As the experiment, or the server, names it.
    pub model: String,
    /// The server's address; empty on a device.
    pub server: String,
    /// What it took.
    pub usage: ModelUsage,
}

/// What runs are computed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnvironment {
    /// The runs.
    pub runs: Vec<i64>,
    /// What the worker found.
    pub environment: Environment,
}

/// What the worker runs on; all of it goes into the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The device as resolved: `cpu`, `cuda:0`.
    pub device: String,
    /// Its name in words: the CPU's or GPU's model.
    pub device_description: String,
    /// Instruction sets that libtorch may choose by: `avx512`, `avx2`, …
    pub cpu_capability: String,
    /// Threads of libtorch.
    pub threads: u32,
    /// Version of libtorch.
    pub libtorch_version: String,
    /// SHA-256 of the worker's own binary.
    pub worker_sha256: String,
    /// `MKL_CBWR` as set.
    pub mkl_cbwr: String,
}

/// Games with more actions keep their probabilities as one matrix and no attributes: a million rows a game would outweigh
/// all else in the record.
pub const VERDICT_ROWS_ACTIONS_MAX: usize = 100;

/// Verdicts of a judge on ordered pairs of a game; all of them, in order, come in one message or in several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GameJudged {
    /// Index into the group's games.
    pub game: usize,
    /// The runs of the group that play this game; none where all of them are finished.
    pub runs: Vec<i64>,
    /// Names of the game's actions.
    pub actions: Vec<String>,
    /// Place of the first of these among all.
    pub first: usize,
    /// p(i ≻ j) at `i * n + j`, without attributes in games of more than [`VERDICT_ROWS_ACTIONS_MAX`] actions.
    pub verdicts: Vec<PairVerdict>,
    /// Attributes that these verdicts had and that are not kept.
    pub attributes_dropped: u64,
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairVerdict {
    /// p(first ≻ second).
    pub probability: f64,
    /// Why.
    pub attributes: Vec<VerdictAttribute>,
}

/// One criterion's vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictAttribute {
    /// The criterion.
    pub name: String,
    /// Its vote for the first response, in [0, 1].
    pub value: f64,
    /// In words; may be empty.
    pub reason: String,
}

/// Metric values, row by row: row r belongs to (`runs[r]`, `steps[r]`) and holds `values[r * keys.len() ..]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsBatch {
    /// Metric names, one a column.
    pub keys: Vec<String>,
    /// Run of each row.
    pub runs: Vec<i64>,
    /// Step of each row.
    pub steps: Vec<u64>,
    /// rows × keys; NaN and infinities are allowed and arrive as they are.
    pub values: Vec<f64>,
}

/// What the schedule really did at a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// The run.
    pub run: i64,
    /// The step whose update used these values (from 1).
    pub step: u64,
    /// κ as realised.
    pub kappa: f64,
    /// The Leader's learning rate.
    pub leader_learning_rate: f64,
    /// The Follower's learning rate; NaN for a method with one policy.
    pub follower_learning_rate: f64,
    /// Leader updates so far.
    pub leader_updates: u64,
    /// Follower updates so far.
    pub follower_updates: u64,
}

/// One evaluated quantity, with its 95 % interval where it was sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// The run.
    pub run: i64,
    /// Steps done.
    pub step: u64,
    /// What was evaluated.
    pub name: EvaluationName,
    /// Of what: `leader/rock`, …
    pub subject: String,
    /// The value.
    pub value: f64,
    /// Lower and upper end of the interval; `None`: the value is exact.
    pub interval: Option<(f64, f64)>,
    /// Samples behind the value; 0: exact.
    pub n: u64,
}

/// A checkpoint file is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointWritten {
    /// The runs whose state it holds.
    pub runs: Vec<i64>,
    /// Steps done.
    pub step: u64,
    /// Absolute path; in the record relative to the folder of the record's files.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// A completion that was sampled in training or in an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionRow {
    /// The run.
    pub run: i64,
    /// The step.
    pub step: u64,
    /// Where in the step: rows of one pair follow each other.
    pub position: u32,
    /// Who gave it, in training or on a held-out prompt.
    pub role: Role,
    /// Round of refinement, from 0.
    pub round: u32,
    /// Which prompt.
    pub prompt_id: PromptId,
    /// The prompt's last user message, as it was asked.
    pub prompt: String,
    /// The completion, decoded.
    pub text: String,
    /// Whether it ended by itself.
    pub finished: bool,
    /// Its length.
    pub tokens: u32,
    /// The judge's p(this ≻ its opponent); `None`: not judged, failed, or compared with several answers in training.
    pub probability: Option<f64>,
    /// Why, criterion by criterion: of the verdict, or of the reward.
    pub attributes: Vec<VerdictAttribute>,
    /// In training by rewards: what it was rewarded with, before the penalty for leaving the reference, or why it was not.
    pub reward: Option<Result<f64, String>>,
    /// In training: what the judge said where this answer stood first.
    pub verdicts: Vec<TrainingVerdict>,
}

/// What the judge said of two recorded answers of a training step, in one order of presentation. The other order, where
/// the method asks for it, is a verdict of its own, of the other answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingVerdict {
    /// The answer that stood second: its position in the step.
    pub second: u32,
    /// p(first ≻ second) and why, or why there is none.
    pub outcome: Result<PairVerdict, String>,
}

/// A file or folder that a run leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactWritten {
    /// The run.
    pub run: i64,
    /// The step.
    pub step: u64,
    /// `adapter`, …
    pub kind: String,
    /// Likewise: see [`CheckpointWritten::path`].
    pub path: String,
    /// SHA-256 of the file; of a folder: of the sorted lines `file-name␀sha256␊` of its files.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// Measured use of one plugin instance chain by one game or run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginUse {
    /// The runs it served.
    pub runs: Vec<i64>,
    /// `judge`, `judge/upstream`, `baseline`, …
    pub role: String,
    /// Its own name and version, from its manifest.
    pub name: String,
    /// See `name`.
    pub version: String,
    /// WIT version it was built against.
    pub wit_version: String,
    /// SHA-256 of the component.
    pub sha256: String,
    /// Calls made.
    pub calls: u64,
    /// Items judged.
    pub items: u64,
    /// Items that the guest declared failed.
    pub failed_items: u64,
    /// Wall-clock nanoseconds in the guest.
    pub wall_ns: u64,
    /// Fuel burnt, where metered.
    pub fuel: Option<u64>,
    /// Highest linear memory.
    pub peak_memory_bytes: u64,
}

/// What a run cost. Seconds of a batch group are divided evenly among its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// The run.
    pub run: i64,
    /// Phase: `judge`, `train`, `evaluate`, `checkpoint`, and on language models `generate`, `load`.
    pub seconds: Vec<(String, f64)>,
    /// Counted quantities with their units: (`tokens_generated`, `tokens`), (`tokens_trained`, `tokens`),
    /// (`operations`, `FLOP`); empty on games.
    pub counts: Vec<(String, String, f64)>,
    /// Peak resident memory of the worker.
    pub peak_memory_bytes: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The run.
    pub run: i64,
    /// Steps done.
    pub step: u64,
    /// Outcome.
    pub outcome: RunOutcome,
}

/// Outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// All steps were done.
    Finished,
    /// Stopped on request, with a checkpoint.
    Interrupted,
    /// It cannot go on; why, in one sentence.
    Failed(String),
}
