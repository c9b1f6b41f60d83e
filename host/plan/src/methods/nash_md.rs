//! Nash-MD-PG: self-play against a mixture (Munos et al., arXiv 2312.00886).

use serde::{Deserialize, Serialize};

use super::{
    ControlVariate, GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels,
};
use crate::Curve;
use crate::checks::check_weight_curve;
use crate::model_settings::KlGradient;
use crate::settings::{Key, Problems, Reader};

/// Nash-MD-PG (Munos et al., arXiv 2312.00886): self-play against the geometric mixture of policy and reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NashMd<S = GameTraining> {
    /// Weight m of the reference in the opponent `π^(1−m) · π_ref^m` (on language models token by token), over the run, in
    /// [0, 1]; 0 is plain self-play.
    pub mixture_coef: Curve,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const MIXTURE_COEF: Key =
    Key::new("mixture_coef", "Weight of the reference in the opponent, in [0, 1]: a number, or a curve over the run.")
        .example("0.25")
        .why_not("the others play against their own responses");

impl<S> Named for NashMd<S> {
    const ABOUT: &'static str = "Nash-MD-PG: self-play against a mixture of policy and reference (arXiv 2312.00886).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["nlhf", "nash", "nash-mirror-descent", "nash-pg", "nash-md-pg", "egpo", "omwu", "mpo"],
        "self-play against a mixture",
    )];
}

impl OnGames for NashMd {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::SUBTRACTING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { mixture_coef: reader.curve(MIXTURE_COEF, 0.0), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        check_weight_curve("method.mixture_coef", &self.mixture_coef, self.training.steps, problems);
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        let is_zero = self.mixture_coef == Curve::Constant { value: 0.0 };
        (!is_zero).then_some(
            "whose mixture_coef mixes the reference into the opponent, so that its fixed point is no Nash policy: use mixture_coef = 0, or \
             no reference",
        )
    }
}

impl OnLanguageModels for NashMd<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        num_generations: Some(1),
        score_baseline: Some(ControlVariate::Constant { value: 0.5 }),
        kl_gradient: Some(KlGradient::RewardToGo),
        compares: false,
        needs_whole_groups: false,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { mixture_coef: reader.curve(MIXTURE_COEF, 0.0), training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_weight_curve("method.mixture_coef", &self.mixture_coef, self.training.steps, problems);
    }
}
