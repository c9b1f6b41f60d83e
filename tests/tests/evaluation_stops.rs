//! `evaluation.stop_at`: policies are compared until enough is known.

use serde_json::Value;
use slhf_tests::{Lab, language_lab};

const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1, 2]

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 40

[judge]
plugin = "brevity"

[method]
name = "rloo"
steps = 1
prompts_per_step = 2
max_new_tokens = 4

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn finished() -> Lab {
    let lab = language_lab(EXPERIMENT);
    let numbers = 0..48;
    let prompts: Vec<String> =
        numbers.clone().map(|number| format!("{{\"prompt\": \"Count to {number}.\"}}\n")).collect();
    lab.write("prompts.jsonl", prompts.concat());
    for (name, words) in [("short", 8), ("long", 90), ("longer", 91)] {
        let line = |number: usize| {
            let distinct: Vec<String> = (0..words + number % 2).map(|word| format!("w{word}")).collect();
            let response = distinct.join(" ");
            serde_json::json!({ "prompt": format!("Count to {number}."), "response": response }).to_string()
        };
        lab.write(format!("{name}.jsonl"), numbers.clone().map(line).collect::<Vec<_>>().join("\n"));
    }
    let _ = lab.run(&["run", "tiny.toml"]).success();
    lab
}

/// The one judge's document.
fn evaluated(lab: &Lab, more: &[&str]) -> (Value, String) {
    let responses = ["short=short.jsonl", "long=long.jsonl", "longer=longer.jsonl"];
    let mut arguments = vec!["evaluate", "tiny", "--format", "json"];
    arguments.extend(responses.iter().flat_map(|one| ["--responses", one]));
    let outcome = lab.run(&[&arguments, more].concat());
    let said = outcome.stderr.clone();
    (outcome.json()[0].clone(), said)
}

