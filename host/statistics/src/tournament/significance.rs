//! Permutation tests and their correction.

use slhf_random::SplitMix64;

/// Two-sided p-value of "the mean is 0" when each value's sign is as likely to be the other one: the values are a prompt's
/// difference between two policies, and under exchangeable policies either could have been either's. Of `flips` draws and
/// the observed one, so never 0 (Phipson & Smyth 2010).
pub(super) fn sign_flips(values: &[f64], flips: u32, generator: &mut SplitMix64) -> f64 {
    // Rounding must not make a flip of equal size smaller.
    let observed = values.iter().sum::<f64>().abs() * (1.0 - 1e-12);
    let mut extreme = 1_u32;
    for _ in 0..flips {
        let mut sum = 0.0;
        for chunk in values.chunks(64) {
            let mut signs = generator.bits();
            for value in chunk {
                sum += if signs & 1 == 0 { *value } else { -*value };
                signs >>= 1;
            }
        }
        extreme += u32::from(sum.abs() >= observed);
    }
    f64::from(extreme) / f64::from(flips + 1)
}

/// Holm's step-down correction (1979): the chance of any false claim stays below the level, whatever the dependence.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[at]).min(1.0);
        corrected[at] = largest;
    }
    corrected
}
