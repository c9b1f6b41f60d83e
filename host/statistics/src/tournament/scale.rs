//! One scale for all: Bradley–Terry scores, as Elo points, with intervals.

use super::contest::{Contest, degrees_of_freedom};
use super::wins::{Tournament, pairs};
use crate::crossed::{CrossedTable, Located, Over, PooledSeeds};
use crate::logistic::sigmoid;
use crate::sample::Interval;

/// Newton steps at most: quadratic convergence takes a handful.
const STEPS_MAX: u32 = 100;
/// Halvings of one step at most.
const HALVINGS_MAX: u32 = 60;
/// The largest slope at which a fit stands, in wins a pair.
const SLOPE_MAX: f64 = 1e-11;
/// Elo points a nat of log-odds.
const ELO_PER_NAT: f64 = 400.0 / std::f64::consts::LN_10;

/// A policy's place on the Bradley–Terry scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Elo points, 400 · log₁₀ of odds, centered over the policies.
    pub elo: f64,
    /// 95 %: the fit linearized in the win rates, over the crossed design as a win rate's interval.
    pub interval: Interval,
}

/// All policies' scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// One a policy.
    pub scores: Vec<Score>,
    /// Whether the fit stands where its slope is 0, to rounding. The scores are not to be used where it does not.
    pub converged: bool,
    /// Whom the intervals speak about.
    pub over: Over,
}

/// The maximum-likelihood fit of all rates, every pair weighing alike.
struct Fit {
    /// Log-odds, centered, `[n]`.
    scores: Vec<f64>,
    /// The inverse of the information plus a constant in every entry, `[n × n]`: how scores answer wins.
    inverse: Vec<f64>,
    converged: bool,
}

/// Scores, by the contests' rates. Every pair has one virtual tie beside its comparisons, so that a policy that never lost has a
/// finite score.
pub(super) fn scale(tournament: &Tournament, located: &[Located]) -> Scale {
    let policies = tournament.policies;
    let ties: Vec<f64> = tournament.contests.iter().map(|contest| 1.0 / (contest.verdicts() as f64 + 1.0)).collect();
    let rates: Vec<f64> = located.iter().zip(&ties).map(|(pair, tie)| (1.0 - tie) * pair.mean + 0.5 * tie).collect();
    let fit = fit(policies, &rates);
    let answers = |policy: usize, pair: usize, (i, j): (usize, usize)| {
        let row = &fit.inverse[policy * policies..(policy + 1) * policies];
        (1.0 - ties[pair]) * (row[i] - row[j]) * ELO_PER_NAT
    };
    let tables: Vec<CrossedTable> = (0..policies)
        .map(|policy| {
            let slopes: Vec<f64> = pairs(policies).enumerate().map(|(pair, of)| answers(policy, pair, of)).collect();
            linearized(tournament, &slopes)
        })
        .collect();
    let moved = tables.iter().enumerate().filter(|(policy, _)| !tournament.fixed.contains(policy));
    let pooled = PooledSeeds::of(moved.map(|(_, table)| table));
    let seeds = tables.first().map_or(1, CrossedTable::seeds);
    let score = |(policy, table): (usize, &CrossedTable)| {
        // What the pairs' rates are less certain of than their tables say.
        let unseen: f64 = pairs(policies)
            .enumerate()
            .map(|(pair, of)| {
                let contest = &tournament.contests[pair];
                let least = contest.least_variance(located[pair].mean);
                answers(policy, pair, of).powi(2)
                    * (least - contest.table.variance_of_mean(&PooledSeeds::default())).max(0.0)
            })
            .sum();
        let found = Located {
            mean: fit.scores[policy] * ELO_PER_NAT,
            variance: table.variance_of_mean(&pooled) + unseen,
            degrees_of_freedom: if seeds < 2 {
                table.prompts() - 1
            } else {
                degrees_of_freedom(tournament.trained(), seeds)
            },
        };
        Score { elo: found.mean, interval: found.interval(seeds * table.prompts()) }
    };
    let scores = tables.iter().enumerate().map(score).collect();
    Scale { scores, converged: fit.converged, over: Over::seeds(seeds) }
}

/// How far each seed and prompt moves a function of the rates with these slopes, one a pair. What a contest leaves out moves
/// nothing, and what it has weighs the more.
fn linearized(tournament: &Tournament, slopes: &[f64]) -> CrossedTable {
    let seeds = seeds_of_any(&tournament.contests);
    let mut values = vec![0.0; seeds.len() * tournament.prompts];
    for ((pair, contest), slope) in tournament.contests.iter().enumerate().zip(slopes) {
        let wins = tournament.of_pair(pair);
        let mean = contest.table.mean();
        let weight = slope * values.len() as f64 / (contest.seeds.len() * contest.prompts.len()) as f64;
        for (row, seed) in seeds.iter().enumerate().filter(|(_, seed)| contest.seeds.contains(seed)) {
            for prompt in &contest.prompts {
                let at = row * tournament.prompts + prompt;
                values[at] += weight * (wins[seed * tournament.prompts + prompt] - mean);
            }
        }
    }
    CrossedTable::new(seeds.len(), tournament.prompts, values)
}

