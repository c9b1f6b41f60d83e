//! Supervised fine-tuning on the reference's preferred answers.

use serde::{Deserialize, Serialize};

use super::keys::labels;
use super::{
    GamePlace, GameTraining, GameUses, Labels, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels,
    Optimizer, Preconditioner, UsualBeta,
};
use crate::settings::{Problems, Reader};

/// Supervised fine-tuning on the reference's preferred answers. On language models `beta` is 0: likelihood has no KL term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sft<S = GameTraining> {
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S> Named for Sft<S> {
    const ABOUT: &'static str = "Likelihood of the reference's preferred responses.";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["bc", "behavior-cloning", "supervised", "finetune", "fine-tuning", "rft"],
        "likelihood of preferred responses",
    )];
}

impl OnGames for Sft {
    // Its gradient is of the reference's samples, and does not shrink with the policy's probability of an action.
    const USES: GameUses = GameUses { preconditioner: Preconditioner::None, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        if self.training.preconditioner == Preconditioner::Natural && self.training.optimizer == Optimizer::Sgd {
            problems.push(
                "method.preconditioner",
                "\"natural\" with sft: what is trained on comes from the reference, and a natural step divides by the \
                 policy's probabilities, which may have left it; use preconditioner = \"none\"",
            );
        }
    }
}

impl OnLanguageModels for Sft<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        beta: UsualBeta::None("sft maximizes likelihood and is held to no reference"),
        needs_whole_groups: false,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { labels: labels(reader), training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }
}
