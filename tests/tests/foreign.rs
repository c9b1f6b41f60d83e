//! Files of others are read in a process of their own: whatever becomes of it, the lab says so in a sentence and goes on.
//!
//! The limits are lowered below what honest files need, so that nothing here breaks anybody's software.

use std::path::{Path, PathBuf};
use std::process::Command;

use slhf_tests::{Lab, Outcome, plugins_folder, repository};

const MEMORY: &str = "SLHF_LAB_FOREIGN_MEMORY_MIB";
const SECONDS: &str = "SLHF_LAB_FOREIGN_SECONDS";

/// With plugins, and with a cache of this test's own.
fn command(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = lab.command(arguments);
    command.env("SLHF_LAB_PLUGINS", plugins_folder()).env("SLHF_LAB_CACHE", lab.path("cache"));
    command
}

fn refused(lab: &Lab, command: &mut Command, expect: &str) {
    let outcome = lab.outcome(command);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains(expect), "{outcome}");
}

#[test]
fn a_component_that_takes_too_much_costs_its_own_process() {
    let lab = Lab::new();
    let inspect = || command(&lab, &["plugin", "inspect", "brevity"]);
    let path = plugins_folder().join("brevity.wasm").display().to_string();
    // Less address space than a compiler needs beside this program.
    let out = lab.outcome(inspect().env(MEMORY, "64"));
    assert_eq!(out.code, Some(2), "{out}");
    assert!(
        out.stderr.starts_with(&format!("error: {path} cannot be read: the process that reads it ended (")),
        "{out}"
    );
    assert!(out.stderr.contains("it may take 64 MiB, which SLHF_LAB_FOREIGN_MEMORY_MIB raises"), "{out}");
    assert_eq!(out.stderr.lines().count(), 1, "one sentence: {out}");
    let slow = format!("error: {path} cannot be read within 0.001 s; SLHF_LAB_FOREIGN_SECONDS raises that limit");
    refused(&lab, inspect().env(SECONDS, "0.001"), &slow);
    // A lower limit of the shell's is not ours to raise.
    let mut limited = Command::new("sh");
    let within = inspect();
    limited.args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\""]).arg(within.get_program()).args(within.get_args());
    limited
        .env_clear()
        .envs(within.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .current_dir(lab.folder());
    let out = lab.outcome(limited.env(MEMORY, "100000").env(SECONDS, "60"));
    if out.code != Some(0) {
        assert!(out.stderr.contains("it may take 976 MiB, which `ulimit -v` (the shell's limit) raises"), "{out}");
    }
    let measures = |outcome: Outcome| outcome.success().contains("brevity");
    assert!(measures(lab.outcome(&mut inspect())), "with the usual limits it is compiled");
    // What lies compiled in the cache is still described there, and nowhere else.
    refused(&lab, inspect().env(SECONDS, "0.001"), &slow);
    let list = lab.outcome(command(&lab, &["plugin", "list"]).env(SECONDS, "0.001"));
    assert_eq!(list.code, Some(1), "{list}");
    assert!(list.stderr.contains(&slow["error: ".len()..]), "{list}");
}

#[test]
fn too_little_memory_for_the_process_itself_is_one_sentence() {
    let lab = Lab::new();
    for mib in [1, 16, 48, 100, 260, 300, 340, 400] {
        let out = lab.outcome(command(&lab, &["plugin", "inspect", "brevity"]).env(MEMORY, mib.to_string()));
        if out.code == Some(0) {
            continue;
        }
        assert_eq!((out.code, out.stderr.lines().count()), (Some(2), 1), "{mib}: {out}");
        let how = out.stderr.split_once("the process that reads it ended (").map(|(_, rest)| rest);
        let how = how.and_then(|rest| rest.split_once(");")).map(|(how, _)| how.to_owned());
        assert!(how.as_deref().is_some_and(|how| how.contains(", as when ")), "{mib}: {out}");
        let limit = format!("it may take {mib} MiB, which SLHF_LAB_FOREIGN_MEMORY_MIB raises");
        assert!(out.stderr.contains(&limit), "{mib}: {out}");
    }
}

#[test]
fn files_of_data_are_read_under_the_same_limits() {
    let lab = Lab::new();
    // So many rows that they take longer to read than a busy machine takes to look at the clock.
    let rows = |row: &str| (0..300_000).map(|_| row).collect::<String>();
    lab.write("votes.csv", format!("first,second,wins\n{}{}", rows("a,b,1\n"), rows("b,a,1\n")));
    lab.write("pairs.csv", format!("index,length_1,length_2,preference\n{}", rows("1,10,20,1.5\n")));
    let toml = "kind = \"game\"\n[game]\nfile = \"votes.csv\"\n[method]\nname = \"stackelberg-gda\"\n";
    lab.write("game.toml", toml);
    let asked: [(&[&str], &str); 3] = [
        (&["solve", "votes.csv"], "votes.csv"),
        (&["check", "game.toml"], "votes.csv"),
        (&["evaluate", "--annotations", "pairs.csv"], "pairs.csv"),
    ];
    for (arguments, file) in asked {
        let ask = || command(&lab, arguments);
        let good = lab.outcome(&mut ask());
        assert_eq!(good.code, Some(0), "{arguments:?}: {good}");
        let slow = lab.outcome(ask().env(SECONDS, "0.001"));
        assert_eq!(slow.code, Some(2), "{arguments:?}: {slow}");
        let sentence = "cannot be read within 0.001 s; SLHF_LAB_FOREIGN_SECONDS raises that limit";
        assert!(slow.stderr.contains(file) && slow.stderr.contains(sentence), "{arguments:?}: {slow}");
        let small = lab.outcome(ask().env(MEMORY, "1"));
        assert_eq!(small.code, Some(2), "{arguments:?}: {small}");
        assert!(small.stderr.contains("it may take 1 MiB, which SLHF_LAB_FOREIGN_MEMORY_MIB raises"), "{small}");
    }
}

