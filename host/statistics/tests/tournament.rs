//! Tournaments whose truth is known.

use proptest::prelude::*;
use slhf_statistics::{Tournament, TournamentError, TournamentSettings, holm};

const QUICK: TournamentSettings = TournamentSettings { resamples: 400, flips: 2_000, seed: 7 };

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
    for (score, expected) in exact.scores.iter().zip(elo) {
        assert!((score.elo - expected).abs() < 0.5, "{score:?} {expected}");
    }
    let noisy = tournament(3, 3, 64, mean).standings(&QUICK);
    assert_eq!((noisy.triples.total, noisy.triples.intransitive), (1, 0));
    assert!(noisy.triples.p_value > 0.5);
    for (score, expected) in noisy.scores.iter().zip(elo) {
        assert!(score.interval.low < expected && expected < score.interval.high, "{score:?} {expected}");
    }
    assert!(noisy.matchups.iter().all(slhf_statistics::Matchup::is_significant));
}

#[test]
fn a_cycle_is_told_from_noise_and_ties_from_wins() {
    let cyclic = |i: usize, j: usize| if (i, j) == (0, 2) { 0.3 } else { 0.7 };
    let found = tournament(3, 3, 64, cyclic).standings(&QUICK);
    assert_eq!((found.triples.intransitive, found.triples.share()), (1, 1.0));
    assert!(found.triples.p_value < 0.01, "{:?}", found.triples);

    // Equal policies: what cycles there are by chance are not stronger than chance makes them.
    let mut claims = 0;
    for shift in 0..20 {
        let even =
            Tournament::new(4, 3, 64, |i, j, seed, prompt| Some(0.5 + 0.6 * noise([i + 10 * shift, j, seed, prompt])));
        let found = even.unwrap().standings(&QUICK);
        claims += usize::from(found.triples.p_value < 0.05);
        claims += found.matchups.iter().filter(|matchup| matchup.is_significant()).count();
    }
    assert!(claims <= 4, "{claims} false claims in 20 fields of equals");
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
    // The prompts alone would call it significant; the seeds do not.
    assert!(disagreed.p_holm < 0.05 && !disagreed.is_significant() && agreed.is_significant());
    // Rao and Wu's variance is that of the mean of three: s/√3 = 0.2/√3 for 0.4, 0.6, 0.8.
    let sd = disagreed.interval.half_width() / 1.96;
    assert!((sd - 0.2 / 3_f64.sqrt()).abs() < 0.03, "{sd}");
}

#[test]
fn a_permutation_test_counts_all_flips() {
    // Five prompts, all won by the same margin: only the two flips that agree are as extreme, 2/32.
    let found = Tournament::new(2, 1, 5, |_, _, _, _| Some(0.75)).unwrap();
    let settings = TournamentSettings { flips: 100_000, ..QUICK };
    let p = found.standings(&settings).matchups[0].p_value;
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
    // A prompt without a verdict is left out.
    let partly = Tournament::new(2, 2, 2, |_, _, seed, prompt| (seed + prompt > 0).then_some(0.75)).unwrap();
    let matchup = &partly.standings(&QUICK).matchups[0];
    assert_eq!((matchup.win_rate, matchup.n), (0.75, 3));
}

proptest! {
    #[test]
    fn turning_the_field_round_turns_the_scores(rates in proptest::collection::vec(0.1..0.9_f64, 3)) {
        let of = |turned: bool| {
            let quick = TournamentSettings { resamples: 10, flips: 10, seed: 1 };
            // In the opposite order (i, j) is the old (2 − j, 2 − i), turned.
            let wins =
                |i: usize, j: usize, _, _| Some(if turned { 1.0 - rates[3 - i - j] } else { rates[i + j - 1] });
            Tournament::new(3, 1, 4, wins).unwrap().standings(&quick).scores
        };
        let (plain, turned) = (of(false), of(true));
        for (one, other) in plain.iter().zip(turned.iter().rev()) {
            prop_assert!((one.elo - other.elo).abs() < 1e-4);
        }
    }
}
