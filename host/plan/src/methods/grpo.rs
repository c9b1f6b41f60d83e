//! GRPO: rewards relative to those of a group, clipped ratios (Shao et al., arXiv 2402.03300).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{check_num_iterations, num_iterations};
use super::{
    GamePlace, GameReward, GameRewards, GameTraining, GameUses, LanguageRewards, LanguageTraining, LanguageUses, Named,
    OnGames, OnLanguageModels, Shared,
};
use crate::PluginPlan;
use crate::model_settings::KlGradient;
use crate::settings::{Key, Problems, Reader};

/// By what GRPO divides the advantages of a prompt's responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRewards {
    /// The standard deviation of the prompt's rewards, as GRPO does.
    #[default]
    Group,
    /// Nothing, as Dr. GRPO does (arXiv 2503.20783).
    None,
}

/// How GRPO is held to the reference on a finite game, whose responses are one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoKl {
    /// By KL(π ‖ `π_ref`), as every other method: gradient `τ log(π/π_ref)`.
    #[default]
    RewardToGo,
    /// As published, k3 in the loss: gradient `τ (1 − π_ref/π)`, in expectation that of KL(`π_ref` ‖ π).
    DifferentiatedK3,
}

/// By what GRPO divides the loss of a response's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoLossType {
    /// The response's own length: the published loss, which makes the tokens of a short response count for more.
    #[default]
    Grpo,
    /// `max_new_tokens`, the same for every response (Dr. GRPO, arXiv 2503.20783).
    DrGrpo,
}

/// What GRPO has on games, or on language models, alone.
pub trait GrpoOn: Shared {
    /// Its settings.
    type Own: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// GRPO's own on games.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpoOnGames {
    /// By which divergence the policy is held to the reference. Absent in plans from before the choice.
    #[serde(default, skip_serializing_if = "GrpoOnGames::is_unsaid")]
    pub kl_gradient: GrpoKl,
}

impl GrpoOnGames {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_unsaid(kl_gradient: &GrpoKl) -> bool {
        *kl_gradient == GrpoKl::RewardToGo
    }
}

/// GRPO's own on language models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpoOnLanguageModels {
    /// By what a sum over tokens is divided.
    pub loss_type: GrpoLossType,
}

impl GrpoOn for GameTraining {
    type Own = GrpoOnGames;
}

impl GrpoOn for LanguageTraining {
    type Own = GrpoOnLanguageModels;
}

/// GRPO (Shao et al., arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grpo<S: GrpoOn = GameTraining> {
    /// Where rewards come from.
    #[serde(flatten)]
    pub rewards: S::Rewards,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// What it has here alone.
    #[serde(flatten)]
    pub own: S::Own,
    /// A ratio `π / π_old` (on language models, of a token) outside [1 − ε, 1 + ε] is learned from no further; above 0.
    pub epsilon: f64,
    /// Updates on the same samples.
    pub num_iterations: u32,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const SCALE_REWARDS: Key = Key::new("scale_rewards", "By what the advantages of a prompt's responses are divided.")
    .example(r#""none""#)
    .why_not("the others do not divide rewards");
const KL_GRADIENT: Key = Key::new(
    "kl_gradient",
    "By which divergence the policy is held to the reference; the default is the published one.",
)
.example(r#""reward_to_go""#);
const LOSS_TYPE: Key = Key::new("loss_type", "By what the loss of a response's tokens is divided.")
    .example(r#""dr_grpo""#)
    .why_not("the others do not divide by lengths");
const EPSILON: Key = Key::new("epsilon", "A probability ratio is learned from within [1 − ε, 1 + ε]; above 0.")
    .example("0.2")
    .why_not("the others clip no ratio");

impl<S: GrpoOn> Named for Grpo<S> {
    const ABOUT: &'static str =
        "Rewards relative to those of a prompt's other responses, clipped ratios (arXiv 2402.03300).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["gspo", "dapo", "dr-grpo", "cispo", "gpg"], "rewards relative to those of a group")];
}

impl<S: GrpoOn> Grpo<S> {
    fn read_with(reader: &mut Reader<'_>, (rewards, own, training): (S::Rewards, S::Own, S)) -> Self {
        Self {
            rewards,
            scale_rewards: reader.or(SCALE_REWARDS, ScaleRewards::default()),
            own,
            epsilon: reader.or(EPSILON, 0.2),
            num_iterations: num_iterations(reader),
            training,
        }
    }

    fn check_own(&self, problems: &mut Problems) {
        problems.above_zero("method.epsilon", self.epsilon);
        check_num_iterations(self.num_iterations, problems);
    }
}

impl OnGames for Grpo {
    const USES: GameUses = GameUses { renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let rewards = GameRewards::read(reader);
        let own = GrpoOnGames { kl_gradient: reader.or(KL_GRADIENT, GrpoKl::DifferentiatedK3) };
        let training = GameTraining::read(reader, &Self::USES);
        Self::read_with(reader, (rewards, own, training))
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        self.check_own(problems);
        self.rewards.check(place, problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn plays_itself(&self) -> bool {
        self.rewards.reward == GameReward::Verdicts
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        let is_plain = self.scale_rewards == ScaleRewards::None && self.own.kl_gradient == GrpoKl::RewardToGo;
        let own = (!is_plain).then_some(
            "whose fixed point is the regularized Nash policy only with scale_rewards = \"none\" and kl_gradient = \"reward_to_go\": \
             use both, or no reference",
        );
        self.rewards.keep_the_reference().or(own)
    }
}

impl OnLanguageModels for Grpo<LanguageTraining> {
    const USES: LanguageUses =
        LanguageUses { kl_gradient: Some(KlGradient::DifferentiatedK3), has_k3: true, ..LanguageUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let rewards = LanguageRewards::read(reader);
        let own = GrpoOnLanguageModels { loss_type: reader.or(LOSS_TYPE, GrpoLossType::default()) };
        let training = LanguageTraining::read(reader, &Self::USES);
        Self::read_with(reader, (rewards, own, training))
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        self.check_own(problems);
        self.rewards.check(problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn rewards(&self) -> Option<&LanguageRewards> {
        Some(&self.rewards)
    }

    fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        self.rewards.reward.as_mut()
    }
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
        assert_eq!(grpo.own.kl_gradient, GrpoKl::RewardToGo);
        let same: serde_json::Value = serde_json::from_str(before).unwrap();
        assert_eq!(serde_json::to_value(&grpo).unwrap(), same);
        grpo.own.kl_gradient = GrpoKl::DifferentiatedK3;
        assert_eq!(serde_json::to_value(&grpo).unwrap()["kl_gradient"], "differentiated_k3");
    }
}
