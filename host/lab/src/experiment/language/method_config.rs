//! `[method]` of a language-model experiment as types.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_plan::{Curve, FollowerReference, GrpoLossType, KlEstimator, KlGradient, Labels, Parameters, ScaleRewards};

use super::super::config::{BaselineConfig, ConstantOr, PluginConfig};

/// The method's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LanguageMethodKind {
    /// Leader and Follower by gradient descent ascent (arXiv 2512.16626).
    StackelbergGda,
    /// REINFORCE with a leave-one-out baseline (arXiv 2402.14740).
    Rloo,
    /// Rewards relative to those of a prompt's other answers, clipped ratios (arXiv 2402.03300).
    Grpo,
    /// Self-play against a mixture of policy and reference (arXiv 2312.00886).
    NashMd,
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
    /// The reference improves its own answers; trains nothing.
    SelfRefinement,
}

impl LanguageMethodKind {
    /// As a TOML says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StackelbergGda => "stackelberg-gda",
            Self::Rloo => "rloo",
            Self::Grpo => "grpo",
            Self::NashMd => "nash-md",
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

/// The first-order rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OptimizerKind {
    /// Adam with decoupled weight decay (arXiv 1711.05101).
    #[default]
    Adamw,
    /// Step = learning rate × gradient.
    Sgd,
}

/// A Bradley–Terry model that is fit before the first step and then trained on.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewardModelConfig {
    /// Pairs of answers that it is fit to, each judged in both orders; default: 256.
    pub(crate) pairs: Option<u32>,
    /// λ of the penalty λ · ½ |w|² beside the mean loss; default: by 5-fold cross-validation over prompts, of 10, 1, 0.1, 0.01,
    /// 0.001 and 0.0001 times the mean squared length of a pair's difference.
    pub(crate) l2: Option<f64>,
}

/// The method with the settings it shares with the others, and its own. What is said of training is not used by a method
/// that trains nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageMethodConfig {
    /// Which.
    pub(crate) name: LanguageMethodKind,
    /// stackelberg-gda: one set of weights in both roles, or two adapters over one frozen model; default: `shared`.
    pub(crate) parameters: Option<Parameters>,
    /// Training steps, which are Leader updates; default: 200.
    pub(crate) steps: Option<u64>,
    /// Prompts a step; default: 8.
    pub(crate) prompts_per_step: Option<u32>,
    /// Samples of each prompt; default: 1 (stackelberg-gda, nash-md), 4 (best-of-n), 2 (all others).
    pub(crate) num_generations: Option<u32>,
    /// Sequences of one forward and backward pass; default: 8.
    pub(crate) micro_batch_size: Option<u32>,
    /// `τ_L`: weight of the KL divergence from the reference; default: 0.001 (sppo, sft: 0, they have none).
    pub(crate) beta: Option<f64>,
    /// stackelberg-gda: `τ_F`, weight of the Follower's; default: `beta`.
    pub(crate) follower_beta: Option<f64>,
    /// stackelberg-gda, rloo, grpo, nash-md: how the KL term enters the gradient; default: `reward_to_go` (grpo:
    /// `differentiated_k3`, the published one, which only grpo has).
    pub(crate) kl_gradient: Option<KlGradient>,
    /// The estimate used by `kl_gradient = "paper"`; default: `k1`.
    pub(crate) kl_estimator: Option<KlEstimator>,
    /// stackelberg-gda: what the Follower's reference is conditioned on; default: `context`.
    pub(crate) follower_reference: Option<FollowerReference>,
    /// stackelberg-gda, nash-md: what is subtracted from a score, a number or a table; default: 0.5 (rloo: always
    /// `{ kind = "leave_one_out" }`).
    #[schemars(with = "Option<ConstantOr<BaselineConfig>>")]
    pub(crate) score_baseline: Option<BaselineConfig>,
    /// Subtracted from the score of an answer that did not end by itself; default: 0.
    pub(crate) missing_eos_penalty: Option<f64>,
    /// stackelberg-gda, self-refinement: the user turn between y and y′; default: the paper's, "Improve the previous
    /// answer. Phrase it as if it was the original response."
    pub(crate) instruction: Option<String>,
    /// rloo, grpo, best-of-n: a `reward` plugin; default: the mean of the judge's verdicts, in both orders, against the other
    /// samples of the prompt.
    pub(crate) reward: Option<PluginConfig>,
    /// rloo, grpo: in the place of `reward`, RLHF's own: a linear Bradley–Terry model of the reference's last hidden states, fit
    /// to the judge's verdicts on pairs of the reference's answers before the first step; default: none.
    pub(crate) reward_model: Option<RewardModelConfig>,
    /// nash-md: weight of the reference in the opponent, in [0, 1]: a number, or a curve; default: 0.
    #[schemars(with = "Option<ConstantOr<Curve>>")]
    pub(crate) mixture_coef: Option<Curve>,
    /// online-dpo, online-ipo, inpo, sft: what a verdict says of a pair; default: `soft`.
    pub(crate) labels: Option<Labels>,
    /// grpo: by what the advantages of a prompt's answers are divided; default: `group`.
    pub(crate) scale_rewards: Option<ScaleRewards>,
    /// grpo: by what the loss of an answer's tokens is divided; default: `grpo`.
    pub(crate) loss_type: Option<GrpoLossType>,
    /// grpo: a token's probability ratio is learned from within [1 − ε, 1 + ε]; default: 0.2.
    pub(crate) epsilon: Option<f64>,
    /// grpo, sppo, inpo: updates on the same samples; default: 1.
    pub(crate) num_iterations: Option<u32>,
    /// sppo: step of the multiplicative weights, default: 1000; inpo: how strongly an iterate is held to the one before
    /// it, at least `beta`, default: three times `beta`. Of use from the second update on: needs `num_iterations` of at least 2.
    pub(crate) eta: Option<f64>,
    /// self-refinement: how often an answer is refined; default: 1.
    pub(crate) rounds: Option<u32>,
    /// Default: `adamw`.
    pub(crate) optimizer: Option<OptimizerKind>,
    /// adamw: β₁; default: 0.9.
    pub(crate) adam_beta1: Option<f64>,
    /// adamw: β₂; default: 0.999.
    pub(crate) adam_beta2: Option<f64>,
    /// adamw: ε; default: 1e-8.
    pub(crate) adam_epsilon: Option<f64>,
    /// adamw: decay of matrices, vectors are never decayed; default: 0.
    pub(crate) weight_decay: Option<f64>,
    /// Largest norm of one agent's gradient; 0: not clipped; default: 1.
    pub(crate) max_grad_norm: Option<f64>,
    /// Logits are divided by it, in sampling and in training alike; default: 1.
    pub(crate) temperature: Option<f64>,
    /// Sample only the likeliest so many tokens; 0: all; default: 0. Other values for methods that train nothing.
    pub(crate) top_k: Option<u32>,
    /// Sample only the likeliest tokens whose probabilities reach this sum; default: 1, all. Other values for methods that
    /// train nothing.
    pub(crate) top_p: Option<f64>,
    /// Tokens of one answer, the end-of-sequence token included; default: 64.
    pub(crate) max_new_tokens: Option<u32>,
}
