//! Supervised fine-tuning on the chosen responses of a file of preferences.

use serde::{Deserialize, Serialize};

use super::offline::{check_pairs_per_step, labels, pairs_per_step};
use super::{Labels, LanguageTraining, LanguageUses, Named, OnLanguageModels, UsualBeta};
use crate::settings::{Problems, Reader};

/// Supervised fine-tuning on the better response of each pair of a file: the mean over the step's tokens of −log π.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SftChosen<S = LanguageTraining> {
    /// Pairs a step.
    pub pairs_per_step: u32,
    /// What the file says of a pair.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S> Named for SftChosen<S> {
    const ABOUT: &'static str = "Likelihood of the chosen responses of a file, `data.pairs`, as the mean over a step's tokens; no judge is needed.";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["offline-sft", "sft-on-chosen", "instruction-tuning"], "likelihood of the chosen responses of a file")];
}

impl OnLanguageModels for SftChosen<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        beta: UsualBeta::None("sft-chosen maximizes likelihood and is held to no reference"),
        ..LanguageUses::OF_A_FILE
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            pairs_per_step: pairs_per_step(reader),
            labels: labels(reader),
            training: LanguageTraining::read(reader, &Self::USES),
        }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn pairs_per_step(&self) -> Option<u32> {
        Some(self.pairs_per_step)
    }

    fn check(&self, problems: &mut Problems) {
        check_pairs_per_step(self.pairs_per_step, problems);
    }
}
