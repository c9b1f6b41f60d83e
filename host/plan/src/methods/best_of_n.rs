//! The best of N answers of the reference: nothing is trained.

use serde::{Deserialize, Serialize};

use super::rewards::REWARD;
use super::{
    GamePlace, GameReward, GameRewards, GameTraining, GameUses, LanguageRewards, LanguageTraining, LanguageUses,
    Learned, Named, OnGames, OnLanguageModels, Shared,
};
use crate::PluginPlan;
use crate::settings::{PluginUse, Problems, Reader};

/// The best of N answers of the reference: nothing is trained. `num_generations` is N, `steps` is 0.
///
/// On language models there is no fitted reward model: without a `reward` plugin the mean of the judge's verdicts against the
/// other N − 1, in both orders, chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestOfN<S: Shared = GameTraining> {
    /// Who chooses.
    #[serde(flatten)]
    pub rewards: S::Rewards,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// N where a file does not say.
const ANSWERS: u32 = 4;
/// Answers on a game beyond which nobody means it.
const ANSWERS_MAX: u64 = 4096;
/// Groups over whose compositions a best of N by verdicts is summed, at most.
const GROUPS_MAX: f64 = 500_000.0;

impl<S: Shared> Named for BestOfN<S> {
    const ABOUT: &'static str = "The best of N responses of the reference; trains nothing.";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["bon", "raft", "rejection-sampling", "reranking", "best-of-k"],
        "the best of N responses of the reference; trains nothing",
    )];
}

impl BestOfN {
    /// Different groups of N answers over so many actions: C(N + n − 1, n − 1).
    #[must_use]
    pub fn groups(&self, actions: usize) -> f64 {
        let answers = f64::from(self.training.num_generations);
        (1..actions).fold(1.0, |count, index| count * (answers + index as f64) / index as f64)
    }
}

impl OnGames for BestOfN {
    const USES: GameUses = GameUses { answers: Some(ANSWERS), learned: Learned::Nothing, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { rewards: GameRewards::read(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let (key, answers, actions) = ("method.num_generations", self.training.num_generations, place.actions.len());
        problems.whole(key, u64::from(answers), 1, ANSWERS_MAX);
        self.rewards.check(place, problems);
        let can_be_summed = self.rewards.reward != GameReward::Verdicts || self.groups(actions) <= GROUPS_MAX;
        problems.require(can_be_summed, key, || {
            format!(
                "{answers} with reward = \"verdicts\": {answers} responses over {actions} actions make more than {GROUPS_MAX} \
                 different groups, too many to sum over exactly; lower it, or choose by reward = \"bradley_terry\""
            )
        });
    }
}

impl OnLanguageModels for BestOfN<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        num_generations: Some(ANSWERS),
        learned: Learned::Nothing,
        needs_whole_groups: false,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        let reward = reader.plugin(REWARD, PluginUse::Reward);
        let rewards = LanguageRewards { reward, reward_model: None };
        Self { rewards, training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        let holds = self.rewards.reward_model.is_none();
        problems.require(holds, "method.reward_model", || "best-of-n fits no reward model".to_owned());
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
    use crate::settings::{Placeholders, Reader};

    #[test]
    fn the_groups_of_n_answers_are_counted() {
        let best = |answers: u32| {
            let mut plugins = Placeholders;
            let given = toml::from_str(&format!("num_generations = {answers}")).unwrap();
            <BestOfN as OnGames>::read(&mut Reader::new("method", given, &mut plugins))
        };
        assert!((best(4).groups(3) - 15.0).abs() < 1e-9);
        assert!((best(10).groups(2) - 11.0).abs() < 1e-9);
        assert!(best(64).groups(29) > GROUPS_MAX && best(4096).groups(4096) > GROUPS_MAX);
    }
}
