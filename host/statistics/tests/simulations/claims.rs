//! Which differences are called significant, and what their intervals hold.

use slhf_statistics::{Family, Matchup, TournamentSettings, holm};

use crate::world::{Verdicts, World, draws};

const QUICK: TournamentSettings = TournamentSettings { resamples: 1, flips: 1, seed: 7, family: Family::All };

/// Experiments a cell of equals.
const EXPERIMENTS: usize = 800;
/// The family-wise error that no cell may have.
const ERROR_MAX: f64 = 0.035;

/// What equals were said to be.
#[derive(Debug, Default)]
struct Rates {
    /// Experiments in which some pair was called significant.
    family_wise_error: f64,
    /// Intervals that hold ½.
    coverage: f64,
    /// Elo intervals that hold 0.
    elo_coverage: f64,
}

fn rates(world: &World<'_>, experiments: usize, seed: u64) -> Rates {
    let mut draws = draws(seed);
    let (mut errors, mut held, mut pairs, mut scores) = (0, 0, 0, 0);
    for _ in 0..experiments {
        let found = world.play(&mut draws).standings(&QUICK);
        errors += usize::from(found.matchups.iter().any(Matchup::is_significant));
        pairs += found.matchups.len();
        let holds = |interval: slhf_statistics::Interval, value: f64| interval.low <= value && value <= interval.high;
        held += found.matchups.iter().filter(|matchup| holds(matchup.interval, 0.5)).count();
        scores += found.scale.scores.iter().filter(|score| holds(score.interval, 0.0)).count();
    }
    Rates {
        family_wise_error: errors as f64 / experiments as f64,
        coverage: held as f64 / pairs as f64,
        elo_coverage: scores as f64 / (experiments * world.strengths.len()) as f64,
    }
}

/// Trainings of one and the same method. 2, 3 and 5 seeds; 3 and 10 methods; seeds that move all alike, and some more than others.
fn equals_are_rarely_told_apart_and_intervals_hold(policies: usize) {
    let deviations: [fn(usize) -> f64; 5] =
        [|_| 0.0, |_| 0.035, |_| 0.06, |policy| [0.02, 0.06][policy % 2], |policy| [0.035, 0.06, 0.1][policy % 3]];
    let strengths = vec![0.0; policies];
    // So much a share strays in so many experiments.
    let standard_error = (ERROR_MAX * (1.0 - ERROR_MAX) / EXPERIMENTS as f64).sqrt();
    for seeds in [2, 3, 5] {
        for (number, deviation) in deviations.iter().enumerate() {
            let seed_deviations: Vec<f64> = (0..policies).map(deviation).collect();
            let world = World {
                seeds,
                prompts: 64,
                strengths: &strengths,
                seed_deviations: &seed_deviations,
                prompt_deviation: 0.1,
                verdicts: Verdicts::Hard,
                files: 0,
            };
            let found = rates(&world, EXPERIMENTS, (1_000 * policies + 10 * seeds + number) as u64);
            let cell = format!("{policies} policies, {seeds} seeds, deviations {number}: {found:?}");
            assert!(found.family_wise_error <= ERROR_MAX + 2.0 * standard_error, "{cell}");
            assert!(found.coverage >= 0.959, "{cell}");
            assert!(found.elo_coverage >= 0.945, "{cell}");
        }
    }
}

#[test]
fn three_equals_are_rarely_told_apart() {
    equals_are_rarely_told_apart_and_intervals_hold(3);
}

#[test]
fn ten_equals_are_rarely_told_apart() {
    equals_are_rarely_told_apart_and_intervals_hold(10);
}

/// Files of responses say the same under every seed: they are no trainings that have something to say of seeds.
#[test]
fn files_of_responses_make_no_false_certainty() {
    let strengths = [0.0; 10];
    for (trained, deviation) in [(2, 0.06), (2, 0.1), (5, 0.1)] {
        let seed_deviations = [deviation; 10];
        let world = World {
            seeds: 3,
            prompts: 64,
            strengths: &strengths,
            seed_deviations: &seed_deviations,
            prompt_deviation: 0.1,
            verdicts: Verdicts::Hard,
            files: 10 - trained,
        };
        let found = rates(&world, EXPERIMENTS, trained as u64);
        let cell = format!("{trained} trained, deviation {deviation}: {found:?}");
        let standard_error = (ERROR_MAX * (1.0 - ERROR_MAX) / EXPERIMENTS as f64).sqrt();
        assert!(found.family_wise_error <= ERROR_MAX + 2.0 * standard_error, "{cell}");
        assert!(found.coverage >= 0.945, "{cell}");
    }
}

