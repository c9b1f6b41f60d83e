//! Others' answers, measures, and answers that are sampled anew: what an evaluation looks at besides a run's own policies.

use std::fs;

use serde_json::Value;
use slhf_tests::{Lab, language_lab, repository};

/// Two cells on a tiny model with random weights: one with a Follower, one that trains nothing.
const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1, 2]

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
steps = 2
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
rounds = 2

[[evaluation.measures]]
plugin = "instruction-accuracy"
parameters = { instructions = [{ kind = "lowercase" }, { kind = "min_words", count = 100 }] }

[[evaluation.transfer]]
name = "wordy"
responses = "answers.jsonl"

[[evaluation.transfer]]
name = "gemma"
model = "gemma"

[[ablation]]
name = "method"
values = [
    { label = "slhf", method = { name = "stackelberg-gda" } },
    { label = "untrained", method = { name = "self-refinement" } },
]
"#;

/// Answers to every prompt, in small letters, and a random model of another family.
fn lab() -> Lab {
    let lab = language_lab(EXPERIMENT);
    let answer = |number| serde_json::json!({ "prompt": format!("Count to {number}."), "response": "one two three" });
    let lines: Vec<String> = (0..12).map(|number| answer(number).to_string()).collect();
    lab.write("answers.jsonl", lines.join("\n"));
    for entry in fs::read_dir(repository().join("host/policy/tests/fixtures/gemma3")).expect("a fixture").flatten() {
        lab.write(
            format!("gemma/{}", entry.file_name().to_string_lossy()),
            fs::read(entry.path()).expect("a file of a model"),
        );
    }
    lab
}

fn finished() -> Lab {
    let lab = lab();
    let _ = lab.run(&["run", "tiny.toml"]).success();
    lab
}

fn query(lab: &Lab, sql: &str) -> Value {
    lab.run(&["query", sql, "--format", "json"]).json()
}

