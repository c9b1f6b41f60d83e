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
mod wins;

pub use answers::AnswerTriples;
pub use cycles::{Cycle, Cycles};
pub use scale::{Scale, Score};
pub use significance::holm;
pub use wins::{Tournament, TournamentError};

use contest::Contest;

use crate::crossed::{Located, Over, PooledSeeds};
use crate::sample::Interval;
use slhf_random::SplitMix64;

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
    /// Whether it has the pair of these two.
    #[must_use]
    pub fn has(self, first: usize, second: usize) -> bool {
        match self {
            Self::All => true,
            Self::Against(policy) => first == policy || second == policy,
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

impl Tournament {
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
        let family: Vec<usize> = (0..p_values.len())
            .filter(|pair| settings.family.has(self.contests[*pair].first, self.contests[*pair].second))
            .collect();
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
}
