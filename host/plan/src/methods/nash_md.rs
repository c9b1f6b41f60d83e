//! Nash-MD-PG: self-play against a mixture (Munos et al., arXiv 2312.00886).

use serde::{Deserialize, Serialize};

use super::language_models::KL_GRADIENT;
use super::regularizer::{GIVEN_WITH_CLOSED_SETS, GIVEN_WITH_FORWARD, REGULARIZER};
use super::{
    ControlVariate, GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames,
    OnLanguageModels, Regularizer,
};
use crate::Curve;
use crate::checks::check_weight_curve;
use crate::model_settings::KlGradient;
use crate::settings::{Key, Problems, Reader};

/// What Nash-MD has on games, or on language models, alone.
pub trait NashMdOn: Sized {
    /// Its settings.
    type Own: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// Nash-MD's own on games.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NashMdOnGames {
    /// By which divergence the policy is held.
    #[serde(default, skip_serializing_if = "Regularizer::is_unsaid")]
    pub regularizer: Regularizer,
}

/// Nash-MD's own on language models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NashMdOnLanguageModels {
    /// By which divergence the policy is held.
    #[serde(default, skip_serializing_if = "Regularizer::is_unsaid")]
    pub regularizer: Regularizer,
}

impl NashMdOn for GameTraining {
    type Own = NashMdOnGames;
}

impl NashMdOn for LanguageTraining {
    type Own = NashMdOnLanguageModels;
}

/// Nash-MD-PG (Munos et al., arXiv 2312.00886): self-play against the geometric mixture of policy and reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NashMd<S: NashMdOn = GameTraining> {
    /// Weight m of the reference in the opponent `π^(1−m) · π_ref^m` (on language models token by token), over the run, in
    /// [0, 1]; 0 is plain self-play.
    pub mixture_coef: Curve,
    /// What it has here alone.
    #[serde(flatten)]
    pub own: S::Own,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const MIXTURE_COEF: Key =
    Key::new("mixture_coef", "Weight of the reference in the opponent, in [0, 1]: a number, or a curve over the run.")
        .example("0.25")
        .why_not("the others play against their own responses");
impl<S: NashMdOn> Named for NashMd<S> {
    const ABOUT: &'static str = "Nash-MD-PG: self-play against a mixture of policy and reference (arXiv 2312.00886).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["nlhf", "nash", "nash-mirror-descent", "nash-pg", "nash-md-pg", "mpo"], "self-play against a mixture")];
}

impl OnGames for NashMd {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::SUBTRACTING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let mixture_coef = reader.curve(MIXTURE_COEF, 0.0);
        let own = NashMdOnGames { regularizer: Regularizer::read(reader, REGULARIZER, Regularizer::default()) };
        Self { mixture_coef, own, training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        check_weight_curve("method.mixture_coef", &self.mixture_coef, self.training.steps, problems);
        self.own.regularizer.check(REGULARIZER, problems);
        self.own.regularizer.check_weight(REGULARIZER, ("game.tau_nash", place.temperatures.tau_nash), problems);
        let is_mixed = matches!(self.mixture_coef, Curve::Constant { value } if value > 0.0);
        problems.require(!(is_mixed && self.is_held_otherwise()), "method.regularizer", || {
            "given with a constant mixture_coef above 0, whose fixed point is known of \"reverse_kl\" alone; remove it, or use mixture_coef = 0 \
             or a curve that ends at 0"
                .to_owned()
        });
    }

    fn is_held_otherwise(&self) -> bool {
        self.own.regularizer != Regularizer::ReverseKl
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        if self.is_held_otherwise() {
            return Some(
                "whose regularizer is another than the reverse divergence: use \"reverse_kl\", or no reference",
            );
        }
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
        let mixture_coef = reader.curve(MIXTURE_COEF, 0.0);
        let own =
            NashMdOnLanguageModels { regularizer: Regularizer::read(reader, REGULARIZER, Regularizer::default()) };
        if own.regularizer == Regularizer::ForwardKl && reader.is_given(KL_GRADIENT) {
            reader.problem(KL_GRADIENT, GIVEN_WITH_FORWARD);
        }
        Self { mixture_coef, own, training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_weight_curve("method.mixture_coef", &self.mixture_coef, self.training.steps, problems);
        self.own.regularizer.check(REGULARIZER, problems);
        self.own.regularizer.check_weight(REGULARIZER, ("method.beta", self.training.beta), problems);
    }
}

impl NashMd<LanguageTraining> {
    /// The solutions of closed sets are of the reverse divergence.
    pub(crate) fn check_closed_sets(&self, problems: &mut Problems) {
        let is_reverse = self.own.regularizer == Regularizer::ReverseKl;
        problems.require(is_reverse, "method.regularizer", || GIVEN_WITH_CLOSED_SETS.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{LanguageMethod, LanguageMethodTable};
    use crate::settings::Placeholders;

    fn read(text: &str) -> (NashMd<LanguageTraining>, Vec<String>) {
        let table = LanguageMethodTable(toml::from_str(&format!("name = 'nash-md'\n{text}")).unwrap());
        let (method, mut problems) = table.read(&mut Placeholders);
        let Some(LanguageMethod::NashMd(own)) = method else { panic!("no nash-md") };
        OnLanguageModels::check(&own, &mut problems);
        (own, problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect())
    }

    #[test]
    fn a_plan_of_the_reverse_divergence_is_written_as_it_was() {
        let (plain, problems) = read("regularizer = 'reverse_kl'");
        assert_eq!(problems, Vec::<String>::new());
        let written = serde_json::to_string(&plain).unwrap();
        assert!(written.starts_with(r#"{"mixture_coef":{"kind":"constant","value":0.0},"steps":200,"#), "{written}");
        let (mixed, problems) = read("regularizer = { kind = 'mixed_kl', forward = 0.25 }");
        assert_eq!(problems, Vec::<String>::new());
        let written = serde_json::to_string(&mixed).unwrap();
        assert!(written.contains(r#""regularizer":{"kind":"mixed_kl","forward":0.25}"#), "{written}");
        assert_eq!(serde_json::from_str::<NashMd<LanguageTraining>>(&written).unwrap(), mixed);
        assert_eq!(read("regularizer = 'forward_kl'").0.own.regularizer.forward(), 1.0);
    }

    #[test]
    fn a_mixture_without_one_of_its_parts_is_refused() {
        assert_eq!(
            read("regularizer = { kind = 'mixed_kl', forward = 1.0 }").1,
            [
                "method.regularizer.forward: 1; expected a number between 0 and 1, or kind = \"reverse_kl\" or \"forward_kl\""
            ]
        );
        assert_eq!(read("regularizer = 'chi_squared'").1.len(), 1);
        assert_eq!(
            read("regularizer = 'forward_kl'\nkl_gradient = 'exact'").1,
            [
                "method.kl_gradient: given with regularizer = \"forward_kl\", which has a gradient of its own: it does nothing; remove it"
            ]
        );
        assert!(read("regularizer = { kind = 'mixed_kl', forward = 0.5 }\nkl_gradient = 'exact'").1.is_empty());
    }
}
