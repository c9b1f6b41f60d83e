//! Direct preference optimization on a file of preferences (Rafailov et al., arXiv 2305.18290).

use serde::{Deserialize, Serialize};

use super::offline::{check_both, check_pairs_per_step, labels, log_ratio, pairs_per_step};
use super::{Labels, LanguageTraining, LanguageUses, LogRatio, Named, OnLanguageModels};
use crate::settings::{Key, Problems, Reader};

/// DPO (Rafailov et al., arXiv 2305.18290, equation 7) on the pairs of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dpo<S = LanguageTraining> {
    /// Pairs a step.
    pub pairs_per_step: u32,
    /// What the file says of a pair.
    pub labels: Labels,
    /// What is made of a response's tokens.
    pub log_ratio: LogRatio,
    /// The probability that a label is taken to be wrong, in [0, ½): conservative DPO.
    pub label_smoothing: f64,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const LABEL_SMOOTHING: Key = Key::new(
    "label_smoothing",
    "The probability with which a label of the file is taken to be wrong, 0 or more and below 0.5: conservative DPO.",
)
.example("0.1")
.why_not("the others do not doubt labels");

impl<S> Named for Dpo<S> {
    const ABOUT: &'static str =
        "DPO's loss on the pairs of a file, `data.pairs`; no judge is needed (arXiv 2305.18290).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[
        (&["offline-dpo", "cdpo", "direct-preference-optimization"], "DPO's loss on the pairs of a file"),
        (
            &["kto", "orpo", "simpo", "cpo", "slic", "slic-hf", "rso", "rpo", "rdpo", "bco", "aot", "alphapo", "apo"],
            "a loss on the pairs of a file",
        ),
    ];
}

impl OnLanguageModels for Dpo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::OF_A_FILE;

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            pairs_per_step: pairs_per_step(reader),
            labels: labels(reader),
            log_ratio: log_ratio(reader),
            label_smoothing: reader.or(LABEL_SMOOTHING, 0.0),
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
        check_both(&self.training, "dpo", problems);
        let smoothing = self.label_smoothing;
        problems.require((0.0..0.5).contains(&smoothing), "method.label_smoothing", || {
            format!("{smoothing}; expected a number of 0 or more and below 0.5, at which a label says nothing")
        });
    }
}
