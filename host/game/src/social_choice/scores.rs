//! A number an action, and who has the largest.

use crate::numeric::{TIE_TOLERANCE, maximum};

/// The result of a rule that scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One an action.
    pub scores: Vec<f64>,
    /// The actions whose score is within [`TIE_TOLERANCE`] of the largest, ascending; never empty.
    pub winners: Vec<usize>,
}

impl Scores {
    pub(super) fn of(scores: Vec<f64>) -> Self {
        let best = maximum(&scores);
        let winners = scores.iter().enumerate().filter(|(_, score)| **score >= best - TIE_TOLERANCE);
        Self { winners: winners.map(|(action, _)| action).collect(), scores }
    }
}
