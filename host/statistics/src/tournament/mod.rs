//! Policies against each other, under one judge: the win-rate matrix with intervals and corrected p-values, one scale for
//! all, and whether one scale can hold them.
//!
//! The design is crossed: every policy answered every prompt under every seed, and two policies are compared on the same
//! prompt and seed. What is resampled follows it: seeds, then prompts, the same ones for all policies.
//!
//! Invariant: all results are pure functions of the wins and of [`TournamentSettings::seed`].

mod answers;
mod resampling;
mod scale;
mod significance;
mod triples;

pub use answers::AnswerTriples;
pub use significance::holm;

pub(crate) use resampling::weights;

use resampling::Resampling;

use crate::bootstrap::quantile;
use crate::random::SplitMix64;
use crate::sample::{Interval, Level};

/// Wins of policies over each other.
///
/// `wins(i, j)`, for i < j, has one value a seed and prompt: the probability that i's answer is preferred to j's, both
/// orders of presentation averaged; NaN where there is no verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Tournament {
    policies: usize,
    seeds: usize,
    prompts: usize,
    wins: Vec<f64>,
}

/// How much is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TournamentSettings {
    /// Bootstrap resamples: 2,000 by default.
    pub resamples: u32,
    /// Sign flips of a permutation test: 20,000 by default.
    pub flips: u32,
    /// The same seed gives the same results on every machine.
    pub seed: u64,
}

impl Default for TournamentSettings {
    fn default() -> Self {
        Self { resamples: 2_000, flips: 20_000, seed: 0 }
    }
}

/// One pair of policies, i < j.
#[derive(Debug, Clone, PartialEq)]
pub struct Matchup {
    /// i
    pub first: usize,
    /// j
    pub second: usize,
    /// Mean over seeds of the mean over prompts of i's wins over j.
    pub win_rate: f64,
    /// 95 %, by the hierarchical bootstrap.
    pub interval: Interval,
    /// Two-sided sign-flip permutation test over prompts of "the two are exchangeable"; not corrected.
    pub p_value: f64,
    /// Corrected over all pairs (Holm 1979).
    pub p_holm: f64,
    /// Verdicts behind it (seeds × prompts, both orders count once).
    pub n: usize,
}

impl Matchup {
    /// The corrected p-value is below 0.05 and the interval leaves ½ out: both the prompts and the seeds say so.
    pub fn is_significant(&self) -> bool {
        self.p_holm < 0.05 && !(self.interval.low..=self.interval.high).contains(&0.5)
    }
}

/// A policy's place on the Bradley–Terry scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Elo points, 400 · log₁₀ of odds, centred over the policies.
    pub elo: f64,
    /// 95 %, by the same bootstrap.
    pub interval: Interval,
}

/// Whether "better" goes round in circles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triples {
    /// Triples of policies.
    pub total: usize,
    /// Those in which each beats the next.
    pub intransitive: usize,
    /// `P(at least as much cyclic strength | one scale holds all policies)`; 1 with fewer than three policies.
    pub p_value: f64,
}

impl Triples {
    /// The share of intransitive triples; 0 without any triple.
    pub fn share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.intransitive as f64 / self.total as f64 }
    }
}

/// Everything at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Standings {
    /// All pairs i < j, in order of i, then j.
    pub matchups: Vec<Matchup>,
    /// One a policy.
    pub scores: Vec<Score>,
    /// Of the field.
    pub triples: Triples,
}

/// Why a tournament was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TournamentError {
    /// Nobody to compare with.
    #[error("a comparison needs two policies or more; there are {policies}")]
    TooFew {
        /// How many.
        policies: usize,
    },
    /// Two that were never compared.
    #[error("policies {} and {} have no verdict on any common seed and prompt", first + 1, second + 1)]
    NeverCompared {
        /// One, from 0.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A value that is no probability.
    #[error("a win of policy {} over policy {} is {value}; expected a number from 0 to 1", first + 1, second + 1)]
    NotAProbability {
        /// One, from 0.
        first: usize,
        /// The other.
        second: usize,
        /// What was found.
        value: f64,
    },
}

impl Tournament {
    /// Asks `wins(i, j, seed, prompt)` for all i < j; `None` where there is no verdict.
    pub fn new(
        policies: usize,
        seeds: usize,
        prompts: usize,
        mut wins: impl FnMut(usize, usize, usize, usize) -> Option<f64>,
    ) -> Result<Self, TournamentError> {
        if policies < 2 {
            return Err(TournamentError::TooFew { policies });
        }
        let mut all = Vec::with_capacity(policies * (policies - 1) / 2 * seeds * prompts);
        for (first, second) in pairs(policies) {
            let before = all.len();
            for seed in 0..seeds {
                for prompt in 0..prompts {
                    let value = wins(first, second, seed, prompt);
                    if let Some(value) = value
                        && !(0.0..=1.0).contains(&value)
                    {
                        return Err(TournamentError::NotAProbability { first, second, value });
                    }
                    all.push(value.unwrap_or(f64::NAN));
                }
            }
            if all[before..].iter().all(|value| value.is_nan()) {
                return Err(TournamentError::NeverCompared { first, second });
            }
        }
        Ok(Self { policies, seeds, prompts, wins: all })
    }

