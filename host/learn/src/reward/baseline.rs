//! What can be said of a pair without reading it: which response is longer.

use super::pairs::{PairTarget, TrainedPair};

/// The rule that the longer, or the shorter, response is better: whichever holds more often of the pairs that were trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LengthOnly {
    longer_is_better: bool,
}

impl LengthOnly {
    /// `label` is the probability that the first is better, where anybody says.
    pub(super) fn of(training: &[TrainedPair], label: impl Fn(&PairTarget) -> Option<f64>) -> Self {
        let votes = training.iter().filter_map(|pair| {
            let longer = difference(pair);
            label(&pair.target).map(|label| (label - 0.5) * f64::from(longer.signum()))
        });
        Self { longer_is_better: votes.sum::<f64>() >= 0.0 }
    }

    /// A number above 0 where the first is better by this rule.
    pub(super) fn prefers(self, pair: &TrainedPair) -> f64 {
        let longer = f64::from(difference(pair).signum());
        if self.longer_is_better { longer } else { -longer }
    }
}

/// Characters of the first beyond those of the second.
pub(super) fn difference(pair: &TrainedPair) -> i32 {
    let [first, second] = pair.characters.map(|characters| i32::try_from(characters).unwrap_or(i32::MAX));
    first - second
}
