//! Winners and cycles of the majority relation.

use crate::preference::PreferenceMatrix;

impl PreferenceMatrix {
    /// The action that beats every other strictly, both ways round: `p(i ≻ j) > 1/2` and
    /// `p(j ≻ i) < 1/2` for every other `j`. There is at most one.
    pub fn condorcet_winner(&self) -> Option<usize> {
        (0..self.actions())
            .find(|&first| (0..self.actions()).all(|second| first == second || self.beats(first, second)))
    }

    /// The actions that no other beats strictly, ascending: `p(i ≻ j) ≥ 1/2` and `p(j ≻ i) ≤ 1/2`
    /// for every other `j`.
    pub fn weak_condorcet_winners(&self) -> Vec<usize> {
        let holds_against = |first: usize, second: usize| {
            first == second || (self.get(first, second) >= 0.5 && self.get(second, first) <= 0.5)
        };
        (0..self.actions()).filter(|&first| (0..self.actions()).all(|second| holds_against(first, second))).collect()
    }

    /// The share of the triples of different actions that form a strict cycle
    /// (`a` beats `b` beats `c` beats `a`); 0 to 1, and 0 for two actions. Cubic in the actions.
    pub fn intransitive_share(&self) -> f64 {
        let n = self.actions();
        let (mut cycles, mut triples) = (0_u64, 0_u64);
        for a in 0..n {
            for b in a + 1..n {
                for c in b + 1..n {
                    triples += 1;
                    let forward = self.beats(a, b) && self.beats(b, c) && self.beats(c, a);
                    let backward = self.beats(b, a) && self.beats(c, b) && self.beats(a, c);
                    cycles += u64::from(forward || backward);
                }
            }
        }
        if triples == 0 { 0.0 } else { cycles as f64 / triples as f64 }
    }

    /// Strictly, both ways round.
    fn beats(&self, first: usize, second: usize) -> bool {
        self.get(first, second) > 0.5 && self.get(second, first) < 0.5
    }
}
