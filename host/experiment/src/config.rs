//! The experiment TOML as types: what `slhf-lab schema experiment` prints. Everything that has a default is optional
//! here; `resolve` fills it in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;

use slhf_plan::settings::ConstantOr;
use slhf_plan::{
    Curve, GameMethodTable, Kappa, Limits, ModelGrant, OnFailure, PluginReference, Precision, Realisation,
};

/// One experiment on a finite game: a game, a judge, a method, a schedule, and the grid over them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// The experiment's name; default: the file's stem.
    pub name: Option<String>,
    /// The question it asks, in a sentence.
    pub question: Option<String>,
    /// What is trained.
    pub kind: KindConfig,
    /// The seeds of every cell; default: `[1]`.
    pub seeds: Option<SeedsConfig>,
    /// The finite game.
    pub game: Option<GameConfig>,
    /// The judge; absent where the game's matrix is given.
    pub judge: Option<JudgeConfig>,
    /// The method.
    pub method: GameMethodTable,
    /// How fast Leader and Follower learn.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Where it is computed.
    #[serde(default)]
    pub device: DeviceConfig,
    /// When it is measured.
    #[serde(default)]
    pub evaluation: GameEvaluationConfig,
    /// When its state is written to disk.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The axes of the grid.
    #[serde(default)]
    pub ablation: Vec<AxisConfig>,
}

/// What an experiment trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KindConfig {
    /// Policies on a finite game.
    Game,
}

/// The seeds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of whole numbers, like [1, 2, 3], or { first = 1, count = 5 }")]
pub enum SeedsConfig {
    /// Written out.
    List(Vec<u64>),
    /// `count` seeds from `first` on.
    Range(SeedRange),
}

/// A range of seeds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedRange {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// A finite game: a data file, or actions with a matrix, or actions that a judge compares.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "slhf-lab game")]
pub struct GameConfig {
    /// A CSV or PrefLib file, relative to this TOML.
    pub file: Option<String>,
    /// The prompt of every comparison; default: empty.
    pub prompt: Option<String>,
    /// The actions: names, or tables with texts and attributes.
    pub actions: Option<Vec<ActionConfig>>,
    /// Row i, column j: p(action i ≻ action j), in [0, 1].
    pub preferences: Option<Vec<Vec<f64>>>,
    /// How much each group of a CSV with a column `group` weighs, by name; only ratios matter; default: every comparison
    /// counts once.
    pub weights: Option<BTreeMap<String, f64>>,
    /// The Leader's reference policy; default: uniform.
    pub reference_leader: Option<Vec<f64>>,
    /// The Follower's reference policy, one row for each of the Leader's actions; default: uniform.
    pub reference_follower: Option<Vec<Vec<f64>>>,
    /// Weight of the Leader's KL divergence from its reference; default: 0.1 (`solve`: 0).
    pub tau_leader: Option<f64>,
    /// Weight of the Follower's KL divergence from its reference; default: 0.1 (`solve`: 0).
    pub tau_follower: Option<f64>,
    /// Temperature of the Nash equilibrium; default: 0.1 (`solve`: 0).
    pub tau_nash: Option<f64>,
    /// Temperature of RLHF, above 0; default: 0.1 (`solve`: 1).
    pub tau_rlhf: Option<f64>,
}

/// An action.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a name, or a table with a name and perhaps a text and attributes")]
pub enum ActionConfig {
    /// Its name, which is also its text.
    Name(String),
    /// More of it.
    Table(ActionTable),
}

/// An action with what a judge reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionTable {
    /// Its name, unique.
    pub name: String,
    /// The response's text; default: the name.
    pub text: Option<String>,
    /// What a judge reads as the response's metadata.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub attributes: Option<toml::Table>,
}

/// The judge.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeConfig {
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub plugin: String,
    /// Its parameters, checked against its own schema; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub parameters: Option<toml::Table>,
    /// Its limits.
    pub limits: Option<Limits>,
    /// What becomes of items that it declares failed, where games always abort; default: `abort`.
    pub on_failure: Option<OnFailure>,
    /// The plugin that it wraps, if it is a combinator.
    pub upstream: Option<Box<PluginReference>>,
    /// The models that it may ask, by name.
    pub models: Option<BTreeMap<String, ModelGrant>>,
}

/// The two-timescale schedule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// What realizes κ; default: `learning_rate_ratio`, on a language model with shared parameters `loss_weight`.
    pub realisation: Option<Realisation>,
    /// κ over the run: a number, a curve, or the adaptive rule; default: 5. Only stackelberg-gda has one.
    #[schemars(with = "Option<ConstantOr<Kappa>>")]
    pub kappa: Option<Kappa>,
    /// The Leader's learning rate, the only one of a method with one policy: a number or a curve; default: 0.5
    /// with natural gradients, 2 with plain ones, 0.01 under Adam; sppo, inpo and mnpo: see `method.eta`; online-dpo, whose
    /// gradient is β times smaller: 0.2/τ and 2/τ; with natural gradients egpo 2/(1 + 2τ) and omwu 1.4/(1 + 1.4τ).
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub learning_rate: Option<Curve>,
    /// The Follower's learning rate in the place of κ: a number or a curve.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub follower_learning_rate: Option<Curve>,
    /// Steps over which both learning rates rise from 0; default: 0.
    pub warmup_steps: Option<u64>,
}

/// Where a group is computed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// `auto`, `cpu`, `cuda` or `cuda:N`; default: `auto`.
    pub name: Option<String>,
    /// Threads of libtorch; default: 1. A setting, never derived from `--jobs`: sums depend on it.
    pub threads: Option<u32>,
    /// Which program computes a finite game; default: `auto`.
    pub path: Option<PathConfig>,
    /// Of the training state; default: `f64`.
    pub precision: Option<Precision>,
}

/// Which program computes a finite game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathConfig {
    /// By a fixed rule on the cell's own shape, method and device.
    #[default]
    Auto,
    /// Batched libtorch tensors.
    Tensor,
    /// A plain scalar loop.
    Scalar,
}

/// When a run is measured, and what is looked for after every step.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GameEvaluationConfig {
    /// Steps between evaluations; default: a hundredth of the run.
    pub every: Option<u64>,
    /// A distance to the method's own target, above 0: the metric `gradients_to_target` says after how many gradients it was first
    /// passed, to the step; default: none, nothing is counted.
    pub target_distance: Option<f64>,
}

/// When a run's state is written to disk, and how many of these files are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; default: a tenth of the run.
    pub every: Option<u64>,
    /// Checkpoints that a finished run keeps; one that is not finished keeps one more, to fall back on; default: 1.
    pub keep: Option<NonZeroU32>,
}

/// An axis of the grid: a key with its values, or a name with partial experiments.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AxisConfig {
    /// The dotted key whose value varies.
    pub key: Option<String>,
    /// The axis's name, where several fields vary together.
    pub name: Option<String>,
    /// With `key`: its values. With `name`: partial experiments, each with a `label`, merged into this one.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub values: Vec<toml::Value>,
}
