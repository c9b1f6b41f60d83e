//! Copeland (1951): how many actions an action beats, where a tie counts half.

use super::majority::Majority;
use super::scores::Scores;

/// Actions beaten plus half of those tied with.
pub(super) fn scores(majority: &Majority) -> Scores {
    let n = majority.actions();
    let against = |first: usize, second: usize| {
        if majority.beats(first, second) {
            1.0
        } else if majority.beats(second, first) {
            0.0
        } else {
            0.5
        }
    };
    let score = |first: usize| (0..n).filter(|second| *second != first).map(|second| against(first, second)).sum();
    Scores::of((0..n).map(score).collect())
}
