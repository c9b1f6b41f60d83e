//! By which divergence a policy is held to its reference (RSPO, Tang et al., arXiv 2503.00030).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Key, NameOr, Problems, Reader, kind};

/// By which divergence a policy is held to its reference (RSPO, arXiv 2503.00030).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Regularizer {
    /// KL(π ‖ `π_ref`); on language models by `kl_gradient`.
    #[default]
    ReverseKl,
    /// KL(`π_ref` ‖ π); on language models of every token, after tokens of π: GRPO's `differentiated_k3`.
    ForwardKl,
    /// (1 − forward) · KL(π ‖ `π_ref`) + forward · KL(`π_ref` ‖ π).
    MixedKl {
        /// The weight of the forward divergence, in (0, 1).
        forward: f64,
    },
}

pub(super) const REGULARIZER: Key = Key::new(
    "regularizer",
    "By which divergence the policy (stackelberg-gda: the Leader) is held to the reference: `\"reverse_kl\"`, `\"forward_kl\"`, or `{ kind = \"mixed_kl\", \
     forward = w }` with w in (0, 1) (RSPO, arXiv 2503.00030).",
)
.example(r#"{ kind = "mixed_kl", forward = 0.1 }"#)
.why_not("grpo's is its kl_gradient, and the others' targets are of the reverse divergence");

/// Of `kl_gradient`, where nothing is held by the divergence that it is of.
pub(super) const GIVEN_WITH_FORWARD: &str =
    "given with regularizer = \"forward_kl\", which has a gradient of its own: it does nothing; remove it";
/// Why closed sets take none.
pub(super) const GIVEN_WITH_CLOSED_SETS: &str =
    "given with closed response sets, whose Nash policies and gaps are of the reverse divergence; remove it";

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

    pub(super) fn is_unsaid(&self) -> bool {
        *self == Self::ReverseKl
    }

    /// The divergence of a finite game; `None` where the weight is none, which the check of a plan refuses.
    #[must_use]
    pub fn divergence(self) -> Option<slhf_game::Divergence> {
        slhf_game::Divergence::new(self.forward()).ok()
    }

    /// A name, or a table of a kind.
    pub(super) fn read(reader: &mut Reader<'_>, key: Key, usual: Self) -> Self {
        let shown = match usual {
            Self::ReverseKl => "reverse_kl".into(),
            other => serde_json::to_value(other).unwrap_or_default(),
        };
        reader.expanded::<Self, NameOr<Self>>(key, Some(shown), kind).unwrap_or(usual)
    }

    /// What it must be at the key `method.KEY`.
    pub(super) fn check(self, key: Key, problems: &mut Problems) {
        if let Self::MixedKl { forward } = self {
            problems.require(forward > 0.0 && forward < 1.0, &format!("method.{}.forward", key.name), || {
                format!("{forward}; expected a number between 0 and 1, or kind = \"reverse_kl\" or \"forward_kl\"")
            });
        }
    }

    /// Where a temperature weighs it, that must be above 0.
    pub(super) fn check_weight(self, key: Key, (name, temperature): (&str, f64), problems: &mut Problems) {
        problems.require(self.is_unsaid() || temperature > 0.0, &format!("method.{}", key.name), || {
            format!(
                "given with {name} = 0, which weighs it: it does nothing; use \"reverse_kl\", or a temperature above 0"
            )
        });
    }
}
