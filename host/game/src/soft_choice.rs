//! The best response of a player who is held by KL(p ‖ reference): a softmax in closed form, at temperature 0 the reference on what ties.

use crate::numeric::{TIE_TOLERANCE, log_mean_exp, maximum, minimum, normalise_log};

/// `max over p of p·values − τ KL(p ‖ reference)`, in log space.
pub(crate) struct SoftChoice {
    pub(crate) log_policy: Vec<f64>,
    pub(crate) value: f64,
    /// Actions that may be chosen: of several, those that tie with the best at temperature 0.
    pub(crate) support: Vec<usize>,
}

impl SoftChoice {
    pub(crate) fn of(values: &[f64], log_reference: &[f64], temperature: f64) -> Self {
        let best = maximum(values);
        let (mut log_policy, value) = if temperature == 0.0 {
            (restricted(values, log_reference, best), best)
        } else {
            // The best value is subtracted before the division: 0/τ is 0 for every τ.
            let exponents: Vec<f64> = values.iter().map(|value| (value - best) / temperature).collect();
            let value = best + temperature * log_mean_exp(&exponents, log_reference);
            let tilted = exponents.iter().zip(log_reference).map(|(exponent, log_ref)| exponent + log_ref);
            // Exact arithmetic keeps the value between the worst and the best; so do we.
            (tilted.collect(), value.clamp(minimum(values), best))
        };
        normalise_log(&mut log_policy);
        let support = if temperature == 0.0 {
            let finite = log_policy.iter().enumerate().filter(|(_, l)| l.is_finite());
            finite.map(|(action, _)| action).collect()
        } else {
            (0..values.len()).collect()
        };
        Self { log_policy, value, support }
    }
}

/// The reference on the set of values that tie with the best, −∞ elsewhere.
fn restricted(values: &[f64], log_reference: &[f64], best: f64) -> Vec<f64> {
    let pairs = values.iter().zip(log_reference);
    pairs.map(|(&value, &log_ref)| if value >= best - TIE_TOLERANCE { log_ref } else { f64::NEG_INFINITY }).collect()
}
