//! Online IPO (Calandriello et al., arXiv 2403.08635) with the judge's verdicts.

use serde::{Deserialize, Serialize};

use super::keys::{labels, only_soft};
use super::{GameTraining, GameUses, Labels, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels};
use crate::settings::Reader;

/// Online IPO (Calandriello et al., arXiv 2403.08635) with the judge's verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnlineIpo<S = GameTraining> {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S> Named for OnlineIpo<S> {
    const ABOUT: &'static str = "IPO's loss on the policy's own responses, labeled by the judge (arXiv 2403.08635).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["ipo", "offline-ipo", "iterative-ipo"],
        "IPO's loss on pairs that the policy samples and the judge labels",
    )];
}

impl OnGames for OnlineIpo {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        only_soft(self.labels)
    }
}

impl OnLanguageModels for OnlineIpo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::COMPARING;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }
}
