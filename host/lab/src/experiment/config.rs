//! The experiment TOML as types: what `slhf-lab schema experiment` prints. Everything that has a default is optional
//! here; `resolve` fills it in.

use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;

use slhf_plan::{
    ControlVariate, Curve, Gradient, GrpoKl, InitialPolicy, Kappa, Labels, Limits, OnFailure, Optimizer,
    PairDistribution, Precision, Preconditioner, Realisation, ScaleRewards,
};

/// One experiment on a finite game: a game, a judge, a method, a schedule, and the grid over them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExperimentConfig {
    /// The experiment's name; default: the file's stem.
    pub(crate) name: Option<String>,
    /// The question it asks, in a sentence.
    pub(crate) question: Option<String>,
    /// What is trained.
    #[expect(dead_code, reason = "looked at before the rest is read; here for the schema")]
    pub(crate) kind: KindConfig,
    /// The seeds of every cell; default: [1].
    pub(crate) seeds: Option<SeedsConfig>,
    /// The finite game.
    pub(crate) game: Option<GameConfig>,
    /// The judge; absent where the game's matrix is given.
    pub(crate) judge: Option<JudgeConfig>,
    /// The method.
    pub(crate) method: MethodConfig,
    /// How fast Leader and Follower learn.
    #[serde(default)]
    pub(crate) schedule: ScheduleConfig,
    /// Where it is computed.
    #[serde(default)]
    pub(crate) device: DeviceConfig,
    /// When it is measured.
    #[serde(default)]
    pub(crate) evaluation: CadenceConfig,
    /// When its state is written to disk.
    #[serde(default)]
    pub(crate) checkpoint: CheckpointConfig,
    /// The axes of the grid.
    #[serde(default)]
    #[expect(dead_code, reason = "expanded before a cell is read; here for the schema")]
    pub(crate) ablation: Vec<AxisConfig>,
}

/// What an experiment trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KindConfig {
    /// Policies on a finite game.
    Game,
}

/// The seeds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SeedsConfig {
    /// Written out.
    List(Vec<u64>),
    /// `count` seeds from `first` on.
    Range(SeedRange),
}

/// A range of seeds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedRange {
    /// The first seed.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
}

/// A finite game: a data file, or actions with a matrix, or actions that a judge compares.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "slhf-lab game")]
pub(crate) struct GameConfig {
    /// A CSV or PrefLib file, relative to this TOML.
    pub(crate) file: Option<String>,
    /// The prompt of every comparison; default: empty.
    pub(crate) prompt: Option<String>,
    /// The actions: names, or tables with texts and attributes.
    pub(crate) actions: Option<Vec<ActionConfig>>,
    /// Row i, column j: p(action i ≻ action j), in [0, 1].
    pub(crate) preferences: Option<Vec<Vec<f64>>>,
    /// The Leader's reference policy; default: uniform.
    pub(crate) reference_leader: Option<Vec<f64>>,
    /// The Follower's reference policy, one row for each of the Leader's actions; default: uniform.
    pub(crate) reference_follower: Option<Vec<Vec<f64>>>,
    /// Weight of the Leader's KL divergence from its reference; default: 0.1 (`solve`: 0).
    pub(crate) tau_leader: Option<f64>,
    /// Weight of the Follower's; default: 0.1 (`solve`: 0).
    pub(crate) tau_follower: Option<f64>,
    /// Temperature of the Nash equilibrium; default: 0.1 (`solve`: 0).
    pub(crate) tau_nash: Option<f64>,
    /// Temperature of RLHF, above 0; default: 0.1 (`solve`: 1).
    pub(crate) tau_rlhf: Option<f64>,
}

/// An action.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ActionConfig {
    /// Its name, which is also its text.
    Name(String),
    /// More of it.
    Table(ActionTable),
}

/// An action with what a judge reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionTable {
    /// Its name, unique.
    pub(crate) name: String,
    /// The response's text; default: the name.
    pub(crate) text: Option<String>,
    /// What a judge reads as the response's metadata.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) attributes: Option<toml::Table>,
}

/// The judge.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeConfig {
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub(crate) plugin: String,
    /// Its parameters, checked against its own schema; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) parameters: Option<toml::Table>,
    /// Its limits.
    pub(crate) limits: Option<Limits>,
    /// What becomes of items that it declares failed; games always abort.
    pub(crate) on_failure: Option<OnFailure>,
    /// The plugin that it wraps, if it is a combinator.
    pub(crate) upstream: Option<Box<PluginConfig>>,
}

/// A plugin that another one wraps, or a control variate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginConfig {
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub(crate) plugin: String,
    /// Its parameters; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) parameters: Option<toml::Table>,
    /// Its limits.
    pub(crate) limits: Option<Limits>,
    /// The plugin that it wraps in its turn.
    pub(crate) upstream: Option<Box<PluginConfig>>,
}

