//! `slhf-lab plugin …`: a judge from an empty folder to a verdict, and what every sub-verb says.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use slhf_tests::{Lab, Outcome, plugins_folder, repository, worker_binary};
use slhf_toolchain::{Environment, wasm};

/// `slhf-lab plugin …` with the shipped plugins.
fn plugin(lab: &Lab, arguments: &[&str]) -> Outcome {
    lab.outcome(&mut shipped(lab, arguments))
}

fn shipped(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = lab.command([&["plugin"], arguments].concat());
    command.env("SLHF_LAB_PLUGINS", plugins_folder());
    command
}

/// `slhf-lab plugin build …` with the compiler that the set-up found, and never the network.
fn build(lab: &Lab, arguments: &[&str]) -> Command {
    let compiler = wasm::find(&Environment::of_process())
        .expect("looking for a compiler succeeds")
        .expect("a compiler for wasm32-unknown-unknown: run `cargo xtask setup`");
    let mut command = lab.command([&["plugin", "build"], arguments].concat());
    let home = env::var_os("HOME").map(PathBuf::from).expect("HOME");
    let cargo_home = env::var_os("CARGO_HOME").unwrap_or_else(|| home.join(".cargo").into());
    command
        .env("CARGO", env::var_os("CARGO").expect("tests are run by cargo"))
        .env("CARGO_HOME", cargo_home)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_QUIET", "true")
        .env(wasm::VARIABLE, compiler.rustc);
    command
}

/// Dependencies of the shipped plugins are a new plugin's: they need not be compiled again. A copy, since what is built
/// in a scratch folder is of use to nobody else.
fn copy_compiled_dependencies(lab: &Lab, plugin: &str) {
    let copied = Command::new("cp")
        .arg("--archive")
        .arg(repository().join("plugins/target"))
        .arg(lab.path(plugin))
        .status()
        .expect("cp can be started");
    assert!(copied.success(), "the shipped plugins were not built: run `cargo xtask guests`");
}

/// Pins what a verb said. Sizes vary with the compiler and speeds with the machine; with them the width of a column.
fn pin(name: &str, outcome: &Outcome) {
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b\d+ (KiB|bytes|items/s in batches of 4096)\b *").expect("the pattern is valid")
    });
    let said = outcome.to_string();
    insta::assert_snapshot!(name, FIGURE.replace_all(&said, "[FIGURE] $1 "));
}

