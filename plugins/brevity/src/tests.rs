use slhf_sdk::{Message, parameters};

use super::*;

const PROMPT: &str = "Why is the sky blue?";
const GOOD: &str = "The sky looks blue because air scatters short wavelengths of sunlight best.";

fn judge(json: &str) -> Result<Brevity, Failure> {
    parameters::read(json).and_then(Brevity::new)
}

fn cut_off(text: &str) -> Response {
    Response { finished: false, ..Response::new(text) }
}

fn probability(first: Response, second: Response) -> f64 {
    let judge = judge("{}").unwrap();
    let comparison = Comparison::new(PROMPT, first, second);
    let straight = judge.compare(&comparison).unwrap().probability;
    let swapped = judge.compare(&comparison.swapped()).unwrap().probability;
    assert_eq!(straight + swapped, 1.0, "complementary");
    straight
}

#[test]
fn the_better_answer_wins() {
    let long = "The sky looks blue because air scatters short wavelengths of sunlight best, and because the light \
                that reaches our eyes from every part of it has been scattered many times on its way through the \
                whole atmosphere above us.";
    let check = |worse: Response| {
        let p = probability(Response::new(GOOD), worse.clone());
        assert!(p > 0.7, "{p} against {worse:?}");
    };
    check(Response::new(long));
    check(Response::new("Air scatters short wavelengths of light best, as physics has shown."));
    check(cut_off("The sky looks blue because air scatters short wavelengths of sunlight"));
    check(Response::new(""));
    check(Response::new("Yes."));
    check(Response::new("Physics."));
    check(Response::new("sky blue sky blue sky blue sky blue sky blue"));
    check(Response::new("sky sky sky sky sky sky sky"));
    // The prompt said back adds nothing.
    check(Response::new(PROMPT));
    check(Response::new("The sky is blue."));
}

#[test]
fn length_costs_smoothly_beyond_the_budget() {
    let judge = judge(r#"{"words_target": 4, "words_max": 8}"#).unwrap();
    let words = ["one", "two", "six", "red", "cow", "mat", "sun", "oak", "elm", "ash", "fig", "pea"];
    let length = |count: usize| {
        let response = Response::new(words[..count].join(" "));
        Measures::of(&judge.parameters, &[], &response).length
    };
    let lengths: Vec<f64> = (1..=12).map(length).collect();
    assert_eq!(lengths[..4], [1.0; 4]);
    assert!(lengths[3..].windows(2).all(|pair| pair[1] < pair[0]), "{lengths:?}");
    assert_eq!(lengths[7], 0.5, "half is lost at words_max");
}

#[test]
fn the_verdict_says_why() {
    let verdict = judge("{}")
        .unwrap()
        .compare(&Comparison::new(PROMPT, Response::new(GOOD), cut_off("Light is scattered by the air.")))
        .unwrap();
    let votes: Vec<(&str, f64, &str)> =
        verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value, vote.reason.as_str())).collect();
    assert_eq!(
        votes[1..4],
        [
            ("length", 0.5, "12 words against 6 words"),
            ("coverage", 1.0, "2 of 2 content words against 0 of 2 content words (no \"ski\")"),
            ("finished", 1.0, "finished against cut off"),
        ]
    );
    assert_eq!(votes[0], ("score", verdict.probability, "1.000 against 0.500"));
    assert!(votes.iter().all(|(_, vote, _)| (0.0..=1.0).contains(vote)));
}

#[test]
fn what_the_user_said_last_is_what_counts() {
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let messages =
        vec![message("user", "Tell me about bread."), message("assistant", "Flour."), message("user", PROMPT)];
    let comparison = Comparison {
        messages,
        ..Comparison::new("Tell me about bread.", Response::new(GOOD), Response::new("Bread is baked from flour."))
    };
    let verdict = judge("{}").unwrap().compare(&comparison).unwrap();
    assert!(verdict.attributes[2].reason.starts_with("2 of 2"), "{:?}", verdict.attributes[2]);
}

#[test]
fn every_answer_is_an_answer() {
    let judge = judge("{}").unwrap();
    for text in ["\u{0}", "🙂🙂🙂", "''''", &"word ".repeat(200_000), &"é".repeat(1 << 20)] {
        let comparison = Comparison::new("", Response::new(text), Response::new(GOOD));
        let p = judge.compare(&comparison).unwrap().probability;
        assert!((0.0..0.5).contains(&p), "{p}");
    }
}

#[test]
fn bad_parameters_are_named() {
    let check = |json: &str, expect: &str| assert_eq!(judge(json).unwrap_err().reason, expect, "{json}");
    check(r#"{"words_target": 0}"#, "parameter 'words_target' is 0, it must be at least 1");
    check(r#"{"words_target": 30}"#, "parameter 'words_max' is 24, it must be above 'words_target', which is 30");
    check(r#"{"words_min": 13}"#, "parameter 'words_min' is 13, it must not exceed 'words_target', which is 12");
    check(r#"{"scale": 0}"#, "parameter 'scale' is 0, it must be above 0");
    check(r#"{"weights": {"length": -1}}"#, "parameter 'weights.length' is -1, it must be at least 0");
    check(
        r#"{"weights": {"length": 0, "coverage": 0, "finished": 0}}"#,
        "the sum of parameter 'weights' is 0, it must be finite and above 0",
    );
}
