//! The methods on language models, with the fields their users know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::language::{FollowerReference, LanguageTraining, Parameters};
use crate::{Curve, PluginPlan};

/// `StackelbergGDA` on a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageStackelbergGda {
    /// Common settings.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// One set of weights, or two adapters.
    pub parameters: Parameters,
    /// `τ_F`: weight of the Follower's KL divergence.
    pub follower_beta: f64,
    /// What the Follower's reference is conditioned on.
    pub follower_reference: FollowerReference,
    /// The user turn between y and y′.
    pub instruction: String,
}

/// A linear Bradley–Terry reward model (Bradley & Terry 1952; Christiano et al., arXiv 1706.03741), fit to the judge's verdicts on
/// the reference's answers before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardModelPlan {
    /// Pairs of answers that it is fit to, at least 2.
    pub pairs: u32,
    /// λ of the penalty λ · ½ |w|² beside the mean loss, above 0; absent: by cross-validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
}

/// RLOO (Ahmadian et al., arXiv 2402.14740) on a reward plugin, a reward model, or verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageRloo {
    /// Common settings; `num_generations` ≥ 2.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// Where rewards come from; absent: `reward_model`, or else the mean label, of both orders, against the other samples of
    /// the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<PluginPlan>,
    /// Absent where there is a `reward`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<RewardModelPlan>,
}

/// By what GRPO divides the advantages of a prompt's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRewards {
    /// The standard deviation of the prompt's rewards, as GRPO does.
    #[default]
    Group,
    /// Nothing, as Dr. GRPO does (arXiv 2503.20783).
    None,
}

/// By what GRPO divides the loss of an answer's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoLossType {
    /// The answer's own length: the published loss, which makes the tokens of a short answer count for more.
    #[default]
    Grpo,
    /// `max_new_tokens`, the same for every answer (Dr. GRPO, arXiv 2503.20783).
    DrGrpo,
}

/// GRPO (Shao et al., arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageGrpo {
    /// Common settings; `num_generations` ≥ 2.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// As RLOO's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<PluginPlan>,
    /// As RLOO's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<RewardModelPlan>,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// By what a sum over tokens is divided.
    pub loss_type: GrpoLossType,
    /// A token's ratio `π / π_old` outside [1 − ε, 1 + ε] is learned from no further; above 0.
    pub epsilon: f64,
    /// Updates on the same samples.
    pub num_iterations: u32,
}

/// Nash-MD-PG (Munos et al., arXiv 2312.00886).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageNashMd {
    /// Common settings.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// Weight m of the reference in the opponent `π^(1−m) · π_ref^m`, token by token, over the run; in [0, 1].
    pub mixture_coef: Curve,
}

/// What a verdict in [0, 1] says of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// Its probability, whole: the expectation over labels drawn from it, without the noise of a draw.
    #[default]
    Soft,
    /// Who is more likely to win: 1, 0, or ½ for a tie.
    Hard,
}

/// Online DPO (Guo et al., arXiv 2402.04792) with the judge's verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageOnlineDpo {
    /// Common settings; `num_generations` ≥ 2.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// What verdicts say.
    pub labels: Labels,
}

/// Online IPO (Calandriello et al., arXiv 2403.08635) with the judge's verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageOnlineIpo {
    /// Common settings; `num_generations` ≥ 2.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// What verdicts say.
    pub labels: Labels,
}

/// SPPO (Wu et al., arXiv 2405.00675).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageSppo {
    /// Common settings; `num_generations` ≥ 2; `beta` is 0: SPPO has no reference but its own last iterate.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// η of `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))`, above 0.
    pub eta: f64,
    /// Updates towards one iterate, on the same samples.
    pub num_iterations: u32,
}

/// INPO (Zhang et al., arXiv 2407.00617).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageInpo {
    /// Common settings; `num_generations` ≥ 2; `beta` is the paper's τ.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// η: how strongly an iterate is held to the one before it; at least `beta`.
    pub eta: f64,
    /// Updates towards one iterate, on the same samples.
    pub num_iterations: u32,
    /// What verdicts say.
    pub labels: Labels,
}

/// Supervised fine-tuning on the reference's preferred answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageSft {
    /// Common settings; `num_generations` ≥ 2, drawn from the reference; `beta` is 0: likelihood has no KL term.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// What verdicts say.
    pub labels: Labels,
}

