//! The methods, with the fields their users know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BestOfN, Curve, Grpo, Inpo, OnlineDpo, OnlineIpo, PluginPlan, Rloo, SelfRefinement, Sft, Sppo};

/// How gradients of a finite game are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The exact gradient of the whole regularised objective.
    Exact,
    /// REINFORCE with a control variate on `num_generations` sampled pairs a step: the noise of the language-model
    /// case where the answer is known.
    Sampled,
}

/// What multiplies the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preconditioner {
    /// The plain gradient in the logits.
    None,
    /// The inverse Fisher matrix of the softmax: the step in logits is the advantage itself. Exact gradients only.
    Natural,
}

/// The first-order rule that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Step = learning rate × gradient.
    Sgd,
    /// Adam (β₁ 0.9, β₂ 0.999, ε 1e-8), as language models use it.
    Adam,
}

/// Where a run starts: logits = `log reference + scale · z`, z standard normal, drawn from the run's seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitialPolicy {
    /// Standard deviation of the seeded logits; 0 starts at the reference.
    pub logit_scale: f64,
}

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

/// What the methods on finite games have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GameTraining {
    /// Training steps (Leader updates).
    pub steps: u64,
    /// Exact or sampled gradients.
    pub gradient: Gradient,
    /// What multiplies the gradient.
    pub preconditioner: Preconditioner,
    /// The first-order rule.
    pub optimizer: Optimizer,
    /// Sampled (y, y′) pairs per step when `gradient = "sampled"`.
    pub num_generations: u32,
    /// The control variate when `gradient = "sampled"`.
    pub score_baseline: ControlVariate,
    /// Where the run starts.
    pub initial: InitialPolicy,
}

/// StackelbergGDA (arXiv 2512.16626): Leader ascends, Follower descends the same objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StackelbergGda {
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// Nash-MD-PG (arXiv 2312.00886): self-play against the geometric mixture of policy and reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NashMd {
    /// Weight m of the reference in the opponent π^(1−m) · `π_ref^m`, over the run; 0 is plain self-play.
    pub mixture_coef: Curve,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// Over which pairs Bradley–Terry scores are fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PairDistribution {
    /// Every ordered pair i ≠ j weighted equally.
    Uniform,
    /// As often as each pair was compared in the data the game was counted from.
    Counts,
    /// Weights written out, one row an action, n × n, non-negative; the diagonal is ignored.
    Weights {
        /// The weights.
        weights: Vec<Vec<f64>>,
    },
}

/// RLHF: a Bradley–Terry fit, then policy gradient on its reward with a KL penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rlhf {
    /// Over which pairs the scores are fitted.
    pub pairs: PairDistribution,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// A method with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// StackelbergGDA.
    StackelbergGda(StackelbergGda),
    /// Nash-MD-PG.
    NashMd(NashMd),
    /// RLHF.
    Rlhf(Rlhf),
    /// RLOO.
    Rloo(Rloo),
    /// GRPO.
    Grpo(Grpo),
    /// Online DPO.
    OnlineDpo(OnlineDpo),
    /// Online IPO.
    OnlineIpo(OnlineIpo),
    /// SPPO.
    Sppo(Sppo),
    /// INPO.
    Inpo(Inpo),
    /// Supervised fine-tuning on preferred answers.
    Sft(Sft),
    /// Best of N.
    BestOfN(BestOfN),
    /// Refinement without training.
    SelfRefinement(SelfRefinement),
}

/// A method's name, for grouping and display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MethodName {
    /// `stackelberg-gda`
    StackelbergGda,
    /// `nash-md`
    NashMd,
    /// `rlhf`
    Rlhf,
    /// `rloo`
    Rloo,
    /// `grpo`
    Grpo,
    /// `online-dpo`
    OnlineDpo,
    /// `online-ipo`
    OnlineIpo,
    /// `sppo`
    Sppo,
    /// `inpo`
    Inpo,
    /// `sft`
    Sft,
    /// `best-of-n`
    BestOfN,
    /// `self-refinement`
    SelfRefinement,
}

impl MethodName {
    /// As it is written in a TOML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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

impl MethodName {
    /// Whether something is learned: best-of-N and self-refinement are what the references make of themselves.
    #[must_use]
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::BestOfN | Self::SelfRefinement)
    }
}

impl Method {
    /// The method's name.
    #[must_use]
    pub fn name(&self) -> MethodName {
        match self {
            Self::StackelbergGda(_) => MethodName::StackelbergGda,
            Self::NashMd(_) => MethodName::NashMd,
            Self::Rlhf(_) => MethodName::Rlhf,
            Self::Rloo(_) => MethodName::Rloo,
            Self::Grpo(_) => MethodName::Grpo,
            Self::OnlineDpo(_) => MethodName::OnlineDpo,
            Self::OnlineIpo(_) => MethodName::OnlineIpo,
            Self::Sppo(_) => MethodName::Sppo,
            Self::Inpo(_) => MethodName::Inpo,
            Self::Sft(_) => MethodName::Sft,
            Self::BestOfN(_) => MethodName::BestOfN,
            Self::SelfRefinement(_) => MethodName::SelfRefinement,
        }
    }

    /// What the methods have in common.
    #[must_use]
    pub fn training(&self) -> &GameTraining {
        match self {
            Self::StackelbergGda(method) => &method.training,
            Self::NashMd(method) => &method.training,
            Self::Rlhf(method) => &method.training,
            Self::Rloo(method) => &method.training,
            Self::Grpo(method) => &method.training,
            Self::OnlineDpo(method) => &method.training,
            Self::OnlineIpo(method) => &method.training,
            Self::Sppo(method) => &method.training,
            Self::Inpo(method) => &method.training,
            Self::Sft(method) => &method.training,
            Self::BestOfN(method) => &method.training,
            Self::SelfRefinement(method) => &method.training,
        }
    }
}