#[test]
fn an_adapter_is_tried_before_a_worker_loads_it() {
    let lab = Lab::new();
    model(&lab, "{{ messages[0].content }}");
    let fixture = repository().join("host/policy/tests/fixtures/adapters/llama-tied-saved-embedding");
    for entry in std::fs::read_dir(fixture).expect("a fixture").flatten() {
        lab.write(Path::new("adapter").join(entry.file_name()), std::fs::read(entry.path()).expect("a file"));
    }
    let inspect = || command(&lab, &["model", "inspect", "--model", "./model", "--adapter", "./adapter"]);
    assert_eq!(lab.outcome(&mut inspect()).code, Some(0));
    let config = lab.read("adapter/adapter_config.json");
    let weights = std::fs::read(lab.path("adapter/adapter_model.safetensors")).expect("weights");
    // A worker would say the same and is never started: the model's limits of time are theirs, too.
    lab.write("adapter/adapter_config.json", config.replace("\"LORA\"", "\"IA3\""));
    refused(&lab, &mut inspect(), "adapter_config.json: `peft_type` is \"IA3\"; only `LORA` is known");
    lab.write("adapter/adapter_config.json", "{".repeat(400));
    refused(&lab, &mut inspect(), "adapter_config.json: this is not the JSON of an adapter's configuration");
    lab.write("adapter/adapter_config.json", config);
    lab.write("adapter/adapter_model.safetensors", &weights[..weights.len() / 2]);
    refused(&lab, &mut inspect(), "adapter_model.safetensors: ");
    std::fs::remove_file(lab.path("adapter/adapter_model.safetensors")).expect("it is ours");
    refused(&lab, &mut inspect(), "adapter_model.safetensors is missing; expected a folder as PEFT saves it");
}

#[test]
fn a_limit_of_size_is_raised_by_the_environment() {
    let lab = Lab::new();
    let toml = "kind = \"game\"\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.6], [0.4, 0.5]]\n[method]\nname = \"stackelberg-gda\"\n";
    lab.write("large.toml", format!("#{}\n{toml}", "x".repeat(16 << 20)));
    let check = || command(&lab, &["check", "large.toml"]);
    refused(&lab, &mut check(), "at most 16777216 are read, which SLHF_LAB_FILE_MIB raises");
    let raised = lab.outcome(check().env("SLHF_LAB_FILE_MIB", "17"));
    assert_eq!(raised.code, Some(0), "{raised}");
}

#[test]
fn one_bad_component_does_not_spoil_the_next() {
    let lab = Lab::new();
    lab.write("bad.wasm", b"no component");
    let toml = |plugin: &str| {
        format!(
            "kind = \"game\"\n[game]\nactions = [\"a\", \"b\"]\n[judge]\nplugin = \"{plugin}\"\n[method]\nname = \"stackelberg-gda\"\n"
        )
    };
    lab.write("bad.toml", toml("./bad.wasm"));
    lab.write("good.toml", toml("brevity"));
    let outcome = lab.outcome(&mut command(&lab, &["check", "bad.toml", "good.toml"]));
    assert!(outcome.stderr.contains("not a complete WebAssembly component"), "{outcome}");
    assert!(outcome.stdout.contains("good.toml: valid"), "{outcome}");
}

#[test]
fn a_damaged_cache_is_made_anew_with_a_warning() {
    let lab = Lab::new();
    let inspect = || lab.outcome(&mut command(&lab, &["plugin", "inspect", "brevity", "--format", "json"]));
    let first = inspect().success();
    let of_code = |path: &PathBuf| path.extension().is_none() && !path.ends_with("files.json");
    let codes: Vec<PathBuf> = files(&lab.path("cache")).into_iter().filter(of_code).collect();
    assert!(!codes.is_empty());
    for code in codes {
        let mut bytes = std::fs::read(&code).expect("it is ours");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(&code, bytes).expect("it is ours");
    }
    let again = inspect();
    assert!(again.stderr.contains("is damaged") && again.stderr.contains("it is compiled anew"), "{again}");
    assert_eq!(again.success(), first);
    assert_eq!(inspect().stderr, "");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A tiny model in the folder, with this chat template.
fn model(lab: &Lab, template: &str) {
    let fixture = repository().join("host/policy/tests/fixtures/llama-tied");
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        if let Ok(bytes) = std::fs::read(fixture.join(name)) {
            lab.write(Path::new("model").join(name), bytes);
        }
    }
    lab.write("model/chat_template.jinja", template);
}