/// The best of N answers of the reference: nothing is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageBestOfN {
    /// Common settings: `num_generations` is N, `steps` is 0.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// Who chooses; absent: the mean of the judge's verdicts against the other N − 1, both orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<PluginPlan>,
}

/// The reference improves its own answers when told to: nothing is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageSelfRefinement {
    /// Common settings: `steps` is 0.
    #[serde(flatten)]
    pub training: LanguageTraining,
    /// How often an answer is refined, at least once.
    pub rounds: u32,
    /// The user turn between an answer and the next.
    pub instruction: String,
}

/// A method on language models with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum LanguageMethod {
    /// `StackelbergGDA`.
    StackelbergGda(LanguageStackelbergGda),
    /// RLOO.
    Rloo(LanguageRloo),
    /// GRPO.
    Grpo(LanguageGrpo),
    /// Nash-MD-PG.
    NashMd(LanguageNashMd),
    /// Online DPO.
    OnlineDpo(LanguageOnlineDpo),
    /// Online IPO.
    OnlineIpo(LanguageOnlineIpo),
    /// SPPO.
    Sppo(LanguageSppo),
    /// INPO.
    Inpo(LanguageInpo),
    /// Supervised fine-tuning on preferred answers.
    Sft(LanguageSft),
    /// Best of N.
    BestOfN(LanguageBestOfN),
    /// Refinement without training.
    SelfRefinement(LanguageSelfRefinement),
}

impl LanguageMethod {
    /// As it is written in a TOML.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StackelbergGda(_) => "stackelberg-gda",
            Self::Rloo(_) => "rloo",
            Self::Grpo(_) => "grpo",
            Self::NashMd(_) => "nash-md",
            Self::OnlineDpo(_) => "online-dpo",
            Self::OnlineIpo(_) => "online-ipo",
            Self::Sppo(_) => "sppo",
            Self::Inpo(_) => "inpo",
            Self::Sft(_) => "sft",
            Self::BestOfN(_) => "best-of-n",
            Self::SelfRefinement(_) => "self-refinement",
        }
    }

    /// What the methods have in common.
    #[must_use]
    pub fn training(&self) -> &LanguageTraining {
        match self {
            Self::StackelbergGda(method) => &method.training,
            Self::Rloo(method) => &method.training,
            Self::Grpo(method) => &method.training,
            Self::NashMd(method) => &method.training,
            Self::OnlineDpo(method) => &method.training,
            Self::OnlineIpo(method) => &method.training,
            Self::Sppo(method) => &method.training,
            Self::Inpo(method) => &method.training,
            Self::Sft(method) => &method.training,
            Self::BestOfN(method) => &method.training,
            Self::SelfRefinement(method) => &method.training,
        }
    }

    /// The `reward` plugin, of a method that has one.
    #[must_use]
    pub fn reward(&self) -> Option<&PluginPlan> {
        match self {
            Self::Rloo(method) => method.reward.as_ref(),
            Self::Grpo(method) => method.reward.as_ref(),
            Self::BestOfN(method) => method.reward.as_ref(),
            _ => None,
        }
    }

    /// Likewise, to be changed.
    pub fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        match self {
            Self::Rloo(method) => method.reward.as_mut(),
            Self::Grpo(method) => method.reward.as_mut(),
            Self::BestOfN(method) => method.reward.as_mut(),
            _ => None,
        }
    }

    /// The reward model that is fit before the first step, of a method that has one.
    #[must_use]
    pub fn reward_model(&self) -> Option<&RewardModelPlan> {
        match self {
            Self::Rloo(method) => method.reward_model.as_ref(),
            Self::Grpo(method) => method.reward_model.as_ref(),
            _ => None,
        }
    }

    /// The turn that asks for a better answer, of a method whose answers are improved.
    #[must_use]
    pub fn instruction(&self) -> Option<&str> {
        match self {
            Self::StackelbergGda(method) => Some(&method.instruction),
            Self::SelfRefinement(method) => Some(&method.instruction),
            _ => None,
        }
    }

    /// Updates on the same samples: 1 but for the methods that say otherwise.
    #[must_use]
    pub fn num_iterations(&self) -> u32 {
        match self {
            Self::Grpo(method) => method.num_iterations,
            Self::Sppo(method) => method.num_iterations,
            Self::Inpo(method) => method.num_iterations,
            _ => 1,
        }
    }

    /// Whether there are weights to be learned: best-of-N and self-refinement are the reference's own answers.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        !matches!(self, Self::BestOfN(_) | Self::SelfRefinement(_))
    }
}
