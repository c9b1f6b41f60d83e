//! Rotary position embeddings (Su et al., arXiv 2104.09864) and how families stretch them.

use serde::{Deserialize, Serialize};

/// Angles of the rotation: dimension pair i at position p turns by p · `inverse_frequencies`\[i\].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RopeConfig {
    /// Base of the frequencies, > 0.
    pub theta: f64,
    /// How frequencies are changed for long contexts.
    pub scaling: RopeScaling,
}

/// How frequencies are changed for long contexts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    None,
    /// Every frequency is divided by `factor`.
    Linear {
        /// > 0
        factor: f64,
    },
    /// Llama 3.1: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
    Llama3 {
        /// > 0
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are kept; > `low_freq_factor`.
        high_freq_factor: f64,
        /// Positions before stretching.
        original_context: usize,
    },
    /// Frequency i is divided by the i-th factor: what a GGUF file keeps of Llama 3.1's rule.
    Factors {
        /// `head_size / 2` positive numbers.
        factors: Vec<f64>,
    },
    /// `YaRN` (Peng et al., arXiv 2309.00071): slow turns are divided by `factor`, fast ones kept, those between mixed;
    /// queries and keys grow by `attention_factor` each.
    Yarn {
        /// > 0
        factor: f64,
        /// > 0
        attention_factor: f64,
        /// Turns within the original context above which a frequency is kept.
        beta_fast: f64,
        /// Turns within the original context below which a frequency is divided.
        beta_slow: f64,
        /// Positions before stretching.
        original_context: usize,
        /// Whether the mixed range ends at whole pairs of dimensions.
        range: YarnRange,
    },
    /// Dynamic NTK: a text longer than `original_context` turns by a larger base, which depends on its length.
    Dynamic {
        /// ≥ 1
        factor: f64,
        /// Positions up to which nothing changes.
        original_context: usize,
    },
    /// `LongRoPE` (Ding et al., arXiv 2402.13753): a text of up to `original_context` positions is divided by other
    /// factors than a longer one.
    LongRope {
        /// `head_size / 2` positive numbers.
        short: Vec<f64>,
        /// `head_size / 2` positive numbers.
        long: Vec<f64>,
        /// Queries and keys grow by it each; > 0.
        attention_factor: f64,
        /// Positions of the longest text that is turned by `short`.
        original_context: usize,
    },
}

/// Where the range of `YaRN` begins and ends in which frequencies are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum YarnRange {
    /// At whole pairs of dimensions: `truncate` is true, or silent.
    #[default]
    Whole,
    /// Where the formula says (gpt-oss): `truncate` is false.
    Exact,
}

impl YarnRange {
    /// First and last pair of the mixed range.
    fn of(self, [fast, slow]: [f64; 2], theta: f64, head_size: usize, original_context: usize) -> (f64, f64) {
        let pair_of = |turns: f64| {
            head_size as f64 * (original_context as f64 / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
        };
        let (first, last) = match self {
            Self::Whole => (pair_of(fast).floor(), pair_of(slow).ceil()),
            Self::Exact => (pair_of(fast), pair_of(slow)),
        };
        (first.max(0.0), last.min(head_size as f64 - 1.0))
    }
}

/// What `YaRN` multiplies queries and keys by where the file is silent (its equation 22).
#[must_use]
pub(crate) fn yarn_attention_factor(factor: f64, scale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 }
}

impl RopeConfig {
    /// Which texts turn alike: two lengths in positions of the same stretch have the same frequencies, and 0 is the
    /// stretch of short texts (and of all texts, but for [`RopeScaling::Dynamic`] and [`RopeScaling::LongRope`]).
    #[must_use]
    pub fn stretch(&self, length: usize) -> usize {
        match &self.scaling {
            RopeScaling::Dynamic { original_context, .. } if length > *original_context => length,
            RopeScaling::LongRope { original_context, .. } if length > *original_context => 1,
            _ => 0,
        }
    }

