//! The hierarchical bootstrap: seeds, then prompts.

use super::Tournament;
use crate::random::SplitMix64;

pub(super) struct Resampling<'a> {
    pub(super) tournament: &'a Tournament,
    pub(super) observed: &'a [f64],
}

impl Resampling<'_> {
    /// Win rates of all pairs, resample by resample. `n − 1` of `n` seeds and of `n` prompts are drawn with replacement
    /// (Rao & Wu 1988): with three seeds the usual `n` of `n` would understate their variance by a third. One seed stays
    /// as it is: then the interval is over prompts alone.
    pub(super) fn draw(&self, resamples: u32, generator: &mut SplitMix64) -> Vec<Vec<f64>> {
        let tournament = self.tournament;
        (0..resamples.max(1))
            .map(|_| {
                let seeds = weights(tournament.seeds, generator);
                let prompts = weights(tournament.prompts, generator);
                tournament.rates(&seeds, &prompts, Some(self.observed))
            })
            .collect()
    }
}

/// How often each of `many` was drawn.
pub(super) fn weights(many: usize, generator: &mut SplitMix64) -> Vec<f64> {
    if many < 2 {
        return vec![1.0; many];
    }
    let mut drawn = vec![0.0; many];
    for _ in 1..many {
        drawn[generator.below(many)] += 1.0;
    }
    drawn
}
