//! Randomness out of a comparison's `draw`: pure functions, so that a verdict is part of the record.

/// The `index`-th number of a draw, uniform in [0, 1).
///
/// `SplitMix64` (Steele, Lea & Flood 2014) started at `draw`, its top 53 bits: neighbouring draws are independent.
pub fn uniform(draw: u64, index: u64) -> f64 {
    const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    // Mixed once before the index is added: draws that differ by the gamma would otherwise share numbers.
    let bits = mix(mix(draw).wrapping_add(GOLDEN_GAMMA.wrapping_mul(index.wrapping_add(1))));
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// `SplitMix64`'s finaliser: a bijection.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::uniform;

    #[test]
    fn numbers_are_uniform_and_uncorrelated() {
        let draws = 0..20_000_u64;
        let n = 20_000.0;
        let mean = draws.clone().map(|draw| uniform(draw, 0)).sum::<f64>() / n;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        // Neighbouring draws, and neighbouring numbers of one draw: covariance 0 against a variance of 1/12.
        for other in [|draw: u64| uniform(draw + 1, 0), |draw: u64| uniform(draw, 1)] {
            let covariance = draws.clone().map(|draw| (uniform(draw, 0) - 0.5) * (other(draw) - 0.5)).sum::<f64>() / n;
            assert!(covariance.abs() < 0.003, "{covariance}");
        }
    }

    #[test]
    fn extremes_stay_in_range() {
        for draw in [0, 1, u64::MAX] {
            for index in [0, u64::MAX] {
                assert!((0.0..1.0).contains(&uniform(draw, index)));
            }
        }
    }
}
