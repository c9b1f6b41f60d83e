//! What is called a cycle, and what a misfit of a scale.

use slhf_random::SplitMix64;
use slhf_statistics::{Family, Tournament, TournamentSettings};

use crate::world::{Verdicts, draws};

const QUICK: TournamentSettings = TournamentSettings { resamples: 200, flips: 1, seed: 7, family: Family::All };
const PROMPTS: usize = 64;

/// A field that one scale holds: its ends are `spread` nats apart.
struct Transitive {
    policies: usize,
    spread: f64,
    seeds: usize,
    /// How far a seed moves a policy, in nats.
    seed_deviation: f64,
    verdicts: Verdicts,
}

impl Transitive {
    fn play(&self, draws: &mut SplitMix64) -> Tournament {
        let last = (self.policies - 1) as f64;
        let moved: Vec<f64> = (0..self.policies * self.seeds).map(|_| self.seed_deviation * draws.normal()).collect();
        Tournament::new(self.policies, self.seeds, PROMPTS, |i, j, seed, _| {
            let place = |policy: usize| self.spread * policy as f64 / last + moved[policy * self.seeds + seed];
            let p = 1.0 / (1.0 + (place(j) - place(i)).exp());
            Some(match self.verdicts {
                Verdicts::Hard => f64::from(u8::from(draws.uniform() < p)),
                Verdicts::Soft => p + 0.4 * p * (1.0 - p) * (draws.uniform() - 0.5),
            })
        })
        .expect("probabilities")
    }
}

/// Shares of experiments with a misfit, and with a cycle.
fn claimed(experiments: u32, mut play: impl FnMut() -> Tournament) -> (f64, f64) {
    let (mut misfits, mut cycles) = (0, 0);
    for _ in 0..experiments {
        let found = play().standings(&QUICK);
        misfits += u32::from(found.scale_misfit < 0.05);
        cycles += u32::from(!found.cycles.found.is_empty());
    }
    (f64::from(misfits) / f64::from(experiments), f64::from(cycles) / f64::from(experiments))
}

#[test]
fn a_field_of_one_scale_is_neither_misfit_nor_cyclic() {
    for policies in [3, 10] {
        for spread in [0.0, 2.0, 4.0] {
            for seeds in [1, 3] {
                // Means of degrees over seeds that differ need have no scale, though every training has one.
                for (verdicts, seed_deviation) in [(Verdicts::Hard, 0.0), (Verdicts::Soft, 0.0), (Verdicts::Hard, 0.25)]
                {
                    let seed_deviation = if seeds > 1 { seed_deviation } else { 0.0 };
                    let field = Transitive { policies, spread, seeds, seed_deviation, verdicts };
                    let mut draws = draws(5);
                    let (misfits, cycles) = claimed(150, || field.play(&mut draws));
                    let cell = format!("{policies} policies, spread {spread}, {seeds} seeds, {verdicts:?}");
                    assert!(misfits <= 0.08, "{cell}: misfit {misfits}");
                    assert!(cycles <= 0.08, "{cell}: cycles {cycles}");
                }
            }
        }
    }
}

#[test]
fn a_cycle_is_found() {
    for (seeds, win_rate, least) in [(1, 0.8, 0.75), (3, 0.8, 0.65)] {
        let mut draws = draws(9);
        let (misfits, cycles) = claimed(150, || {
            let moved: Vec<f64> = (0..3 * seeds).map(|_| 0.06 * draws.normal()).collect();
            Tournament::new(3, seeds, PROMPTS, |i, j, seed, _| {
                let mean = if (i, j) == (0, 2) { 1.0 - win_rate } else { win_rate };
                let p = mean + moved[3 * seed + i] - moved[3 * seed + j];
                Some(f64::from(u8::from(draws.uniform() < p)))
            })
            .expect("probabilities")
        });
        assert!(cycles >= least, "{seeds} seeds: {cycles}");
        assert!(misfits >= 0.9, "{seeds} seeds: {misfits}");
    }
}

/// Margins add up to no 0 around a triple of a transitive field: that is no misfit of a scale, and no cycle.
#[test]
fn a_misfit_is_not_called_a_cycle() {
    // Each of two loses to the next by the same odds, and the first to the third by no more: transitive, and no scale.
    let mut draws = draws(11);
    let (misfits, cycles) = claimed(150, || {
        Tournament::new(3, 3, PROMPTS, |_, _, _, _| Some(f64::from(u8::from(draws.uniform() < 0.85))))
            .expect("probabilities")
    });
    assert!(misfits >= 0.6 && cycles == 0.0, "{misfits} {cycles}");
}

/// What no resample can change is not certain: one prompt, or policies that share one.
#[test]
fn one_prompt_is_no_misfit() {
    for (seeds, others) in [(1, 1), (3, 1), (1, 64), (3, 64)] {
        let mut draws = draws(13);
        let (misfits, cycles) = claimed(100, || {
            // Two of the pairs have one prompt, the third has others too.
            Tournament::new(3, seeds, others, |i, j, _, prompt| {
                let p = 0.2 + 0.6 * draws.uniform();
                (prompt == 0 || (i, j) == (0, 1)).then_some(p)
            })
            .expect("probabilities")
        });
        assert!(misfits <= 0.08 && cycles <= 0.08, "{seeds} seeds, {others} prompts: {misfits} {cycles}");
    }
}
