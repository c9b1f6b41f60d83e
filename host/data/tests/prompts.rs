//! Files of prompts as they come, good and bad.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use slhf_data::prompts::{Prompts, Split, parse, read_prompts};
use slhf_plan::PromptLayout;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// A row a line: id, then the turns with the first letters of their roles, then metadata.
fn shown(prompts: &Prompts) -> Vec<String> {
    let row = |row: &slhf_data::prompts::PromptRow| {
        let turns: Vec<String> =
            row.messages.iter().map(|turn| format!("{}: {}", &turn.role[..1], turn.content)).collect();
        format!("{} | {} | {}", row.id, turns.join(" / "), row.metadata)
    };
    prompts.rows.iter().map(row).collect()
}

#[test]
fn json_lines_hold_texts_or_conversations_and_the_rest_is_metadata() {
    let text = "\u{feff}{\"prompt\": \"Why?\", \"z\": 1, \"a\": [\"é\"]}\r\n\n\
                {\"id\": \"x-2\", \"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"Why?\"}]}\n\
                {\"id\": 3, \"prompt\": [{\"role\": \"user\", \"content\": \"A\"}, {\"role\": \"assistant\", \"content\": \"B\"}, {\"role\": \"user\", \"content\": \"C\"}]}";
    let expect =
        ["1 | u: Why? | {\"a\":[\"é\"],\"z\":1}", "x-2 | s: Be brief. / u: Why? | {}", "3 | u: A / a: B / u: C | {}"];
    let plain = parse("p.jsonl", text.into(), None).expect("good");
    assert_eq!(shown(&plain), expect);
    assert_eq!(plain.layout, PromptLayout::Jsonl);
    let zipped = parse("p.jsonl.gz", packed(text), None).expect("good");
    assert_eq!(shown(&zipped), expect);
    assert_ne!(plain.sha256, zipped.sha256, "the hash is of the file as it lies there");
}

#[test]
fn text_files_hold_a_prompt_a_line() {
    let prompts = parse("p.txt", b"# a comment\nWhy?\n\n  Name a river.  \n".to_vec(), None).expect("good");
    assert_eq!(shown(&prompts), ["2 | u: Why? | {}", "4 | u: Name a river. | {}"]);
}

#[test]
fn help_steer_shares_prompts_between_rows_and_marks_turns() {
    let row = |prompt: &str, response: &str| {
        format!(
            "{{\"prompt\": \"{prompt}\", \"response\": \"{response}\", \"helpfulness\": 3, \"correctness\": 4, \"coherence\": 4, \"complexity\": 1, \"verbosity\": 1, \"extra\": true}}\n"
        )
    };
    let turns = "Hi<extra_id_1>Assistant\\nHello.<extra_id_1>User\\nWhy?<extra_id_1>Assistant\\n";
    let text = [row("Why?", "So."), row("Why?", "Thus."), row(turns, "So."), row("Why?", "Yes.")].concat();
    for bytes in [text.clone().into_bytes(), packed(&text)] {
        let prompts = parse("train.jsonl.gz", bytes, Some(PromptLayout::HelpSteer2)).expect("good");
        assert_eq!(
            shown(&prompts),
            [
                "1 | u: Why? | {\"extra\":true}",
                "3 | u: Hi / a: Hello. / u: Why? | {\"extra\":true}",
                "4 | u: Why? | {\"extra\":true}",
            ],
            "only neighbours are one prompt"
        );
    }
}

#[test]
fn ultra_feedback_comes_as_json_lines_and_as_parquet() {
    let text = "{\"source\": \"evol\", \"instruction\": \"Why?\", \"completions\": [{\"response\": \"So.\"}]}\n";
    let lines = parse("evol.jsonl", text.into(), Some(PromptLayout::UltraFeedback)).expect("good");
    assert_eq!(shown(&lines), ["1 | u: Why? | {\"source\":\"evol\"}"]);
    let table = read_prompts(&fixture("ultra-feedback.parquet"), Some(PromptLayout::UltraFeedback)).expect("good");
    assert_eq!(
        shown(&table),
        [
            "1 | u: Name a river. | {\"prompt_id\":\"a\",\"score_chosen\":8.0}",
            "2 | u: Name a river. / a: The Elbe. / u: And a longer one? | {\"prompt_id\":\"b\",\"score_chosen\":9.0}",
        ]
    );
}

#[test]
fn parquet_has_the_columns_of_json_lines() {
    let prompts = read_prompts(&fixture("plain.parquet"), None).expect("good");
    assert_eq!(
        shown(&prompts),
        ["7 | u: Why is the sky blue? | {\"weight\":0.5,\"words\":[\"sky\",\"blue\"]}", "8 | u: Name a river. | {}"]
    );
    assert_eq!(prompts.layout, PromptLayout::Parquet);
}

