//! How often pairs were compared.

use serde::{Deserialize, Serialize};

/// How often who was preferred to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// `wins[i][j]`: comparisons of i and j that i won; a tie is half a win each. Finite, not negative, 0 on the
    /// diagonal.
    pub wins: Vec<Vec<f64>>,
    /// `ties[i][j]` = `ties[j][i]`: the comparisons of i and j that ended in a tie, where the file says how many did. They are in
    /// `wins`, half and half.
    pub ties: Option<Vec<Vec<f64>>>,
}

impl Tally {
    /// No comparison yet.
    pub(crate) fn new(actions: usize) -> Self {
        Self { wins: vec![vec![0.0; actions]; actions], ties: None }
    }

    /// How many of the comparisons of i and j are known to be ties.
    pub fn ties(&self, i: usize, j: usize) -> f64 {
        self.ties.as_ref().map_or(0.0, |ties| ties[i][j])
    }

    pub(crate) fn add_ties(&mut self, i: usize, j: usize, count: f64) {
        let n = self.wins.len();
        let ties = self.ties.get_or_insert_with(|| vec![vec![0.0; n]; n]);
        ties[i][j] += count;
        ties[j][i] += count;
    }

    /// p(i ≻ j) = wins of i over both; 0.5 where the two were never compared.
    pub fn preferences(&self) -> Vec<Vec<f64>> {
        let n = self.wins.len();
        let probability = |i: usize, j: usize| {
            let total = self.wins[i][j] + self.wins[j][i];
            if i != j && total > 0.0 { self.wins[i][j] / total } else { 0.5 }
        };
        (0..n).map(|i| (0..n).map(|j| probability(i, j)).collect()).collect()
    }

    /// How often i and j were compared, split evenly over the two orders in which they can be shown, so that the
    /// weights of (i, j) and (j, i) add up to the number of comparisons. This is what a game's `comparison_counts` are.
    pub fn comparisons_per_order(&self) -> Vec<Vec<f64>> {
        let n = self.wins.len();
        (0..n).map(|i| (0..n).map(|j| f64::midpoint(self.wins[i][j], self.wins[j][i])).collect()).collect()
    }
}