    /// Intervals, p-values, scores and triples.
    pub fn standings(&self, settings: &TournamentSettings) -> Standings {
        let mut generator = SplitMix64::new(settings.seed);
        let observed = self.rates(&vec![1.0; self.seeds], &vec![1.0; self.prompts], None);
        let resampling = Resampling { tournament: self, observed: &observed };
        let resampled = resampling.draw(settings.resamples, &mut generator);
        let intervals = columns(&resampled, observed.len());
        let mut p_values = Vec::with_capacity(observed.len());
        for pair in 0..observed.len() {
            p_values.push(significance::sign_flips(&self.differences(pair), settings.flips, &mut generator));
        }
        let corrected = holm(&p_values);
        let matchups = pairs(self.policies)
            .enumerate()
            .map(|(pair, (first, second))| Matchup {
                first,
                second,
                win_rate: observed[pair],
                interval: interval(&intervals[pair], self.of_pair(pair).len()),
                p_value: p_values[pair],
                p_holm: corrected[pair],
                n: self.of_pair(pair).iter().filter(|value| !value.is_nan()).count(),
            })
            .collect();
        Standings {
            matchups,
            scores: self.scores(&observed, &resampled),
            triples: triples::triples(self.policies, &observed, &resampled),
        }
    }

    fn scores(&self, observed: &[f64], resampled: &[Vec<f64>]) -> Vec<Score> {
        let weight = (self.seeds * self.prompts) as f64;
        let point = scale::elo(self.policies, observed, weight);
        let drawn: Vec<Vec<f64>> = resampled.iter().map(|rates| scale::elo(self.policies, rates, weight)).collect();
        let columns = columns(&drawn, self.policies);
        point
            .into_iter()
            .zip(columns)
            .map(|(elo, drawn)| Score { elo, interval: interval(&drawn, self.seeds * self.prompts) })
            .collect()
    }

    fn of_pair(&self, pair: usize) -> &[f64] {
        let many = self.seeds * self.prompts;
        &self.wins[pair * many..(pair + 1) * many]
    }

    /// A prompt's mean over seeds of a win less ½; prompts without a verdict left out.
    fn differences(&self, pair: usize) -> Vec<f64> {
        let values = self.of_pair(pair);
        (0..self.prompts)
            .filter_map(|prompt| {
                let known: Vec<f64> = (0..self.seeds)
                    .map(|seed| values[seed * self.prompts + prompt])
                    .filter(|value| !value.is_nan())
                    .collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64 - 0.5)
            })
            .collect()
    }

    /// Mean over seeds of the mean over prompts, for every pair, with weights of both. A pair that nothing is left of keeps
    /// what `otherwise` says.
    fn rates(&self, seed_weights: &[f64], prompt_weights: &[f64], otherwise: Option<&[f64]>) -> Vec<f64> {
        let count = self.policies * (self.policies - 1) / 2;
        (0..count)
            .map(|pair| {
                let values = self.of_pair(pair);
                let (mut sum, mut weight) = (0.0, 0.0);
                for (seed, own) in seed_weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                    let row = &values[seed * self.prompts..(seed + 1) * self.prompts];
                    let (mut wins, mut prompts) = (0.0, 0.0);
                    for (value, prompt) in row.iter().zip(prompt_weights).filter(|(value, _)| !value.is_nan()) {
                        wins += prompt * value;
                        prompts += prompt;
                    }
                    if prompts > 0.0 {
                        sum += own * wins / prompts;
                        weight += own;
                    }
                }
                if weight > 0.0 { sum / weight } else { otherwise.map_or(f64::NAN, |rates| rates[pair]) }
            })
            .collect()
    }
}

/// All i < j.
fn pairs(policies: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..policies).flat_map(move |first| (first + 1..policies).map(move |second| (first, second)))
}

/// Where (i, j), i < j, stands in the order of [`pairs`].
fn place(policies: usize, first: usize, second: usize) -> usize {
    first * (2 * policies - first - 1) / 2 + second - first - 1
}

/// The rate of i over j whichever comes first.
fn rate(policies: usize, rates: &[f64], first: usize, second: usize) -> f64 {
    if first < second { rates[place(policies, first, second)] } else { 1.0 - rates[place(policies, second, first)] }
}

fn columns(rows: &[Vec<f64>], width: usize) -> Vec<Vec<f64>> {
    let mut columns: Vec<Vec<f64>> = (0..width).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
    for column in &mut columns {
        column.sort_by(f64::total_cmp);
    }
    columns
}

fn interval(sorted: &[f64], n: usize) -> Interval {
    let tail = (1.0 - Level::PERCENT_95.get()) / 2.0;
    Interval { low: quantile(sorted, tail), high: quantile(sorted, 1.0 - tail), level: Level::PERCENT_95, n }
}