#[test]
fn what_is_wrong_is_one_sentence_with_its_place() {
    let check = |file: &str, text: &str, layout: Option<PromptLayout>, expect: &str| {
        let error = parse(file, text.into(), layout).expect_err(text).to_string();
        assert_eq!(error, format!("{file}{expect}"), "{text}");
    };
    let jsonl = |text: &str, expect: &str| check("p.jsonl", text, None, expect);
    jsonl("", ": the file has no prompt");
    jsonl("{}", ", row 1: the row has no keys; expected \"prompt\" (text) or \"messages\" (a list of {role, content})");
    jsonl(
        "{\"text\": \"Why?\"}",
        ", row 1: the row has \"text\"; expected \"prompt\" (text) or \"messages\" (a list of {role, content})",
    );
    jsonl("{\"prompt\": \"Why?\"}\n[1]", ", row 2: this is no JSON object; expected one like {\"prompt\": \"…\"}");
    jsonl(
        "\n{\"prompt\": \"Why",
        ", row 2: this is no JSON (EOF while parsing a string at line 1 column 15); expected one object a line, like {\"prompt\": \"…\"}",
    );
    jsonl("{\"prompt\": 3}", ", row 1 (\"prompt\"): a number stands here; expected text");
    jsonl("{\"prompt\": \"  \"}", ", row 1 (\"prompt\"): message 1 (user) is empty; expected text");
    jsonl("{\"messages\": \"Why?\"}", ", row 1 (\"messages\"): text stands here; expected a list of messages");
    jsonl("{\"messages\": []}", ", row 1 (\"messages\"): the list of messages is empty; expected at least the user's");
    jsonl("{\"messages\": [3]}", ", row 1 (\"messages\"): message 1 is no object; expected {role, content}");
    jsonl(
        "{\"messages\": [{\"role\": \"user\", \"text\": \"a\"}]}",
        ", row 1 (\"messages\"): message 1 has no text \"content\"",
    );
    jsonl(
        "{\"messages\": [{\"role\": \"bot\", \"content\": \"a\"}]}",
        ", row 1 (\"messages\"): message 1 has the role \"bot\"; expected system, user or assistant",
    );
    jsonl(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}",
        ", row 1 (\"messages\"): the last message is of the role assistant; a prompt ends with the user's",
    );
    jsonl(
        "{\"prompt\": \"a\", \"messages\": []}",
        ", row 1 (\"messages\"): the row has both \"prompt\" and \"messages\"; expected one of them",
    );
    jsonl("{\"prompt\": \"a\", \"id\": []}", ", row 1 (\"id\"): a list stands here; expected text");
    check("p.txt", "# only a comment", None, ": the file has no prompt");
    check("p.txt", "a\0b", None, ", row 1: the line has a NUL character; expected plain text");
    check(
        "p.xml",
        "Why?",
        None,
        ": the name does not determine the layout; expected .jsonl, .json, .parquet or .txt, compressed by gzip (.gz) or not, or a layout in the settings",
    );
    check("p.parquet", "Why?", None, ": this is no whole Parquet file; expected PAR1 at its start and its end");
    check(
        "u.jsonl",
        "{\"question\": \"Why?\"}",
        Some(PromptLayout::UltraFeedback),
        ", row 1: the row has \"question\"; expected \"instruction\" (the JSONL layout) or \"prompt\" (the Parquet layout)",
    );
    check(
        "h.jsonl",
        "{\"response\": \"So.\"}",
        Some(PromptLayout::HelpSteer2),
        ", row 1: the row has \"response\"; expected \"prompt\", the text that HelpSteer2 has there",
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let missing = read_prompts(&folder.path().join("none.jsonl"), None).expect_err("none").to_string();
    assert!(missing.contains("none.jsonl: the file cannot be read: "), "{missing}");
    let no_file = read_prompts(folder.path(), None).expect_err("a folder").to_string();
    assert!(no_file.ends_with(": it is a folder; expected a regular file"), "{no_file}");
    let latin = parse("p.txt", b"ok\ncaf\xe9".to_vec(), None).expect_err("not UTF-8").to_string();
    assert_eq!(latin, "p.txt, row 2: the text is not UTF-8; save the file as UTF-8");
    let mut cut = packed("{\"prompt\": \"Why?\"}");
    cut.truncate(cut.len() - 9);
    let cut = parse("p.jsonl.gz", cut, None).expect_err("cut").to_string();
    assert!(cut.starts_with("p.jsonl.gz: the gzip file is damaged or cut short ("), "{cut}");
    let bad = read_prompts(&fixture("no-prompt.parquet"), None).expect_err("another column").to_string();
    assert!(bad.ends_with("no-prompt.parquet, row 1: the row has \"question\"; expected \"prompt\" (text) or \"messages\" (a list of {role, content})"), "{bad}");
    let bad = read_prompts(&fixture("null-prompt.parquet"), None).expect_err("a null").to_string();
    assert!(bad.ends_with("null-prompt.parquet, row 2: the row has \"score\", null under \"prompt\"; expected \"prompt\" (text) or \"messages\" (a list of {role, content})"), "{bad}");
}

