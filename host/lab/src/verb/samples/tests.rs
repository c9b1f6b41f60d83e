//! Which pairs are shown, and what of them.

use super::*;

fn said(position: i64, role: &str, round: i64, prompt: &str, probability: f64) -> Completion {
    Completion {
        step: 5,
        position,
        role: Role::parse(role),
        round,
        prompt_id: None,
        prompt: prompt.into(),
        text: format!("{role}'s"),
        finished: true,
        tokens: 3,
        probability: Some(probability),
        reward: None,
        reward_failure: None,
        attributes: vec![("brevity".into(), Some(probability), String::new())],
    }
}

/// The role of y′; empty where there is none.
fn prime(pair: &Pair) -> String {
    pair.y_prime_role.as_ref().map_or_else(String::new, ToString::to_string)
}

#[test]
fn training_rows_are_pairs_of_leader_and_follower() {
    let rows = vec![
        said(0, "leader", 0, "a", 0.25),
        said(1, "follower", 1, "a", 0.75),
        said(2, "leader", 0, "a", 0.5),
        said(3, "follower", 1, "a", 0.5),
    ];
    let pairs = pairs(rows);
    let seen: Vec<_> = pairs.iter().map(|pair| (pair.position, prime(pair), pair.probability)).collect();
    assert_eq!(seen, [(0, "follower".to_owned(), Some(0.25)), (2, "follower".to_owned(), Some(0.5))]);
}

#[test]
fn an_answer_that_was_rewarded_stands_alone_with_its_reward() {
    let rewarded = |reward: Option<f64>, reward_failure: Option<&str>| Completion {
        probability: None,
        reward,
        reward_failure: reward_failure.map(str::to_owned),
        attributes: vec![("words".into(), Some(12.0), "12 of 10".into())],
        ..said(0, "leader", 0, "a", 0.5)
    };
    let story = story(&pairs(vec![rewarded(Some(-0.5), None), rewarded(None, Some("no words"))]));
    for line in ["leader, reward -0.5\n", "words 12.000 (12 of 10)", "leader, failed: no words\n"] {
        assert!(story.contains(line), "{line}: {story}");
    }
}

#[test]
fn an_evaluation_has_a_pair_a_contest_and_p_is_always_that_of_y() {
    let roles = ["leader", "reference", "follower(reference)", "follower(leader)"];
    let rows = roles.iter().zip(0..).map(|(role, position)| {
        said(position, &format!("held-out/{role}"), i64::from(role.starts_with("follower")), "a", 0.75)
    });
    let pairs = pairs(rows.collect());
    let seen: Vec<_> = pairs.iter().map(|pair| (pair.y_role.to_string(), prime(pair), pair.probability)).collect();
    let expected = [
        ("held-out/leader", "held-out/reference", Some(0.75)),
        ("held-out/reference", "held-out/follower(reference)", Some(0.25)),
        ("held-out/leader", "held-out/follower(leader)", Some(0.25)),
    ];
    assert_eq!(seen, expected.map(|(y, z, p)| (y.to_owned(), z.to_owned(), p)));
    assert!(pairs[1].y_prime_role.iter().any(|role| matches(role, "follower")));
    assert!(!matches(&pairs[0].y_role, "follower") && matches(&pairs[0].y_role, "leader"));
}

/// Everybody of an evaluation with two rounds and somebody else's answers: each contest once, whoever stood first in it.
#[test]
fn every_round_and_everybody_elses_answers_are_pairs() {
    let roles = [
        "leader",
        "reference",
        "follower(reference)",
        "follower(leader)",
        "follower^2(reference)",
        "follower^2(leader)",
        "gpt (new)",
        "follower(gpt (new))",
        "follower^2(gpt (new))",
    ];
    let rows = roles.iter().zip(0..).map(|(role, position)| {
        let round = if role.starts_with("follower^2") { 2 } else { i64::from(role.starts_with("follower")) };
        said(position, &format!("held-out/{role}"), round, "a", 0.75)
    });
    let pairs = pairs(rows.collect());
    let plain = |role: String| role.replace("held-out/", "");
    let seen: Vec<_> = pairs
        .iter()
        .map(|pair| (plain(pair.y_role.to_string()), plain(prime(pair)), pair.probability, pair.attributes[0].first))
        .collect();
    let expected = [
        ("leader", "reference", 0.75, Side::Y),
        ("reference", "follower(reference)", 0.25, Side::YPrime),
        ("leader", "follower(leader)", 0.25, Side::YPrime),
        ("reference", "follower^2(reference)", 0.25, Side::YPrime),
        ("leader", "follower^2(leader)", 0.25, Side::YPrime),
        ("leader", "gpt (new)", 0.25, Side::Y),
        ("gpt (new)", "follower(gpt (new))", 0.25, Side::YPrime),
        ("gpt (new)", "follower^2(gpt (new))", 0.25, Side::YPrime),
    ];
    let expected = expected.map(|(y, z, p, first)| (y.to_owned(), z.to_owned(), Some(p), first));
    assert_eq!(seen, expected);
    assert!(pairs.iter().flat_map(|pair| &pair.y_prime_role).filter(|role| matches(role, "follower")).count() == 6);
}

