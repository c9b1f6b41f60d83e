//! What was asked of the judge about one prompt's responses.

use crate::StatisticsError;

/// Probabilities nearer to a tie are ties, biases nearer to 0 are none: they come of rounding.
const ROUNDING: f64 = 1e-12;

/// Two responses to one prompt, judged in both orders.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedPair {
    /// Among the prompt's responses.
    pub first: usize,
    /// Likewise, another one.
    pub second: usize,
    /// Of each draw: p(first ≻ second), and p(second ≻ first) asked in the other order. At least one.
    pub draws: Vec<[f64; 2]>,
    /// The probability that the first is the better one, by those who know; ½ is a tie.
    pub label: Option<f64>,
}

impl AuditedPair {
    /// Mean of p(a, b) + p(b, a) − 1 over draws.
    pub(super) fn order_bias(&self) -> f64 {
        let sum: f64 = self.draws.iter().map(|[there, back]| there + back - 1.0).sum();
        let bias = sum / self.draws.len() as f64;
        if bias.abs() <= ROUNDING { 0.0 } else { bias }
    }

    /// By how much the first wins, −½ to ½: the mean over draws and both orders.
    pub(super) fn margin(&self) -> f64 {
        let sum: f64 = self.draws.iter().map(margin_of).sum();
        snapped(sum / self.draws.len() as f64)
    }

    /// Of each draw.
    pub(super) fn margins(&self) -> impl Iterator<Item = f64> {
        self.draws.iter().map(margin_of).map(snapped)
    }
}

/// Of one draw.
fn margin_of([there, back]: &[f64; 2]) -> f64 {
    (there - back) / 2.0
}

/// Without what is of rounding.
pub(super) fn snapped(margin: f64) -> f64 {
    if margin.abs() <= ROUNDING { 0.0 } else { margin }
}

/// A prompt with its judged responses.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedPrompt {
    lengths: Vec<f64>,
    pairs: Vec<AuditedPair>,
    /// Of each pair of responses its place among `pairs`, by `first · n + second`, first < second.
    places: Vec<Option<usize>>,
}

impl AuditedPrompt {
    /// Checks that pairs are of two different responses that are there, each judged, with numbers in [0, 1]; a pair stands once.
    pub fn new(lengths: Vec<f64>, pairs: Vec<AuditedPair>) -> Result<Self, StatisticsError> {
        let many = lengths.len();
        if let Some(index) = lengths.iter().position(|length| !length.is_finite()) {
            return Err(StatisticsError::NotFinite { index, value: lengths[index] });
        }
        let mut places = vec![None; many * many];
        for (index, pair) in pairs.iter().enumerate() {
            let bad = |problem| StatisticsError::AuditedPair { index, problem };
            let (low, high) = (pair.first.min(pair.second), pair.first.max(pair.second));
            if low == high || high >= many {
                return Err(bad("names no two different responses of the prompt"));
            }
            let is_probability = |value: &f64| (0.0..=1.0).contains(value);
            if pair.draws.is_empty() || !pair.draws.iter().flatten().chain(&pair.label).all(is_probability) {
                return Err(bad("needs a verdict in both orders, each between 0 and 1, and so its label"));
            }
            if places[low * many + high].replace(index).is_some() {
                return Err(bad("stands twice"));
            }
        }
        Ok(Self { lengths, pairs, places })
    }

    /// What was judged.
    #[must_use]
    pub fn pairs(&self) -> &[AuditedPair] {
        &self.pairs
    }

    /// Responses.
    pub(super) fn responses(&self) -> usize {
        self.lengths.len()
    }

    /// By how much the first is longer.
    pub(super) fn longer(&self, pair: &AuditedPair) -> f64 {
        self.lengths[pair.first] - self.lengths[pair.second]
    }

    /// The place of a pair among [`Self::pairs`], and 1 where it stands this way round, −1 the other.
    pub(super) fn place(&self, one: usize, other: usize) -> Option<(usize, f64)> {
        let place = self.places[one.min(other) * self.responses() + one.max(other)]?;
        Some((place, if self.pairs[place].first == one { 1.0 } else { -1.0 }))
    }

    /// Whether every response was compared with every other, and there are three.
    pub(super) fn is_complete(&self) -> bool {
        let many = self.responses();
        many > 2 && self.pairs.len() == many * (many - 1) / 2
    }

    /// Draws that every pair has.
    pub(super) fn common_draws(&self) -> usize {
        self.pairs.iter().map(|pair| pair.draws.len()).min().unwrap_or(0)
    }
}
