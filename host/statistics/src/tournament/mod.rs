//! Policies against each other, under one judge: the win-rate matrix with intervals and corrected p-values, one scale for
//! all, whether one scale can hold them, and cycles.
//!
//! The design is crossed: every policy answered every prompt under every seed, and two policies are compared on the same
//! prompt and seed.
//!
//! Invariant: all results are pure functions of the wins and of [`TournamentSettings`].

mod answers;
mod contest;
mod cycles;
mod misfit;
mod scale;
mod significance;

pub use answers::AnswerTriples;
pub use cycles::{Cycle, Cycles};
pub use scale::{Scale, Score};
pub use significance::holm;

use contest::Contest;

use crate::crossed::{Located, Over, PooledSeeds};
use crate::sample::Interval;
use slhf_random::SplitMix64;

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
    /// All pairs i < j, in order of i, then j.
    contests: Vec<Contest>,
    /// Policies that say the same under every seed.
    fixed: Vec<usize>,
}

/// Which pairs are asked about, and so corrected for together. It is declared before anything is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Every pair.
    #[default]
    All,
    /// The pairs of this policy. The others have no corrected p-value, and none of them is called significant.
    Against(usize),
}

impl Family {
    fn has(self, contest: &Contest) -> bool {
        match self {
            Self::All => true,
            Self::Against(policy) => contest.first == policy || contest.second == policy,
        }
    }
}

/// How much is resampled, and what is corrected for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TournamentSettings {
    /// Bootstrap resamples behind [`Standings::scale_misfit`]: 2,000 by default.
    pub resamples: u32,
    /// Sign flips of a permutation test: 20,000 by default.
    pub flips: u32,
    /// The same seed gives the same results on every machine.
    pub seed: u64,
    /// All pairs by default.
    pub family: Family,
}

impl Default for TournamentSettings {
    fn default() -> Self {
        Self { resamples: 2_000, flips: 20_000, seed: 0, family: Family::All }
    }
}

/// One pair of policies, i < j.
#[derive(Debug, Clone, PartialEq)]
pub struct Matchup {
    /// i
    pub first: usize,
    /// j
    pub second: usize,
    /// Mean over the seeds that both have of i's wins over j, on the prompts that have a verdict under all of them.
    pub win_rate: f64,
    /// 95 %, cut at 0 and 1: Student's t by the variance of the crossed design.
    pub interval: Interval,
    /// Whom the interval and the p-values but [`Self::p_other_prompts`] speak about.
    pub over: Over,
    /// Two-sided, of "neither is preferred", dual to the interval: below 0.05 where that leaves out ½. Not corrected.
    pub p_value: f64,
    /// Corrected over the family (Holm 1979); `None` outside of it.
    pub p_holm: Option<f64>,
    /// Two-sided sign-flip permutation test of "*these* trained policies are exchangeable on other prompts"; not corrected. It says
    /// nothing about other seeds.
    pub p_other_prompts: f64,
    /// Seeds behind it; 1 where neither policy has any.
    pub seeds: usize,
    /// Prompts behind it.
    pub prompts: usize,
    /// Prompts of the field that are left out, for want of a verdict under one of the seeds.
    pub left_out: usize,
    /// Comparisons behind it (seeds × prompts, both orders count once).
    pub n: usize,
}

impl Matchup {
    /// The corrected p-value is below 0.05. Never of one seed: nothing is known there about another training.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.over == Over::SeedsAndPrompts && self.p_holm.is_some_and(|p| p < 0.05)
    }
}

