//! RLOO: REINFORCE with a leave-one-out baseline (Ahmadian et al., arXiv 2402.14740).

use serde::{Deserialize, Serialize};

use super::{
    ControlVariate, GamePlace, GameReward, GameRewards, GameTraining, GameUses, Gradient, LanguageRewards,
    LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels, Shared,
};
use crate::PluginPlan;
use crate::model_settings::KlGradient;
use crate::settings::{Problems, Reader};

/// RLOO (Ahmadian et al., arXiv 2402.14740) on rewards of a plugin, a fitted model, or verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rloo<S: Shared = GameTraining> {
    /// Where rewards come from.
    #[serde(flatten)]
    pub rewards: S::Rewards,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const ITS_BASELINE: &str = "rloo is REINFORCE with the leave-one-out baseline: remove it";

impl<S: Shared> Named for Rloo<S> {
    const ABOUT: &'static str = "REINFORCE with a leave-one-out baseline (arXiv 2402.14740).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[
        (
            &[
                "ppo",
                "a2c",
                "reinforce",
                "reinforce++",
                "reinforce-plus-plus",
                "remax",
                "pg",
                "vpg",
                "policy-gradient",
                "trpo",
            ],
            "REINFORCE with a leave-one-out baseline and no value model",
        ),
        (&["rlhf"], "policy gradient on the reward of a plugin or of a fitted reward model"),
    ];
}

impl OnGames for Rloo {
    const USES: GameUses =
        GameUses { score_baseline: Some(ControlVariate::LeaveOneOut), renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { rewards: GameRewards::read(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let is_sampled = self.training.gradient == Gradient::Sampled;
        let holds = !is_sampled || self.training.score_baseline == ControlVariate::LeaveOneOut;
        problems.require(holds, "method.score_baseline", || ITS_BASELINE.to_owned());
        self.rewards.check(place, problems);
    }

    fn plays_itself(&self) -> bool {
        self.rewards.reward == GameReward::Verdicts
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        self.rewards.keep_the_reference()
    }
}

impl OnLanguageModels for Rloo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        score_baseline: Some(ControlVariate::LeaveOneOut),
        kl_gradient: Some(KlGradient::RewardToGo),
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { rewards: LanguageRewards::read(reader), training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        let holds = self.training.score_baseline == ControlVariate::LeaveOneOut;
        problems.require(holds, "method.score_baseline", || ITS_BASELINE.to_owned());
        self.rewards.check(problems);
    }

    fn needs_whole_groups(&self) -> Option<&'static str> {
        (self.training.kl_gradient == KlGradient::Paper)
            .then_some("with kl_gradient = \"paper\" the KL is part of the reward")
    }

    fn rewards(&self) -> Option<&LanguageRewards> {
        Some(&self.rewards)
    }

    fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        self.rewards.reward.as_mut()
    }
}
