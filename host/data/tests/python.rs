//! Files as Python programs and published data sets have them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slhf_data::prompts::{Prompts, Reading, parse, read_prompts};
use slhf_data::read_annotations;
use slhf_data::responses::parse_responses;
use slhf_plan::{OnBadRow, PromptLayout};

fn parquet(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet").join(name)
}

/// A row a line: the turns with the first letters of their roles, then metadata.
fn shown(prompts: &Prompts) -> Vec<String> {
    let row = |row: &slhf_data::prompts::PromptRow| {
        let turns: Vec<String> =
            row.messages.iter().map(|turn| format!("{}: {}", &turn.role[..1], turn.content)).collect();
        format!("{} | {}", turns.join(" / "), row.metadata)
    };
    prompts.rows.iter().map(row).collect()
}

#[track_caller]
fn jsonl(text: &str, expect: &[&str]) {
    let prompts = parse("p.jsonl", text.into(), None).expect(text);
    assert_eq!(shown(&prompts), expect, "{text}");
}

#[track_caller]
fn refused(text: &str, expect: &str) {
    let error = parse("p.jsonl", text.into(), None).expect_err(text).to_string();
    assert_eq!(error, format!("p.jsonl, row 1{expect}"), "{text}");
}

#[test]
fn numbers_that_are_not_finite_are_null_in_metadata_and_named_where_text_is_wanted() {
    jsonl(
        "{\"prompt\": \"Why?\", \"score\": NaN, \"more\": {\"a\": [-Infinity, 1.0, 1e999]}}",
        &["u: Why? | {\"more\":{\"a\":[null,1.0,null]},\"score\":null}"],
    );
    refused("{\"prompt\": NaN}", " (\"prompt\"): NaN stands here; expected text");
    refused("{\"prompt\": \"a\", \"id\": Infinity}", " (\"id\"): Infinity stands here; expected text");
    refused("{\"messages\": [NaN]}", " (\"messages\"): message 1 is no object; expected {role, content}");
    refused(
        "{\"prompt\": \"a\", \"x\": 1, \"x\": 2}",
        ": this is no JSON (the key \"x\" stands twice in one object; expected each once at line 1 column 27); expected one object a line, like {\"prompt\": \"…\"}",
    );
}

#[test]
fn a_list_of_rows_is_read_as_lines_are() {
    let text = "\u{feff} [{\"prompt\": \"a\"},\n {\"prompt\": \"b\", \"x\": NaN}, 3]";
    let skip = Reading { layout: None, on_bad_row: OnBadRow::Skip };
    let prompts = parse("p.json", text.into(), skip).expect("two are good");
    assert_eq!(
        (shown(&prompts), prompts.rows[1].id.as_str()),
        (vec!["u: a | {}".to_owned(), "u: b | {\"x\":null}".to_owned()], "2")
    );
    let said = prompts.skipped.sentence().expect("one is bad");
    assert!(said.ends_with("p.json, row 3: a number stands in the list; expected an object"), "{said}");
    let cut = parse("p.json", "[{\"prompt\": \"a\"},\n".into(), skip).expect_err("cut").to_string();
    assert!(cut.starts_with("p.json, row 2: this is no JSON (EOF while parsing"), "{cut}");
    let answers = parse_responses("r.json", b"[{\"prompt\": \"a\", \"response\": \"b\"}]".to_vec());
    assert!(answers.is_ok(), "{answers:?}");
}

#[test]
fn half_a_surrogate_pair_and_byte_order_marks_do_no_harm() {
    jsonl(
        "\u{feff}{\"prompt\": \"a\\ud83d\"}\n\u{feff}{\"prompt\": \"\\ud83d\\ude00\"}\n\u{feff}\n",
        &["u: a\u{fffd} | {}", "u: 😀 | {}"],
    );
    let prompts = parse("p.txt", "\u{feff}Why?\n\u{feff}How?".into(), None).expect("good");
    assert_eq!(shown(&prompts), ["u: Why? | {}", "u: How? | {}"]);
}

