//! Two policies where both were judged: the common seeds, and the prompts that have a verdict under all of them.

use crate::crossed::{CrossedTable, Located, Over, PooledSeeds};
use crate::share::wilson_variance;

/// The wins of one policy over another, complete.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contest {
    pub(super) first: usize,
    pub(super) second: usize,
    /// Seeds with a verdict, in order.
    pub(super) seeds: Vec<usize>,
    /// Prompts with a verdict under each of these, in order.
    pub(super) prompts: Vec<usize>,
    /// One row a seed; one row in all, its mean over seeds, where neither policy has seeds.
    pub(super) table: CrossedTable,
}

impl Contest {
    /// `None` where nothing is left.
    pub(super) fn of(prompts: usize, (first, second): (usize, usize), values: &[f64]) -> Option<Self> {
        let rows = || values.chunks(prompts);
        let known = |row: &[f64]| row.iter().any(|value| !value.is_nan());
        let seeds: Vec<usize> = rows().enumerate().filter(|(_, row)| known(row)).map(|(seed, _)| seed).collect();
        let at = |seed: usize, prompt: usize| values[seed * prompts + prompt];
        let prompts: Vec<usize> =
            (0..prompts).filter(|&prompt| seeds.iter().all(|&seed| !at(seed, prompt).is_nan())).collect();
        if seeds.is_empty() || prompts.is_empty() {
            return None;
        }
        let kept = seeds.iter().flat_map(|&seed| prompts.iter().map(move |&prompt| at(seed, prompt))).collect();
        let table = CrossedTable::new(seeds.len(), prompts.len(), kept);
        Some(Self { first, second, seeds, prompts, table })
    }

    /// Two policies that say the same under every seed have no seeds: what a judge draws for them is averaged.
    pub(super) fn without_seeds(&mut self) {
        let (seeds, prompts) = (self.table.seeds(), self.table.prompts());
        let mean = |prompt: usize| (0..seeds).map(|seed| self.table.value(seed, prompt)).sum::<f64>() / seeds as f64;
        self.table = CrossedTable::new(1, prompts, (0..prompts).map(mean).collect());
    }

    pub(super) fn over(&self) -> Over {
        Over::seeds(self.table.seeds())
    }

    /// Independent comparisons behind it.
    pub(super) fn verdicts(&self) -> usize {
        self.table.seeds() * self.table.prompts()
    }

    /// Where the win rate lies, by what all pairs say of seeds; `trained` policies have seeds.
    pub(super) fn located(&self, pooled: &PooledSeeds, trained: usize) -> Located {
        let mean = self.table.mean();
        Located {
            mean,
            variance: self.table.variance_of_mean(pooled).max(self.least_variance(mean)),
            degrees_of_freedom: match self.table.seeds() {
                0 | 1 => self.prompts.len() - 1,
                seeds => degrees_of_freedom(trained, seeds),
            },
        }
    }

    /// What so few prompts cannot tell from none: Wilson's variance where all outcomes are equal; otherwise its part that does not
    /// shrink as a rate nears 0 or 1, so that 63 wins of 64 are not more certain than 64 of 64.
    pub(super) fn least_variance(&self, mean: f64) -> f64 {
        let share = if self.table.is_constant() { mean } else { 0.0 };
        wilson_variance(share, self.prompts.len() as f64)
    }

    /// A prompt's mean over seeds of a win less ½.
    pub(super) fn differences(&self, values: &[f64], prompts: usize) -> Vec<f64> {
        let mean = |prompt: usize| {
            let sum: f64 = self.seeds.iter().map(|seed| values[seed * prompts + prompt]).sum();
            sum / self.seeds.len() as f64 - 0.5
        };
        self.prompts.iter().map(|&prompt| mean(prompt)).collect()
    }
}

/// (n − 1)(S − 1) with n policies that seeds move; S − 1 with one of them, which others without seeds are compared with.
pub(super) fn degrees_of_freedom(trained: usize, seeds: usize) -> usize {
    trained.saturating_sub(1).max(1) * (seeds - 1)
}
