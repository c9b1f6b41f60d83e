//! Plugins in Python and JavaScript, made by tools that the lab fetches. Apart, because it fetches: `cargo xtask test --languages`.

use std::fs;
use std::process::Command;

use slhf_tests::{
    Lab, Network, Outcome, blocks, language_lab, plugins_folder, repository, reward_model, shell, tiny_model,
    worker_binary,
};

/// One command as a user types it.
fn typed(lab: &Lab, script: &str) -> Outcome {
    let mut command = shell(lab, script, Network::Registries);
    lab.outcome(command.env("SLHF_LAB_PLUGINS", plugins_folder()))
}

fn rows(lab: &Lab, sql: &str) -> serde_json::Value {
    lab.run(&["query", sql, "--format", "json"]).json()
}

fn test_command(language: &str) -> &'static str {
    match language {
        "python" => "python3 -m unittest",
        _ => "node --test",
    }
}

/// Makes a plugin as the page says, with its own tests; returns its component.
fn made(lab: &Lab, language: &str, kind: &str) -> String {
    let folder = format!("{language}-{kind}");
    let test = test_command(language);
    let script = format!(
        "slhf-lab plugin new {folder} --language {language} --world {kind} && cd {folder} && {test} && slhf-lab plugin build"
    );
    let _ = typed(lab, &script).success();
    format!("{folder}/{folder}.wasm")
}

fn check(lab: &Lab, language: &str) {
    let report = |component: &str, more: &str| {
        let command = format!("slhf-lab plugin check {component} {more} --format json");
        let report = typed(lab, &command).json();
        assert_eq!(report["passed"], true, "{component}: {report:#}");
    };
    let preference = made(lab, language, "preference");
    report(&preference, "");
    report(&made(lab, language, "reward"), "");
    report(&made(lab, language, "baseline"), "");
    let over = format!("--parameters '{{\"guess_rate\": 0.5}}' --upstream {preference}");
    let combinator = made(lab, language, "combinator");
    report(&combinator, &over);
    // A check asks thousands of questions: too many for a model in a test.
    let asking = made(lab, language, "asking");
    let question = "--prompt 'Say hello' --first hello --second go --format json";
    let verdict = typed(lab, &format!("slhf-lab plugin try {combinator} {over} {question}")).json();
    assert_eq!(verdict["probability"], 0.75);
    let verdict = typed(lab, &format!("slhf-lab plugin try {asking} --grant critic=tiny {question}")).json();
    let votes: Vec<f64> =
        verdict["attributes"].as_array().expect("votes").iter().filter_map(|vote| vote["value"].as_f64()).collect();
    let mean = f64::midpoint(votes[0], votes[1]);
    assert!((verdict["probability"].as_f64().expect("a number") - mean).abs() < 1e-12, "{verdict:#}");
}

#[test]
#[ignore = "fetches componentize-py: cargo xtask test --languages"]
fn every_kind_in_python_keeps_its_promises() {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let _built = worker_binary();
    check(&lab, "python");
}

#[test]
#[ignore = "fetches componentize-qjs: cargo xtask test --languages"]
fn every_kind_in_javascript_keeps_its_promises() {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let _built = worker_binary();
    check(&lab, "javascript");
}

/// A judge that counts its calls in a global and says so: each batch has a fresh instance, so that it is the first call each time.
#[test]
#[ignore = "fetches componentize-py and componentize-qjs: cargo xtask test --languages"]
fn a_global_of_an_interpreter_is_forgotten_after_every_batch() {
    let lab = Lab::new();
    let source = |language: &str| match language {
        "python" => (
            "judge.py",
            "import slhf\n\ncalls = 0\n\n\nclass Judge(slhf.Judge):\n    name, version, measures = 'counter', '0.1.0', 'calls'\n\n    \
             def compare_all(self, comparisons):\n        global calls\n        calls += 1\n        \
             return [slhf.Verdict(1 / (1 + calls)) for _ in comparisons]\n",
        ),
        _ => (
            "judge.js",
            "import { Judge as Base } from \"./slhf.js\";\nlet calls = 0;\nexport class Judge extends Base {\n  \
             static pluginName = \"counter\";\n  static version = \"0.1.0\";\n  static measures = \"calls\";\n  \
             compareAll(comparisons) {\n    calls += 1;\n    return comparisons.map(() => ({ probability: 1 / (1 + calls) }));\n  }\n}\n",
        ),
    };
    for language in ["python", "javascript"] {
        let _ = typed(&lab, &format!("slhf-lab plugin new {language} --language {language}")).success();
        let (file, text) = source(language);
        lab.write(format!("{language}/{file}"), text);
        let _ = typed(&lab, &format!("slhf-lab plugin build {language}")).success();
        lab.write("game.toml", GAME.replace("JUDGE", language));
        let _ = lab.run(&["run", "game.toml", "--db", &format!("{language}.db")]).success();
        let seen = lab.run(&[
            "query",
            "SELECT DISTINCT probability FROM verdicts",
            "--format",
            "json",
            "--db",
            &format!("{language}.db"),
        ]);
        assert_eq!(seen.json(), serde_json::json!([{ "probability": 0.5 }]), "{language}");
        // Other batches than the run's: asked twice, and one by one.
        let report = typed(&lab, &format!("slhf-lab plugin check {language}/{language}.wasm --format json")).json();
        assert_eq!(report["passed"], true, "{language}: {report:#}");
    }
}

