//! The wins of a crossed design, pair by pair.

use super::contest::Contest;

/// Wins of policies over each other.
///
/// `wins(i, j)`, for i < j, has one value a seed and prompt: the probability that i's answer is preferred to j's, both
/// orders of presentation averaged; NaN where there is no verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Tournament {
    pub(super) policies: usize,
    pub(super) seeds: usize,
    pub(super) prompts: usize,
    wins: Vec<f64>,
    /// All pairs i < j, in order of i, then j.
    pub(super) contests: Vec<Contest>,
    /// Policies that say the same under every seed.
    pub(super) fixed: Vec<usize>,
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
            let contest = Contest::of(prompts, (first, second), &tournament.wins[before..]);
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
    pub(super) fn trained(&self) -> usize {
        self.policies - self.fixed.len()
    }

    pub(super) fn of_pair(&self, pair: usize) -> &[f64] {
        let many = self.seeds * self.prompts;
        &self.wins[pair * many..(pair + 1) * many]
    }

    /// Win rates of all pairs with weights of seeds and prompts. A pair that nothing is left of keeps what `otherwise` says.
    pub(super) fn rates(&self, seed_weights: &[f64], prompt_weights: &[f64], otherwise: &[f64]) -> Vec<f64> {
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
pub(super) fn pairs(policies: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..policies).flat_map(move |first| (first + 1..policies).map(move |second| (first, second)))
}

/// Where (i, j), i < j, stands in the order of [`pairs`].
pub(super) fn place(policies: usize, first: usize, second: usize) -> usize {
    first * (2 * policies - first - 1) / 2 + second - first - 1
}
