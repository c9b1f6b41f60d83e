//! Intervals of shares over seeds and prompts.

use slhf_random::SplitMix64;
use slhf_statistics::{Interval, crossed_ratio_of_sums, ratio_of_sums, share_over_seeds};

use crate::world::draws;

/// Logit-normal seeds and prompts around a share, in nats.
struct Design {
    seeds: usize,
    log_odds: f64,
    seed_deviation: f64,
    prompt_deviation: f64,
    /// Trials a prompt, at least 1.
    trials_max: usize,
}

const PROMPTS: usize = 64;

impl Design {
    fn probability(&self, moved: f64) -> f64 {
        1.0 / (1.0 + (-(self.log_odds + moved)).exp())
    }

    fn sums(&self, draws: &mut SplitMix64) -> Vec<Vec<(f64, f64)>> {
        let of_prompt: Vec<(f64, usize)> = (0..PROMPTS)
            .map(|_| {
                let many = 1 + (draws.uniform() * self.trials_max as f64) as usize;
                (self.prompt_deviation * draws.normal(), many.min(self.trials_max))
            })
            .collect();
        (0..self.seeds)
            .map(|_| {
                let of_seed = self.seed_deviation * draws.normal();
                let of = |(moved, many): &(f64, usize)| {
                    let p = self.probability(of_seed + moved);
                    ((0..*many).filter(|_| draws.uniform() < p).count() as f64, *many as f64)
                };
                of_prompt.iter().map(of).collect()
            })
            .collect()
    }

    /// The share over all seeds and prompts.
    fn truth(&self, draws: &mut SplitMix64) -> f64 {
        let many = 20_000;
        let moved =
            |draws: &mut SplitMix64| self.seed_deviation * draws.normal() + self.prompt_deviation * draws.normal();
        (0..many).map(|_| self.probability(moved(draws))).sum::<f64>() / f64::from(many)
    }
}

fn holds(interval: Interval, value: f64) -> bool {
    assert!(interval.low >= 0.0 && interval.high <= 1.0 && interval.high - interval.low > 1e-3, "{interval:?}");
    interval.low <= value && value <= interval.high
}

#[test]
fn intervals_of_shares_hold_them() {
    for seeds in [1, 2, 3, 5] {
        for log_odds in [0.0, 2.0, 4.0] {
            for trials_max in [1, 3] {
                // One training says nothing about others: its own share is the truth.
                let seed_deviation = if seeds == 1 { 0.0 } else { 0.5 };
                let design = Design { seeds, log_odds, seed_deviation, prompt_deviation: 1.0, trials_max };
                let mut draws = draws((100 * seeds + trials_max) as u64);
                let truth = design.truth(&mut draws);
                let experiments = 400;
                let held = (0..experiments)
                    .filter(|_| {
                        let found = crossed_ratio_of_sums(&design.sums(&mut draws)).expect("a share");
                        holds(found.interval.expect("shares have one"), truth)
                    })
                    .count();
                let coverage = held as f64 / f64::from(experiments);
                assert!(coverage >= 0.925, "{seeds} seeds, log-odds {log_odds}, {trials_max} trials: {coverage}");
            }
        }
    }
}

#[test]
fn a_share_of_nothing_or_everything_has_a_width() {
    for share in [0.0, 1.0] {
        let one = vec![(share, 1.0); 64];
        let found = ratio_of_sums(&one).expect("a share").interval.expect("one");
        assert!((found.high - found.low - 0.056_624).abs() < 1e-5, "{found:?}");
        let found = crossed_ratio_of_sums(&[one.clone(), one.clone(), one]).expect("a share").interval.expect("one");
        assert!(found.high - found.low > 0.056, "{found:?}");
    }
}

#[test]
fn equal_degrees_have_a_width_whatever_rounding_makes_of_them() {
    for degree in [0.1, 0.3, 0.7] {
        let one = vec![(degree, 1.0); 64];
        for sums in [vec![one.clone()], vec![one.clone(), one.clone(), one.clone()]] {
            let found = crossed_ratio_of_sums(&sums).expect("a share").interval.expect("one");
            assert!(found.high - found.low > 0.1, "{degree}: {found:?}");
        }
    }
}

/// Of other trainings on the same prompts.
#[test]
fn intervals_of_shares_over_seeds_hold_them() {
    for seeds in [3, 5] {
        for log_odds in [0.0, 2.0, 4.0] {
            let design = Design { seeds, log_odds, seed_deviation: 0.5, prompt_deviation: 0.0, trials_max: 1 };
            let mut draws = draws(7 + seeds as u64);
            let truth = design.truth(&mut draws);
            let experiments = 400;
            let held = (0..experiments)
                .filter(|_| {
                    let share = |row: &Vec<(f64, f64)>| row.iter().map(|(s, _)| s).sum::<f64>() / PROMPTS as f64;
                    let shares: Vec<f64> = design.sums(&mut draws).iter().map(share).collect();
                    holds(share_over_seeds(&shares, PROMPTS).expect("shares").1, truth)
                })
                .count();
            let coverage = held as f64 / f64::from(experiments);
            assert!(coverage >= 0.925, "{seeds} seeds, log-odds {log_odds}: {coverage}");
        }
    }
    assert_eq!(share_over_seeds(&[0.5, 1.5], 64), None);
    let (share, interval) = share_over_seeds(&[1.0; 3], 64).expect("shares");
    assert!(share == 1.0 && interval.high == 1.0 && interval.low < 0.95, "{interval:?}");
}
