//! Schulze (2011, "A new monotonic, clone-independent, reversal symmetric, and Condorcet-consistent single-winner election method",
//! Social Choice and Welfare 36): strongest paths of majorities.
//!
//! A link from i to j is there where i beats j, and as strong as its win probability. A path is as strong as its weakest link. With
//! one number of voters for every pair the order of the links is that of winning votes and of margins alike.

use super::majority::Majority;
use crate::numeric::TIE_TOLERANCE;

/// Strongest paths, and who wins by them.
#[derive(Debug, Clone, PartialEq)]
pub struct Schulze {
    actions: usize,
    strengths: Vec<f64>,
    /// The actions whose strongest path to any other is at least as strong as the one back, ascending; never empty.
    pub winners: Vec<usize>,
    /// One an action: how many actions have a stronger path to it than it has to them, and one more. Winners have 1.
    pub ranks: Vec<usize>,
}

impl Schulze {
    pub(super) fn of(majority: &Majority) -> Self {
        let n = majority.actions();
        let strengths = strongest_paths(majority);
        let is_above = |i: usize, j: usize| i != j && strengths[i * n + j] > strengths[j * n + i] + TIE_TOLERANCE;
        let ranks: Vec<usize> = (0..n).map(|j| 1 + (0..n).filter(|i| is_above(*i, j)).count()).collect();
        let winners = (0..n).filter(|action| ranks[*action] == 1).collect();
        Self { actions: n, strengths, winners, ranks }
    }

    /// The strongest path from each action to each other, row-major: the win probability of its weakest link, in (1/2, 1], or 0
    /// where there is none; 0 on the diagonal.
    pub fn strengths(&self) -> &[f64] {
        &self.strengths
    }

    /// The paths from one action.
    ///
    /// # Panics
    /// If there is no such action.
    pub fn strengths_from(&self, action: usize) -> &[f64] {
        &self.strengths[action * self.actions..(action + 1) * self.actions]
    }
}

/// Floyd's and Warshall's algorithm on (max, min).
fn strongest_paths(majority: &Majority) -> Vec<f64> {
    let n = majority.actions();
    let link = |i: usize, j: usize| if majority.beats(i, j) { 0.5 + majority.margin(i, j) } else { 0.0 };
    let mut strengths: Vec<f64> = (0..n * n).map(|place| link(place / n, place % n)).collect();
    for by in 0..n {
        let from_there = strengths[by * n..(by + 1) * n].to_vec();
        for row in strengths.chunks_exact_mut(n) {
            let to_there = row[by];
            if to_there == 0.0 {
                continue;
            }
            for (direct, rest) in row.iter_mut().zip(&from_there) {
                *direct = direct.max(to_there.min(*rest));
            }
        }
    }
    for action in 0..n {
        strengths[action * n + action] = 0.0;
    }
    strengths
}