/// Everything at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Standings {
    /// All pairs i < j, in order of i, then j.
    pub matchups: Vec<Matchup>,
    /// All on one scale.
    pub scale: Scale,
    /// `P(log-odds as far from any scale's | one scale explains all win rates)`. Where it is small a scale misfits, which is
    /// no cycle yet.
    pub scale_misfit: f64,
    /// Which policies go round in a circle.
    pub cycles: Cycles,
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
    /// Two that were never compared on equal terms.
    #[error("policies {} and {} have no prompt with a verdict under every seed that they share", first + 1, second + 1)]
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
        let all = Vec::with_capacity(policies * (policies - 1) / 2 * seeds * prompts);
        let mut tournament = Self { policies, seeds, prompts, wins: all, contests: Vec::new(), fixed: Vec::new() };
        for (first, second) in pairs(policies) {
            let before = tournament.wins.len();
            for seed in 0..seeds {
                for prompt in 0..prompts {
                    let value = wins(first, second, seed, prompt);
                    if let Some(value) = value
                        && !(0.0..=1.0).contains(&value)
                    {
                        return Err(TournamentError::NotAProbability { first, second, value });
                    }
                    tournament.wins.push(value.unwrap_or(f64::NAN));
                }
            }
            let contest = Contest::of(&tournament, (first, second), &tournament.wins[before..]);
            tournament.contests.push(contest.ok_or(TournamentError::NeverCompared { first, second })?);
        }
        Ok(tournament)
    }

    /// With these policies, by their places, saying the same under every seed, as a file of responses does: no training is behind them, and
    /// nothing about seeds is learned from a pair of them.
    #[must_use]
    pub fn with_fixed(mut self, policies: &[usize]) -> Self {
        self.fixed = policies.to_vec();
        for contest in &mut self.contests {
            if policies.contains(&contest.first) && policies.contains(&contest.second) {
                contest.without_seeds();
            }
        }
        self
    }

    /// Policies that seeds move.
    fn trained(&self) -> usize {
        self.policies - self.fixed.len()
    }

    /// Win rates, scores, and what is said of scales and cycles.
    #[must_use]
    pub fn standings(&self, settings: &TournamentSettings) -> Standings {
        let mut generator = SplitMix64::new(settings.seed);
        let pooled = PooledSeeds::of(self.contests.iter().map(|contest| &contest.table));
        let located: Vec<Located> =
            self.contests.iter().map(|contest| contest.located(&pooled, self.trained())).collect();
        let matchups = self.matchups(&located, settings, &mut generator);
        let observed: Vec<f64> = located.iter().map(|pair| pair.mean).collect();
        let scale_misfit = misfit::p_value(self, &observed, settings.resamples, &mut generator);
        Standings {
            matchups,
            scale: scale::scale(self, &located),
            scale_misfit,
            cycles: cycles::cycles(self, &located),
        }
    }

    fn matchups(&self, located: &[Located], settings: &TournamentSettings, generator: &mut SplitMix64) -> Vec<Matchup> {
        let p_values: Vec<f64> = located.iter().map(|pair| pair.p_two_sided(0.5)).collect();
        let family: Vec<usize> =
            (0..p_values.len()).filter(|pair| settings.family.has(&self.contests[*pair])).collect();
        let mut corrected = vec![None; p_values.len()];
        let of_family: Vec<f64> = family.iter().map(|pair| p_values[*pair]).collect();
        for (pair, p) in family.into_iter().zip(holm(&of_family)) {
            corrected[pair] = Some(p);
        }
        let matchup = |(pair, contest): (usize, &Contest)| {
            let differences = contest.differences(self.of_pair(pair), self.prompts);
            let interval = located[pair].interval(contest.verdicts());
            Matchup {
                first: contest.first,
                second: contest.second,
                win_rate: located[pair].mean,
                interval: Interval { low: interval.low.max(0.0), high: interval.high.min(1.0), ..interval },
                over: contest.over(),
                p_value: p_values[pair],
                p_holm: corrected[pair],
                p_other_prompts: significance::sign_flips(&differences, settings.flips, generator),
                seeds: contest.table.seeds(),
                prompts: contest.prompts.len(),
                left_out: self.prompts - contest.prompts.len(),
                n: contest.verdicts(),
            }
        };
        self.contests.iter().enumerate().map(matchup).collect()
    }

    fn of_pair(&self, pair: usize) -> &[f64] {
        let many = self.seeds * self.prompts;
        &self.wins[pair * many..(pair + 1) * many]
    }

    /// Win rates of all pairs with weights of seeds and prompts. A pair that nothing is left of keeps what `otherwise` says.
    fn rates(&self, seed_weights: &[f64], prompt_weights: &[f64], otherwise: &[f64]) -> Vec<f64> {
        let rate = |(pair, contest): (usize, &Contest)| {
            let values = self.of_pair(pair);
            let (mut wins, mut weight) = (0.0, 0.0);
            for &seed in contest.seeds.iter().filter(|seed| seed_weights[**seed] > 0.0) {
                let row = &values[seed * self.prompts..(seed + 1) * self.prompts];
                let (mut sum, mut of_prompts) = (0.0, 0.0);
                for &prompt in &contest.prompts {
                    sum += prompt_weights[prompt] * row[prompt];
                    of_prompts += prompt_weights[prompt];
                }
                wins += seed_weights[seed] * sum;
                weight += seed_weights[seed] * of_prompts;
            }
            if weight > 0.0 { wins / weight } else { otherwise[pair] }
        };
        self.contests.iter().enumerate().map(rate).collect()
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
