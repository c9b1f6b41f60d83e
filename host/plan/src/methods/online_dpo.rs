//! Online DPO (Guo et al., arXiv 2402.04792) with the judge's verdicts.

use serde::{Deserialize, Serialize};

use super::keys::labels;
use super::{
    GameTraining, GameUses, Labels, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels, Optimizer,
    Preconditioner,
};
use crate::game::Temperatures;
use crate::settings::Reader;

/// Online DPO (Guo et al., arXiv 2402.04792) with the judge's verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnlineDpo<S = GameTraining> {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S> Named for OnlineDpo<S> {
    const ABOUT: &'static str = "DPO's loss on the policy's own responses, labeled by the judge (arXiv 2402.04792).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[
        (
            &["dpo", "iterative-dpo", "offline-dpo", "cdpo", "rdpo", "xpo", "oaif"],
            "DPO's loss on pairs that the policy samples and the judge labels",
        ),
        (
            &["kto", "orpo", "simpo", "cpo", "slic", "slic-hf", "rso", "rpo", "bco", "aot", "alphapo", "apo"],
            "a loss on pairs, which the policy samples and the judge labels",
        ),
    ];
}

impl OnGames for OnlineDpo {
    const USES: GameUses = GameUses::COMPARING;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    /// Its gradient is β times smaller than that of the others.
    fn usual_learning_rate(&self, temperatures: Temperatures) -> Option<f64> {
        match (self.training.optimizer, self.training.preconditioner) {
            (Optimizer::Sgd, Preconditioner::Natural) => Some(0.2 / temperatures.tau_rlhf),
            (Optimizer::Sgd, Preconditioner::None) => Some(2.0 / temperatures.tau_rlhf),
            (Optimizer::Adam, _) => None,
        }
    }
}

impl OnLanguageModels for OnlineDpo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::COMPARING;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }
}