/// The rule before: sign flips over prompts, which know nothing of seeds. It stays as what it is, and must not be read as more.
#[test]
fn a_test_over_prompts_alone_is_wrong_about_other_seeds() {
    let strengths = [0.0; 10];
    let settings = TournamentSettings { flips: 2_000, ..QUICK };
    for (deviation, least) in [(0.035, 0.1), (0.06, 0.4), (0.1, 0.8)] {
        let seed_deviations = [deviation; 10];
        let world = World {
            seeds: 3,
            prompts: 64,
            strengths: &strengths,
            seed_deviations: &seed_deviations,
            prompt_deviation: 0.0,
            verdicts: Verdicts::Hard,
            files: 0,
        };
        let mut draws = draws(3);
        let experiments = 40;
        let mut claimed = 0;
        for _ in 0..experiments {
            let found = world.play(&mut draws).standings(&settings);
            let of_prompts: Vec<f64> = found.matchups.iter().map(|matchup| matchup.p_other_prompts).collect();
            claimed += usize::from(holm(&of_prompts).iter().any(|p| *p < 0.05));
        }
        let share = f64::from(u32::try_from(claimed).expect("few")) / f64::from(experiments);
        assert!(share > least, "{deviation}: {share}");
    }
}

/// A win rate of .7 against nine equals, seed deviation .06, 64 prompts: some pair of the better one is found.
#[test]
fn what_is_better_is_found() {
    let mut strengths = [0.0; 10];
    strengths[0] = 0.2;
    for (seeds, least) in [(3, 0.4), (5, 0.75)] {
        let world = World {
            seeds,
            prompts: 64,
            strengths: &strengths,
            seed_deviations: &[0.06; 10],
            prompt_deviation: 0.1,
            verdicts: Verdicts::Hard,
            files: 0,
        };
        let mut draws = draws(1);
        let experiments = 200;
        let (mut found, mut wrong) = (0, 0);
        for _ in 0..experiments {
            let standings = world.play(&mut draws).standings(&QUICK);
            let claims = || standings.matchups.iter().filter(|matchup| matchup.is_significant());
            found += usize::from(claims().any(|matchup| matchup.first == 0 && matchup.win_rate > 0.5));
            wrong += usize::from(claims().any(|matchup| matchup.first > 0 || matchup.win_rate < 0.5));
        }
        let share = |count: usize| count as f64 / f64::from(experiments);
        assert!(share(found) >= least, "{seeds} seeds: {}", share(found));
        assert!(share(wrong) <= 0.035, "{seeds} seeds: {} wrong", share(wrong));
    }
}

/// Asked against one policy only, the same evidence finds more pairs.
#[test]
fn a_smaller_family_finds_more() {
    let mut strengths = [0.0; 10];
    strengths[0] = 0.2;
    let world = World {
        seeds: 5,
        prompts: 64,
        strengths: &strengths,
        seed_deviations: &[0.06; 10],
        prompt_deviation: 0.1,
        verdicts: Verdicts::Hard,
        files: 0,
    };
    let mut draws = draws(2);
    let (mut all, mut against) = (0, 0);
    for _ in 0..100 {
        let tournament = world.play(&mut draws);
        let count = |family| {
            let found = tournament.standings(&TournamentSettings { family, ..QUICK }).matchups;
            assert!(
                found.iter().all(|matchup| family == Family::All || matchup.p_holm.is_some() == (matchup.first == 0))
            );
            found.iter().filter(|matchup| matchup.is_significant()).count()
        };
        all += count(Family::All);
        against += count(Family::Against(0));
    }
    assert!(against > all + 50, "{against} against {all}, of 900");
}
