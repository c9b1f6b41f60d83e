//! What is sampled from: log-probabilities of logits.

/// Row by row: logits − log Σ exp.
pub(crate) fn log_probabilities(logits: &[f64], n: usize) -> Vec<f64> {
    let mut result = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(n) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|logit| libm::exp(logit - largest)).sum();
        let log_sum = libm::log(sum);
        // Two subtractions: the first is exact where it matters, near the largest.
        result.extend(row.iter().map(|logit| (logit - largest) - log_sum));
    }
    result
}