fn seeds_of_any(contests: &[Contest]) -> Vec<usize> {
    let mut seeds: Vec<usize> = contests.iter().flat_map(|contest| contest.seeds.iter().copied()).collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

/// Newton's method with halved steps on `Σ −w ln σ(θ_i − θ_j) − (1 − w) ln σ(θ_j − θ_i)`, convex, and strictly so across the
/// constants, which are held at 0. All `rates`, one a pair i < j, lie in (0, 1).
fn fit(policies: usize, rates: &[f64]) -> Fit {
    let mut scores = vec![0.0; policies];
    let mut slope = slopes(policies, rates, &scores);
    for _ in 0..STEPS_MAX {
        if largest(&slope) <= SLOPE_MAX {
            break;
        }
        let inverse = inverse_information(policies, &scores);
        let step: Vec<f64> = inverse.chunks(policies).map(|row| dot(row, &slope)).collect();
        let before = largest(&slope);
        let mut length = 1.0;
        for _ in 0..HALVINGS_MAX {
            let moved: Vec<f64> = scores.iter().zip(&step).map(|(score, step)| score - length * step).collect();
            let there = slopes(policies, rates, &moved);
            if largest(&there) < before {
                (scores, slope) = (moved, there);
                break;
            }
            length /= 2.0;
        }
        if largest(&slope) >= before {
            break;
        }
    }
    let mean = scores.iter().sum::<f64>() / policies as f64;
    for score in &mut scores {
        *score -= mean;
    }
    // Rounding may hold a slope above the bar at which steps stop.
    let converged = largest(&slope) <= 1e3 * SLOPE_MAX && scores.iter().all(|score| score.is_finite());
    Fit { inverse: inverse_information(policies, &scores), scores, converged }
}

/// Of the loss, `[n]`.
fn slopes(policies: usize, rates: &[f64], scores: &[f64]) -> Vec<f64> {
    let mut slopes = vec![0.0; policies];
    for ((i, j), rate) in pairs(policies).zip(rates) {
        let excess = sigmoid(scores[i] - scores[j]) - rate;
        slopes[i] += excess;
        slopes[j] -= excess;
    }
    slopes
}

/// `(H + 1)⁻¹`, H the Hessian of the loss: positive definite, since every pair was compared. By Gauss and Jordan; no pivot is
/// needed, and a field has dozens of policies at most.
fn inverse_information(policies: usize, scores: &[f64]) -> Vec<f64> {
    let mut left = vec![1.0; policies * policies];
    for (i, j) in pairs(policies) {
        let difference = scores[i] - scores[j];
        let curvature = sigmoid(difference) * sigmoid(-difference);
        left[i * policies + i] += curvature;
        left[j * policies + j] += curvature;
        left[i * policies + j] -= curvature;
        left[j * policies + i] -= curvature;
    }
    let mut right = vec![0.0; policies * policies];
    for at in 0..policies {
        right[at * policies + at] = 1.0;
    }
    for pivot in 0..policies {
        let by = left[pivot * policies + pivot];
        for column in 0..policies {
            left[pivot * policies + column] /= by;
            right[pivot * policies + column] /= by;
        }
        for row in (0..policies).filter(|row| *row != pivot) {
            let factor = left[row * policies + pivot];
            for column in 0..policies {
                left[row * policies + column] -= factor * left[pivot * policies + column];
                right[row * policies + column] -= factor * right[pivot * policies + column];
            }
        }
    }
    right
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_stands_where_no_win_is_left_over() {
        // Scores 12 nats apart, and a policy that all but never loses: the fixed-point iteration took thousands of rounds.
        let scale = [12.0, 0.0, -12.0, 11.0];
        let rates: Vec<f64> = pairs(4).map(|(i, j)| sigmoid(scale[i] - scale[j])).collect();
        let found = fit(4, &rates);
        let mean = scale.iter().sum::<f64>() / 4.0;
        assert!(found.converged);
        for (found, expected) in found.scores.iter().zip(scale) {
            assert!((found - (expected - mean)).abs() < 1e-5, "{found} {expected}");
        }
        let cyclic = fit(3, &[0.9, 0.1, 0.9]);
        assert!(cyclic.converged && largest(&cyclic.scores) < 1e-10);
    }

    #[test]
    fn scores_answer_rates_as_differences_say() {
        let rates = [0.7, 0.4, 0.8, 0.35, 0.6, 0.9];
        let found = fit(4, &rates);
        for (pair, (i, j)) in pairs(4).enumerate() {
            let moved = |by: f64| {
                let mut rates = rates;
                rates[pair] += by;
                fit(4, &rates).scores
            };
            let (up, down) = (moved(1e-5), moved(-1e-5));
            for policy in 0..4 {
                let slope = (up[policy] - down[policy]) / 2e-5;
                let row = &found.inverse[policy * 4..(policy + 1) * 4];
                assert!((slope - (row[i] - row[j])).abs() < 1e-6, "{pair} {policy}");
            }
        }
    }
}