fn matchup(found: &Value, names: [&str; 2]) -> Value {
    let is_it = |pair: &&Value| {
        names.contains(&pair["first"].as_str().expect("a name"))
            && names.contains(&pair["second"].as_str().expect("a name"))
    };
    found["matchups"].as_array().expect("pairs").iter().find(is_it).expect("the pair").clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn a_clear_difference_is_asked_about_no_longer_than_needed() {
    let lab = finished();
    let (all, said) = evaluated(&lab, &[]);
    assert!(all["stopped"].is_null() && all["matchups"][0]["these_policies"].is_null(), "{all}");
    assert!(!said.contains("stopped at"), "{said}");

    let (found, said) = evaluated(&lab, &["--stop-at", "difference_from=0.5"]);
    let pair = matchup(&found, ["short", "long"]);
    let these = &pair["these_policies"];
    let asked = these["asked"].as_u64().expect("a number");
    assert!(asked < 40 && asked.is_multiple_of(8) && these["prompts"] == 40 && these["differs"] == true, "{pair}");
    let [low, high] = ["low", "high"].map(|key| number(&these[key]));
    // Of the whole population, of which so few were asked.
    let truth = number(&matchup(&all, ["short", "long"])["win_rate"]);
    assert!((low > 0.5 || high < 0.5) && low <= truth && truth <= high, "{pair}, {truth}");
    assert_eq!(pair["n"].as_u64(), Some(asked), "two files have no seeds: {pair}");

    // What differs in hardly anything is asked about to its end, where all is known.
    let (found_all, of_all) = (matchup(&found, ["long", "longer"]), matchup(&all, ["long", "longer"]));
    assert_eq!(found_all["these_policies"]["asked"], 40);
    assert_eq!(found_all["win_rate"], of_all["win_rate"]);
    for key in ["low", "high"] {
        assert!((number(&found_all["these_policies"][key]) - number(&of_all["win_rate"])).abs() < 1e-9, "{found_all}");
    }

    let stopped = &found["stopped"];
    let pairs = found["matchups"].as_array().expect("pairs");
    let verdicts = |key: &str| pairs.iter().filter_map(|pair| pair["these_policies"][key].as_u64()).sum::<u64>() * 4;
    assert_eq!(stopped["verdicts"].as_u64(), Some(verdicts("asked")));
    assert_eq!(stopped["all_verdicts"].as_u64(), Some(verdicts("prompts")));
    let saved = 1.0 - verdicts("asked") as f64 / verdicts("prompts") as f64;
    assert!((number(&stopped["saved"]) - saved).abs() < 1e-12 && saved > 0.0, "{stopped}");
    let part = format!("{} of {} verdicts were asked for", verdicts("asked"), verdicts("prompts"));
    assert!(
        said.contains(&part) && said.contains("a little too sure") && !said.contains("left out of a pair"),
        "{said}"
    );
}

/// A file that answers only some prompts is compared on those, side by side with the others in the one order of all prompts.
#[test]
fn a_file_of_some_prompts_is_compared_on_those() {
    let lab = finished();
    let short = lab.read("short.jsonl");
    let half: Vec<&str> = short.lines().step_by(2).collect();
    lab.write("half.jsonl", half.join("\n"));
    let rule = ["--responses", "half=half.jsonl", "--stop-at", "width=0.000001"];
    let (found, _) = evaluated(&lab, &rule);
    let of = |names: [&str; 2]| matchup(&found, names)["these_policies"].clone();
    let (whole, part) = (of(["long", "short"]), of(["long", "half"]));
    let prompts = part["prompts"].as_u64().expect("a number");
    assert!(whole["prompts"] == 40 && (1..40).contains(&prompts) && part["asked"] == prompts, "{part}");
    let width = number(&part["high"]) - number(&part["low"]);
    assert!(width <= 1e-6, "all of its prompts were asked about: {part}");
}

/// A width that only everything gives: the numbers are those of asking about all, and the interval has none.
#[test]
fn all_prompts_give_what_they_give_without_a_rule() {
    let lab = finished();
    let (all, _) = evaluated(&lab, &[]);
    let (found, _) = evaluated(&lab, &["--stop-at", "width=0.000001"]);
    let pairs = |found: &Value| found["matchups"].as_array().expect("pairs").clone();
    for (with, without) in pairs(&found).iter().zip(pairs(&all)) {
        for key in ["first", "second", "win_rate", "low", "high", "p_holm", "n"] {
            assert_eq!(with[key], without[key], "{key}");
        }
        let these = &with["these_policies"];
        // The width may be reached a group before the end only where the last prompts cannot move it.
        assert!(number(&these["high"]) - number(&these["low"]) <= 1e-6, "{with}");
    }
    assert_eq!(found["stopped"]["saved"], 0.0);
    // A wider one is reached before.
    let (found, said) = evaluated(&lab, &["--stop-at", "width=0.4"]);
    assert!(said.contains("made for a fixed number of prompts") && !said.contains("too sure"), "{said}");
    for pair in pairs(&found) {
        let these = &pair["these_policies"];
        let asked = these["asked"].as_u64().expect("a number");
        assert!(number(&these["high"]) - number(&these["low"]) <= 0.4 && asked <= 40, "{pair}");
    }
    assert!(number(&found["stopped"]["saved"]) > 0.0, "{found}");
}

/// The rule is declared like a family: it changes no run, is recorded with what was found, and stands on the page.
#[test]
fn a_rule_is_declared_and_shown() {
    let lab = finished();
    let with = |rule: &str| EXPERIMENT.replacen("[evaluation]", &format!("[evaluation]\nstop_at = {rule}"), 1);
    lab.write("tiny.toml", with("{ difference_from = 0.5 }"));
    let _ = lab.run(&["run", "tiny.toml", "--needed"]).success();
    let runs = lab.run(&["query", "SELECT count(*) AS n FROM runs", "--format", "json"]).json();
    assert_eq!(runs[0]["n"], 2, "all are answered");
    let (found, said) = evaluated(&lab, &[]);
    assert_eq!(found["stopped"]["rule"], serde_json::json!({ "difference_from": 0.5 }));
    assert!(said.contains("stopped at difference_from=0.5"), "{said}");
    let _ = lab.run(&["report", "--out", "pages"]).success();
    let page = lab.read("pages/tiny.md");
    assert!(page.contains("Stopped at difference_from=0.5: ") && page.contains("| short |"), "{page}");
    let (found, _) = evaluated(&lab, &["--stop-at", "none"]);
    assert!(found["stopped"].is_null());
    let table = lab.run(&["evaluate", "tiny", "--responses", "short=short.jsonl", "--pairs", "--format", "csv"]);
    assert!(table.stdout.contains("prompts_asked") && table.stdout.contains("e_value"), "{table}");

    for (rule, expected) in [
        ("{ width = 2 }", "evaluation.stop_at.width"),
        ("{ width = 0.1, difference_from = 0.5 }", "both of width and difference_from"),
        ("{}", "neither of width and difference_from"),
        ("{ widht = 0.1 }", "widht"),
    ] {
        lab.write("tiny.toml", with(rule));
        let refused = lab.run(&["run", "tiny.toml", "--dry-run"]);
        assert!(refused.code == Some(2) && refused.stderr.contains(expected), "{rule}: {refused}");
    }
    for rule in ["width", "width=1", "difference_from=zero", "x=0.1"] {
        let refused = lab.run(&["evaluate", "tiny", "--stop-at", rule]);
        assert!(refused.code == Some(2) && refused.stderr.contains("expected \"width=\""), "{rule}: {refused}");
        // Nothing is opened for a rule that there is not.
        let refused = lab.run(&["evaluate", "tiny", "--stop-at", rule, "--db", "none/lab.db"]);
        assert!(refused.code == Some(2) && refused.stderr.contains("expected \"width=\""), "{rule}: {refused}");
    }
}
