//! Preferences in the layouts that people have.

use serde_json::json;
use slhf_data::preferences::{PreferencePair, PreferenceReading, PreferenceSplit, Preferences, parse_preferences};
use slhf_plan::{OnBadRow, PairLayout};

fn reading(layout: PairLayout) -> PreferenceReading {
    PreferenceReading { layout, ..PreferenceReading::default() }
}

fn parsed(layout: PairLayout, rows: &[serde_json::Value]) -> Preferences {
    try_parsed(&reading(layout), rows).expect("preferences")
}

fn try_parsed(reading: &PreferenceReading, rows: &[serde_json::Value]) -> Result<Preferences, String> {
    let text: Vec<String> = rows.iter().map(|row| format!("{row}\n")).collect();
    parse_preferences("pairs.jsonl", text.concat().into_bytes(), reading).map_err(|error| error.to_string())
}

fn responses(pair: &PreferencePair) -> [&str; 2] {
    pair.responses.each_ref().map(String::as_str)
}

fn said(found: &Preferences, pair: usize) -> String {
    let pair = &found.pairs[pair];
    let prompt: Vec<String> =
        found.prompts[pair.prompt].iter().map(|message| format!("{}: {}", message.role, message.content)).collect();
    let [first, second] = responses(pair);
    format!("{} | {first} | {second} | {:?} by {}", prompt.join(", "), pair.first_is_better, pair.strength)
}

#[test]
fn pairs_are_read_in_every_form_that_one_row_may_have() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let found = parsed(
        PairLayout::Pairs,
        &[
            json!({"prompt": "u", "chosen": "a", "rejected": "b", "margin": 2}),
            json!({"chosen": [user("u"), assistant("a")], "rejected": [user("u"), assistant("c")]}),
            json!({"prompt": [user("v")], "chosen": [assistant("a")], "rejected": [assistant("b")]}),
            json!({"prompt": "u", "responses": ["a", "b"], "p_second": 0.75, "models": ["x", "y"]}),
            json!({"prompt": "w", "responses": ["a", "b", "c"], "label": [1, 4, 1]}),
            json!({"prompt": "u", "responses": ["a", "d"], "attributes": {"length": [1, 0.5]}}),
            json!({"prompt": "u", "chosen": "a", "rejected": "a"}),
        ],
    );
    let all: Vec<String> = (0..found.pairs.len()).map(|pair| said(&found, pair)).collect();
    assert_eq!(
        all,
        [
            "user: u | a | b | Some(1.0) by 2",
            "user: u | a | c | Some(1.0) by 0",
            "user: v | a | b | Some(1.0) by 0",
            "user: u | a | b | Some(0.25) by 0",
            "user: w | a | b | Some(0.0) by 3",
            "user: w | a | c | Some(0.5) by 0",
            "user: w | b | c | Some(1.0) by 3",
            "user: u | a | d | None by 0",
        ]
    );
    // One prompt, whatever else its rows say.
    assert_eq!((found.prompts.len(), found.rows_without_two.as_slice()), (3, [7].as_slice()));
    let rating = found.pairs[7].ratings[0].expect("rated");
    assert_eq!(
        (found.labels.as_slice(), rating.values, rating.first_is_better),
        (["length".to_owned()].as_slice(), [1.0, 0.5], 1.0)
    );
    assert_eq!(found.pairs[0].ratings, [None]);
    assert_eq!(
        found.notes(),
        ["1 row of pairs.jsonl without two different responses says nothing and is left out; the first is row 7"]
    );
}

