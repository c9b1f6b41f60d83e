//! Nash-MD-PG: self-play against a mixture (Munos et al., arXiv 2312.00886).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::language_models::KL_GRADIENT;
use super::{
    ControlVariate, GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels,
};
use crate::Curve;
use crate::checks::check_weight_curve;
use crate::model_settings::KlGradient;
use crate::settings::{Key, NameOr, Problems, Reader, kind};

/// By which divergence self-play on a language model is held to the reference (RSPO, arXiv 2503.00030).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Regularizer {
    /// KL(π ‖ `π_ref`), by `kl_gradient`.
    #[default]
    ReverseKl,
    /// KL(`π_ref` ‖ π) of every token, after tokens of π: GRPO's `differentiated_k3`.
    ForwardKl,
    /// (1 − forward) · KL(π ‖ `π_ref`) + forward · KL(`π_ref` ‖ π).
    MixedKl {
        /// The weight of the forward divergence, in (0, 1).
        forward: f64,
    },
}

impl Regularizer {
    /// The weight of the forward divergence, in [0, 1].
    #[must_use]
    pub fn forward(self) -> f64 {
        match self {
            Self::ReverseKl => 0.0,
            Self::ForwardKl => 1.0,
            Self::MixedKl { forward } => forward,
        }
    }

    fn is_unsaid(&self) -> bool {
        *self == Self::ReverseKl
    }
}

/// What Nash-MD has on games, or on language models, alone.
pub trait NashMdOn: Sized {
    /// Its settings.
    type Own: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// Nash-MD's own on games: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NashMdOnGames {}

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
const REGULARIZER: Key = Key::new(
    "regularizer",
    "By which divergence the policy is held to the reference: `\"reverse_kl\"`, `\"forward_kl\"`, or `{ kind = \"mixed_kl\", forward = w }` with \
     w in (0, 1) (RSPO, arXiv 2503.00030).",
)
.example(r#"{ kind = "mixed_kl", forward = 0.1 }"#)
.why_not("grpo's is its kl_gradient, and the others' targets are of the reverse divergence");

impl<S: NashMdOn> Named for NashMd<S> {
    const ABOUT: &'static str = "Nash-MD-PG: self-play against a mixture of policy and reference (arXiv 2312.00886).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["nlhf", "nash", "nash-mirror-descent", "nash-pg", "nash-md-pg", "egpo", "omwu", "mpo"],
        "self-play against a mixture",
    )];
}

impl OnGames for NashMd {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::SUBTRACTING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let mixture_coef = reader.curve(MIXTURE_COEF, 0.0);
        Self { mixture_coef, own: NashMdOnGames {}, training: GameTraining::read(reader, &Self::USES) }
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
        let mixture_coef = reader.curve(MIXTURE_COEF, 0.0);
        let regularizer =
            reader.expanded::<Regularizer, NameOr<Regularizer>>(REGULARIZER, Some("reverse_kl".into()), kind);
        let own = NashMdOnLanguageModels { regularizer: regularizer.unwrap_or_default() };
        if own.regularizer == Regularizer::ForwardKl && reader.is_given(KL_GRADIENT) {
            let problem =
                "given with regularizer = \"forward_kl\", which has a gradient of its own: it does nothing; remove it";
            reader.problem(KL_GRADIENT, problem);
        }
        Self { mixture_coef, own, training: LanguageTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_weight_curve("method.mixture_coef", &self.mixture_coef, self.training.steps, problems);
        if let Regularizer::MixedKl { forward } = self.own.regularizer {
            problems.require(forward > 0.0 && forward < 1.0, "method.regularizer.forward", || {
                format!("{forward}; expected a number between 0 and 1, or kind = \"reverse_kl\" or \"forward_kl\"")
            });
        }
    }
}

impl NashMd<LanguageTraining> {
    /// The solutions of closed sets are of the reverse divergence.
    pub(crate) fn check_closed_sets(&self, problems: &mut Problems) {
        problems.require(self.own.regularizer == Regularizer::ReverseKl, "method.regularizer", || {
            "given with closed response sets, whose Nash policies and gaps are of the reverse divergence; remove it"
                .to_owned()
        });
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
