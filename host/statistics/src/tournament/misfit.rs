//! Whether one scale can explain the win rates.
//!
//! A scale gives every policy a number whose differences are the log-odds of all pairs; then the log-odds around every triple add
//! up to 0. What they add up to instead is the curl (Jiang, Lim, Yao & Ye, *Statistical ranking and combinatorial Hodge theory*,
//! 2011). A curl need be no cycle: a field can be transitive and yet have no scale.

use super::contest::Contest;
use super::wins::{Tournament, pairs};
use crate::crossed::PooledSeeds;
use crate::share::wilson_variance;
use slhf_random::SplitMix64;

/// `P(a curl as large | one scale explains all win rates)`, by a bootstrap of the curl itself: how far it strays from the observed one
/// when seeds, then prompts are drawn anew. 1 with fewer than three policies.
pub(super) fn p_value(tournament: &Tournament, observed: &[f64], resamples: u32, generator: &mut SplitMix64) -> f64 {
    if tournament.policies < 3 {
        return 1.0;
    }
    let edges: Vec<Edge> =
        tournament.contests.iter().zip(observed).map(|(contest, rate)| Edge::of(contest, *rate)).collect();
    let log_odds = |rates: &[f64]| -> Vec<f64> {
        rates.iter().zip(&edges).map(|(rate, edge)| smoothed(*rate, edge.trials)).collect()
    };
    let seen = log_odds(observed);
    let curl = squared_curl(tournament.policies, &seen);
    let mut as_large = 1_u32;
    for _ in 0..resamples.max(1) {
        let seeds = weights(tournament.seeds, generator);
        let rates = tournament.rates(&seeds, &weights(tournament.prompts, generator), observed);
        let mut strayed: Vec<f64> = log_odds(&rates).iter().zip(&seen).map(|(drawn, seen)| drawn - seen).collect();
        for (strayed, edge) in strayed.iter_mut().zip(&edges).filter(|(_, edge)| edge.unseen > 0.0) {
            *strayed += edge.unseen * generator.normal();
        }
        as_large += u32::from(squared_curl(tournament.policies, &strayed) >= curl);
    }
    f64::from(as_large) / f64::from(resamples.max(1) + 1)
}

/// How certain a pair's log-odds are.
struct Edge {
    /// Comparisons that the rate is worth: the verdicts, and more where these are degrees that vary less than zeros and ones.
    trials: f64,
    /// Deviation of the log-odds that no resample shows: where all comparisons were alike, or there is one prompt, every resample
    /// has the same rate.
    unseen: f64,
}

impl Edge {
    fn of(contest: &Contest, rate: f64) -> Self {
        let verdicts = contest.verdicts() as f64;
        let prompts = contest.prompts.len();
        if prompts > 1 && !contest.table.is_constant() {
            let variance = contest.table.variance_of_mean(&PooledSeeds::default());
            let worth = rate * (1.0 - rate) / variance.max(f64::MIN_POSITIVE);
            return Self { trials: verdicts.max(worth), unseen: 0.0 };
        }
        let share = (rate * verdicts + 0.5) / (verdicts + 1.0);
        let deviation = wilson_variance(rate, prompts as f64).sqrt();
        Self { trials: verdicts, unseen: deviation / (share * (1.0 - share)) }
    }
}

/// `ln (w n + ½) / (n − w n + ½)`: finite where every comparison was won.
fn smoothed(rate: f64, n: f64) -> f64 {
    let half = 0.5 / n;
    ((rate + half) / (1.0 - rate + half)).ln()
}

/// The sum over all triples of the squared curl of log-odds, one a pair i < j. It is n times the squared distance of the
/// log-odds from the nearest differences of a scale, whose numbers are their row means.
fn squared_curl(policies: usize, log_odds: &[f64]) -> f64 {
    let mut scale = vec![0.0; policies];
    for ((i, j), value) in pairs(policies).zip(log_odds) {
        scale[i] += value / policies as f64;
        scale[j] -= value / policies as f64;
    }
    let rest = pairs(policies).zip(log_odds).map(|((i, j), value)| value - (scale[i] - scale[j]));
    policies as f64 * rest.map(|rest| rest * rest).sum::<f64>()
}

/// How often each of `many` was drawn: `many − 1` draws (Rao & Wu 1988: with three seeds the usual `n` of `n` would understate their
/// variance by a third), or 1 of the only one.
fn weights(many: usize, generator: &mut SplitMix64) -> Vec<f64> {
    if many < 2 {
        return vec![1.0; many];
    }
    let mut drawn = vec![0.0; many];
    for _ in 1..many {
        drawn[generator.below(many)] += 1.0;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curl_is_what_triples_add_up_to() {
        let log_odds: [f64; 6] = [0.3, -1.1, 0.7, 2.0, -0.4, 0.9];
        let at = |i: usize, j: usize| {
            if i < j {
                log_odds[crate::tournament::wins::place(4, i, j)]
            } else {
                -log_odds[crate::tournament::wins::place(4, j, i)]
            }
        };
        let mut expected = 0.0;
        for i in 0..4 {
            for j in i + 1..4 {
                for k in j + 1..4 {
                    expected += (at(i, j) + at(j, k) + at(k, i)).powi(2);
                }
            }
        }
        assert!((squared_curl(4, &log_odds) - expected).abs() < 1e-12);
        let scale = [1.5, -0.25, 0.0, 3.0];
        let of_scale: Vec<f64> = pairs(4).map(|(i, j)| scale[i] - scale[j]).collect();
        assert!(squared_curl(4, &of_scale) < 1e-24);
    }
}