#[test]
fn help_steer_pairs_two_rows_and_says_which_is_better_by_each_attribute() {
    let row = |prompt: &str, response: &str, helpfulness: serde_json::Value, verbosity: i32| {
        json!({"prompt": prompt, "response": response, "helpfulness": helpfulness, "correctness": 3, "coherence": 4,
            "complexity": 1, "verbosity": verbosity})
    };
    let rows = [
        row("u", "a", json!([4, 4]), 2),
        row("u", "b", json!([3, 4]), 1),
        row("alone", "c", json!(1), 1),
        row("v", "d", json!([2, 4]), 1),
        row("v", "e", json!([3, 3]), 1),
    ];
    let found = parsed(PairLayout::HelpSteer2, &rows);
    assert_eq!(found.labels, ["coherence", "complexity", "correctness", "helpfulness", "verbosity"]);
    assert_eq!(said(&found, 0), "user: u | a | b | Some(1.0) by 0.5");
    // Equal means: those who agree.
    assert_eq!(said(&found, 1), "user: v | d | e | Some(0.0) by 0");
    assert_eq!(found.rows_without_two, [3]);
    // Shorter is better.
    let verbosity = found.pairs[0].ratings[4].expect("rated");
    assert_eq!((verbosity.values, verbosity.first_is_better), ([2.0, 1.0], 0.0));
    // What nothing decides a draw does, the same of the same seed.
    let correctness = |seed: u64| {
        let reading = PreferenceReading { seed, ..reading(PairLayout::HelpSteer2) };
        let found = try_parsed(&reading, &rows).expect("preferences");
        found.pairs[0].ratings[2].expect("rated").first_is_better
    };
    assert_eq!(correctness(5), correctness(5));
    let sum: f64 = (0..64).map(correctness).sum();
    assert!((16.0..48.0).contains(&sum), "{sum}");
    let by = |attribute: &str| {
        let reading = PreferenceReading { attribute: Some(attribute.to_owned()), ..reading(PairLayout::HelpSteer2) };
        try_parsed(&reading, &rows).map(|found| found.pairs[0].first_is_better)
    };
    assert_eq!(by("verbosity"), Ok(Some(0.0)));
    let refusal = by("wit").expect_err("unknown");
    assert!(refusal.contains("has no rating \"wit\", which data.attribute names"), "{refusal}");
}

#[test]
fn ultra_feedback_is_all_pairs_of_its_completions() {
    let completion = |response: &str, score: f64, honesty: &str| json!({"response": response, "overall_score": score, "annotations": {"honesty": {"Rating": honesty}}});
    let rows = [json!({"instruction": "u", "completions": [completion("a", 7.5, "5"), completion("b", 6.0, "N/A"),
        completion("c", 8.0, "3"), completion("a", 1.0, "1")]})];
    let found = parsed(PairLayout::UltraFeedback, &rows);
    let all: Vec<String> = (0..found.pairs.len()).map(|pair| said(&found, pair)).collect();
    assert_eq!(
        all,
        [
            "user: u | a | b | Some(1.0) by 1.5",
            "user: u | a | c | Some(0.0) by 0.5",
            "user: u | b | c | Some(0.0) by 2",
            "user: u | b | a | Some(1.0) by 5",
            "user: u | c | a | Some(1.0) by 7",
        ]
    );
    assert_eq!(found.labels, ["honesty", "overall_score"]);
    assert_eq!(
        (found.pairs[0].ratings[0], found.pairs[1].ratings[0].map(|rating| rating.values)),
        (None, Some([5.0, 3.0]))
    );
}

