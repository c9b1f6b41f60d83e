//! The inner loops of the scalar path: slices in, slices out, nothing allocated.
//!
//! The Follower's matrices are stored by columns here: entry (i, j) at `j * n + i`. A sum over answers j is then a sum
//! of whole slices, in the order of j for every i: quick in vector registers, and always the same order.

use slhf_game::Divergence;

use crate::transcendental::{exp_not_positive, ln_positive};

/// Softmax of every row of a matrix stored by columns.
///
/// Out: `shifted` = logits − the row's largest, `probabilities`, and per row `log_sums` = log Σ exp(shifted).
/// Gives the sum of the rows' sums, which is finite exactly if every logit was (but for −∞).
#[inline(always)]
pub(super) fn softmax_rows(
    logits: &[f64],
    shifted: &mut [f64],
    probabilities: &mut [f64],
    log_sums: &mut [f64],
    row: &mut [f64],
) -> f64 {
    let n = row.len();
    largest_of_rows(logits, row);
    for (shifted, logits) in shifted.chunks_exact_mut(n).zip(logits.chunks_exact(n)) {
        for ((shifted, logit), largest) in shifted.iter_mut().zip(logits).zip(row.iter()) {
            *shifted = logit - largest;
        }
    }
    for (probability, shifted) in probabilities.iter_mut().zip(shifted.iter()) {
        *probability = exp_not_positive(*shifted);
    }
    row.fill(0.0);
    for column in probabilities.chunks_exact(n) {
        for (sum, value) in row.iter_mut().zip(column) {
            *sum += value;
        }
    }
    let total = row.iter().sum();
    for (log_sum, sum) in log_sums.iter_mut().zip(row.iter_mut()) {
        *log_sum = ln_positive(*sum);
        *sum = 1.0 / *sum;
    }
    for column in probabilities.chunks_exact_mut(n) {
        for (probability, inverse) in column.iter_mut().zip(row.iter()) {
            *probability *= inverse;
        }
    }
    total
}

#[inline(always)]
fn largest_of_rows(logits: &[f64], largest: &mut [f64]) {
    let n = largest.len();
    let (first, rest) = logits.split_at(n);
    largest.copy_from_slice(first);
    for column in rest.chunks_exact(n) {
        for (largest, &logit) in largest.iter_mut().zip(column) {
            *largest = if logit > *largest { logit } else { *largest };
        }
    }
}

/// Softmax of one policy. Out: `log_probabilities`, `probabilities`. Gives the sum, finite as above.
#[inline(always)]
pub(super) fn softmax(logits: &[f64], log_probabilities: &mut [f64], probabilities: &mut [f64]) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    for &logit in logits {
        largest = if logit > largest { logit } else { largest };
    }
    for (shifted, logit) in log_probabilities.iter_mut().zip(logits) {
        *shifted = logit - largest;
    }
    for (probability, shifted) in probabilities.iter_mut().zip(log_probabilities.iter()) {
        *probability = exp_not_positive(*shifted);
    }
    let sum: f64 = probabilities.iter().sum();
    let (inverse, log_sum) = (1.0 / sum, ln_positive(sum));
    for (probability, log) in probabilities.iter_mut().zip(log_probabilities.iter_mut()) {
        *probability *= inverse;
        *log -= log_sum;
    }
    sum
}

/// Turns `shifted` into the Follower's cost of each answer, `cost + τ_F log ω`, and gives per row its mean under ω.
#[inline(always)]
pub(super) fn answer_costs(
    cost: &[f64],
    tau_follower: f64,
    probabilities: &[f64],
    log_sums: &[f64],
    shifted: &mut [f64],
    means: &mut [f64],
) {
    let n = means.len();
    means.fill(0.0);
    let columns = shifted.chunks_exact_mut(n).zip(cost.chunks_exact(n)).zip(probabilities.chunks_exact(n));
    for ((shifted, cost), probabilities) in columns {
        let entries = shifted.iter_mut().zip(cost).zip(probabilities).zip(log_sums).zip(means.iter_mut());
        for ((((shifted, cost), probability), log_sum), mean) in entries {
            let value = cost + tau_follower * (*shifted - log_sum);
            *shifted = value;
            *mean += probability * value;
        }
    }
}

/// What a Follower holds itself by, where that is not KL(ω ‖ `ω_ref`).
pub(super) struct HeldAnswers<'a> {
    pub(super) divergence: Divergence,
    pub(super) tau: f64,
    /// P − τ log `ω_ref`, by columns.
    pub(super) cost: &'a [f64],
    /// log `ω_ref`, by columns.
    pub(super) log_reference: &'a [f64],
}