#[test]
fn null_counts_as_absent_where_it_is_read_and_stays_where_it_is_not() {
    let turns = "[{\"role\": \"user\", \"content\": \"Hi\"}]";
    jsonl("{\"prompt\": \"a\", \"messages\": null, \"x\": null}", &["u: a | {\"x\":null}"]);
    jsonl(&format!("{{\"prompt\": null, \"messages\": {turns}, \"id\": null}}"), &["u: Hi | {}"]);
    refused(
        "{\"prompt\": null, \"messages\": null}",
        ": the row has null under \"prompt\", null under \"messages\"; expected \"prompt\" (text) or \"messages\" (a list of {role, content})",
    );
    let ultra = |text: &str| shown(&parse("u.jsonl", text.into(), Some(PromptLayout::UltraFeedback)).expect(text));
    assert_eq!(
        ultra("{\"instruction\": null, \"prompt\": \"a\", \"chosen\": null, \"rejected\": null}"),
        ["u: a | {}"]
    );
    let steer = parse("h.jsonl", "{\"prompt\": null}".into(), Some(PromptLayout::HelpSteer2)).expect_err("none");
    assert!(steer.to_string().contains("expected \"prompt\""), "{steer}");
}

#[test]
fn empty_turns_of_the_history_are_what_was_said_and_an_empty_system_message_is_none() {
    let talk = |system: &str, answer: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"system\", \"content\": {system}}}, {{\"role\": \"user\", \"content\": \"Hi\"}}, \
             {{\"role\": \"assistant\", \"content\": {answer}}}, {{\"role\": \"user\", \"content\": \"Why?\"}}]}}"
        )
    };
    for system in ["null", "\"\"", "\" \\n\""] {
        for (answer, expect) in [("null", ""), ("\"\"", ""), ("\" \"", " "), ("\"Yes\"", "Yes")] {
            jsonl(&talk(system, answer), &[&format!("u: Hi / a: {expect} / u: Why? | {{}}")]);
        }
    }
    jsonl(&talk("\"Be brief.\"", "\"\""), &["s: Be brief. / u: Hi / a:  / u: Why? | {}"]);
    let last = |content: &str| format!("{{\"messages\": [{{\"role\": \"user\", \"content\": {content}}}]}}");
    for content in ["null", "\"\"", "\" \""] {
        refused(&last(content), " (\"messages\"): message 1 (user) is empty; expected text");
    }
    refused(
        "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{}]}, {\"role\": \"user\", \"content\": \"a\"}]}",
        " (\"messages\"): message 1 has \"tool_calls\", which no chat template is given here; remove it",
    );
    refused(
        "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"audio\": {}}, {\"role\": \"user\", \"content\": \"a\"}]}",
        " (\"messages\"): message 1 has no text \"content\"",
    );
    // A template would print the thought: without it the prompt is another one.
    let thought = |thought: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"Hi\"}}, {{\"role\": \"assistant\", \"content\": \"Yes\", \
             \"name\": \"x\", \"reasoning_content\": {thought}}}, {{\"role\": \"user\", \"content\": \"Why?\"}}]}}"
        )
    };
    for silent in ["null", "\"\""] {
        jsonl(&thought(silent), &["u: Hi / a: Yes / u: Why? | {}"]);
    }
    refused(
        &thought("\"Hm.\""),
        " (\"messages\"): message 2 has \"reasoning_content\", which no chat template is given here; remove it",
    );
    refused(
        "{\"messages\": [{\"role\": \"system\", \"content\": \"\"}]}",
        " (\"messages\"): the list of messages is empty; expected at least the user's",
    );
}

/// What `extract_prompt` of TRL 1.16 takes from the same rows (fixtures/trl/make.py).
#[test]
fn the_prompt_that_both_answers_begin_with_is_the_one_that_trl_takes() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("fixtures/trl/expected.json")).expect("cases");
    assert!(cases.len() >= 10);
    for case in cases {
        let row = case["row"].to_string();
        for layout in [PromptLayout::Jsonl, PromptLayout::UltraFeedback] {
            let prompts = parse("p.jsonl", row.clone().into(), Some(layout)).expect(&row);
            let found = serde_json::to_value(&prompts.rows[0].messages).expect("messages");
            assert_eq!((&found, prompts.rows[0].metadata.as_str()), (&case["messages"], "{\"source\":\"x\"}"), "{row}");
        }
    }
}