/// Every byte of a small table changed, and the table cut at every length: an error or other prompts, never a panic.
#[test]
fn damaged_parquet_is_an_error() {
    let whole = std::fs::read(fixture("plain.parquet")).expect("fixture");
    for length in (0..whole.len()).step_by(7) {
        assert!(parse("p.parquet", whole[..length].to_vec(), None).is_err(), "cut at {length}");
    }
    for index in (0..whole.len()).step_by(5) {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x55;
        if let Ok(prompts) = parse("p.parquet", damaged, None) {
            assert!(!prompts.rows.is_empty());
        }
    }
}

fn numbered(texts: impl IntoIterator<Item = String>) -> Prompts {
    let text: String = texts.into_iter().map(|text| text + "\n").collect();
    parse("p.txt", text.into_bytes(), None).expect("good")
}

#[test]
fn the_split_depends_on_its_seed_alone_and_keeps_texts_apart() {
    // 40 texts, every fourth of them twice more.
    let texts = (0..40).chain((0..40).step_by(4)).chain((0..40).step_by(4)).map(|number| format!("Prompt {number}"));
    let prompts = numbered(texts);
    let split = Split::of(&prompts, 12, 3).expect("enough");
    assert_eq!(split, Split::of(&prompts, 12, 3).expect("enough"));
    assert_ne!(split.held_out, Split::of(&prompts, 12, 4).expect("enough").held_out);
    let text = |index: &usize| prompts.rows[*index].messages[0].content.as_str();
    let mut held_out: Vec<&str> = split.held_out.iter().map(text).collect();
    assert!(split.training.iter().all(|index| !held_out.contains(&text(index))), "nothing leaks");
    assert_eq!(split.training.len() + split.held_out.len() + split.repetitions, prompts.rows.len());
    held_out.sort_unstable();
    held_out.dedup();
    assert_eq!(held_out.len(), 12, "each is different");
    let smaller = Split::of(&prompts, 5, 3).expect("enough").held_out;
    assert_eq!(smaller, split.held_out[..5], "the first of a larger draw");
}

#[test]
fn every_prompt_is_held_out_equally_often() {
    let prompts = numbered((0..10).map(|number| format!("Prompt {number}")));
    let mut counts = [0_u32; 10];
    for seed in 0..2000 {
        for index in Split::of(&prompts, 3, seed).expect("enough").held_out {
            counts[index] += 1;
        }
    }
    // 600 expected, standard deviation 20.5.
    assert!(counts.iter().all(|count| (520..=680).contains(count)), "{counts:?}");
}

#[test]
fn too_few_prompts_to_hold_out_is_an_error() {
    let prompts = numbered(["a", "b", "a"].map(str::to_owned));
    assert_eq!(Split::of(&prompts, 0, 1).expect("none").training, [0, 1, 2]);
    assert_eq!(
        Split::of(&prompts, 2, 1).expect_err("none left").to_string(),
        "p.txt: the file has 2 different prompts and 2 are to be held out; expected `held_out` below 2, so that some are left for training"
    );
}

#[test]
fn a_system_message_is_put_first_once() {
    let row = numbered(["Why?".to_owned()]).rows.remove(0);
    assert_eq!(row.clone().with_system(""), row);
    let with = row.with_system("Be brief.");
    assert_eq!((with.messages.len(), with.messages[0].role.as_str()), (2, "system"));
    assert_eq!(with.clone().with_system("Be long."), with);
}

/// The prompts that the experiments come with.
#[test]
fn shipped_prompts_are_whole() {
    for (name, has_instructions) in [("brevity-prompts.jsonl", false), ("instruction-prompts.jsonl", true)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/data").join(name);
        let prompts = read_prompts(&path, None).expect(name);
        assert!(prompts.rows.len() >= 320, "{name}");
        assert_eq!(Split::of(&prompts, 128, 1).expect("enough").repetitions, 0, "{name}");
        for row in &prompts.rows {
            assert_eq!(row.metadata.contains("\"instructions\":[{"), has_instructions, "{name} {}", row.id);
        }
    }
}
