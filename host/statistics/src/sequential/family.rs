//! Several means that are looked at together.

use super::e_bh::e_bh;
use super::lower_bound::Risk;
use super::mean::SequentialMean;
use super::stopping::StopAt;

/// What is said of several means together.
#[derive(Debug, Clone, Copy)]
pub struct SequentialFamily<'a> {
    /// All of them, as far as they were looked at.
    pub means: &'a [SequentialMean],
    /// Which of them are asked about, and so judged together; the others stand alone. As many as means.
    pub is_asked: &'a [bool],
    /// Of all claims of a difference so many may be wrong.
    pub rate: Risk,
}

impl SequentialFamily<'_> {
    /// Which means are said to differ from `mean`: e-BH over those that are asked about; `None` of the others.
    ///
    /// Means that stop where this says so stay: each of k claims has an e-value of at least K/(k α), which nothing changes any more, and the
    /// claims of later moments are these and others. The next value of each mean is a draw from what is left of its own population, whatever was
    /// seen of the others before, so that its capital is a martingale for those who see all.
    #[must_use]
    pub fn differ_from(&self, mean: f64) -> Vec<Option<bool>> {
        let asked: Vec<usize> = (0..self.means.len()).filter(|at| self.is_asked[*at]).collect();
        let e_values: Vec<f64> = asked.iter().map(|at| self.means[*at].e_value(mean)).collect();
        let mut differ = vec![None; self.means.len()];
        for (at, is_rejected) in asked.into_iter().zip(e_bh(&e_values, self.rate)) {
            differ[at] = Some(is_rejected);
        }
        differ
    }

    /// Which means need more values by the rule. A width is each mean's own; a difference has to be a claim of all together, and of means that
    /// are not asked about one of their own interval.
    #[must_use]
    pub fn need_more(&self, stop: StopAt) -> Vec<bool> {
        let claimed = match stop {
            StopAt::Width(_) => vec![None; self.means.len()],
            StopAt::DifferenceFrom(mean) => self.differ_from(mean),
        };
        let needs = |(seen, claimed): (&SequentialMean, Option<bool>)| {
            !seen.is_complete() && !claimed.unwrap_or_else(|| stop.is_reached(seen))
        };
        self.means.iter().zip(claimed).map(needs).collect()
    }
}
