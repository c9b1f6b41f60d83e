use slhf_sdk::Response;
use slhf_sdk::serde_json::from_str;

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
