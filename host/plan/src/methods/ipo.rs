//! Identity preference optimization on a file of preferences (Azar et al., arXiv 2310.12036).

use serde::{Deserialize, Serialize};

use super::offline::{check_both, check_pairs_per_step, labels, log_ratio, pairs_per_step};
use super::{Labels, LanguageTraining, LanguageUses, LogRatio, Named, OnLanguageModels};
use crate::settings::{Problems, Reader};

/// IPO (Azar et al., arXiv 2310.12036, equation 17) on the pairs of a file; `beta` is the paper's τ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ipo<S = LanguageTraining> {
    /// Pairs a step.
    pub pairs_per_step: u32,
    /// What the file says of a pair.
    pub labels: Labels,
    /// What is made of a response's tokens.
    pub log_ratio: LogRatio,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S> Named for Ipo<S> {
    const ABOUT: &'static str =
        "IPO's loss on the pairs of a file, `data.pairs`; no judge is needed (arXiv 2310.12036).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["offline-ipo", "identity-preference-optimization"], "IPO's loss on the pairs of a file")];
}

impl OnLanguageModels for Ipo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::OF_A_FILE;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            pairs_per_step: pairs_per_step(reader),
            labels: labels(reader),
            log_ratio: log_ratio(reader),
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
        check_both(&self.training, "ipo", problems);
    }
}
