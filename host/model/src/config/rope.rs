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
}

impl RopeConfig {
    /// `head_size / 2` angles a position, in radians, fastest first.
    #[must_use]
    pub fn inverse_frequencies(&self, head_size: usize) -> Vec<f64> {
        let plain = (0..head_size / 2).map(|pair| self.theta.powf(-2.0 * pair as f64 / head_size as f64));
        match &self.scaling {
            RopeScaling::None => plain.collect(),
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
        for (found, expected) in rope.inverse_frequencies(8).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn llama3_keeps_fast_turns_and_divides_slow_ones() {
        let scaling =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
        let stretched = RopeConfig { theta: 500_000.0, scaling };
        let plain = RopeConfig { theta: 500_000.0, scaling: RopeScaling::None };
        let (stretched, plain) = (stretched.inverse_frequencies(128), plain.inverse_frequencies(128));
        assert_eq!(stretched[0], plain[0]);
        assert!((stretched[63] - plain[63] / 8.0).abs() < 1e-18);
        assert!(stretched.windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn factors_that_are_all_alike_are_linear_scaling() {
        let linear = RopeConfig { theta: 1e4, scaling: RopeScaling::Linear { factor: 4.0 } };
        let factors = RopeConfig { theta: 1e4, scaling: RopeScaling::Factors { factors: vec![4.0; 16] } };
        assert_eq!(linear.inverse_frequencies(32), factors.inverse_frequencies(32));
    }
}
