//! Circles among the answers to one prompt.

use slhf_statistics::{AnswerTriples, Over, Tournament};

/// Every policy has an answer of its own, and `wins(i, j, seed, prompt)` are the verdicts.
fn all_different(
    [policies, seeds, prompts]: [usize; 3],
    wins: impl FnMut(usize, usize, usize, usize) -> Option<f64>,
) -> AnswerTriples {
    let tournament = Tournament::new(policies, seeds, prompts, wins).expect("probabilities");
    tournament.answer_triples(|policy, _, _| Some(policy))
}

/// 0 beats 1 beats 2 beats 0.
fn circular(i: usize, j: usize) -> f64 {
    if (i, j) == (0, 2) { 0.1 } else { 0.9 }
}

fn ends(found: &AnswerTriples) -> (f64, f64) {
    let interval = found.interval.expect("there are triples");
    (interval.low, interval.high)
}

#[test]
fn rock_paper_scissors_is_all_circles_and_a_scale_none() {
    let found = all_different([3, 2, 5], |i, j, _, _| Some(circular(i, j)));
    assert_eq!((found.total, found.intransitive, found.share), (10, 10, Some(1.0)));
    assert_eq!((found.prompts, found.prompts_with_circle, ends(&found)), (10, 10, (ends(&found).0, 1.0)));
    // Everything is a circle, on five prompts and two seeds: others may have none.
    assert!(ends(&found).0 < 0.6);

    // A policy's place on the scale moves from prompt to prompt: circles of policies may come of it, of answers none.
    let place = |policy: usize, prompt: usize| ((policy + prompt) % 3) as f64;
    let condorcet =
        Tournament::new(3, 2, 3, |i, j, _, prompt| Some(1.0 / (1.0 + (place(j, prompt) - place(i, prompt)).exp())));
    let condorcet = condorcet.expect("probabilities");
    let found = condorcet.answer_triples(|policy, _, _| Some(policy));
    assert_eq!((found.total, found.intransitive, found.prompts_with_circle), (6, 0, 0));
    assert_eq!((found.share, ends(&found)), (Some(0.0), (0.0, ends(&found).1)));
    assert!(ends(&found).1 > 0.1);
}

#[test]
fn a_tie_closes_no_circle_and_rounding_opens_none() {
    for tie in [0.5, 0.5 + 1e-15, 0.5 - 1e-15] {
        let found = all_different([3, 1, 2], |i, j, _, _| Some(if (i, j) == (1, 2) { tie } else { circular(i, j) }));
        assert_eq!((found.total, found.intransitive), (2, 0), "{tie}");
    }
    assert_eq!(all_different([3, 1, 2], |_, _, _, _| Some(0.5)).intransitive, 0);
}

#[test]
fn what_was_not_judged_and_what_was_not_answered_is_left_out() {
    // Of four policies, 0 and 3 were not compared on the first prompt: of four triples, two have all verdicts.
    let found = all_different([4, 1, 2], |i, j, _, prompt| {
        ((i, j, prompt) != (0, 3, 0)).then(|| if j == 3 { 0.9 } else { circular(i, j) })
    });
    assert_eq!((found.total, found.intransitive, found.prompts), (2 + 4, 2, 2));

    let tournament = Tournament::new(3, 1, 2, |i, j, _, _| Some(circular(i, j))).expect("probabilities");
    let found = tournament.answer_triples(|policy, _, prompt| (policy != 1 || prompt == 1).then_some(policy));
    assert_eq!((found.total, found.intransitive, found.prompts, found.prompts_with_circle), (1, 1, 1, 1));

    let found = tournament.answer_triples(|_, _, _| None::<usize>);
    assert_eq!((found.total, found.share, found.interval, found.prompts), (0, None, None, 0));
    assert_eq!(all_different([2, 1, 2], |_, _, _, _| Some(0.9)).share, None);
}

#[test]
fn equal_answers_are_one() {
    // 3 says what 0 says, and 4 what 1 says.
    let texts = ["rock", "scissors", "paper", "rock", "scissors"];
    let of_text = |i: usize, j: usize| match (texts[i], texts[j]) {
        (one, other) if one == other => 0.5,
        ("rock", "scissors") | ("scissors", "paper") | ("paper", "rock") => 0.9,
        _ => 0.1,
    };
    // One verdict that is missing under the first seed.
    let found = |missing: Option<(usize, usize)>| {
        let tournament =
            Tournament::new(5, 2, 3, |i, j, seed, _| (seed == 1 || missing != Some((i, j))).then(|| of_text(i, j)));
        tournament.expect("probabilities").answer_triples(|policy, _, _| Some(texts[policy]))
    };
    assert_eq!((found(None).total, found(None).intransitive), (6, 6));
    // The verdict on the same two answers of other policies stands in.
    assert_eq!(found(Some((0, 1))), found(None));
    // Only 2 says "paper", but two say "rock".
    assert_eq!(found(Some((2, 3))), found(None));
}

#[test]
fn the_interval_is_over_seeds_and_prompts() {
    let with = |is_circle: fn(usize, usize) -> bool| {
        all_different([3, 3, 60], |i, j, seed, prompt| Some(if is_circle(seed, prompt) { circular(i, j) } else { 0.9 }))
    };
    // A third of the prompts, the same ones under every seed: as much as 60 trials say, at two degrees of freedom.
    let found = with(|_, prompt| prompt % 3 == 0);
    let (low, high) = ends(&found);
    assert_eq!((found.share, found.prompts, found.prompts_with_circle), (Some(1.0 / 3.0), 180, 60));
    assert!((low - 0.14).abs() < 0.03 && (high - 0.61).abs() < 0.03, "{low} {high}");
    assert_eq!(found.over, Over::SeedsAndPrompts);
    // One of three seeds: nothing is known about others.
    let (low, high) = ends(&with(|seed, _| seed == 0));
    assert!(low < 0.03 && high > 0.9, "{low} {high}");
    // One training: Wilson's interval of 20 of 60.
    let found = all_different([3, 1, 60], |i, j, _, prompt| Some(if prompt % 3 == 0 { circular(i, j) } else { 0.9 }));
    let (low, high) = ends(&found);
    assert!((low - 0.2273).abs() < 1e-3 && (high - 0.4593).abs() < 1e-3, "{low} {high}");
    assert_eq!(found.over, Over::Prompts);
}