#[test]
fn transcripts_share_their_beginning() {
    let row = |chosen: &str, rejected: &str| json!({"chosen": chosen, "rejected": rejected});
    let found = parsed(
        PairLayout::Transcripts,
        &[
            row("\n\nHuman: u\n\nAssistant: a", "\n\nHuman: u\n\nAssistant: b\n\nmore of b"),
            row(
                "\n\nHuman: u\n\nAssistant: a\n\nHuman: v\n\nAssistant: c",
                "\n\nHuman: u\n\nAssistant: a\n\nHuman: v\n\nAssistant: d",
            ),
        ],
    );
    assert_eq!(said(&found, 0), "user: u | a | b\n\nmore of b | Some(1.0) by 0");
    assert_eq!(said(&found, 1), "user: u, assistant: a, user: v | c | d | Some(1.0) by 0");
    for (chosen, rejected, part) in [
        (
            "\n\nHuman: u\n\nAssistant: a\n\nHuman: v\n\nAssistant: c",
            "\n\nHuman: u\n\nAssistant: b",
            "part after 1 of 4 turns",
        ),
        ("plain", "\n\nHuman: u\n\nAssistant: b", "there is no \"\\n\\nHuman:\" turn in the text"),
        ("so\n\nHuman: u\n\nAssistant: a", "\n\nHuman: u\n\nAssistant: b", "text stands before the first"),
        ("\n\nHuman: u", "\n\nHuman: v", "expected transcripts that end with"),
    ] {
        let error = try_parsed(&reading(PairLayout::Transcripts), &[row(chosen, rejected)]).expect_err(part);
        assert!(error.contains("pairs.jsonl") && error.contains(part), "{error}");
    }
}

#[test]
fn what_cannot_be_used_is_named_or_counted() {
    let good = json!({"prompt": "u", "chosen": "a", "rejected": "b"});
    for (row, part) in [
        (json!({"prompt": "u", "chosen": "a", "rejected": "b", "margin": -1}), "expected a number, not negative"),
        (json!({"prompt": "u", "responses": ["a", "b"], "attributes": [1]}), "expected an object like"),
        (
            json!({"prompt": "u", "responses": ["a", "b"], "attributes": {"x": [1]}}),
            "a number for each of the 2 responses",
        ),
        (json!({"prompt": "u", "chosen": "a"}), "there is no \"rejected\""),
    ] {
        let error = try_parsed(&reading(PairLayout::Pairs), &[good.clone(), row.clone()]).expect_err(part);
        assert!(error.contains("row 2") && error.contains(part), "{error}");
        let skipping = PreferenceReading { on_bad_row: OnBadRow::Skip, ..reading(PairLayout::Pairs) };
        let found = try_parsed(&skipping, &[good.clone(), row]).expect("the rest");
        assert_eq!((found.pairs.len(), found.skipped.count), (1, 1));
        assert!(
            found.notes()[0].contains("1 row of pairs.jsonl cannot be used and is left out"),
            "{:?}",
            found.notes()
        );
    }
    let same = json!({"prompt": "u", "chosen": "a", "rejected": "a"});
    let error = try_parsed(&reading(PairLayout::Pairs), &[same]).expect_err("nothing");
    assert!(error.contains("none of its rows has two different responses (1 read)"), "{error}");
    assert!(try_parsed(&reading(PairLayout::Pairs), &[]).expect_err("nothing").contains("the file has no row"));
}

#[test]
fn a_split_keeps_prompts_whole_and_depends_on_the_seed_alone() {
    let row = |prompt: usize, response: usize| json!({"prompt": format!("{prompt}"), "chosen": format!("{response}"), "rejected": "b"});
    let rows: Vec<serde_json::Value> = (0..60).map(|number| row(number % 20, number)).collect();
    let found = parsed(PairLayout::Pairs, &rows);
    let split = PreferenceSplit::of(&found, 5, 3).expect("a split");
    assert_eq!((split.training.len(), split.held_out.len()), (45, 15));
    let prompts = |indices: &[usize]| -> std::collections::BTreeSet<usize> {
        indices.iter().map(|index| found.pairs[*index].prompt).collect()
    };
    assert!(prompts(&split.training).is_disjoint(&prompts(&split.held_out)));
    assert_eq!(split, PreferenceSplit::of(&found, 5, 3).expect("a split"));
    assert_ne!(split, PreferenceSplit::of(&found, 5, 4).expect("a split"));
    let error = PreferenceSplit::of(&found, 20, 3).expect_err("nothing to train on").to_string();
    assert!(error.contains("has 20 different prompts and 20 are to be held out"), "{error}");
}