const GAME: &str = r#"
kind = "game"

[game]
prompt = "Say hello to the world"
actions = [
    { name = "all", text = "hello world" },
    { name = "half", text = "hello you" },
    { name = "none", text = "no" },
]

[judge]
plugin = "JUDGE/JUDGE.wasm"

[method]
name = "stackelberg-gda"
steps = 50
"#;

#[test]
#[ignore = "fetches componentize-py and componentize-qjs: cargo xtask test --languages"]
fn a_language_model_is_trained_by_judges_of_both_languages() {
    for language in ["python", "javascript"] {
        let lab = language_lab(&LANGUAGE.replace("JUDGE", language));
        let _ = typed(
            &lab,
            &format!("slhf-lab plugin new {language} --language {language} && slhf-lab plugin build {language}"),
        )
        .success();
        let _ = typed(&lab, "slhf-lab run tiny.toml").success();
        let used = &rows(&lab, "SELECT manifest_name, items, failed_items FROM plugins WHERE role = 'judge'")[0];
        assert_eq!((&used["manifest_name"], &used["failed_items"]), (&language.into(), &0.into()), "{used}");
        assert!(used["items"].as_i64() > Some(0), "{used}");
    }
}

const LANGUAGE: &str = r#"
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
plugin = "JUDGE/JUDGE.wasm"
limits = { deadline_ms = 20000 }

[method]
name = "stackelberg-gda"
steps = 2
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
"#;

/// A mistake in the source is shown as the language says it.
#[test]
#[ignore = "fetches componentize-py and componentize-qjs: cargo xtask test --languages"]
fn a_mistake_in_the_source_is_shown_and_leaves_no_component() {
    let lab = Lab::new();
    for (language, file, said) in
        [("python", "judge.py", "ModuleNotFoundError: No module named 'numpyx'"), ("javascript", "judge.js", "numpyx")]
    {
        let _ = typed(&lab, &format!("slhf-lab plugin new {language} --language {language}")).success();
        let path = format!("{language}/{file}");
        let mistake = if language == "python" { "import numpyx\n" } else { "import numpyx from \"./numpyx.js\";\n" };
        lab.write(&path, format!("{mistake}{}", lab.read(&path)));
        let outcome = typed(&lab, &format!("slhf-lab plugin build {language}"));
        let words = format!("{outcome:?}");
        assert_eq!(outcome.code, Some(1), "{words}");
        assert!(words.contains(said) && words.contains("did not become a component"), "{words}");
        assert!(!words.contains("Stack backtrace"), "{words}");
        assert!(!lab.path(format!("{language}/{language}.wasm")).exists());
    }
}

/// Every command of `docs/write-a-judge.md`, from the top, in one scratch folder.
#[test]
#[ignore = "fetches componentize-py and componentize-qjs: cargo xtask test --languages"]
fn the_page_on_writing_a_judge_works_from_the_top() {
    let _built = worker_binary();
    let lab = Lab::new();
    tiny_model(&lab, "my-model");
    reward_model(&lab, "my-reward-model");
    // Its chat template alone takes most of the 64 positions that it is shipped with; rotary ones go on.
    let config = "my-reward-model/config.json";
    let longer = lab.read(config).replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 256");
    assert!(longer.contains(": 256"));
    lab.write(config, longer);
    let page = fs::read_to_string(repository().join("docs/write-a-judge.md")).expect("the page");
    let (blocks, prose) = blocks(&page);
    assert!(
        !prose.lines().any(|line| line.starts_with("    ")),
        "a command that stands outside of the blocks is not run"
    );
    for block in blocks {
        if let Some((_, file)) = block.info.split_once(" file=") {
            lab.write(file, block.text);
            continue;
        }
        assert_eq!(block.info, "sh", "a block that is neither a file nor run");
        let outcome = typed(&lab, &block.text);
        assert_eq!(outcome.code, Some(0), "a command failed; the last one is behind `+`\n{outcome}");
        spare_dependencies(&lab);
    }
}

/// Dependencies of the shipped plugins are a new plugin's: they need not be compiled again.
fn spare_dependencies(lab: &Lab) {
    let compiled = lab.path("rust-judge/target");
    if lab.path("rust-judge").is_dir() && !compiled.exists() {
        let copy = Command::new("cp").arg("--archive").arg(repository().join("plugins/target")).arg(&compiled).status();
        assert!(copy.expect("cp can be started").success(), "run `cargo xtask guests` first");
    }
}
