//! How strong a penalty predicts best what a fit has not seen (k-fold cross-validation over groups).

use std::collections::BTreeMap;

use crate::feature_comparisons::{ComparisonsError, FeatureComparisons};
use crate::linear_bradley_terry::{LinearBradleyTerry, Penalty};
use crate::logistic::cross_entropy;

/// Penalties in units of the mean squared length of a difference ([`FeatureComparisons::mean_square`]), the strongest first.
pub const RELATIVE_PENALTIES: [f64; 6] = [10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4];

/// Which fold each pair is predicted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    count: usize,
    /// `[n]`, from 0.
    of_pair: Vec<usize>,
}

impl Folds {
    /// Deals groups to at most `most` folds in turn, in the order in which they first occur; pairs of one group stay together.
    /// Errors: fewer than two groups.
    pub fn grouped(groups: &[u64], most: usize) -> Result<Self, ComparisonsError> {
        let mut numbers = BTreeMap::new();
        let of_pair = groups.iter().map(|&group| {
            let next = numbers.len();
            *numbers.entry(group).or_insert(next)
        });
        let of_pair: Vec<usize> = of_pair.collect();
        let count = most.max(2).min(numbers.len());
        if count < 2 {
            return Err(ComparisonsError::Groups { groups: numbers.len() });
        }
        Ok(Self { count, of_pair: of_pair.into_iter().map(|number| number % count).collect() })
    }

    /// How many folds there are: at least 2, each with a pair.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

/// What fits predict of pairs that they have not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidated {
    /// Of the penalties that were tried the one with the least log-loss; of equals the first.
    pub penalty: Penalty,
    /// Under it, each pair's log-odds by the fit of the other folds, in nats, `[n]`.
    pub log_odds: Vec<f64>,
    /// Mean cross-entropy of the labels under them, in nats; ln 2 for predictions that say nothing.
    pub log_loss: f64,
}

impl CrossValidated {
    /// Tries the penalties in order, of which there is one at least: each fold is predicted by a fit of the others.
    /// Errors: folds of another number of pairs.
    pub fn of(
        comparisons: &FeatureComparisons,
        folds: &Folds,
        (first, others): (Penalty, &[Penalty]),
    ) -> Result<Self, ComparisonsError> {
        let (folded, pairs) = (folds.of_pair.len(), comparisons.pairs());
        if folded != pairs {
            return Err(ComparisonsError::Folded { folded, pairs });
        }
        let mut starts = vec![vec![0.0; comparisons.dimension()]; folds.count];
        let mut best = Self::under(comparisons, folds, first, &mut starts);
        for &penalty in others {
            let found = Self::under(comparisons, folds, penalty, &mut starts);
            if found.log_loss < best.log_loss {
                best = found;
            }
        }
        Ok(best)
    }

    /// Chooses among [`RELATIVE_PENALTIES`], a function of the pairs and folds alone. Errors: folds of another number of pairs,
    /// or differences so large or small that their squares are no penalty.
    pub fn choose(comparisons: &FeatureComparisons, folds: &Folds) -> Result<Self, ComparisonsError> {
        let unit = comparisons.mean_square();
        let [first, others @ ..] = RELATIVE_PENALTIES.map(|relative| Penalty::new(relative * unit));
        let others = others.into_iter().collect::<Result<Vec<_>, _>>()?;
        Self::of(comparisons, folds, (first?, &others))
    }

    /// Share of the pairs with a label other than ½ whose more likely side is predicted; a prediction of ½ is on neither.
    /// With their number; `None` where no label prefers a side.
    #[must_use]
    pub fn accuracy(&self, comparisons: &FeatureComparisons) -> Option<(f64, usize)> {
        let decided = || self.log_odds.iter().zip(comparisons.labels()).filter(|(_, label)| **label != 0.5);
        let right = decided().filter(|(log_odds, label)| **log_odds * (**label - 0.5) > 0.0).count();
        let count = decided().count();
        (count > 0).then(|| (right as f64 / count as f64, count))
    }

    /// `starts`: each fold's weights under the penalty before, replaced by those under this one.
    fn under(comparisons: &FeatureComparisons, folds: &Folds, penalty: Penalty, starts: &mut [Vec<f64>]) -> Self {
        let mut log_odds = vec![0.0; comparisons.pairs()];
        for (fold, start) in starts.iter_mut().enumerate() {
            let (held_out, seen): (Vec<usize>, Vec<usize>) =
                (0..comparisons.pairs()).partition(|&pair| folds.of_pair[pair] == fold);
            let fit = LinearBradleyTerry::fit_some(comparisons, &seen, penalty, std::mem::take(start));
            for pair in held_out {
                log_odds[pair] = comparisons.log_odds(pair, &fit.weights);
            }
            *start = fit.weights;
        }
        let losses = log_odds.iter().zip(comparisons.labels()).map(|(z, label)| cross_entropy(*z, *label));
        let log_loss = losses.sum::<f64>() / comparisons.pairs() as f64;
        Self { penalty, log_odds, log_loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_dealt_in_turn_and_stay_together() {
        let folds = Folds::grouped(&[7, 7, 3, 9, 3, 1], 3).unwrap();
        assert_eq!((folds.count(), folds.of_pair), (3, vec![0, 0, 1, 2, 1, 0]));
        assert_eq!(Folds::grouped(&[4, 5, 4], 5).unwrap().count(), 2);
        let refusal = Folds::grouped(&[4, 4], 5).unwrap_err().to_string();
        assert_eq!(refusal, "1 groups cannot be divided into folds; expected at least 2");
    }
}