impl HeldAnswers<'_> {
    /// As [`answer_costs`] under the divergence: `shifted` becomes `P + τ slope(log ω/ω_ref)`, `means` its mean under ω, and `worth` what a row is
    /// worth to the Leader, the mean of P plus τ times the divergence.
    pub(super) fn costs(
        &self,
        probabilities: &[f64],
        log_sums: &[f64],
        shifted: &mut [f64],
        (means, worth): (&mut [f64], &mut [f64]),
    ) {
        let n = means.len();
        means.fill(0.0);
        worth.fill(0.0);
        for (column, shifted) in shifted.chunks_exact_mut(n).enumerate() {
            for (row, shifted) in shifted.iter_mut().enumerate() {
                let place = column * n + row;
                let log_reference = self.log_reference[place];
                let log_ratio = *shifted - log_sums[row] - log_reference;
                let paid = self.cost[place] + self.tau * log_reference;
                *shifted = paid + self.tau * self.divergence.slope(log_ratio);
                let probability = probabilities[place];
                means[row] += probability * *shifted;
                // An answer that is never given pays nothing: the ratio of its probabilities has no bound.
                let share = if probability > 0.0 { probability * self.divergence.share(log_ratio) } else { 0.0 };
                worth[row] += probability * paid + self.tau * share;
            }
        }
    }
}

/// The Follower's direction of ascent (of minus the objective) from its costs: the advantage `means − cost` times
/// `row_scale[i]`, and times ω where the gradient is plain. `costs` becomes the direction.
#[inline(always)]
pub(super) fn follower_direction(
    costs: &mut [f64],
    means: &[f64],
    probabilities: &[f64],
    row_scale: &[f64],
    natural: bool,
) {
    let n = means.len();
    for (costs, probabilities) in costs.chunks_exact_mut(n).zip(probabilities.chunks_exact(n)) {
        let entries = costs.iter_mut().zip(probabilities).zip(means).zip(row_scale);
        if natural {
            for (((cost, _), mean), scale) in entries {
                *cost = scale * (mean - *cost);
            }
        } else {
            for (((cost, probability), mean), scale) in entries {
                *cost = scale * probability * (mean - *cost);
            }
        }
    }
}

/// The Leader's direction of ascent from the value of each action; `values` becomes the direction. Gives the mean
/// value.
#[inline(always)]
pub(super) fn leader_direction(values: &mut [f64], probabilities: &[f64], natural: bool) -> f64 {
    let mut mean = 0.0;
    for (value, probability) in values.iter().zip(probabilities) {
        mean += value * probability;
    }
    for (value, probability) in values.iter_mut().zip(probabilities) {
        *value = if natural { *value - mean } else { probability * (*value - mean) };
    }
    mean
}

/// logits += rate · direction.
#[inline(always)]
pub(super) fn ascend(logits: &mut [f64], rate: f64, direction: &[f64]) {
    for (logit, direction) in logits.iter_mut().zip(direction) {
        *logit += rate * direction;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adam;

    /// Everything a step of a Follower goes through.
    struct Step {
        n: usize,
        found: Vec<f64>,
    }

    impl Step {
        #[inline(always)]
        fn run(&mut self) {
            let n = self.n;
            let numbers = |seed: f64| -> Vec<f64> { (0..n * n).map(|at| libm::sin(at as f64 * seed) * 3.0).collect() };
            let (mut logits, cost) = (numbers(0.7), numbers(0.3));
            let (mut shifted, mut omega) = (vec![0.0; n * n], vec![0.0; n * n]);
            let (mut log_sums, mut row, mut means) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
            let (mut first, mut second) = (numbers(0.11), vec![0.5; n * n]);
            let sum = softmax_rows(&logits, &mut shifted, &mut omega, &mut log_sums, &mut row);
            answer_costs(&cost, 0.1, &omega, &log_sums, &mut shifted, &mut means);
            follower_direction(&mut shifted, &means, &omega, &row, false);
            adam::ascend(&mut logits, &mut first, &mut second, adam::Correction::of(0.1, 3), &shifted);
            let (mut log_pi, mut pi) = (vec![0.0; n], vec![0.0; n]);
            let total = softmax(&means, &mut log_pi, &mut pi);
            let mean = leader_direction(&mut means, &pi, false);
            ascend(&mut log_pi, 0.3, &means);
            self.found = [vec![sum, total, mean], logits, first, second, log_pi, pi].concat();
        }
    }

    impl pulp::WithSimd for &mut Step {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) {
            self.run();
        }
    }

    #[test]
    fn the_bits_are_the_same_in_all_registers() {
        for n in [2, 3, 7, 10, 16, 33] {
            let new = || Step { n, found: vec![] };
            let (mut plain, mut widest) = (new(), new());
            plain.run();
            pulp::Arch::new().dispatch(&mut widest);
            let bits = |step: &Step| step.found.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            assert!(plain.found.iter().all(|number| number.is_finite()), "{n}");
            assert_eq!(bits(&plain), bits(&widest), "{n} actions");
            #[cfg(target_arch = "x86_64")]
            if let Some(of_32_bytes) = pulp::x86::V3::try_new() {
                let mut wide = new();
                pulp::Simd::vectorize(of_32_bytes, &mut wide);
                assert_eq!(bits(&plain), bits(&wide), "{n} actions, 32 bytes");
            }
        }
    }
}