    /// Positions of the longest text of stretch 0, if texts of different lengths turn differently.
    #[must_use]
    pub fn alike_up_to(&self) -> Option<usize> {
        match &self.scaling {
            RopeScaling::Dynamic { original_context, .. } | RopeScaling::LongRope { original_context, .. } => {
                Some(*original_context)
            }
            _ => None,
        }
    }

    /// What queries and keys are multiplied by.
    #[must_use]
    pub fn attention_factor(&self) -> f64 {
        match &self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                *attention_factor
            }
            _ => 1.0,
        }
    }

    /// `head_size / 2` angles a position, in radians, fastest first, of a text in this [stretch](Self::stretch).
    #[must_use]
    pub fn inverse_frequencies(&self, head_size: usize, stretch: usize) -> Vec<f64> {
        let of_base = |base: f64| {
            (0..head_size / 2).map(move |pair| base.powf(-2.0 * pair as f64 / head_size as f64)).collect::<Vec<_>>()
        };
        let plain = of_base(self.theta).into_iter();
        match &self.scaling {
            RopeScaling::Linear { factor } => plain.map(|frequency| frequency / factor).collect(),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => plain
                .map(|frequency| {
                    // Turns within the original context say how well a frequency was trained.
                    let turns = *original_context as f64 * frequency / std::f64::consts::TAU;
                    let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    (1.0 - kept) * frequency / factor + kept * frequency
                })
                .collect(),
            RopeScaling::Factors { factors } => {
                plain.zip(factors).map(|(frequency, factor)| frequency / factor).collect()
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, range, .. } => {
                let (first, last) = range.of([*beta_fast, *beta_slow], self.theta, head_size, *original_context);
                // A range without width divides all that comes after it.
                let width = if first == last { 0.001 } else { last - first };
                let mixed = |(pair, frequency): (usize, f64)| {
                    let divided = ((pair as f64 - first) / width).clamp(0.0, 1.0);
                    divided * frequency / factor + (1.0 - divided) * frequency
                };
                plain.enumerate().map(mixed).collect()
            }
            RopeScaling::Dynamic { factor, original_context } if stretch > 0 => {
                let longer = factor * stretch as f64 / *original_context as f64 - (factor - 1.0);
                let size = head_size as f64;
                of_base(self.theta * longer.powf(size / (size - 2.0)))
            }
            RopeScaling::None | RopeScaling::Dynamic { .. } => plain.collect(),
            RopeScaling::LongRope { short, long, .. } => {
                let factors = if stretch > 0 { long } else { short };
                plain.zip(factors).map(|(frequency, factor)| frequency / factor).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_scaling_frequencies_fall_geometrically_from_one() {
        let rope = RopeConfig { theta: 10_000.0, scaling: RopeScaling::None };
        let expected = [1.0, 0.1, 0.01, 0.001];
        for (found, expected) in rope.inverse_frequencies(8, 0).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn llama3_keeps_fast_turns_and_divides_slow_ones() {
        let scaling =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
        let stretched = RopeConfig { theta: 500_000.0, scaling };
        let plain = RopeConfig { theta: 500_000.0, scaling: RopeScaling::None };
        let (stretched, plain) = (stretched.inverse_frequencies(128, 0), plain.inverse_frequencies(128, 0));
        assert_eq!(stretched[0], plain[0]);
        assert!((stretched[63] - plain[63] / 8.0).abs() < 1e-18);
        assert!(stretched.windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn factors_that_are_all_alike_are_linear_scaling() {
        let linear = RopeConfig { theta: 1e4, scaling: RopeScaling::Linear { factor: 4.0 } };
        let factors = RopeConfig { theta: 1e4, scaling: RopeScaling::Factors { factors: vec![4.0; 16] } };
        assert_eq!(linear.inverse_frequencies(32, 0), factors.inverse_frequencies(32, 0));
    }
}
