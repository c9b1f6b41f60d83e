//! The methods with one policy on finite games, beside Nash-MD and RLHF.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GameTraining, Labels, PairDistribution, ScaleRewards};

/// What an answer is worth to a method that learns from rewards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GameReward {
    /// Bradley–Terry scores of the preference matrix.
    BradleyTerry {
        /// Over which pairs they are fitted.
        pairs: PairDistribution,
    },
    /// Written out, one an action.
    Scores {
        /// The rewards.
        scores: Vec<f64>,
    },
    /// The mean verdict against the other samples, as on language models without a reward plugin.
    Verdicts,
}

/// RLOO (Ahmadian et al., arXiv 2402.14740).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rloo {
    /// Where rewards come from.
    pub reward: GameReward,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// How GRPO is held to the reference on a finite game, whose answers are one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoKl {
    /// By KL(π ‖ `π_ref`), as every other method: slope `τ log(π/π_ref)`.
    #[default]
    RewardToGo,
    /// As published, k3 in the loss: slope `τ (1 − π_ref/π)`, in expectation the gradient of KL(`π_ref` ‖ π).
    DifferentiatedK3,
}

impl GrpoKl {
    /// What plans from before the choice mean.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_unsaid(&self) -> bool {
        *self == Self::RewardToGo
    }
}

/// GRPO (Shao et al., arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Grpo {
    /// Where rewards come from.
    pub reward: GameReward,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// By which divergence the policy is held to the reference.
    #[serde(default, skip_serializing_if = "GrpoKl::is_unsaid")]
    pub kl_gradient: GrpoKl,
    /// A ratio `π / π_old` outside [1 − ε, 1 + ε] is learned from no further; above 0.
    pub epsilon: f64,
    /// Updates on the same samples.
    pub num_iterations: u32,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// Online DPO (Guo et al., arXiv 2402.04792).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnlineDpo {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// Online IPO (Calandriello et al., arXiv 2403.08635).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnlineIpo {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// SPPO (Wu et al., arXiv 2405.00675).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sppo {
    /// η of `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))`, above 0.
    pub eta: f64,
    /// Updates towards one iterate.
    pub num_iterations: u32,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// INPO (Zhang et al., arXiv 2407.00617).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inpo {
    /// η: how strongly an iterate is held to the one before it; at least `tau_nash`.
    pub eta: f64,
    /// Updates towards one iterate.
    pub num_iterations: u32,
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// Supervised fine-tuning on the reference's preferred answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sft {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// The best of N answers of the reference: nothing is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BestOfN {
    /// Who chooses.
    pub reward: GameReward,
    /// Common settings: `num_generations` is N, `steps` is 0.
    #[serde(flatten)]
    pub training: GameTraining,
}

/// The Follower's reference improves the answers of the Leader's: nothing is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SelfRefinement {
    /// How often an answer is refined, at least once.
    pub rounds: u32,
    /// Common settings: `steps` is 0.
    #[serde(flatten)]
    pub training: GameTraining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_from_before_the_choice_of_a_divergence_means_what_it_meant() {
        let before = r#"{"reward":{"kind":"verdicts"},"scale_rewards":"none","epsilon":0.2,"num_iterations":1,"steps":5,
            "gradient":"exact","preconditioner":"none","optimizer":"sgd","num_generations":16,
            "score_baseline":{"kind":"constant","value":0.5},"initial":{"logit_scale":1.0}}"#;
        let mut grpo: Grpo = serde_json::from_str(before).unwrap();
        assert_eq!(grpo.kl_gradient, GrpoKl::RewardToGo);
        let same: serde_json::Value = serde_json::from_str(before).unwrap();
        assert_eq!(serde_json::to_value(&grpo).unwrap(), same);
        grpo.kl_gradient = GrpoKl::DifferentiatedK3;
        assert_eq!(serde_json::to_value(&grpo).unwrap()["kl_gradient"], "differentiated_k3");
    }
}
