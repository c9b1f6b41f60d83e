//! What a long response loses of its reward (DAPO, arXiv 2503.14476, equation 13).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Key, Problems, Reader};

/// Soft overlong punishment (Yu et al., arXiv 2503.14476, equation 13): nothing up to `max_tokens − cache_tokens` tokens, 1 from
/// `max_tokens` on, linear between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlongPenalty {
    /// `L_max`, at most `max_new_tokens`, so that a response that was cut has as many.
    pub max_tokens: u32,
    /// `L_cache`, 1 to `max_tokens`.
    pub cache_tokens: u32,
}

/// `overlong_penalty` as a TOML writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GivenOverlongPenalty {
    /// `L_cache`: tokens below `max_tokens` within which the penalty grows from 0 to 1; at least 1.
    cache_tokens: u32,
    /// `L_max`: tokens from which on the penalty is 1; default: `max_new_tokens`.
    #[serde(default)]
    max_tokens: Option<u32>,
}

const OVERLONG_PENALTY: Key = Key::new(
    "overlong_penalty",
    "Subtracted from the reward of a long response (DAPO, arXiv 2503.14476): 0 up to `max_tokens` − `cache_tokens` tokens, growing \
     linearly to 1 at `max_tokens` (default: `max_new_tokens`); absent: nothing is.",
)
.example("{ cache_tokens = 16 }")
.why_not("the others take rewards as they are, but for missing_eos_penalty");

impl OverlongPenalty {
    /// What a response of so many tokens loses, in [0, 1].
    #[must_use]
    pub fn of(self, tokens: usize) -> f64 {
        let beyond = tokens as f64 - (f64::from(self.max_tokens) - f64::from(self.cache_tokens));
        (beyond / f64::from(self.cache_tokens)).clamp(0.0, 1.0)
    }

    pub(super) fn read(reader: &mut Reader<'_>, max_new_tokens: u32) -> Option<Self> {
        let given: GivenOverlongPenalty = reader.optional(OVERLONG_PENALTY)?;
        Some(Self { max_tokens: given.max_tokens.unwrap_or(max_new_tokens), cache_tokens: given.cache_tokens })
    }

    pub(super) fn check(self, max_new_tokens: u32, problems: &mut Problems) {
        let Self { max_tokens, cache_tokens } = self;
        problems.require((1..=max_new_tokens).contains(&max_tokens), "method.overlong_penalty.max_tokens", || {
            format!("{max_tokens}; expected 1 to method.max_new_tokens ({max_new_tokens}): no response is longer")
        });
        problems.require((1..=max_tokens).contains(&cache_tokens), "method.overlong_penalty.cache_tokens", || {
            format!("{cache_tokens}; expected 1 to max_tokens ({max_tokens}), below which the penalty begins")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equation 13 written out, with the sign of a penalty.
    #[test]
    fn the_penalty_is_the_published_one() {
        let penalty = OverlongPenalty { max_tokens: 20, cache_tokens: 4 };
        let published = |length: f64| match length {
            length if length <= 20.0 - 4.0 => 0.0,
            length if length <= 20.0 => ((20.0 - 4.0) - length) / 4.0,
            _ => -1.0,
        };
        for tokens in 0..30 {
            assert_eq!(penalty.of(tokens), -published(tokens as f64), "{tokens}");
        }
        assert_eq!([16, 17, 20, 21].map(|tokens| penalty.of(tokens)), [0.0, 0.25, 1.0, 1.0]);
        let whole = OverlongPenalty { max_tokens: 2, cache_tokens: 2 };
        assert_eq!([0, 1, 2].map(|tokens| whole.of(tokens)), [0.0, 0.5, 1.0]);
    }
}
