//! How often pairs were compared.

use serde::{Deserialize, Serialize};

/// How often who was preferred to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// `wins[i][j]`: comparisons of i and j that i won; a tie is half a win each. Finite, not negative, 0 on the
    /// diagonal.
    pub wins: Vec<Vec<f64>>,
}

impl Tally {
    /// No comparison yet.
    pub(crate) fn new(actions: usize) -> Self {
        Self { wins: vec![vec![0.0; actions]; actions] }
    }

    /// How often i and j were compared, split evenly over the two orders in which they can be shown, so that the
    /// weights of (i, j) and (j, i) add up to the number of comparisons. This is what a game's `comparison_counts` are.
    pub fn comparisons_per_order(&self) -> Vec<Vec<f64>> {
        let n = self.wins.len();
        (0..n).map(|i| (0..n).map(|j| f64::midpoint(self.wins[i][j], self.wins[j][i])).collect()).collect()
    }
}
