//! Files of pairs in every layout, and what is said of bad ones.

use serde_json::json;
use slhf_data::pairs::{PairLabel, Pairs, RESPONSES_MAX, parse_pairs};

fn read(rows: &[serde_json::Value]) -> Result<Pairs, String> {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    parse_pairs("pairs.jsonl", lines.join("\n").into_bytes()).map_err(|error| error.to_string())
}

fn label(first: usize, second: usize, first_is_better: f64) -> PairLabel {
    PairLabel { first, second, first_is_better }
}

#[test]
fn every_layout_of_a_preference_is_the_same_pair() {
    let user = json!({"role": "user", "content": "Why?"});
    let (yes, no) = (json!({"role": "assistant", "content": "Yes."}), json!({"role": "assistant", "content": "No."}));
    for row in [
        json!({"prompt": "Why?", "chosen": "Yes.", "rejected": "No."}),
        json!({"prompt": [user], "chosen": [yes], "rejected": [no]}),
        json!({"messages": [user], "chosen": "Yes.", "rejected": "No.", "responses": null}),
        json!({"prompt": "Why?", "chosen": [user, yes], "rejected": [user, no]}),
        json!({"chosen": [user, yes], "rejected": [user, no]}),
        json!({"chosen": "Why? Yes.", "rejected": "Why? No."}),
        json!({"prompt": "Why?", "responses": ["Yes.", "No."], "p_second": 0}),
        json!({"prompt": "Why?", "responses": [[yes], [no]], "label": 0}),
        json!({"prompt": "Why?", "responses": ["Yes.", "No."], "label": [4.5, -1]}),
    ] {
        let pairs = read(std::slice::from_ref(&row)).expect("a pair");
        let [prompt] = &pairs.prompts[..] else { panic!("{row}: one prompt") };
        assert_eq!((prompt.messages.len(), prompt.messages[0].content.as_str()), (1, "Why?"), "{row}");
        assert_eq!(prompt.responses, ["Yes.", "No."], "{row}");
        assert_eq!(prompt.labels, [label(0, 1, 1.0)], "{row}");
        assert_eq!(prompt.metadata, "{}", "{row}");
    }
}

#[test]
fn rows_about_one_prompt_are_put_together_and_their_labels_averaged() {
    let pairs = read(&[
        json!({"prompt": "Why?", "responses": ["a", "b"], "p_second": 0.25}),
        json!({"prompt": "Why?", "responses": ["b", "a"], "p_second": 0.25}),
        json!({"prompt": "Why?", "chosen": "c", "rejected": "a"}),
        json!({"prompt": "Why?", "responses": ["a", "a"]}),
        json!({"prompt": "How?", "responses": ["x", "y", "x", "z"], "label": [1, 2, 1, 2]}),
        json!({"prompt": "Why?", "responses": ["a", "b"], "p_second": 1, "source": "elsewhere"}),
    ])
    .expect("pairs");
    let [why, how, elsewhere] = &pairs.prompts[..] else { panic!("three prompts") };
    assert_eq!((why.row, &why.responses[..]), (1, &["a", "b", "c"].map(str::to_owned)[..]));
    assert_eq!(
        [why.label(0, 1), why.label(1, 0), why.label(2, 0), why.label(1, 2)],
        [Some(0.5), Some(0.5), Some(1.0), None]
    );
    assert_eq!(how.responses, ["x", "y", "z"]);
    assert_eq!([how.label(1, 0), how.label(1, 2), how.label(0, 2)], [Some(1.0), Some(0.5), Some(0.0)]);
    // What else a row says is told to the judge: it is another prompt.
    assert_eq!((elsewhere.metadata.as_str(), elsewhere.label(1, 0)), (r#"{"source":"elsewhere"}"#, Some(1.0)));
    assert_eq!(pairs.rows_without_two, [4]);
}

#[test]
fn what_is_no_pair_is_named_with_row_and_key() {
    let many: Vec<String> = (0..=RESPONSES_MAX).map(|number| number.to_string()).collect();
    let turns = json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]);
    for (row, expected) in [
        (json!({"prompt": "Why?"}), "row 1: there is no \"chosen\" beside \"prompt\""),
        (json!({"prompt": "Why?", "chosen": "a"}), "row 1: there is no \"rejected\" beside \"prompt\""),
        (json!({"prompt": "Why?", "chosen": "a", "responses": ["a"]}), "row 1 (\"responses\"): the row has both"),
        (json!({"responses": ["a", "b"]}), "row 1: the row has no keys; expected \"prompt\""),
        (json!({"prompt": "Why?", "responses": "a"}), "row 1 (\"responses\"): text stands here; expected a list"),
        (json!({"prompt": "Why?", "responses": []}), "row 1 (\"responses\"): the list is empty"),
        (
            json!({"prompt": "Why?", "responses": ["a", 1]}),
            "row 1 (\"responses\"): a number stands here; expected text",
        ),
        (json!({"prompt": "Why?", "responses": ["a", "b"], "p_second": 1.5}), "row 1 (\"p_second\"): 1.5 stands here"),
        (
            json!({"prompt": "Why?", "responses": ["a", "b", "c"], "p_second": 1}),
            "row 1 (\"p_second\"): the row has 3 responses",
        ),
        (
            json!({"prompt": "Why?", "responses": ["a", "b"], "label": 2}),
            "row 1 (\"label\"): 2 stands here; expected the place",
        ),
        (
            json!({"prompt": "Why?", "responses": ["a", "b"], "label": [1]}),
            "row 1 (\"label\"): [1] stands here; expected a number",
        ),
        (
            json!({"prompt": "Why?", "responses": ["a", "b"], "label": 0, "p_second": 0}),
            "row 1 (\"label\"): the row has both",
        ),
        (
            json!({"prompt": "Why?", "chosen": turns, "rejected": "b"}),
            "row 1 (\"chosen\"): 2 messages stand behind the prompt",
        ),
        (
            json!({"prompt": "Why?", "responses": many}),
            "row 1: this prompt has 17 different responses by this row; at most 16",
        ),
        (
            json!({"prompt": "Why?", "chosen": "a", "rejected": "a"}),
            "none of its rows has two different responses (1 read)",
        ),
        (json!([1]), "pairs.jsonl, row 1: a number stands in the list; expected an object"),
    ] {
        let said = read(std::slice::from_ref(&row)).expect_err("no pair");
        assert!(said.contains(expected), "{row}: {said}");
    }
    assert!(parse_pairs("a.parquet", b"PAR1".to_vec()).unwrap_err().to_string().contains("this is a Parquet file"));
    assert!(parse_pairs("a.jsonl", Vec::new()).unwrap_err().to_string().contains("the file has no row"));
}
