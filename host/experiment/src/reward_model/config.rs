//! The TOML of an experiment that trains reward models, as types. Everything that has a default is optional here; `resolve` fills it
//! in.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_plan::settings::ConstantOr;
use slhf_plan::{AttributeLoss, Curve, ModelPrecision, OnBadRow, OptimizerKind, OverLong, PairLayout, SavedModel};

use crate::config::{AxisConfig, CheckpointConfig, SeedsConfig};
use crate::language::{LanguageDeviceConfig, ModelConfig};

/// One experiment that trains reward models: a model, preferences, a head, and the grid over them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardExperimentConfig {
    /// The experiment's name; default: the file's stem.
    pub name: Option<String>,
    /// The question it asks, in a sentence.
    pub question: Option<String>,
    /// What is trained.
    pub kind: RewardKind,
    /// The seeds of every cell; default: `[1]`.
    pub seeds: Option<SeedsConfig>,
    /// The model whose output matrix the head takes the place of.
    pub model: ModelConfig,
    /// The preferences.
    pub data: PairsConfig,
    /// The head; default: Bradley–Terry.
    pub head: Option<HeadConfig>,
    /// How it is trained.
    #[serde(default)]
    pub training: RewardTrainingConfig,
    /// The learning rate.
    #[serde(default)]
    pub schedule: RewardScheduleConfig,
    /// Where it is computed.
    #[serde(default)]
    pub device: RewardDeviceConfig,
    /// When it is measured on held-out pairs.
    #[serde(default)]
    pub evaluation: RewardEvaluationConfig,
    /// When its state is written to disk; default: ten times a run.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// What a finished run leaves behind: a whole model, or its adapter with the head alone; default: `merged`.
    pub save: Option<SavedModel>,
    /// The axes of the grid.
    #[serde(default)]
    pub ablation: Vec<AxisConfig>,
}

/// `kind` of an experiment that trains reward models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RewardKind {
    /// A language model with a head of values.
    RewardModel,
}

/// The preferences.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsConfig {
    /// The file, relative to this TOML; `run --data` names another one.
    pub pairs: String,
    /// How it is laid out; default: `pairs`.
    pub layout: Option<PairLayout>,
    /// The rating that decides which response of a pair is better, in layouts of ratings; default: `helpfulness` of `HelpSteer2`,
    /// `overall_score` of `UltraFeedback`.
    pub attribute: Option<String>,
    /// Prompts kept for evaluation with all of their pairs, and never trained on; default: a tenth of them.
    pub held_out: Option<u32>,
    /// Decides which prompts are held out, and ties that ratings leave open; default: 0, the same for every seed.
    pub split_seed: Option<u64>,
    /// Pairs that are trained on, at most, in the order of the file; default: all.
    pub training_pairs: Option<u64>,
    /// Tokens of a conversation with its response; default: 512.
    pub max_tokens: Option<u32>,
    /// What becomes of pairs with a longer text: they are left out, or the end of the text is; default: `drop`.
    pub over_long: Option<OverLong>,
    /// A system message put before every prompt that has none; default: none.
    pub system: Option<String>,
    /// What becomes of rows that cannot be used; default: `error`.
    pub on_bad_row: Option<OnBadRow>,
    /// What is known of a file that is not here yet: `check` and `run --dry-run` do without it.
    pub shape: Option<PairsShape>,
}

/// What is known of a file of preferences that is not here yet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsShape {
    /// Pairs that are trained on.
    pub training_pairs: u64,
    /// Pairs that are held out.
    pub held_out_pairs: u64,
    /// Tokens of a rendered conversation with its response, on average.
    pub text_tokens: u32,
    /// The attributes that are rated; default: none.
    pub labels: Option<Vec<String>>,
}

/// What stands in the place of the output matrix.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HeadConfig {
    /// One value, of which differences are logits of preference.
    BradleyTerry {
        /// What a pair's `margin`, or the difference of its ratings, is multiplied by to be its margin in the loss (arXiv 2307.09288);
        /// default: 0.
        margin: Option<f64>,
        /// Weight of the squared sum of a pair's values, which holds them about 0; default: 0.01.
        centering: Option<f64>,
    },
    /// One value an attribute.
    Attributes {
        /// The attributes, in this order; default: all that the file has, sorted.
        labels: Option<Vec<String>>,
        /// What each is fit to; default: `regression`.
        loss: Option<AttributeLoss>,
        /// As of Bradley–Terry; default: 0.01 with `loss = "bradley_terry"`, else 0.
        centering: Option<f64>,
    },
    /// Vectors whose skew product is the logit, cycles included (arXiv 2410.02197).
    GeneralPreference {
        /// Blocks of two values; default: 3.
        blocks: Option<u32>,
        /// τ, which the product is divided by, above 0; default: 1.
        tau: Option<f64>,
    },
}

/// How the parameters are moved.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardTrainingConfig {
    /// Optimizer steps; default: as many as `epochs` has.
    pub steps: Option<u64>,
    /// How often the training pairs are passed, in the place of `steps`; default: 1.
    pub epochs: Option<f64>,
    /// Pairs of a step; default: 16.
    pub pairs_per_step: Option<u32>,
    /// Pairs of one pass; a step's passes are accumulated; default: 8, or `pairs_per_step` where that is less.
    pub micro_batch_size: Option<u32>,
    /// The first-order rule; default: `adamw`.
    pub optimizer: Option<OptimizerKind>,
    /// β₁ of adamw; default: 0.9.
    pub adam_beta1: Option<f64>,
    /// β₂ of adamw; default: 0.999.
    pub adam_beta2: Option<f64>,
    /// ε of adamw; default: 1e-8.
    pub adam_epsilon: Option<f64>,
    /// Weight decay of adamw, on matrices alone; default: 0.
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradient; 0: not clipped; default: 1.
    pub max_grad_norm: Option<f64>,
}

/// The learning rate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardScheduleConfig {
    /// A number or a curve; default: a cosine from 1e-4 (1e-5 where all weights are trained) to 0.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub learning_rate: Option<Curve>,
    /// Steps over which it rises from 0; default: 0.
    pub warmup_steps: Option<u64>,
}

/// When it is measured.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardEvaluationConfig {
    /// Steps between evaluations on the held-out pairs; 0: before the first step and after the last alone; default: a quarter of the
    /// run.
    pub every: Option<u64>,
}

/// Where a reward model is trained: by one process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardDeviceConfig {
    /// `auto`, `cpu`, `cuda` or `cuda:N`; default: `auto`.
    pub name: Option<String>,
    /// Threads of libtorch; default: 2. A setting, never derived from `--jobs`: sums depend on it.
    pub threads: Option<u32>,
    /// Of weights and activations; default: `f32` on a CPU, `bf16` on CUDA.
    pub precision: Option<ModelPrecision>,
}

impl From<&RewardDeviceConfig> for LanguageDeviceConfig {
    fn from(config: &RewardDeviceConfig) -> Self {
        Self { name: config.name.clone(), threads: config.threads, precision: config.precision, ..Self::default() }
    }
}