#[test]
fn a_model_is_tried_before_a_worker_loads_it() {
    let lab = Lab::new();
    model(&lab, "{% for message in messages %}{{ message.content }}{% endfor %}");
    let inspect = || command(&lab, &["model", "inspect", "--model", "./model"]);
    let _ = lab.outcome(&mut inspect()).success();
    let memory = lab.outcome(inspect().env(MEMORY, "1"));
    assert!(memory.stderr.contains("it may take 1 MiB, which SLHF_LAB_FOREIGN_MEMORY_MIB raises"), "{memory}");
    let slow = lab.outcome(inspect().env(SECONDS, "0.0001"));
    assert!(slow.stderr.contains("SLHF_LAB_FOREIGN_SECONDS raises that limit"), "{slow}");
    model(&lab, "{% if %}");
    let bad = lab.outcome(&mut inspect());
    assert!(bad.stderr.contains("chat_template.jinja: the chat template does not compile"), "{bad}");
}

#[test]
fn what_is_changed_in_a_tokenizer_is_said_once_and_exported() {
    let lab = Lab::new();
    model(&lab, "{{ messages[0].content }}");
    let text = std::fs::read_to_string(lab.path("model/tokenizer.json")).expect("it is ours");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let asked =
        |prompt| ["model", "logprobs", "--model", "./model", "--prompt", prompt, "--response", "a", "--format", "json"];
    let without = lab.outcome(&mut command(&lab, &asked("the answer"))).success();
    tokenizer["model"]["dropout"] = 0.5.into();
    tokenizer["added_tokens"].as_array_mut().expect("tokens").push(serde_json::json!({"id": 300, "content": "<image>",
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}));
    lab.write("model/tokenizer.json", tokenizer.to_string());
    let with = lab.outcome(&mut command(&lab, &asked("the answer")));
    assert_eq!(with.stdout, without);
    assert_eq!(with.stderr.matches("`model.dropout` is 0.5").count(), 1, "{with}");
    let _ = lab.outcome(&mut command(&lab, &["model", "import", "./model", "out"])).success();
    let out = std::fs::read_to_string(lab.path("out/tokenizer.json")).expect("it was written");
    let out: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(out["model"]["dropout"], serde_json::Value::Null);
    // The model's vocabulary has 300 rows.
    let beyond = lab.outcome(&mut command(&lab, &asked("an <image>")));
    assert!(beyond.stderr.contains("has the token \"<image>\", whose id 300 is beyond the 300 rows"), "{beyond}");
}

#[test]
fn prompts_are_read_under_the_same_limits() {
    let lab = Lab::new();
    model(&lab, "{% for message in messages %}{{ message.content }}{% endfor %}");
    // So many that they take longer to read than a busy machine takes to look at the clock.
    lab.write("prompts.jsonl", "{\"prompt\": \"Why?\"}\n".repeat(20_000) + "{\"prompt\": \"How?\"}\n");
    lab.write(
        "experiment.toml",
        "kind = \"language-model\"\n[model]\npath = \"./model\"\n[data]\nprompts = \"prompts.jsonl\"\nheld_out = 1\n[judge]\nplugin = \"brevity\"\n\
         [method]\nname = \"stackelberg-gda\"\nsteps = 1\n",
    );
    let check = || command(&lab, &["check", "experiment.toml"]);
    let good = lab.outcome(&mut check());
    assert!(good.stdout.contains("valid"), "{good}");
    let slow = lab.outcome(check().env(SECONDS, "0.0001"));
    assert!(slow.stderr.contains("data.prompts") && slow.stderr.contains("prompts.jsonl"), "{slow}");
    assert!(slow.stderr.contains("SLHF_LAB_FOREIGN_SECONDS raises that limit"), "{slow}");
}

#[test]
fn an_answer_of_a_query_has_a_limit_and_so_has_the_memory_for_it() {
    let lab = Lab::new();
    let toml = "kind = \"game\"\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.6], [0.4, 0.5]]\n[method]\nname = \"stackelberg-gda\"\nsteps = 2\n";
    lab.write("tiny.toml", toml);
    let _ = lab.outcome(&mut command(&lab, &["run", "tiny.toml"])).success();
    let query = |sql: &str| lab.outcome(&mut command(&lab, &["query", sql, "--size-limit-mib", "1"]));
    assert_eq!(query("SELECT length(zeroblob(1048576)) AS n").code, Some(0));
    let long = query("SELECT zeroblob(600000) UNION ALL SELECT zeroblob(600000)");
    assert!(long.stderr.contains("the query returned more than 1 MiB"), "{long}");
    let large = query("SELECT length(hex(zeroblob(9000000)))");
    assert!(large.stderr.contains("the query needs more than 8 MiB of memory"), "{large}");
}