#[test]
fn answers_that_share_no_prompt_are_refused() {
    let nothing = " (\"chosen\"): \"chosen\" and \"rejected\" begin with no prompt that both have; expected it there, or a \"prompt\"";
    refused("{\"chosen\": \"Yes.\", \"rejected\": \"No.\"}", nothing);
    refused("{\"chosen\": \"\", \"rejected\": \"\"}", nothing);
    refused("{\"chosen\": \" a\", \"rejected\": \" b\"}", nothing);
    refused("{\"chosen\": [], \"rejected\": []}", nothing);
    refused(
        "{\"chosen\": \"a\", \"rejected\": [1]}",
        " (\"chosen\"): text and a list stand under \"chosen\" and \"rejected\"; expected two texts or two lists of messages",
    );
    refused(
        "{\"chosen\": \"a\", \"rejected\": null}",
        ": the row has \"chosen\", \"rejected\"; expected \"prompt\" (text) or \"messages\" (a list of {role, content})",
    );
}

#[test]
fn rows_that_cannot_be_used_are_skipped_and_counted_where_that_is_asked_for() {
    let skip = |layout| Reading { layout, on_bad_row: OnBadRow::Skip };
    let text = "{\"prompt\": \"a\"}\nno JSON\n{\"prompt\": \"\"}\n[]\n{\"prompt\": \"b\"}\n\n{\"question\": 1}\n";
    assert!(parse("p.jsonl", text.into(), None).is_err());
    let prompts = parse("p.jsonl", text.into(), skip(None)).expect("two are good");
    assert_eq!(shown(&prompts), ["u: a | {}", "u: b | {}"]);
    assert_eq!((prompts.rows[1].id.as_str(), prompts.skipped.count), ("5", 4));
    assert_eq!(
        prompts.skipped.sentence().expect("four are bad"),
        "4 rows of p.jsonl cannot be used and are left out (data.on_bad_row); the first: p.jsonl, row 2: this is no JSON \
         (expected ident at line 1 column 2); expected one object a line, like {\"prompt\": \"…\"}"
    );
    let lines = parse("p.txt", b"a\nb\0\nc\xff\nd".to_vec(), skip(None)).expect("two are good");
    assert_eq!((lines.rows.len(), lines.skipped.count), (2, 2));
    let good = parse("p.jsonl", "{\"prompt\": \"a\"}".into(), skip(None)).expect("good");
    assert_eq!((good.skipped.count, good.skipped.sentence()), (0, None));
    let one = parse("p.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"\"}".into(), skip(None)).expect("one is good");
    assert_eq!(
        one.skipped.sentence().expect("one is bad"),
        "1 row of p.jsonl cannot be used and is left out (data.on_bad_row); the first: p.jsonl, row 2 (\"prompt\"): message 1 \
         (user) is empty; expected text"
    );
    let steer =
        "{\"prompt\": \"a\", \"response\": \"x\"}\n{\"prompt\": \"\"}\n{\"prompt\": \"a\", \"response\": \"y\"}";
    let steer = parse("h.jsonl", steer.into(), skip(Some(PromptLayout::HelpSteer2))).expect("one is good");
    assert_eq!((steer.rows.len(), steer.skipped.count), (1, 1));
    let none = parse("p.jsonl", "1\n2".into(), skip(None)).expect_err("none is good").to_string();
    assert_eq!(
        none,
        "p.jsonl, row 1: this is no JSON object; expected one like {\"prompt\": \"…\"} (and so none of the file's 2 rows can be used)"
    );
    // What is wrong with the file as a whole is no row's fault.
    assert!(parse("p.jsonl.gz", vec![0x1f, 0x8b, 8], skip(None)).is_err());
}

#[test]
fn every_table_that_pyarrow_writes_holds_the_same_prompts() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("fixtures/parquet/expected.json")).expect("rows");
    let mut tables = 0;
    for entry in std::fs::read_dir(parquet("")).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let is_other = ["messages", "types", "column-twice", "field-twice"].iter().any(|other| name.starts_with(other));
        if !name.ends_with(".parquet") || is_other {
            continue;
        }
        tables += 1;
        let prompts = read_prompts(&parquet(&name), None).expect(&name);
        assert_eq!(prompts.rows.len(), rows.len(), "{name}");
        for (prompt, row) in prompts.rows.iter().zip(&rows) {
            let mut rest = row.clone();
            for (key, found) in [("id", prompt.id.as_str()), ("prompt", prompt.last_message())] {
                assert_eq!(rest.as_object_mut().expect("an object").remove(key), Some(found.into()), "{name}");
            }
            assert_eq!(serde_json::from_str::<Value>(&prompt.metadata).expect("JSON"), rest, "{name}");
        }
    }
    assert_eq!(tables, 19);
}