#[test]
fn a_reason_says_who_stood_first() {
    let mut rows = vec![said(0, "held-out/leader", 0, "a", 0.3), said(1, "held-out/follower(leader)", 1, "a", 0.9)];
    rows[1].attributes = vec![("brevity".into(), Some(0.9), "the first is shorter".into())];
    let pairs = pairs(rows);
    assert_eq!(reasons(&pairs[1]), ["y′ first: brevity 0.100 (the first is shorter)"]);
    assert_eq!(reasons(&pairs[0]), ["brevity 0.300"], "nobody to stand before");
}

#[test]
fn an_opponent_that_earlier_versions_recorded_is_a_part_of_its_pair() {
    let pairs = pairs(vec![said(0, "leader", 0, "a", 0.2), said(1, "opponent", 0, "a", 0.8)]);
    let seen: Vec<_> = pairs.iter().map(|pair| (prime(pair), pair.probability)).collect();
    assert_eq!(seen, [("opponent".to_owned(), Some(0.2))]);
}

#[test]
fn answers_of_one_policy_stand_alone() {
    let pairs = pairs(vec![said(0, "leader", 0, "a", 0.1), said(1, "leader", 0, "a", 0.9)]);
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[1].y_prime, None);
    assert_eq!(verdict(&pairs[1]), "mean verdict 0.900");
}

/// What training asked is shown as it was asked, beside the pairs of an evaluation at the same step.
#[test]
fn answers_of_one_policy_are_pairs_where_it_was_recorded_what_was_asked() {
    let rows = vec![
        Completion { probability: None, attributes: Vec::new(), ..said(0, "leader", 0, "a", 0.0) },
        Completion { probability: None, attributes: Vec::new(), ..said(1, "leader", 0, "a", 0.0) },
        Completion { probability: None, attributes: Vec::new(), ..said(2, "leader", 0, "b", 0.0) },
        said(0, "held-out/leader", 0, "c", 0.6),
        said(1, "held-out/reference", 0, "c", 0.4),
    ];
    let asked = |first, second, probability, why: &str| RecordedVerdict {
        first,
        second,
        probability: Some(probability),
        failure: None,
        attributes: vec![("brevity".into(), Some(probability), why.into())],
    };
    let verdicts = [asked(0, 1, 0.9, "the first is shorter"), asked(1, 0, 0.3, "the first is longer")];
    let pairs = recorded_pairs(rows, &verdicts);
    let seen: Vec<_> =
        pairs.iter().map(|pair| (pair.y_role.to_string(), pair.probability, pair.reverse_probability)).collect();
    let expected = [("leader", Some(0.9), Some(0.3)), ("leader", None, None), ("held-out/leader", Some(0.6), None)];
    assert_eq!(seen, expected.map(|(y, there, back)| (y.to_owned(), there, back)));
    assert_eq!(verdict(&pairs[0]), "p(y ≻ y′) = 0.900, p(y′ ≻ y) = 0.300");
    assert_eq!(
        reasons(&pairs[0]),
        ["y first: brevity 0.900 (the first is shorter)", "y′ first: brevity 0.700 (the first is longer)"]
    );
    assert!((pairs[0].win_rate().unwrap() - 0.8).abs() < 1e-12);
}

#[test]
fn a_verdict_that_failed_says_why() {
    let rows = vec![said(0, "leader", 0, "a", 0.5), said(1, "follower", 1, "a", 0.5)];
    let failure = Some("late".to_owned());
    let verdicts = [RecordedVerdict { first: 0, second: 1, probability: None, failure, attributes: Vec::new() }];
    assert_eq!(verdict(&recorded_pairs(rows, &verdicts)[0]), "failed: late");
}
