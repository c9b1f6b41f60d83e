//! One order of the actions, by so many voters.

use serde::{Deserialize, Serialize};

use crate::tally::Tally;

/// Voters who gave the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// How many; at most 2⁵³.
    pub voters: u64,
    /// Actions by their places in the data, in groups of equally good ones, best first. No action stands twice.
    pub order: Vec<Vec<usize>>,
}

impl Ballot {
    /// Adds what `voters` such voters say of every pair: a tie is half a win each; what the ballot leaves out ranks below what it
    /// lists; two that it leaves out are no comparison.
    ///
    /// # Panics
    /// If the ballot names an action that the tally lacks.
    pub fn count(&self, voters: u64, tally: &mut Tally) {
        let voters = voters as f64;
        let n = tally.wins.len();
        let mut rank = vec![None; n];
        for (position, group) in self.order.iter().enumerate() {
            for action in group {
                rank[*action] = Some(position);
            }
        }
        for i in 0..n {
            // Nothing that is left out beats anything.
            let Some(own) = rank[i] else { continue };
            for (j, other) in rank.iter().enumerate() {
                let share = match *other {
                    Some(other) if own == other => 0.5,
                    Some(other) if own > other => 0.0,
                    _ => 1.0,
                };
                if i != j {
                    tally.wins[i][j] += share * voters;
                }
            }
        }
    }
}