#[test]
fn a_judge_from_an_empty_folder_to_a_verdict() {
    let lab = Lab::new();
    pin("new", &lab.run(&["plugin", "new", "my-judge"]));
    copy_compiled_dependencies(&lab, "my-judge");
    pin("build", &lab.outcome(&mut build(&lab, &["my-judge"])));
    let built =
        std::fs::metadata(lab.path("my-judge/my-judge.wasm")).expect("the component").modified().expect("a time");
    let _ = lab.outcome(&mut build(&lab, &["my-judge"])).success();
    let again =
        std::fs::metadata(lab.path("my-judge/my-judge.wasm")).expect("the component").modified().expect("a time");
    assert_eq!(built, again, "a component that did not change keeps its file");

    pin("check", &plugin(&lab, &["check", "my-judge/my-judge.wasm"]));
    let question = ["--prompt", "Say hello", "--first", "hello you", "--second", "go away"];
    let ask = |more: &[&str]| plugin(&lab, &[&["try", "my-judge/my-judge.wasm"], &question[..], more].concat());
    pin("try", &ask(&[]));
    let verdict = ask(&["--parameters", r#"{"decisiveness": 0.5}"#, "--format", "json"]).json();
    assert_eq!(verdict["probability"], 0.625);
    assert_eq!(verdict["attributes"][0]["reason"], "0.50 against 0.00");
    pin("try_bad_parameter", &ask(&["--parameters", r#"{"decisivness": 0.5}"#]));
    pin("try_parameter_out_of_range", &ask(&["--parameters", r#"{"decisiveness": 2}"#]));
    judges_a_run(&lab);
}

/// The judge in an experiment: the record holds its verdicts, and what it was.
fn judges_a_run(lab: &Lab) {
    let _built = worker_binary();
    lab.write("hello.toml", EXPERIMENT);
    let _ = lab.run(&["run", "hello.toml"]).success();
    let ask = |question: &str| lab.run(&["query", question, "--format", "json"]).json();
    let verdicts = ask("SELECT first, second, probability FROM verdicts");
    let probability = |first: &str, second: &str| {
        let row =
            verdicts.as_array().expect("rows").iter().find(|row| row["first"] == first && row["second"] == second);
        assert!(row.is_some(), "{first} and {second} were compared: {verdicts:#}");
        row.and_then(|row| row["probability"].as_f64())
    };
    // All, half and none of the words are the prompt's; decisiveness 0.8.
    for (first, second, expected) in
        [("all", "half", 0.7), ("half", "all", 0.3), ("all", "none", 0.9), ("half", "half", 0.5)]
    {
        let found = probability(first, second).expect("a number");
        assert!((found - expected).abs() < 1e-12, "{first} and {second}: {found}");
    }
    let built = plugin(lab, &["inspect", "my-judge/my-judge.wasm", "--format", "json"]).json();
    let used = &ask("SELECT role, manifest_name, version, items, failed_items, parameters, sha256 FROM plugins")[0];
    assert_eq!((&used["role"], &used["manifest_name"]), (&"judge".into(), &"my-judge".into()));
    assert_eq!((&used["items"], &used["failed_items"]), (&9.into(), &0.into()));
    assert_eq!(used["parameters"], r#"{"decisiveness":0.8}"#);
    assert_eq!(used["sha256"], built["inspection"]["sha256"]);
}

const EXPERIMENT: &str = r#"
kind = "game"

[game]
prompt = "Say hello to the world"
actions = [
    { name = "all", text = "hello world" },
    { name = "half", text = "hello you" },
    { name = "none", text = "no" },
]

[judge]
plugin = "my-judge/my-judge.wasm"
parameters = { decisiveness = 0.8 }

[method]
name = "stackelberg-gda"
steps = 50
"#;

#[test]
fn every_kind_of_new_plugin_builds_and_keeps_its_promises() {
    let lab = Lab::new();
    for (kind, arguments) in [
        ("reward", &[][..]),
        ("baseline", &[]),
        ("combinator", &["--parameters", r#"{"guess_rate": 0.2}"#, "--upstream", "my-judge.wasm"]),
        ("preference", &[]),
    ] {
        let _ = lab.run(&["plugin", "new", "my-judge", "--world", kind]).success();
        copy_compiled_dependencies(&lab, "my-judge");
        let _ = lab.outcome(&mut build(&lab, &["my-judge", "--out", kind])).success();
        let component = format!("{kind}/my-judge.wasm");
        if kind == "combinator" {
            std::fs::copy(plugins_folder().join("swap-average.wasm"), lab.path("my-judge.wasm")).expect("a copy");
        }
        if kind != "combinator" {
            let report = plugin(&lab, &[&["check", &component, "--format", "json"], arguments].concat()).json();
            assert_eq!(report["passed"], true, "{kind}: {report:#}");
        }
        std::fs::remove_dir_all(lab.path("my-judge")).expect("removed");
    }
    // The combinator over the judge.
    let arguments = ["--parameters", r#"{"guess_rate": 0.5}"#, "--upstream", "preference/my-judge.wasm"];
    let report = plugin(&lab, &[&["check", "combinator/my-judge.wasm", "--format", "json"], &arguments[..]].concat());
    assert_eq!(report.json()["passed"], true);
    let question = ["--prompt", "Say hello", "--first", "hello", "--second", "go", "--format", "json"];
    let verdict = plugin(&lab, &[&["try", "combinator/my-judge.wasm"], &arguments[..], &question].concat()).json();
    assert_eq!(verdict["probability"], 0.75);
    // The judge over the reward model: σ(1 − 0).
    let arguments = ["--upstream", "reward/my-judge.wasm"];
    let verdict = plugin(&lab, &[&["try", "bradley-terry"], &arguments[..], &question].concat()).json();
    assert_eq!(verdict["probability"], 1.0 / (1.0 + (-1.0_f64).exp()));
}

/// Nothing is fetched where a program is missing, and the sentence says which.
#[test]
fn what_makes_components_of_python_and_javascript_is_named_where_it_is_missing() {
    let lab = Lab::new();
    pin("new_python", &lab.run(&["plugin", "new", "in-python", "--language", "python"]));
    pin(
        "new_javascript",
        &lab.run(&["plugin", "new", "in-javascript", "--language", "javascript", "--world", "asking"]),
    );
    for (name, folder) in [("build_without_python", "in-python"), ("build_without_node", "in-javascript")] {
        let mut command = lab.command(["plugin", "build", folder]);
        pin(name, &lab.outcome(command.env("PATH", lab.folder()).env("SLHF_LAB_CACHE", lab.path("cache"))));
    }
    assert!(!lab.path("cache").exists(), "nothing was begun");
    lab.write(
        "in-python/plugin.json",
        "{\"name\": \"in-python\", \"language\": \"cobol\", \"world\": \"preference-plain\"}",
    );
    pin("build_bad_language", &lab.run(&["plugin", "build", "in-python"]));
}

#[test]
fn new_refuses_what_it_would_overwrite_and_names_cargo_would_refuse() {
    let lab = Lab::new();
    lab.write("mine/notes.txt", "important");
    pin("new_not_empty", &lab.run(&["plugin", "new", "mine"]));
    assert_eq!(lab.read("mine/notes.txt"), "important");
    pin("new_bad_name", &lab.run(&["plugin", "new", "My Judge"]));
    pin("new_bad_world", &lab.run(&["plugin", "new", "mine", "--world", "judge"]));
}

#[test]
fn build_says_what_is_missing() {
    let lab = Lab::new();
    let _ = lab.run(&["plugin", "new", "my-judge"]).success();
    let mut without_compiler = lab.command(["plugin", "build", "my-judge"]);
    without_compiler.env("SLHF_LAB_CACHE", lab.path("empty-cache")).env("PATH", lab.path("no-programs"));
    pin("build_no_compiler", &lab.outcome(&mut without_compiler));
    let mut wrong_compiler = lab.command(["plugin", "build", "my-judge"]);
    wrong_compiler.env(wasm::VARIABLE, "/bin/false");
    pin("build_wrong_compiler", &lab.outcome(&mut wrong_compiler));

    pin("build_no_manifest", &lab.outcome(&mut build(&lab, &["."])));
    lab.write("library/Cargo.toml", "[package]\nname = \"library\"\nedition = \"2024\"\n[workspace]\n");
    lab.write("library/src/lib.rs", "");
    pin("build_no_cdylib", &lab.outcome(&mut build(&lab, &["library"])));
    lab.write("broken/Cargo.toml", "[package\n");
    pin("build_broken_manifest", &lab.outcome(&mut build(&lab, &["broken"])));
    let manifest = "[package]\nname = \"empty\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    lab.write("empty/Cargo.toml", manifest);
    lab.write("empty/src/lib.rs", "");
    pin("build_no_export", &lab.outcome(&mut build(&lab, &["empty"])));
    lab.write("empty/src/lib.rs", "fn f() -> u8 { \"text\" }");
    let failed = lab.outcome(&mut build(&lab, &["empty"]));
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("mismatched types") && failed.stderr.contains("empty did not compile"), "{failed}");
    assert!(!lab.path("empty/empty.wasm").exists());
}

#[test]
fn shipped_plugins_are_listed_and_inspected() {
    let lab = Lab::new();
    let listed = plugin(&lab, &["list", "--format", "json"]).json();
    let names: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|row| row["name"].as_str()).collect();
    let expected = [
        "attribute-committee",
        "attribute-sum",
        "attributes",
        "bradley-terry",
        "brevity",
        "general-preference",
        "instruction-accuracy",
        "instructions",
        "length-control",
        "llm-judge",
        "moving-average",
        "noisy-annotators",
        "position-bias",
        "recorded",
        "reward-model",
        "rubric-judge",
        "similarity",
        "swap-average",
        "table",
    ];
    assert_eq!(names, expected);
    pin("inspect_attributes", &plugin(&lab, &["inspect", "attributes"]));
    let inspected = plugin(&lab, &["inspect", "bradley-terry", "--format", "json"]).json();
    assert_eq!(inspected["world"], "preference");
    assert_eq!(inspected["manifest"]["claims"]["complementary"], true);
    assert_eq!(inspected["manifest"]["parameters_schema"]["properties"]["scale"]["default"], 1.0);
    let imports = inspected["inspection"]["imports"].as_array().expect("imports");
    assert!(
        imports.iter().all(|import| import.as_str().is_some_and(|name| name.starts_with("slhf:lab/"))),
        "{imports:?}"
    );
    assert!(!imports.contains(&"slhf:lab/upstream-preference@0.1.0".into()), "what is not used is not imported");
}

#[test]
fn a_missing_plugin_names_the_command_that_builds_it() {
    let lab = Lab::new();
    pin("missing_shipped", &plugin(&lab, &["inspect", "atributes"]));
    pin("missing_file", &plugin(&lab, &["inspect", "my-judge.wasm"]));
    let mut nothing_built = lab.command(["plugin", "list"]);
    nothing_built.env("SLHF_LAB_PLUGINS", lab.path("nowhere"));
    pin("missing_folder", &lab.outcome(&mut nothing_built));
    lab.write("text.wasm", "not a component");
    pin("no_component", &plugin(&lab, &["inspect", "text.wasm"]));
}

#[test]
fn shipped_plugins_keep_their_promises() {
    let lab = Lab::new();
    lab.write(
        "actions.json",
        r#"[{"text": "a"}, {"text": "b"}, {"text": "Take the train.", "metadata": {"action": "c"}}]"#,
    );
    let taste = r#"{"attributes": [{"name": "taste"}, {"name": "health"}, {"name": "effort"}]}"#;
    let attributes = format!("attributes={taste}");
    let table = r#"{"actions": ["a", "b", "c"], "preferences": [[0.5, 0.9, 0.2], [0.3, 0.5, 0.8], [0.8, 0.2, 0.5]]}"#;
    let table_upstream = format!("table={table}");
    for arguments in [
        &["attributes", "--parameters", taste][..],
        &["attribute-sum", "--parameters", r#"{"weights": {"taste": 1}}"#],
        &["bradley-terry", "--upstream", r#"attribute-sum={"weights": {"taste": 1}}"#],
        &["moving-average"],
        &["swap-average", "--upstream", &attributes],
        &["noisy-annotators", "--parameters", r#"{"error_rate": 0.2}"#, "--upstream", &attributes],
        &["table", "--parameters", table, "--responses", "actions.json"],
        &["length-control", "--parameters", r#"{"coefficient": 2}"#, "--upstream", &attributes],
        &["swap-average", "--upstream", &table_upstream, "--responses", "actions.json"],
    ] {
        let report = plugin(&lab, &[&["check", "--format", "json"], arguments].concat()).json();
        assert_eq!(report["passed"], true, "{arguments:?}: {report:#}");
    }
    pin("check_swap_average", &plugin(&lab, &["check", "swap-average", "--upstream", &attributes]));
}

#[test]
fn a_plugin_that_asks_models_says_where_they_are_granted() {
    let lab = Lab::new();
    pin("check_without_model", &plugin(&lab, &["check", "llm-judge"]));
}

#[test]
fn a_broken_promise_fails_the_check() {
    let lab = Lab::new();
    lab.write("pairs.json", r#"[{"text": "a"}, {"text": "b"}]"#);
    // A table whose verdicts are NaN's neighbours: nothing that can be looked up is an answer.
    pin(
        "check_failed",
        &plugin(&lab, &["check", "table", "--parameters", r#"{"actions": ["x"], "preferences": [[0.5]]}"#]),
    );
    lab.write("one.json", r#"[{"text": "a"}]"#);
    let table = r#"{"actions": ["a"], "preferences": [[0.5]]}"#;
    pin("check_bad_responses", &plugin(&lab, &["check", "table", "--parameters", table, "--responses", "one.json"]));
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let lab = Lab::new();
    let table = r#"{"actions": ["a", "b"], "preferences": [[0.5, 0.9], [0.1, 0.5]]}"#;
    let check = |name: &str, arguments: &[&str]| pin(name, &plugin(&lab, &[&["try"], arguments].concat()));
    check("try_no_second", &["table", "--first", "a", "--parameters", table]);
    check("try_stranger", &["table", "--first", "a", "--second", "c", "--parameters", table]);
    check("try_no_json", &["table", "--first", "a", "--second", "b", "--parameters", "actions=a"]);
    check("try_no_file", &["table", "--first", "a", "--second", "b", "--parameters", "@parameters.json"]);
    check("try_no_upstream", &["swap-average", "--first", "a", "--second", "b"]);
    check(
        "try_wrong_upstream",
        &["bradley-terry", "--first", "a", "--second", "b", "--upstream", &format!("table={table}")],
    );
    check("try_baseline", &["moving-average", "--first", "a"]);
    check("try_bad_metadata", &["table", "--first", "a", "--second", "b", "--first-metadata", "[]"]);
    lab.write("parameters.json", table);
    let verdict = plugin(
        &lab,
        &["try", "table", "--first", "a", "--second", "b", "--parameters", "@parameters.json", "--format", "json"],
    );
    assert_eq!(verdict.json()["probability"], 0.9);
}

#[test]
fn bench_prints_its_figures() {
    let lab = Lab::new();
    let table = r#"{"actions": ["a"], "preferences": [[0.5]]}"#;
    let arguments = [
        "bench",
        "table",
        "--parameters",
        table,
        "--text",
        "a",
        "--response-bytes",
        "0",
        "--pairs",
        "100",
        "--batch",
        "10",
    ];
    let figures = plugin(&lab, &[&arguments[..], &["--format", "json"]].concat()).json();
    let value = |name: &str| {
        let row = figures.as_array().expect("a list").iter().find(|row| row["figure"] == name);
        row.unwrap_or_else(|| panic!("{name} in {figures:#}"))["value"].as_f64().expect("a number")
    };
    assert_eq!((value("items"), value("failed_items")), (100.0, 0.0));
    for figure in ["ready_first_ms", "ready_cached_ms", "call_of_one_us", "items_per_second", "item_us"] {
        assert!(value(figure) > 0.0, "{figure}");
    }
    pin("bench_failing", &plugin(&lab, &["bench", "table", "--parameters", table]));
    pin("bench_baseline", &plugin(&lab, &["bench", "moving-average"]));
}
