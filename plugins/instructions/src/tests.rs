use slhf_sdk::parameters;

use super::*;

fn instruction(json: &str) -> Instruction {
    from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn answer(text: &str) -> Response {
    Response::new(text)
}

fn cut_off(text: &str) -> Response {
    Response { finished: false, ..answer(text) }
}

/// Every kind: an answer that follows, and answers that miss, the nearest first.
#[test]
fn nearer_misses_earn_more_and_following_earns_all() {
    let check = |json: &str, follows_it: &str, misses: &[&str]| {
        let instruction = instruction(json);
        assert_eq!(instruction.check(), Ok(()));
        let value = |text: &str| credit(&instruction, &answer(text));
        let whole = value(follows_it);
        assert_eq!((whole.followed, whole.value), (true, 1.0), "{json}: {follows_it} ({})", whole.reason);
        let misses: Vec<f64> = misses
            .iter()
            .map(|miss| {
                let found = value(miss);
                assert!(!found.followed && found.value <= 0.75, "{json}: {miss} ({})", found.reason);
                found.value
            })
            .collect();
        assert!(misses.windows(2).all(|pair| pair[0] > pair[1]), "{json}: {misses:?}");
    };
    check(r#"{"kind":"lowercase"}"#, "the cat sat, 2 times.", &["The cat sat.", "The cat met Ann.", "THE CAT SAT."]);
    check(r#"{"kind":"uppercase"}"#, "THE CAT, 2 TIMES!", &["THE CAT sat.", "The cat sat."]);
    check(r#"{"kind":"mention","word":"river"}"#, "A River runs.", &["Two rivers run.", "The water runs."]);
    check(
        r#"{"kind":"keywords","words":["salt","oil"]}"#,
        "Add oil and salt.",
        &["Add oil and salts.", "Add oil.", "Add water."],
    );
    check(r#"{"kind":"avoid","word":"very"}"#, "It is every bit good.", &["It is very good.", "Very, very good."]);
    check(
        r#"{"kind":"bullets","count":2}"#,
        "Sure:\n- one\n* two",
        &["- one\n- two\n- three", "- one\n- two\n- three\n- four", "-one -two"],
    );
    check(
        r#"{"kind":"sentences","count":2}"#,
        "It rained 2.5 mm. We stayed",
        &["It rained.", "It rained. It snowed. It froze. It thawed."],
    );
    check(
        r#"{"kind":"max_words","count":3}"#,
        "Bread and jam.",
        &["Bread, butter and jam.", "Bread with butter and a lot of jam."],
    );
    check(r#"{"kind":"min_words","count":4}"#, "Bread with some jam.", &["Bread and jam.", "Bread."]);
    check(r#"{"kind":"starts_with","text":"Dear friend"}"#, "Dear friend, hello.", &["Dear Ann, hello.", "Hello Ann."]);
    check(r#"{"kind":"ends_with","text":"Good luck!"}"#, "Go on. Good luck!", &["So, much luck!", "Go on."]);
    check(r#"{"kind":"no_commas"}"#, "Red and blue.", &["Red, blue.", "Red, blue, green."]);
    check(r#"{"kind":"numbers","count":2}"#, "From 3 to 4 pm.", &["From 3 to four.", "From three on."]);
    check(r#"{"kind":"question_mark_end"}"#, "Is it \"so?\"", &["Is it? It is.", "It is."]);
    check(r#"{"kind":"exclamation_mark_end"}"#, "It is!", &["Yes! It is.", "It is."]);
    check(r#"{"kind":"quoted"}"#, "\"It is so.\"", &["\"It is so.", "It is so."]);
}

#[test]
fn a_cut_off_answer_cannot_have_followed_what_its_end_decides() {
    let check = |json: &str, text: &str, expect: bool| {
        assert!(follows(&instruction(json), &answer(text)), "{json}");
        assert_eq!(follows(&instruction(json), &cut_off(text)), expect, "{json}");
    };
    check(r#"{"kind":"max_words","count":9}"#, "red and green", false);
    check(r#"{"kind":"sentences","count":1}"#, "red and green", false);
    check(r#"{"kind":"lowercase"}"#, "red and green", true);
    check(r#"{"kind":"mention","word":"red"}"#, "red and green", true);
    let near = credit(&instruction(r#"{"kind":"sentences","count":1}"#), &cut_off("red and green"));
    assert_eq!((near.value, near.reason.as_str()), (0.75, "1 sentences, cut off"));
}

#[test]
fn degenerate_answers_get_no_credit() {
    for text in ["", "  \n", "...", "river river river river", "river river", "a b a b a b a b a b a b"] {
        for json in [r#"{"kind":"lowercase"}"#, r#"{"kind":"mention","word":"river"}"#, r#"{"kind":"no_commas"}"#] {
            assert_eq!(credit(&instruction(json), &answer(text)).value, 0.0, "{json} {text:?}");
        }
    }
}

#[test]
fn loosely_means_without_a_first_or_last_line_or_asterisks() {
    let check = |json: &str, text: &str, expect: (bool, bool)| {
        let (instruction, answer) = (instruction(json), answer(text));
        assert_eq!((follows(&instruction, &answer), follows_loosely(&instruction, &answer)), expect, "{text}");
    };
    check(r#"{"kind":"lowercase"}"#, "Sure, here it is:\nred and green", (false, true));
    check(r#"{"kind":"lowercase"}"#, "Sure:\nred and green\nEnjoy!", (false, true));
    check(r#"{"kind":"starts_with","text":"Note"}"#, "**Note** this.", (false, true));
    check(r#"{"kind":"lowercase"}"#, "Red and Green", (false, false));
    check(r#"{"kind":"lowercase"}"#, "red and green", (true, true));
}

#[test]
fn accuracy_is_counted_per_prompt_and_per_instruction() {
    let both = [instruction(r#"{"kind":"lowercase"}"#), instruction(r#"{"kind":"no_commas"}"#)];
    let mut accuracy = Accuracy::default();
    assert_eq!(accuracy.prompt_level(Strictness::Strict), None);
    accuracy.count(&both, &answer("red and green"));
    accuracy.count(&both, &answer("Red and green"));
    accuracy.count(&both[1..], &answer("Sure, here:\nred and green"));
    accuracy.count(&[], &answer("not counted"));
    assert_eq!(accuracy.prompt_level(Strictness::Strict), Some(1.0 / 3.0));
    assert_eq!(accuracy.prompt_level(Strictness::Loose), Some(2.0 / 3.0));
    assert_eq!(accuracy.instruction_level(Strictness::Strict), Some(3.0 / 5.0));
    assert_eq!(accuracy.instruction_level(Strictness::Loose), Some(4.0 / 5.0));
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
fn every_answer_is_an_answer() {
    let judge = judge("{}").unwrap();
    let kinds = r#"{"instructions":[{"kind":"lowercase"},{"kind":"sentences","count":2},{"kind":"quoted"},{"kind":"bullets","count":2},{"kind":"ends_with","text":"é"}]}"#;
    for text in ["\u{0}", "🙂", "\"", "-", "- ", "....", &"word. ".repeat(100_000), &"é".repeat(1 << 20)] {
        let p = judge.compare(&comparison(kinds, text, "it is so.")).unwrap().probability;
        assert!((0.0..=1.0).contains(&p), "{text:?}: {p}");
    }
}
