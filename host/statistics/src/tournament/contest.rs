//! Two policies where both were judged: the common seeds, and the prompts that have a verdict under all of them.

use super::Tournament;
use crate::crossed::{CrossedTable, Located, Over};
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
    pub(super) table: CrossedTable,
}

impl Contest {
    /// `None` where nothing is left.
    pub(super) fn of(tournament: &Tournament, (first, second): (usize, usize), values: &[f64]) -> Option<Self> {
        let rows = || values.chunks(tournament.prompts);
        let known = |row: &[f64]| row.iter().any(|value| !value.is_nan());
        let seeds: Vec<usize> = rows().enumerate().filter(|(_, row)| known(row)).map(|(seed, _)| seed).collect();
        let at = |seed: usize, prompt: usize| values[seed * tournament.prompts + prompt];
        let prompts: Vec<usize> =
            (0..tournament.prompts).filter(|&prompt| seeds.iter().all(|&seed| !at(seed, prompt).is_nan())).collect();
        if seeds.is_empty() || prompts.is_empty() {
            return None;
        }
        let kept = seeds.iter().flat_map(|&seed| prompts.iter().map(move |&prompt| at(seed, prompt))).collect();
        let table = CrossedTable::new(seeds.len(), prompts.len(), kept);
        Some(Self { first, second, seeds, prompts, table })
    }

    pub(super) fn over(&self) -> Over {
        Over::seeds(self.seeds.len())
    }

    pub(super) fn verdicts(&self) -> usize {
        self.seeds.len() * self.prompts.len()
    }

    /// Where the win rate lies, by what all pairs say of seeds (`pooled`, see [`CrossedTable::variance_of_mean`]).
    pub(super) fn located(&self, pooled: f64, policies: usize) -> Located {
        let mean = self.table.mean();
        Located {
            mean,
            variance: self.table.variance_of_mean(pooled).max(self.least_variance(mean)),
            degrees_of_freedom: match self.seeds.len() {
                0 | 1 => self.prompts.len() - 1,
                seeds => (policies - 1) * (seeds - 1),
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