#[test]
fn columns_of_every_type_are_read() {
    for name in ["messages-list.parquet", "messages-large-list.parquet"] {
        let talks = read_prompts(&parquet(name), None).expect(name);
        assert_eq!(shown(&talks), ["u: Hi / a:  / u: Why? | {}", "u: How? | {}"], "{name}");
    }
    let types = read_prompts(&parquet("types.parquet"), None).expect("good");
    assert_eq!(
        shown(&types),
        [
            "u: a | {\"day\":20455,\"deep\":{\"a\":[{\"b\":\"c\"}]},\"flag\":true,\"half\":1.5,\"pairs\":{\"k\":1},\"price\":\"12.30\",\"real\":0.5,\"small\":1,\"three\":[1,2,3],\"when\":1767323045000000000}",
            "u: b | {\"deep\":{},\"half\":-0.25,\"pairs\":{},\"small\":255,\"three\":[4,5,6]}",
        ]
    );
    let check = |name: &str, column: &str| {
        let error = read_prompts(&parquet(name), None).expect_err(name).to_string();
        let expect = format!("the table has two columns called \"{column}\"; expected each once: rename one");
        assert!(error.ends_with(&expect), "{error}");
    };
    check("column-twice.parquet", "prompt");
    check("field-twice.parquet", "more.x");
}

#[test]
fn annotations_and_responses_come_from_python_too() {
    let entry = |preference: &str, more: &str| {
        format!("{{\"output_1\": \"a\\ud83d\", \"output_2\": \"bcd\", \"preference\": {preference}{more}}}")
    };
    let list = |entries: &[String]| format!("\u{feff}[{}]", entries.join(", "));
    let good = [entry("2.0", ", \"price\": NaN, \"index\": 7.0"), entry("NaN", ", \"index\": null"), entry("null", "")];
    let pairs = read_annotations("a.json", list(&good).as_bytes()).expect("good");
    let found: Vec<_> = pairs.iter().map(|pair| (pair.instruction, pair.length_1, pair.preference)).collect();
    assert_eq!(found, [(7, 2.0, Some(2.0)), (1, 2.0, None), (2, 2.0, None)]);
    let check = |entry: String, expect: &str| {
        let error = read_annotations("a.json", list(&[entry]).as_bytes()).expect_err(expect).to_string();
        assert_eq!(error, format!("a.json{expect}"));
    };
    check(
        entry("Infinity", ""),
        ": annotation 0 (from 0): preference is Infinity; expected a number in [1, 2], 0 for a tie, or null",
    );
    check(
        "{\"output_1\": NaN, \"output_2\": \"a\", \"preference\": 1}".to_owned(),
        ": annotation 0 (from 0): output_1 is NaN; expected the text of an output",
    );
    check(
        entry("1", ", \"index\": 1.5"),
        ": annotation 0 (from 0): index is 1.5; expected the instruction's number, from 0",
    );
    check(
        entry("1", ", \"preference\": 2"),
        ", row 1: is not JSON: the key \"preference\" stands twice in one object; expected each once at line 1 column 73",
    );
    let twice = read_annotations("a.csv", b"length_1,length_2,preference,length_1\n1,2,1,3\n").expect_err("twice");
    assert_eq!(
        twice.to_string(),
        "a.csv, row 1, column 4 (\"length_1\"): the name stands in column 1 already; expected each column once"
    );
    // pandas writes its row numbers under no name.
    assert_eq!(read_annotations("a.csv", b",,length_1,length_2,preference\n0,0,1,2,1\n").expect("good").len(), 1);
    let line = b"\xef\xbb\xbf{\"prompt\": \"a\", \"response\": \"b\\udc00\", \"score\": NaN, \"prompt_id\": null}";
    assert!(parse_responses("r.jsonl", line.to_vec()).is_ok());
    let nan = parse_responses("r.jsonl", b"{\"prompt\": \"a\", \"response\": NaN}".to_vec()).expect_err("no text");
    assert_eq!(nan.to_string(), "r.jsonl, row 1: there is no text under \"response\"");
}