/// The method's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MethodKind {
    /// Leader and Follower by gradient descent ascent (arXiv 2512.16626).
    StackelbergGda,
    /// Nash-MD-PG (arXiv 2312.00886).
    NashMd,
    /// A Bradley–Terry fit, then policy gradient on its reward.
    Rlhf,
    /// REINFORCE with a leave-one-out baseline (arXiv 2402.14740).
    Rloo,
    /// Rewards relative to those of a group, clipped ratios (arXiv 2402.03300).
    Grpo,
    /// DPO's loss on the policy's own answers, labelled by the judge (arXiv 2402.04792).
    OnlineDpo,
    /// IPO's loss on the policy's own answers, labelled by the judge (arXiv 2403.08635).
    OnlineIpo,
    /// Multiplicative weights by regression, self-play preference optimization (arXiv 2405.00675).
    Sppo,
    /// Online mirror descent by regression, iterative Nash policy optimization (arXiv 2407.00617).
    Inpo,
    /// Likelihood of the reference's preferred answers.
    Sft,
    /// The best of N answers of the reference; trains nothing.
    BestOfN,
    /// The Follower's reference improves answers of the Leader's; trains nothing.
    SelfRefinement,
}

impl MethodKind {
    /// As a TOML says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StackelbergGda => "stackelberg-gda",
            Self::NashMd => "nash-md",
            Self::Rlhf => "rlhf",
            Self::Rloo => "rloo",
            Self::Grpo => "grpo",
            Self::OnlineDpo => "online-dpo",
            Self::OnlineIpo => "online-ipo",
            Self::Sppo => "sppo",
            Self::Inpo => "inpo",
            Self::Sft => "sft",
            Self::BestOfN => "best-of-n",
            Self::SelfRefinement => "self-refinement",
        }
    }
}

/// Where a method's rewards come from.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum RewardConfig {
    /// Bradley–Terry scores of the preference matrix, fitted over `method.pairs`.
    BradleyTerry {},
    /// Written out.
    Scores {
        /// One an action.
        scores: Vec<f64>,
    },
    /// The mean verdict against the other samples, as on language models without a reward plugin.
    Verdicts {},
}

/// Whether Leader and Follower are one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParametersConfig {
    /// One model in both roles: language models only.
    Shared,
    /// Parameters of their own: always so on games.
    Separate,
}

/// The method with the settings it shares with the others, and its own. What is said of training is not used by a method
/// that trains nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodConfig {
    /// Which.
    pub(crate) name: MethodKind,
    /// Whether Leader and Follower are one model; default: `separate`, the only one on games.
    pub(crate) parameters: Option<ParametersConfig>,
    /// Training steps, which are Leader updates; default: 2000 with natural gradients (sppo: 20000), else 20000.
    pub(crate) steps: Option<u64>,
    /// Default: `exact`.
    pub(crate) gradient: Option<Gradient>,
    /// Default: `none` for stackelberg-gda (as its paper has it), `natural` for the others with exact gradients and
    /// `optimizer = "sgd"` (mirror descent: the plain softmax gradient stalls near the border of the simplex), but for sft.
    pub(crate) preconditioner: Option<Preconditioner>,
    /// Default: `sgd`.
    pub(crate) optimizer: Option<Optimizer>,
    /// With `gradient = "sampled"`: pairs a step (stackelberg-gda, nash-md, rlhf), or answers of the one prompt that are
    /// compared with each other; default: 16. best-of-n: N, default: 4.
    pub(crate) num_generations: Option<u32>,
    /// stackelberg-gda, nash-md, rlhf: the control variate with `gradient = "sampled"`, a number or a table; default: 0.5
    /// (rloo: always `{ kind = "leave_one_out" }`).
    #[schemars(with = "Option<ConstantOr<BaselineConfig>>")]
    pub(crate) score_baseline: Option<BaselineConfig>,
    /// Where a run starts; default: seeded logits of standard deviation 1 around the reference.
    pub(crate) initial: Option<InitialPolicy>,
    /// nash-md: weight of the reference in the opponent, in [0, 1]: a number, or a curve; default: 0.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub(crate) mixture_coef: Option<Curve>,
    /// rlhf, and rloo, grpo, best-of-n with `reward = "bradley_terry"`: over which pairs the scores are fitted:
    /// `"uniform"`, `"counts"`, or a table; default: `"uniform"`.
    #[schemars(with = "Option<NameOr<PairDistribution>>")]
    pub(crate) pairs: Option<PairDistribution>,
    /// rloo, grpo, best-of-n: `"bradley_terry"`, `"verdicts"` (the mean verdict against the other samples), or a list of
    /// rewards, one an action; default: `"bradley_terry"`.
    #[schemars(with = "Option<RewardOr<RewardConfig>>")]
    pub(crate) reward: Option<RewardConfig>,
    /// online-dpo, online-ipo, inpo, sft: what a verdict says of a pair; default: `soft`.
    pub(crate) labels: Option<Labels>,
    /// grpo: by what the advantages of a group are divided; default: `group`.
    pub(crate) scale_rewards: Option<ScaleRewards>,
    /// grpo: by which divergence the policy is held to the reference; default: `differentiated_k3`, the published one.
    pub(crate) kl_gradient: Option<GrpoKl>,
    /// grpo: a probability ratio is learned from within [1 − ε, 1 + ε]; default: 0.2.
    pub(crate) epsilon: Option<f64>,
    /// grpo, sppo, inpo: updates on the same samples; default: 1.
    pub(crate) num_iterations: Option<u32>,
    /// sppo: step of the multiplicative weights, default: 0.02; inpo: how strongly an iterate is held to the one before
    /// it, at least `tau_nash`, default: 2. With natural gradients it sets the default of `schedule.learning_rate`: η,
    /// and 1/η.
    pub(crate) eta: Option<f64>,
    /// self-refinement: how often an answer is refined; default: 1.
    pub(crate) rounds: Option<u32>,
}

