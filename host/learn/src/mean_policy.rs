//! The mean of the iterates, of a method that is about it.

use serde::{Deserialize, Serialize};

/// The mean of the iterates so far, each weighted by the learning rate of the step that left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeanPolicy {
    /// Empty for a method that keeps none.
    pub(crate) probabilities: Vec<f64>,
    /// The sum of the weights.
    pub(crate) weight: f64,
}

impl MeanPolicy {
    /// Of a run that has not begun.
    pub(crate) fn start(log_policy: &[f64]) -> Self {
        Self { probabilities: log_policy.iter().map(|l| libm::exp(*l)).collect(), weight: 0.0 }
    }

    /// Takes an iterate in.
    pub(crate) fn add(&mut self, policy: &[f64], weight: f64) {
        self.weight += weight;
        if self.weight > 0.0 {
            let share = weight / self.weight;
            for (mean, p) in self.probabilities.iter_mut().zip(policy) {
                *mean += share * (p - *mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterates_count_by_their_learning_rate() {
        let mut mean = MeanPolicy::start(&[0.5_f64.ln(), 0.5_f64.ln()]);
        mean.add(&[1.0, 0.0], 1.0);
        mean.add(&[0.0, 1.0], 3.0);
        assert_eq!(mean.probabilities, [0.25, 0.75]);
        // Steps at the rate 0 (a warm-up may begin so) leave no trace.
        let mut mean = MeanPolicy::start(&[0.0]);
        mean.add(&[0.3], 0.0);
        assert_eq!(mean.probabilities, [1.0]);
    }
}
