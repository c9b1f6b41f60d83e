//! Tournaments whose truth is known.

use proptest::prelude::*;
use slhf_statistics::{Family, Over, Tournament, TournamentError, TournamentSettings, holm};

const QUICK: TournamentSettings = TournamentSettings { resamples: 400, flips: 2_000, seed: 7, family: Family::All };

/// Reproducible noise in [−0.5, 0.5], a function of its place.
fn noise(place: [usize; 4]) -> f64 {
    let mut state = place.iter().fold(0x9E37_79B9_7F4A_7C15_u64, |state, part| {
        (state ^ *part as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(29)
    });
    state ^= state >> 31;
    (state.wrapping_mul(0x94D0_49BB_1331_11EB) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// Means per pair with noise of each verdict.
fn tournament(policies: usize, seeds: usize, prompts: usize, mean: impl Fn(usize, usize) -> f64) -> Tournament {
    Tournament::new(policies, seeds, prompts, |i, j, seed, prompt| {
        Some((mean(i, j) + 0.6 * noise([i, j, seed, prompt])).clamp(0.0, 1.0))
    })
    .expect("probabilities of two policies or more")
}

#[test]
fn one_scale_gives_back_its_scores_and_no_cycles() {
    // Odds of 10^(Δ/400) for Elo 200, 0, −200.
    let elo = [200.0, 0.0, -200.0];
    let mean = |i: usize, j: usize| 1.0 / (1.0 + 10_f64.powf((elo[j] - elo[i]) / 400.0));
    let exact = Tournament::new(3, 3, 2_000, |i, j, _, _| Some(mean(i, j))).unwrap().standings(&QUICK);
    for (score, expected) in exact.scale.scores.iter().zip(elo) {
        assert!((score.elo - expected).abs() < 0.5, "{score:?} {expected}");
    }
    let noisy = tournament(3, 3, 64, mean).standings(&QUICK);
    assert_eq!((noisy.cycles.triples, noisy.cycles.found.len()), (1, 0));
    assert!(noisy.scale.converged && noisy.scale_misfit > 0.05, "{}", noisy.scale_misfit);
    for (score, expected) in noisy.scale.scores.iter().zip(elo) {
        assert!(score.interval.low < expected && expected < score.interval.high, "{score:?} {expected}");
    }
    assert!(noisy.matchups.iter().all(slhf_statistics::Matchup::is_significant));
}

#[test]
fn a_cycle_is_told_by_its_policies() {
    for (first, cycle) in [(0.3, [0, 1, 2]), (0.7, [0, 2, 1])] {
        let cyclic = |i: usize, j: usize| if (i, j) == (0, 2) { first } else { 1.0 - first };
        let found = tournament(3, 3, 64, cyclic).standings(&QUICK);
        assert_eq!((found.cycles.found.len(), found.cycles.share()), (1, 1.0));
        assert_eq!((found.cycles.found[0].policies, found.cycles.strongest), (cycle, Some(found.cycles.found[0])));
        assert!(found.cycles.found[0].p_holm < 0.01 && found.scale_misfit < 0.01, "{:?}", found.cycles);
    }
    assert_eq!(tournament(2, 3, 64, |_, _| 0.7).standings(&QUICK).cycles.strongest, None);
}

#[test]
fn the_weakest_edge_decides_on_a_cycle() {
    // Two of three edges are as certain as can be; the third is a tie.
    let found = tournament(3, 3, 64, |i, j| if (i, j) == (0, 2) { 0.5 } else { 0.95 }).standings(&QUICK);
    assert_eq!(found.cycles.found, []);
    let strongest = found.cycles.strongest.expect("three policies");
    assert!(strongest.p_holm > 0.2, "{strongest:?}");
}

#[test]
fn seeds_that_disagree_widen_the_interval() {
    let with = |spread: f64| {
        Tournament::new(2, 3, 64, |_, _, seed, prompt| {
            Some(0.6 + spread * (seed as f64 - 1.0) + 0.2 * noise([0, 1, seed, prompt]))
        })
        .unwrap()
        .standings(&QUICK)
        .matchups
        .remove(0)
    };
    let (agreed, disagreed) = (with(0.0), with(0.2));
    assert!(disagreed.interval.half_width() > 3.0 * agreed.interval.half_width());
    // The prompts alone would call it another policy; the seeds do not.
    assert!(disagreed.p_other_prompts < 0.05 && !disagreed.is_significant() && agreed.is_significant());
    // Student's t at two degrees of freedom, and s/√3 for 0.4, 0.6, 0.8: [0.6 ± 0.497], cut at 1.
    assert!((disagreed.interval.low - 0.103).abs() < 0.03, "{:?}", disagreed.interval);
    assert_eq!(disagreed.interval.high, 1.0);
}

#[test]
fn one_training_is_never_significant() {
    let found = Tournament::new(2, 1, 64, |_, _, _, prompt| Some(0.9 + 0.1 * noise([0, 0, 0, prompt]))).unwrap();
    let matchup = &found.standings(&QUICK).matchups[0];
    assert!(matchup.p_value < 1e-6 && matchup.interval.low > 0.85);
    assert_eq!((matchup.over, matchup.is_significant()), (Over::Prompts, false));
    // One prompt and one seed: nothing is known.
    let found = Tournament::new(2, 1, 1, |_, _, _, _| Some(0.9)).unwrap().standings(&QUICK);
    let matchup = &found.matchups[0];
    assert_eq!((matchup.interval.low, matchup.interval.high, matchup.p_value), (0.0, 1.0, 1.0));
    assert!(found.scale.scores.iter().all(|score| score.interval.low == f64::NEG_INFINITY));
}

#[test]
fn equal_outcomes_are_not_certain() {
    for (value, low, high) in [(1.0, 0.9, 1.0), (0.0, 0.0, 0.1), (0.7, 0.4, 0.97)] {
        let found = Tournament::new(2, 3, 64, |_, _, _, _| Some(value)).unwrap().standings(&QUICK);
        let interval = found.matchups[0].interval;
        assert!(interval.low >= low && interval.high <= high && interval.high - interval.low > 0.05, "{interval:?}");
        // Nor is the scale.
        assert!(found.scale.scores.iter().all(|score| score.interval.half_width() > 20.0), "{:?}", found.scale);
    }
}

#[test]
fn what_lacks_a_verdict_is_left_out_under_every_seed() {
    // The first policy was trained on seeds 0 and 1, the second on 1 and 2; one verdict failed.
    let found = Tournament::new(2, 3, 10, |_, _, seed, prompt| {
        (seed == 1 || (seed == 2 && prompt != 4)).then_some(if prompt == 4 { 0.0 } else { 0.75 })
    });
    let matchup = &found.unwrap().standings(&QUICK).matchups[0];
    assert_eq!((matchup.seeds, matchup.prompts, matchup.left_out, matchup.n), (2, 9, 1, 18));
    assert_eq!(matchup.win_rate, 0.75);
}

#[test]
fn the_order_of_policies_changes_nothing() {
    let value = |a: usize, b: usize, seed: usize, prompt: usize| {
        let strength = |policy: usize| 0.1 * policy as f64 + 0.2 * noise([policy, policy, seed, prompt]);
        0.5 + strength(a) - strength(b)
    };
    let of = |order: [usize; 4]| {
        let wins = |i: usize, j: usize, seed, prompt| Some(value(order[i], order[j], seed, prompt));
        Tournament::new(4, 3, 32, wins).unwrap().standings(&QUICK)
    };
    let (plain, turned) = (of([0, 1, 2, 3]), of([3, 1, 0, 2]));
    let places = [2, 1, 3, 0];
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    for (policy, place) in places.into_iter().enumerate() {
        let (one, other) = (plain.scale.scores[policy], turned.scale.scores[place]);
        assert!(close(one.elo, other.elo) && close(one.interval.low, other.interval.low), "{one:?} {other:?}");
    }
    for matchup in &plain.matchups {
        let (first, second) = (places[matchup.first], places[matchup.second]);
        let pair = (first.min(second), first.max(second));
        let other = turned.matchups.iter().find(|other| (other.first, other.second) == pair).expect("all pairs");
        assert!(close(matchup.p_value, other.p_value) && close(matchup.p_holm.unwrap(), other.p_holm.unwrap()));
        let rate = if first < second { other.win_rate } else { 1.0 - other.win_rate };
        assert!(close(matchup.win_rate, rate));
    }
}

#[test]
fn a_permutation_test_counts_all_flips() {
    // Five prompts, all won by the same margin: only the two flips that agree are as extreme, 2/32.
    let found = Tournament::new(2, 1, 5, |_, _, _, _| Some(0.75)).unwrap();
    let settings = TournamentSettings { flips: 100_000, ..QUICK };
    let p = found.standings(&settings).matchups[0].p_other_prompts;
    assert!((p - 2.0 / 32.0).abs() < 0.003, "{p}");
}

#[test]
fn holm_is_the_published_one() {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    let found = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((found - expected).abs() < 1e-15);
    }
}

#[test]
fn what_is_missing_or_impossible_is_said() {
    let error = |policies, wins: fn(usize, usize, usize, usize) -> Option<f64>| {
        Tournament::new(policies, 2, 2, wins).unwrap_err()
    };
    assert_eq!(error(1, |_, _, _, _| Some(0.5)), TournamentError::TooFew { policies: 1 });
    assert_eq!(error(3, |i, _, _, _| (i == 0).then_some(0.5)), TournamentError::NeverCompared { first: 1, second: 2 });
    assert!(error(2, |_, _, _, _| Some(1.5)).to_string().contains("is 1.5; expected a number from 0 to 1"));
    assert!(error(3, |i, _, _, _| (i == 0).then_some(0.5)).to_string().starts_with("policies 2 and 3 have no prompt"));
    // No prompt has a verdict under both seeds.
    assert!(Tournament::new(2, 2, 2, |_, _, seed, prompt| (seed == prompt).then_some(0.5)).is_err());
}

proptest! {
    #[test]
    fn turning_the_field_round_turns_the_scores(rates in proptest::collection::vec(0.1..0.9_f64, 3)) {
        let of = |turned: bool| {
            let quick = TournamentSettings { resamples: 10, flips: 10, seed: 1, family: Family::All };
            // In the opposite order (i, j) is the old (2 − j, 2 − i), turned.
            let wins =
                |i: usize, j: usize, _, _| Some(if turned { 1.0 - rates[3 - i - j] } else { rates[i + j - 1] });
            Tournament::new(3, 1, 4, wins).unwrap().standings(&quick).scale.scores
        };
        let (plain, turned) = (of(false), of(true));
        for (one, other) in plain.iter().zip(turned.iter().rev()) {
            prop_assert!((one.elo - other.elo).abs() < 1e-9);
        }
    }
}
