//! The uncovered set (Fishburn 1977, function C9; Miller 1980), with ties as McKelvey (1986) has them.
//!
//! `i` covers `j` where i beats j, everything that beats i beats j, and everything that j beats i beats too. Without ties each of the
//! last two conditions says the other, and this is Miller's covering. With ties the definitions differ (Duggan 2013); this one asks
//! most of who covers, so its uncovered set is the largest: it holds those of Fishburn, Gillies and Bordes, and lies in the Smith set.

use super::majority::Majority;

/// Ascending; never empty.
pub(super) fn set(majority: &Majority) -> Vec<usize> {
    let n = majority.actions();
    let beats = Relation::of(n, |i, j| majority.beats(i, j));
    let beaten_by = Relation::of(n, |i, j| majority.beats(j, i));
    let covers = |i: usize, j: usize| majority.beats(i, j) && beaten_by.includes(j, i) && beats.includes(i, j);
    (0..n).filter(|j| !(0..n).any(|i| covers(i, *j))).collect()
}

/// A set of actions for each action, as bits.
struct Relation {
    words: usize,
    bits: Vec<u64>,
}

impl Relation {
    fn of(actions: usize, holds: impl Fn(usize, usize) -> bool) -> Self {
        let words = actions.div_ceil(64);
        let mut bits = vec![0; actions * words];
        for i in 0..actions {
            for j in (0..actions).filter(|j| holds(i, *j)) {
                bits[i * words + j / 64] |= 1 << (j % 64);
            }
        }
        Self { words, bits }
    }

    fn row(&self, action: usize) -> &[u64] {
        &self.bits[action * self.words..(action + 1) * self.words]
    }

    /// Whether the set of `larger` holds that of `smaller`.
    fn includes(&self, larger: usize, smaller: usize) -> bool {
        self.row(larger).iter().zip(self.row(smaller)).all(|(larger, smaller)| smaller & !larger == 0)
    }
}
