//! Borda: the action that wins most often against one of the others, drawn evenly.
//!
//! On complete strict ballots this is Borda's count (1784) over voters times (n − 1): a ballot gives an action one point for each action below.

use super::majority::Majority;
use super::scores::Scores;

/// `Σ_{j ≠ i} (1/2 + m(i, j)) / (n − 1)`.
pub(super) fn scores(majority: &Majority) -> Scores {
    let others = (majority.actions() - 1) as f64;
    // The margin against itself is 0 exactly.
    let mean_win = |action: usize| 0.5 + majority.row(action).iter().sum::<f64>() / others;
    Scores::of((0..majority.actions()).map(mean_win).collect())
}
