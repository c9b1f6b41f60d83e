//! Verbs that judge without a run ask models that are granted on the command line: on the device, and behind a server.

use serde_json::Value;
use slhf_tests::{ChoosingServer, Lab, Outcome, language_lab, plugins_folder};

const KEY: &str = "sk-a-secret-of-this-test-9876543210";

const PAIRS: &str = r#"{"prompt": "What is better?", "responses": ["Tea.", "Coffee, of course."], "label": 0}
{"prompt": "What is worse?", "responses": ["Rain.", "Snow.", "Hail and sleet."]}
"#;

/// A game whose three actions a model judges.
const GAME: &str = r#"
kind = "game"

[game]
prompt = "What is better?"
actions = ["tea", "coffee", "water"]

[judge]
plugin = "llm-judge"
[judge.models.critic]
path = "tiny"

[method]
name = "stackelberg-gda"
steps = 1
"#;

/// A run that is judged by a rule.
const EXPERIMENT: &str = r#"
kind = "language-model"
seeds = [1]

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
name = "online-ipo"
steps = 1
prompts_per_step = 2
max_new_tokens = 4

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

fn lab() -> Lab {
    let lab = language_lab(EXPERIMENT);
    lab.write("pairs.jsonl", PAIRS);
    lab.write("game.toml", GAME);
    lab
}

fn run(lab: &Lab, arguments: &[&str]) -> Outcome {
    let mut command = lab.command(arguments);
    command.env("SLHF_LAB_PLUGINS", plugins_folder()).env("JUDGE_KEY", KEY);
    lab.outcome(&mut command)
}

fn items_of(audit: &Value, model: &str) -> u64 {
    let models = audit["models"].as_array().expect("models");
    let found = models.iter().find(|asked| asked["model"] == model);
    assert!(found.is_some(), "{model}: {audit:#}");
    found.expect("it was asked")["items"].as_u64().expect("a count")
}

#[test]
fn every_verb_that_judges_asks_a_model_on_the_device() {
    let lab = lab();
    let grant = ["--grant", "critic=tiny", "--device", "cpu"];
    let judge = ["judge", "audit", "llm-judge", "--pairs", "pairs.jsonl", "--format", "json"];
    let audit = run(&lab, &[&judge[..], &grant].concat()).json();
    // Four pairs in both orders, twice each, and a judge that asks in both orders itself.
    assert_eq!((items_of(&audit, "tiny"), &audit["verdicts"]), (32, &16.into()));
    let kept = lab.run(&["query", "SELECT judge, subject, run FROM judge_audits", "--format", "json"]).json();
    assert_eq!(kept, serde_json::json!([{ "judge": "llm-judge", "subject": "pairs.jsonl", "run": null }]));

    let asked = ["plugin", "try", "llm-judge", "--prompt", "What is better?", "--first", "Tea.", "--second", "Coffee."];
    let said = run(&lab, &[&asked[..], &grant].concat());
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stderr.contains("note: tiny was asked 2 items"), "{said}");
    let agreement = ["plugin", "try", "llm-judge", "--pairs", "pairs.jsonl", "--format", "json"];
    assert_eq!(run(&lab, &[&agreement[..], &grant].concat()).json()["judged"], 1);
    let checked = run(&lab, &[&["plugin", "check", "llm-judge"][..], &grant].concat());
    assert_eq!(checked.code, Some(0), "{checked}");

    let solved = run(&lab, &["solve", "game.toml", "--device", "cpu"]);
    assert_eq!(solved.code, Some(0), "{solved}");
    assert!(solved.stdout.contains("coffee"), "{solved}");

    let _ = run(&lab, &["run", "tiny.toml"]).success();
    let evaluated = run(&lab, &[&["evaluate", "tiny", "--judge", "llm-judge"][..], &grant].concat());
    assert_eq!(evaluated.code, Some(0), "{evaluated}");
    let of_run = ["judge", "audit", "llm-judge", "--run", "1", "--format", "json"];
    assert!(items_of(&run(&lab, &[&of_run[..], &grant].concat()).json(), "tiny") > 0);
    let replay = ["verdicts", "replay", "1", "--judge", "llm-judge", "--format", "json"];
    assert_eq!(run(&lab, &[&replay[..], &grant].concat()).json()["failed_now"], 0);
}

#[test]
fn a_server_is_asked_once_and_its_key_is_kept_nowhere() {
    let server = ChoosingServer::start(|question| Some(if question.len() % 2 == 0 { 0.7 } else { 0.4 }));
    let lab = lab();
    let grant = format!(
        r#"critic={{"server": "{}", "model": "chooser", "key_env": "JUDGE_KEY", "retries": 0}}"#,
        server.origin()
    );
    let judge = ["judge", "audit", "llm-judge", "--pairs", "pairs.jsonl", "--format", "json", "--grant", &grant];
    let first = run(&lab, &judge).json();
    let calls = server.calls();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.head.contains(KEY)), "the server is shown its key");
    // What was replied is in the record: neither the same audit nor another verb asks again.
    let mut second = run(&lab, &judge).json();
    assert_eq!(server.calls().len(), calls.len());
    for (document, cost) in [(&first, "models"), (&first, "cost_per_1000_verdicts")] {
        second[cost] = document[cost].clone();
    }
    assert_eq!(first, second);
    let folder = std::fs::read_dir(lab.folder()).expect("a folder").flatten().map(|entry| entry.path());
    for file in folder.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{}", file.display());
    }
}

#[test]
fn grants_that_do_not_fit_are_refused_in_a_sentence() {
    let lab = lab();
    let check = |judge: &str, grants: &[&str], expected: &str| {
        let grants: Vec<&str> = grants.iter().flat_map(|grant| ["--grant", *grant]).collect();
        let judge = ["judge", "audit", judge, "--pairs", "pairs.jsonl", "--device", "cpu"];
        let refused = run(&lab, &[&judge[..], &grants].concat());
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(expected), "{expected}: {refused}");
        assert!(!refused.stderr.contains(KEY), "{refused}");
    };
    check("llm-judge", &[], "it asks a model, and none is granted");
    check("brevity", &["critic=tiny"], "critic");
    check("llm-judge", &["critic"], "--grant critic: expected NAME=MODEL");
    check("llm-judge", &["critic=tiny", "critic=tiny"], "--grant critic is given twice");
    check("llm-judge", &["critic=nowhere/at-all"], "--grant critic: path:");
    check("llm-judge", &["critic={\"server\": 3}"], "--grant critic:");
    check("llm-judge", &["critic={\"server\": \"http://127.0.0.1:1/v1\"}"], "--grant critic: model");
    check(
        "llm-judge",
        &["critic={\"server\": \"http://127.0.0.1:1/v1\", \"model\": \"m\", \"key_env\": \"NO_SUCH_KEY\"}"],
        "the environment's variable NO_SUCH_KEY holds no key",
    );
    check("llm-judge", &["critic=pairs.jsonl"], "--grant critic: path:");
}
