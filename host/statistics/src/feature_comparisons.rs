//! Comparisons of things that are described by numbers.

/// Why comparisons, a penalty or folds were refused. Positions are 0-based in the fields and counted from 1 in the sentence.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonsError {
    /// No pairs.
    #[error("a fit needs at least one pair; there is none")]
    NoPairs,
    /// The numbers do not make whole rows.
    #[error("{found} numbers are not the differences of {pairs} pairs with {dimension} features each")]
    Shape {
        /// Numbers that were given.
        found: usize,
        /// Labels that were given.
        pairs: usize,
        /// Features a pair should have.
        dimension: usize,
    },
    /// A NaN or an infinity.
    #[error("feature {} of pair {} differs by {value}; expected a finite number", feature + 1, pair + 1)]
    NotFinite {
        /// The pair's position, from 0.
        pair: usize,
        /// The feature's position, from 0.
        feature: usize,
        /// What was found there.
        value: f64,
    },
    /// A label that is no probability.
    #[error("the label of pair {} is {value}; expected a number from 0 to 1", pair + 1)]
    Label {
        /// The pair's position, from 0.
        pair: usize,
        /// What was found there.
        value: f64,
    },
    /// A penalty that is not above 0.
    #[error("the penalty is {value}; expected a finite number above 0")]
    Penalty {
        /// What was given.
        value: f64,
    },
    /// Everything is of one group, so that nothing can be held out.
    #[error("{groups} groups cannot be divided into folds; expected at least 2")]
    Groups {
        /// Different groups that were given.
        groups: usize,
    },
    /// Not one group a pair.
    #[error("{folded} pairs were put into folds, but {pairs} were compared")]
    Folded {
        /// Pairs in folds.
        folded: usize,
        /// Pairs that were compared.
        pairs: usize,
    },
}

/// n pairs, each as the difference of its feature vectors, φ(a) − φ(b), with the probability that a is preferred.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureComparisons {
    dimension: usize,
    /// `[n, dimension]`, row by row.
    differences: Vec<f64>,
    /// `[n]`
    labels: Vec<f64>,
}

impl FeatureComparisons {
    /// From differences `[n, dimension]`, row by row, and labels `[n]` in [0, 1]. Errors: no pair, numbers that are not whole
    /// rows or not finite, labels that are no probabilities.
    pub fn new(dimension: usize, differences: Vec<f64>, labels: Vec<f64>) -> Result<Self, ComparisonsError> {
        let pairs = labels.len();
        if pairs == 0 {
            return Err(ComparisonsError::NoPairs);
        }
        if dimension == 0 || differences.len() != pairs * dimension {
            return Err(ComparisonsError::Shape { found: differences.len(), pairs, dimension });
        }
        if let Some(index) = differences.iter().position(|value| !value.is_finite()) {
            let (pair, feature) = (index / dimension, index % dimension);
            return Err(ComparisonsError::NotFinite { pair, feature, value: differences[index] });
        }
        if let Some(pair) = labels.iter().position(|label| !(0.0..=1.0).contains(label)) {
            return Err(ComparisonsError::Label { pair, value: labels[pair] });
        }
        Ok(Self { dimension, differences, labels })
    }

    /// n, at least 1.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.labels.len()
    }

    /// Features of each side of a pair.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The probability that each pair's first is preferred, `[n]`.
    #[must_use]
    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// φ(a) − φ(b) of one pair, `[dimension]`.
    pub(crate) fn difference(&self, pair: usize) -> &[f64] {
        &self.differences[pair * self.dimension..(pair + 1) * self.dimension]
    }

    /// The log-odds that linear rewards give to a pair: w · (φ(a) − φ(b)).
    pub(crate) fn log_odds(&self, pair: usize, weights: &[f64]) -> f64 {
        dot(self.difference(pair), weights)
    }

    /// Mean of |φ(a) − φ(b)|²: the unit in which a penalty on |w|² does not depend on how features are scaled. 1 where every
    /// difference is 0.
    #[must_use]
    pub fn mean_square(&self) -> f64 {
        let mean = dot(&self.differences, &self.differences) / self.pairs() as f64;
        if mean > 0.0 && mean.is_finite() { mean } else { 1.0 }
    }
}

/// Sums side by side, so that a processor has more than one to add to; their order is fixed.
const LANES: usize = 8;

/// a · b
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// to += factor · of
pub(crate) fn add_scaled(to: &mut [f64], factor: f64, of: &[f64]) {
    for (to, of) in to.iter_mut().zip(of) {
        *to += factor * of;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_in_lanes_are_sums() {
        let values: Vec<f64> = (1..=19).map(f64::from).collect();
        assert_eq!(dot(&values, &values), 19.0 * 20.0 * 39.0 / 6.0);
    }

    #[test]
    fn what_is_no_comparison_is_refused() {
        let refusal = |dimension, differences, labels| {
            FeatureComparisons::new(dimension, differences, labels).unwrap_err().to_string()
        };
        assert_eq!(refusal(2, vec![], vec![]), "a fit needs at least one pair; there is none");
        assert!(refusal(2, vec![1.0; 3], vec![0.5; 2]).starts_with("3 numbers are not the differences of 2 pairs"));
        assert!(refusal(0, vec![], vec![0.5]).contains("0 features"));
        let nan = refusal(2, vec![1.0, 0.0, 2.0, f64::NAN], vec![0.5; 2]);
        assert_eq!(nan, "feature 2 of pair 2 differs by NaN; expected a finite number");
        assert_eq!(refusal(1, vec![1.0], vec![1.5]), "the label of pair 1 is 1.5; expected a number from 0 to 1");
        assert!(refusal(1, vec![1.0], vec![f64::NAN]).contains("is NaN"));
    }

    #[test]
    fn the_unit_of_a_penalty_is_the_mean_squared_length() {
        let mean_square = |differences| FeatureComparisons::new(2, differences, vec![0.5; 2]).unwrap().mean_square();
        assert_eq!(mean_square(vec![3.0, 4.0, 0.0, 1.0]), 13.0);
        assert_eq!(mean_square(vec![0.0; 4]), 1.0);
    }
}