/// Subjects of `name` under a cell's first run.
fn subjects(lab: &Lab, cell: &str, name: &str) -> Vec<String> {
    let sql = format!(
        "SELECT subject FROM evaluations JOIN runs USING (run) WHERE cell = '{cell}' AND seed = 1 AND name = '{name}' ORDER BY subject"
    );
    let rows = query(lab, &sql);
    rows.as_array().expect("rows").iter().map(|row| row["subject"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_follower_refines_answers_of_a_file_and_of_a_model_of_another_family() {
    let lab = finished();
    let others =
        ["follower(gemma)/gemma", "follower(wordy)/wordy", "follower^2(gemma)/gemma", "follower^2(wordy)/wordy"];
    for cell in ["slhf", "untrained"] {
        let found = subjects(&lab, cell, "win_rate");
        for subject in others.into_iter().chain(["leader/gemma", "leader/wordy"]) {
            assert!(found.iter().any(|found| found == subject), "{cell} lacks {subject}: {found:?}");
        }
    }
    let texts = |role: &str| {
        let sql = format!(
            "SELECT text, finished FROM completions JOIN runs USING (run) WHERE role = 'held-out/{role}' ORDER BY cell, seed, position"
        );
        query(&lab, &sql)
    };
    let wordy = texts("wordy");
    let wordy = wordy.as_array().expect("rows");
    assert_eq!(wordy.len(), 4 * 4);
    assert!(wordy.iter().all(|row| row["text"] == "one two three"), "{wordy:?}");
    // The other model answers alike in both cells, and not alike under two seeds.
    let gemma = texts("gemma");
    let gemma = gemma.as_array().expect("rows");
    assert_eq!(gemma[..8], gemma[8..]);
    assert_ne!(gemma[..4], gemma[4..8]);
    // They are one policy of the field, in both cells the same.
    let evaluated = lab.run(&["evaluate", "tiny", "--format", "json"]).json();
    let policies = evaluated[0]["policies"].as_array().expect("policies");
    let names: Vec<&str> = policies.iter().map(|policy| policy["name"].as_str().expect("a name")).collect();
    for name in ["reference", "wordy", "gemma", "slhf/follower(gemma)", "untrained/follower^2(wordy)"] {
        assert_eq!(names.iter().filter(|found| **found == name).count(), 1, "{name} of {names:?}");
    }
}

/// Strict and loose, of prompts and of instructions: one of two instructions is followed by a text in small letters.
#[test]
fn measures_are_evaluated_and_asked_of_recorded_answers() {
    let lab = finished();
    let value = |what: &str, subject: &str| {
        let sql = format!(
            "SELECT value FROM evaluations JOIN runs USING (run) WHERE cell = 'slhf' AND seed = 1 AND name = 'measure[instruction-accuracy]{what}' AND subject = '{subject}'"
        );
        query(&lab, &sql)[0]["value"].as_f64()
    };
    assert_eq!(value("", "wordy"), Some(0.0));
    assert_eq!(value("/prompt loose", "wordy"), Some(0.0));
    assert_eq!(value("/instruction strict", "wordy"), Some(0.5));
    assert_eq!(value("/instruction loose", "wordy"), Some(0.5));
    assert!(value("/instruction strict", "follower(leader)").is_some());

    let arguments = ["evaluate", "tiny", "--measure", "all", "--only", "wordy", "--format", "json"];
    let found = lab.run(&arguments).json();
    let of = |what: &str| {
        let rows = found.as_array().expect("rows").iter();
        rows.filter(|row| row["policy"] == "wordy" && row["what"] == what)
            .map(|row| row["value"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("instruction strict"), [0.5]);
    assert_eq!(of("score"), [0.0]);
    let other = r#"instruction-accuracy={"instructions": [{"kind": "lowercase"}]}"#;
    let found = lab.run(&["evaluate", "tiny", "--measure", other, "--only", "wordy", "--format", "csv"]).success();
    // All eight answers do, which is as certain as four prompts and two seeds can be.
    assert!(found.contains("instruction-accuracy,wordy,score,1.0,0.024"), "{found}");
    assert!(found.contains(",1.0,seeds and prompts,8"), "{found}");
}

/// The checkpoint holds the weights that answered, and threads and precision are the run's: the same bits.
/// Where files of others are read, before a worker loads it.
#[test]
fn the_models_of_a_field_are_tried_before_they_are_sampled() {
    let lab = finished();
    lab.write("gemma/chat_template.jinja", "{% if %}");
    let again = lab.run(&["evaluate", "tiny", "--sample"]);
    assert_eq!(again.code, Some(2), "{again}");
    let expected = "gemma/chat_template.jinja: the chat template does not compile";
    assert!(again.stderr.contains(expected), "{again}");
}

#[test]
fn answers_sampled_anew_from_checkpoints_are_the_recorded_ones() {
    let lab = finished();
    let recorded = lab.run(&["evaluate", "tiny", "--format", "json"]).json();
    let again = lab.run(&["evaluate", "tiny", "--sample", "--format", "json"]);
    assert!(again.stderr.contains("note: responses were sampled anew: the results are not recorded"), "{again}");
    assert_eq!(again.json(), recorded);
    // Otherwise sampled, on other prompts, with another model in the field.
    lab.write("other.jsonl", "{\"prompt\": \"Name a fruit.\"}\n{\"prompt\": \"Name a tree.\"}\n");
    let arguments = [
        "evaluate",
        "tiny",
        "--sample",
        "--prompts",
        "other.jsonl",
        "--rounds",
        "1",
        "--temperature",
        "0.5",
        "--model",
        "big=gemma",
        "--only",
        "leader,big",
        "--format",
        "json",
    ];
    let found = lab.run(&arguments).json();
    let policies = found[0]["policies"].as_array().expect("policies");
    let mut names: Vec<&str> = policies.iter().map(|policy| policy["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["big", "slhf/follower(leader)", "slhf/leader", "untrained/leader"]);
    assert_eq!((&found[0]["prompts"], &found[0]["matchups"][0]["n"]), (&2.into(), &4.into()));
}

#[test]
fn what_is_wrong_with_others_and_measures_is_said() {
    let lab = lab();
    let lines = regex::Regex::new(r" \(line \d+\)").expect("a pattern");
    let said = |from: &str, to: &str, expected: &str| {
        assert!(EXPERIMENT.contains(from), "{from}");
        lab.write("bad.toml", EXPERIMENT.replace(from, to));
        let refused = lab.run(&["run", "bad.toml", "--dry-run"]);
        let without_lines = lines.replace_all(&refused.stderr, "");
        assert!(refused.code == Some(2) && without_lines.contains(expected), "{refused}");
    };
    let transfer = |problem: &str| format!("evaluation.transfer[0]{problem}");
    said("\"wordy\"", "\"leader\"", &transfer(".name: \"leader\"; expected a name without /"));
    said("\"gemma\"\nmodel", "\"wordy\"\nmodel", "evaluation.transfer[1].name: \"wordy\" a second time");
    said(
        "responses = \"answers.jsonl\"",
        "responses = \"answers.jsonl\"\nmodel = \"gemma\"",
        &transfer(": both of responses and model"),
    );
    said("responses = \"answers.jsonl\"", "", &transfer(": neither of responses and model"));
    said("answers.jsonl\"", "answers.jsonl\"\nthinking = true", "given beside responses, which are there already");
    said("answers.jsonl", "nothing.jsonl", &transfer(".responses: \"nothing.jsonl\" cannot be read"));
    lab.write("few.jsonl", "{\"prompt\": \"Count to 99.\", \"response\": \"no\"}\n");
    said(
        "answers.jsonl",
        "few.jsonl",
        "the file has no response to 4 of the 4 held-out prompts, the first: \"Count to",
    );
    said("model = \"gemma\"", "model = \"./nobody\"", "evaluation.transfer[1].model: \"./nobody\" cannot be read");
    said(
        "model = \"gemma\"",
        "model = \"gemma\"\nchat_template = \"none.jinja\"",
        "evaluation.transfer[1].chat_template: \"none.jinja\" cannot be read",
    );
    said("plugin = \"instruction-accuracy\"", "plugin = \"brevity\"", "a reward plugin is needed here");

    let _ = lab.run(&["run", "tiny.toml"]).success();
    let refuse = |arguments: &[&str], expected: &str| {
        let refused = lab.run(&[&["evaluate", "tiny"], arguments].concat());
        assert!(refused.code == Some(2) && refused.stderr.contains(expected), "{refused}");
    };
    refuse(&["--temperature", "0.5"], "recorded responses were sampled already: give --sample");
    refuse(&["--model", "gemma"], "--model gemma: expected NAME=MODEL");
    refuse(&["--model", "reference=gemma"], "already has a policy 'reference'");
    refuse(&["--measure", "instruction"], "there is no shipped plugin 'instruction'");
    refuse(&["--sample", "--device", "gpu"], "--device \"gpu\" is no device");
    refuse(&["--sample", "--prompts", "nothing.jsonl"], "the file cannot be read");
}

/// A base model has none of its own; the text of the template is part of the plan.
#[test]
fn a_chat_template_can_be_given() {
    let lab = language_lab("");
    let template = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
    lab.write("plain.jinja", template);
    let asked = ["model", "inspect", "--model", "tiny", "--chat-template", "plain.jinja", "--format", "json"];
    assert_eq!(lab.run(&asked).json()["chat_template"], template);
    let _ = lab.run(&["model", "import", "tiny", "templated", "--chat-template", "plain.jinja"]).success();
    assert_eq!(
        lab.run(&["model", "inspect", "--model", "templated", "--format", "json"]).json()["chat_template"],
        template
    );
    lab.write("broken.jinja", "{% for");
    let refused =
        lab.run(&["model", "generate", "--model", "tiny", "--chat-template", "broken.jinja", "--prompt", "Hi"]);
    assert!(refused.stderr.contains("chat_template: the chat template does not compile"), "{refused}");
    let refused = lab.run(&["model", "generate", "--model", "tiny", "--chat-template", "none.jinja", "--prompt", "Hi"]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains("--chat-template none.jinja cannot be read"),
        "{refused}"
    );
}

/// Neither a plan nor a run fetches it; the command that is named shows its terms first.
#[test]
fn a_model_with_terms_is_named_and_not_fetched() {
    let lab = lab();
    lab.write("gemma.toml", EXPERIMENT.replace("path = \"tiny\"", "path = \"gemma-3-270m\""));
    let refused = lab.run(&["run", "gemma.toml"]);
    let expected = "the model gemma-3-270m is not on this machine: run `slhf-lab model fetch gemma-3-270m`";
    assert!(refused.code == Some(2) && refused.stderr.contains(expected), "{refused}");
}

#[test]
fn an_answer_of_a_file_that_leaves_no_room_to_improve_it_is_found_by_check() {
    let lab = lab();
    let write = |words: usize| {
        let answer =
            |number| serde_json::json!({ "prompt": format!("Count to {number}."), "response": "one ".repeat(words) });
        lab.write("answers.jsonl", (0..12).map(|number| answer(number).to_string()).collect::<Vec<_>>().join("\n"));
        lab.run(&["check", "tiny.toml"])
    };
    let _ = write(3).success();
    let said = write(300);
    assert_eq!(said.code, Some(2), "{said}");
    let text = said.to_string();
    for part in ["evaluation.transfer (line ", "answers.jsonl to a prompt of ", "positions, but the model has 256"] {
        assert!(text.contains(part), "{text}");
    }
}
