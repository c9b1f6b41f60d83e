use slhf_sdk::parameters;

use super::*;

fn answer(text: &str) -> Response {
    Response::new(text)
}

fn judge(json: &str) -> Result<Instructions, Failure> {
    parameters::read(json).and_then(Instructions::new)
}

fn comparison(metadata: &str, first: &str, second: &str) -> Comparison {
    Comparison { metadata: metadata.to_owned(), ..Comparison::new("Q", answer(first), answer(second)) }
}

const TWO: &str = r#"{"instructions":[{"kind":"lowercase"},{"kind":"mention","word":"river"}],"source":"ours"}"#;

#[test]
fn the_verdict_is_complementary_and_says_why() {
    let judge = judge("{}").unwrap();
    let asked = comparison(TWO, "the river bends", "The water bends");
    let verdict = judge.compare(&asked).unwrap();
    let swapped = judge.compare(&asked.swapped()).unwrap();
    assert_eq!(verdict.probability + swapped.probability, 1.0);
    assert!(verdict.probability > 0.99, "{}", verdict.probability);
    let votes: Vec<(&str, f64, &str)> =
        verdict.attributes.iter().map(|vote| (vote.name.as_str(), vote.value, vote.reason.as_str())).collect();
    assert_eq!(
        votes[1..],
        [
            ("lowercase", 0.8125, "1.00 (0 words with capitals) against 0.38 (1 words with capitals)"),
            ("mention river", 1.0, "1.00 (mentioned) against 0.00 (no \"river\")"),
        ]
    );
    assert_eq!(votes[0].2, "1.000 against 0.188");
}

#[test]
fn rows_of_ifeval_are_judged_with_partial_credit() {
    let row = r#"{"instruction_id_list":["length_constraints:number_words","startend:quotation"],
        "kwargs":[{"relation":"at least","num_words":4},{}]}"#;
    let judge = judge("{}").unwrap();
    let verdict = judge.compare(&comparison(row, "\"the river bends\"", "no no no no")).unwrap();
    assert_eq!(verdict.attributes[1].name, "length_constraints:number_words at least 4");
    assert_eq!(
        verdict.attributes[1].reason, "0.56 (3 words) against 0.00 (empty or mere repetition)",
        "repetition earns nothing of a judge"
    );
    assert_eq!(verdict.attributes[2].value, 1.0);
    let failure = judge.compare(&comparison(r#"{"instruction_id_list":["a:b"],"kwargs":[{}]}"#, "a", "b"));
    assert_eq!(
        failure.unwrap_err().reason,
        "instruction 1 of the metadata (\"a:b\") is not right: it is none of the 25 of IFEval"
    );
}

#[test]
fn an_answer_of_one_word_earns_little() {
    let judge = judge("{}").unwrap();
    let verdict = judge.compare(&comparison(TWO, "river", "The river bends")).unwrap();
    assert!(verdict.probability < 0.5, "{}", verdict.probability);
}

#[test]
fn what_is_wrong_with_the_data_is_a_failure_that_names_it() {
    let check = |metadata: &str, expect: &str| {
        let failure = judge("{}").unwrap().compare(&comparison(metadata, "a", "b")).unwrap_err();
        assert_eq!(failure.reason, expect);
    };
    let none = "the metadata of the prompt has no 'instructions', a list like [{\"kind\": \"lowercase\"}] was expected";
    check("{}", none);
    check(r#"{"instructions":[]}"#, none);
    check(r#"{"instructions":3}"#, "'instructions' of the metadata is 3, a list was expected");
    check(
        r#"{"instructions":[{"kind":"lowercase"},{"kind":"bullets","count":0}]}"#,
        "instruction 2 of the metadata (\"bullets\") is not right: 'count' is 0, 1 to 10000 was expected",
    );
    check(
        r#"{"instructions":[{"kind":"mention","word":"two words"}]}"#,
        "instruction 1 of the metadata (\"mention\") is not right: \"two words\" is not one word",
    );
    check(
        r#"{"instructions":[{"kind":"mention"}]}"#,
        "instruction 1 of the metadata (\"mention\") is not right: missing field 'word'",
    );
    check(
        r#"{"instructions":[{"kind":"lowercase","count":2}]}"#,
        "instruction 1 of the metadata (\"lowercase\") is not right: unknown field 'count', there are no fields",
    );
    check(
        r#"{"instructions":["lowercase"]}"#,
        "instruction 1 of the metadata is not right: invalid type: string \"lowercase\", expected internally tagged enum Instruction",
    );
    let failure = judge("{}").unwrap().compare(&comparison(r#"{"instructions":[{"kind":"rhyme"}]}"#, "a", "b"));
    let reason = failure.unwrap_err().reason;
    assert!(
        reason.starts_with("instruction 1 of the metadata (\"rhyme\") is not right: unknown variant 'rhyme'"),
        "{reason}"
    );
}

#[test]
fn parameters_can_give_the_instructions_and_are_checked() {
    let given = judge(r#"{"instructions":[{"kind":"lowercase"}]}"#).unwrap();
    assert!(given.compare(&comparison("{}", "red and green", "Red and Green")).unwrap().probability > 0.9);
    let check = |json: &str, expect: &str| assert_eq!(judge(json).unwrap_err().reason, expect);
    check(r#"{"scale": -1}"#, "parameter 'scale' is -1, it must be above 0");
    check(r#"{"words_min": 0}"#, "parameter 'words_min' is 0, it must be at least 1");
    check(
        r#"{"instructions":[{"kind":"keywords","words":[]}]}"#,
        "parameter 'instructions[0]' is not right: 'words' is empty",
    );
}

#[test]
fn parameters_take_the_labs_own_kinds_only() {
    assert!(!parameters::schema::<Parameters>().to_lowercase().contains("\"ifeval\""));
    let reason = judge(r#"{"instructions":[{"kind":"ifeval"}]}"#).unwrap_err().reason;
    assert!(reason.contains("unknown variant 'ifeval'"), "{reason}");
}

#[test]
fn every_answer_is_an_answer() {
    let judge = judge("{}").unwrap();
    let kinds = r#"{"instructions":[{"kind":"lowercase"},{"kind":"sentences","count":2},{"kind":"quoted"},{"kind":"bullets","count":2},{"kind":"ends_with","text":"é"}]}"#;
    for text in ["\u{0}", "🙂", "\"", "-", "- ", "....", &"word. ".repeat(100_000), &"é".repeat(1 << 20)] {
        let p = judge.compare(&comparison(kinds, text, "it is so.")).unwrap().probability;
        assert!((0.0..=1.0).contains(&p), "{text:?}: {p}");
    }
}
