//! RLHF on a finite game: a Bradley–Terry fit, then policy gradient on its reward.

use serde::{Deserialize, Serialize};

use super::rewards::{check_pairs, pairs};
use super::{GamePlace, GameTraining, GameUses, Named, OnGames, PairDistribution};
use crate::settings::{Problems, Reader};

/// RLHF: a Bradley–Terry fit, then policy gradient on its reward with a KL penalty. Games only: on language models `rloo` and
/// `grpo` with a `reward_model` are RLHF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rlhf {
    /// Over which pairs the scores are fitted.
    pub pairs: PairDistribution,
    /// Common settings.
    #[serde(flatten)]
    pub training: GameTraining,
}

impl Named for Rlhf {
    const ABOUT: &'static str = "A Bradley–Terry fit, then policy gradient on its reward.";
}

impl OnGames for Rlhf {
    const USES: GameUses = GameUses::SUBTRACTING;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { pairs: pairs(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        check_pairs(&self.pairs, place, problems);
    }
}
