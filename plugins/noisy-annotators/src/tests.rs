use super::*;
use slhf_sdk::{Response, parameters};

fn panel(parameters: &str) -> Result<NoisyAnnotators, Failure> {
    parameters::read(parameters).and_then(NoisyAnnotators::new)
}

/// "a" beats anything with 0.9; everything else is a draw.
fn upstream(comparison: &Comparison) -> Result<Verdict, Failure> {
    match (comparison.first.text.as_str(), comparison.second.text.as_str()) {
        ("bad", _) => Err(Failure::new("cannot read bad")),
        ("a", "a") => Ok(Verdict::new(0.5)),
        ("a", _) => Ok(Verdict::new(0.9)),
        (_, "a") => Ok(Verdict::new(0.1)),
        _ => Ok(Verdict::new(0.5)),
    }
}

fn pair(first: &str, second: &str) -> Comparison {
    Comparison::new("Q", Response::new(first), Response::new(second))
}

fn probability(panel: &NoisyAnnotators, comparison: &Comparison) -> f64 {
    panel.compare_over(std::slice::from_ref(comparison), &upstream).unwrap().remove(0).unwrap().probability
}

#[test]
fn expected_shares_shrink_towards_a_half() {
    let check = |error_rate: f64, expected: f64| {
        let panel = panel(&format!(r#"{{"error_rate": {error_rate}, "mode": "expected", "annotators": 5}}"#)).unwrap();
        let p = probability(&panel, &pair("a", "b"));
        assert!((p - expected).abs() < 1e-15, "{error_rate}: {p}");
        assert!((p + probability(&panel, &pair("b", "a")) - 1.0).abs() < 1e-15);
    };
    check(0.0, 0.9);
    check(0.25, 0.7);
    check(0.5, 0.5);
    check(1.0, 0.1);
}

#[test]
fn expected_majorities_are_binomial() {
    let check = |q: f64, annotators, expected: f64| {
        let p = panel::majority_probability(q, annotators);
        assert!((p - expected).abs() < 1e-12, "{q} {annotators}: {p}, expected {expected}");
        assert!((p + panel::majority_probability(1.0 - q, annotators) - 1.0).abs() < 1e-12);
    };
    check(0.3, 1, 0.3);
    check(0.3, 2, 0.3 * 0.3 + 0.3 * 0.7);
    check(0.8, 3, 3.0 * 0.64 * 0.2 + 0.512);
    check(0.5, 1000, 0.5);
    check(0.0, 7, 0.0);
    check(1.0, 7, 1.0);
    check(0.1, 1000, 0.0);
}

#[test]
fn sampled_panels_average_to_the_expected_answer() {
    for aggregate in ["share", "majority"] {
        let with = |mode: &str| {
            let json =
                format!(r#"{{"error_rate": 0.3, "annotators": 3, "aggregate": "{aggregate}", "mode": "{mode}"}}"#);
            panel(&json).unwrap()
        };
        let (sampled, expected) = (with("sampled"), with("expected"));
        for comparison in [pair("a", "b"), pair("b", "a"), pair("b", "c")] {
            let n = 10_000;
            let one = |draw| probability(&sampled, &comparison.clone().with_draw(draw));
            let mean = (0..n).map(one).sum::<f64>() / n as f64;
            let answer = probability(&expected, &comparison);
            // Five standard deviations of a mean of n votes.
            assert!((mean - answer).abs() < 5.0 * 0.5 / (n as f64).sqrt(), "{aggregate}: {mean}, expected {answer}");
        }
    }
}

#[test]
fn the_same_people_say_the_same_the_other_way_round() {
    let panel = panel(r#"{"error_rate": 0.3, "annotators": 4}"#).unwrap();
    for draw in 0..200 {
        let comparison = pair("a", "b").with_draw(draw);
        let p = probability(&panel, &comparison);
        assert_eq!(p, probability(&panel, &comparison), "the same bits twice");
        assert_eq!(p + probability(&panel, &comparison.swapped()), 1.0, "complementary");
    }
    assert_eq!(probability(&panel, &pair("b", "b")), 0.5);
}

#[test]
fn on_a_game_pairs_and_seeds_have_luck_of_their_own() {
    let with_seed = |seed: u64| panel(&format!(r#"{{"error_rate": 0.5, "seed": {seed}}}"#)).unwrap();
    let names: Vec<String> = (0..20).map(|index| format!("action {index}")).collect();
    let tournament = |panel: &NoisyAnnotators| -> Vec<f64> {
        names.iter().flat_map(|first| names.iter().map(|second| probability(panel, &pair(first, second)))).collect()
    };
    let (one, other) = (tournament(&with_seed(1)), tournament(&with_seed(2)));
    assert_eq!(one.iter().filter(|cell| **cell == 1.0).count(), 190, "one winner a pair");
    // 190 fair coins, five standard deviations: how often the earlier name wins, and how often two samples agree.
    let upper = || (0..20).flat_map(|i| (i + 1..20).map(move |j| i * 20 + j));
    let wins = upper().filter(|cell| one[*cell] == 1.0).count();
    let agree = upper().filter(|cell| one[*cell] == other[*cell]).count();
    assert!((61..=129).contains(&wins), "{wins}");
    assert!((61..=129).contains(&agree), "{agree}");
}

#[test]
fn failures_pass_through() {
    let panel = panel(r#"{"error_rate": 0.1}"#).unwrap();
    let outcomes = panel.compare_over(&[pair("bad", "b"), pair("a", "b")], &upstream).unwrap();
    assert_eq!(outcomes[0], Err(Failure::new("cannot read bad")));
    let verdict = outcomes[1].as_ref().unwrap();
    assert_eq!((verdict.attributes[0].name.as_str(), verdict.attributes[0].value), ("without_error", 0.9));
}

#[test]
fn bad_parameters_are_named() {
    let check = |json, expected| assert_eq!(panel(json).unwrap_err().reason, expected);
    check("{}", "the parameters are not right: missing field 'error_rate'");
    check(r#"{"error_rate": 1.5}"#, "parameter 'error_rate' is 1.5, it must be within [0, 1]");
    check(r#"{"error_rate": 0, "annotators": 0}"#, "parameter 'annotators' is 0, it must be from 1 to 1000");
    check(
        r#"{"error_rate": 0, "mode": "sample"}"#,
        "parameter 'mode' is not right: unknown variant 'sample', expected 'sampled' or 'expected'",
    );
}