/// A control variate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BaselineConfig {
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

impl BaselineConfig {
    /// In the plan, unless it is a plugin, which has to be found first.
    pub(crate) fn without_plugin(&self) -> Option<ControlVariate> {
        match *self {
            Self::Constant { value } => Some(ControlVariate::Constant { value }),
            Self::LeaveOneOut => Some(ControlVariate::LeaveOneOut),
            Self::MovingAverage { decay } => Some(ControlVariate::MovingAverage { decay: decay.unwrap_or(0.9) }),
            Self::Plugin { .. } => None,
        }
    }
}

/// The two-timescale schedule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleConfig {
    /// What realises κ; default on games: `learning_rate_ratio`.
    pub(crate) realisation: Option<Realisation>,
    /// κ over the run: a number, a curve, or the adaptive rule; default: 5. Only stackelberg-gda has one.
    #[schemars(with = "Option<ConstantOr<Kappa>>")]
    pub(crate) kappa: Option<Kappa>,
    /// The Leader's learning rate, the only one of a method with one policy: a number or a curve; default: 0.5
    /// with natural gradients, 2 with plain ones, 0.01 under Adam; sppo and inpo: see `method.eta`; online-dpo, whose
    /// slope is β times smaller: 0.2/τ and 2/τ.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub(crate) learning_rate: Option<Curve>,
    /// The Follower's learning rate in the place of κ: a number or a curve.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub(crate) follower_learning_rate: Option<Curve>,
    /// Steps over which both learning rates rise from 0; default: 0.
    pub(crate) warmup_steps: Option<u64>,
}

/// Where a group is computed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceConfig {
    /// `auto`, `cpu`, `cuda` or `cuda:N`; default: `auto`.
    pub(crate) name: Option<String>,
    /// Threads of libtorch; default: 1. A setting, never derived from `--jobs`: sums depend on it.
    pub(crate) threads: Option<u32>,
    /// Which program computes a finite game; default: `auto`.
    pub(crate) path: Option<PathConfig>,
    /// Default: `f64`.
    pub(crate) precision: Option<Precision>,
}

/// Which program computes a finite game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PathConfig {
    /// By a fixed rule on the cell's own shape, method and device.
    #[default]
    Auto,
    /// Batched libtorch tensors.
    Tensor,
    /// A plain scalar loop.
    Scalar,
}

/// Every so many steps.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CadenceConfig {
    /// Steps; default: a hundredth of the run.
    pub(crate) every: Option<u64>,
}

/// When a run's state is written to disk, and how many of these files are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointConfig {
    /// Steps; default: a tenth of the run.
    pub(crate) every: Option<u64>,
    /// Checkpoints that a finished run keeps; one that is not finished keeps one more, to fall back on; default: 1.
    pub(crate) keep: Option<NonZeroU32>,
}

/// An axis of the grid: a key with its values, or a name with partial experiments.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "expanded before a cell is read; here for the schema")]
pub(crate) struct AxisConfig {
    /// The dotted key whose value varies.
    pub(crate) key: Option<String>,
    /// The axis's name, where several fields vary together.
    pub(crate) name: Option<String>,
    /// With `key`: its values. With `name`: partial experiments, each with a `label`, merged into this one.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub(crate) values: Vec<toml::Value>,
}

/// For the schema only: a bare number stands for a constant.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema only")]
pub(super) enum ConstantOr<T> {
    Number(f64),
    Table(T),
}

/// For the schema only: a bare string stands for a table of that kind, a list for the rewards themselves.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema only")]
enum RewardOr<T> {
    Name(String),
    Rewards(Vec<f64>),
    Table(T),
}

/// For the schema only: a bare string stands for a table of that kind.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema only")]
enum NameOr<T> {
    Name(String),
    Table(T),
}
