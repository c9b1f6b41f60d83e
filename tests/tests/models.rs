//! Judges that ask models, from the TOML to the record: on the device, and through a server that is well, ill, or gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use slhf_tests::{ChoosingServer, Lab, language_lab, plugins_folder, repository};

const KEY: &str = "sk-a-secret-of-this-test-0123456789";

/// An experiment whose judge asks a model, as its table says.
fn experiment(critic: &str) -> String {
    format!(
        r#"
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
plugin = "llm-judge"
[judge.models.critic]
{critic}

[method]
name = "stackelberg-gda"
steps = 6
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0

[checkpoint]
every = 2
"#
    )
}

fn served(server: &ChoosingServer, more: &str) -> String {
    let origin = server.origin();
    experiment(&format!("server = \"{origin}\"\nmodel = \"chooser\"\nkey_env = \"JUDGE_KEY\"\nretries = 0\n{more}"))
}

/// A share that is a function of the question, as a server's is.
fn share(question: &str) -> f64 {
    let sum = question.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    0.05 + 0.9 * (sum % 1000) as f64 / 1000.0
}

fn rows(lab: &Lab, sql: &str) -> Vec<Value> {
    lab.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

fn run(lab: &Lab, arguments: &[&str]) -> slhf_tests::Outcome {
    let mut command = lab.command(arguments);
    command.env("JUDGE_KEY", KEY);
    lab.outcome(&mut command)
}

/// All numbers of a run but a machine's figures.
fn numbers(lab: &Lab) -> Vec<Value> {
    rows(
        lab,
        "SELECT step, key, value FROM metrics WHERE key NOT LIKE 'timing/%' AND key NOT LIKE 'perf/%' AND key NOT LIKE 'memory/%' \
         AND key <> 'step_time' ORDER BY key, step",
    )
}

#[test]
fn a_model_on_the_device_judges_and_is_counted() {
    let lab = language_lab(&experiment("path = \"tiny\""));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let uses = rows(&lab, "SELECT model, place, server, items, requests, prompt_tokens, refused FROM model_uses");
    let [used] = &uses[..] else { panic!("{uses:?}") };
    assert_eq!((&used["model"], &used["place"], &used["server"]), (&"tiny".into(), &"device".into(), &"".into()));
    assert!(used["items"].as_i64() > Some(0) && used["prompt_tokens"].as_i64() > Some(0), "{used}");
    assert_eq!((used["requests"].as_i64(), used["refused"].as_i64()), (Some(0), Some(0)));
    // Both orders of a pair are kept, and their mean is the verdict.
    let verdicts = rows(&lab, "SELECT probability FROM training_verdicts WHERE probability IS NOT NULL");
    assert!(!verdicts.is_empty());
}

#[test]
fn a_served_model_judges_and_its_key_is_found_nowhere() {
    let server = ChoosingServer::start(|question| Some(share(question)));
    let lab = language_lab(&served(&server, ""));
    let outcome = run(&lab, &["-vv", "run", "tiny.toml"]);
    let said = format!("{outcome:?}");
    let _ = outcome.success();
    let calls = server.calls();
    assert!(!calls.is_empty());
    assert!(calls.iter().all(|call| call.head.contains(&format!("Bearer {KEY}"))));
    let uses = rows(&lab, "SELECT place, server, items, cache_hits, requests, prompt_tokens FROM model_uses");
    let [used] = &uses[..] else { panic!("{uses:?}") };
    assert_eq!((&used["place"], &used["server"]), (&"served".into(), &server.origin().into()));
    let of = |key: &str| used[key].as_i64().expect(key);
    assert_eq!(of("items") - of("cache_hits"), calls.len() as i64);
    // One look for llama.cpp's own interface.
    assert_eq!((of("requests"), of("prompt_tokens")), (calls.len() as i64 + 1, 100 * calls.len() as i64));
    assert!(!said.contains(KEY), "{said}");
    let mut files = vec![lab.folder()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let is_there = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
            assert!(!is_there, "the key is in {}", path.display());
        }
    }
}

/// The worker runs guests and reads models of strangers: keys are not in its environment, nor on anybody's command line.
#[test]
fn a_worker_does_not_see_the_key() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = ChoosingServer::start({
        let asked = Arc::clone(&asked);
        move |question| {
            asked.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(40));
            Some(share(question))
        }
    });
    let lab = language_lab(&served(&server, "concurrency = 1"));
    let mut child = lab.command(["run", "tiny.toml"]).env("JUDGE_KEY", KEY).spawn().expect("the lab");
    wait_until(|| asked.load(Ordering::SeqCst) > 3);
    let worker = slhf_tests::worker_of(child.id()).expect("a worker");
    let read = |process: u32, file: &str| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
    assert!(holds(&read(child.id(), "environ")), "this test looks at nothing");
    assert!(!holds(&read(worker, "environ")), "the worker's environment holds the key");
    assert!(!holds(&read(worker, "cmdline")) && !holds(&read(child.id(), "cmdline")));
    assert!(child.wait().expect("it ends").success());
}

fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_mins(2), "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits_and_asks_nothing_twice() {
    let whole = ChoosingServer::start(|question| Some(share(question)));
    let untouched = language_lab(&served(&whole, ""));
    let _ = run(&untouched, &["run", "tiny.toml"]).success();

    let asked = Arc::new(AtomicUsize::new(0));
    let server = ChoosingServer::start({
        let asked = Arc::clone(&asked);
        move |question| {
            asked.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(10));
            Some(share(question))
        }
    });
    let lab = language_lab(&served(&server, "concurrency = 1"));
    let mut kills = 0;
    for calls in [7, 19, 31] {
        let verb = if kills == 0 { vec!["run", "tiny.toml"] } else { vec!["resume"] };
        let mut child = lab.command(verb).env("JUDGE_KEY", KEY).spawn().expect("the lab");
        wait_until(|| asked.load(Ordering::SeqCst) > calls || child_has_ended(child.id()));
        let _ = child.kill();
        let _ = child.wait();
        kills += 1;
    }
    let _ = run(&lab, &["resume"]);
    let statuses = rows(&lab, "SELECT status FROM runs");
    assert_eq!(statuses[0]["status"], "finished", "{statuses:?}");
    assert_eq!(numbers(&lab), numbers(&untouched));
    let mut times: HashMap<String, usize> = HashMap::new();
    for call in server.calls() {
        *times.entry(call.body["messages"].to_string()).or_default() += 1;
    }
    // What was on its way when the lab was killed was answered to nobody.
    let again: usize = times.values().map(|times| times - 1).sum();
    assert!(again <= kills, "{again} questions were asked again after {kills} kills");
}

fn child_has_ended(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_server_that_is_gone_interrupts_and_a_resume_goes_on() {
    let is_up = Arc::new(AtomicUsize::new(0));
    let server = ChoosingServer::start({
        let is_up = Arc::clone(&is_up);
        move |question| {
            let number = is_up.fetch_add(1, Ordering::SeqCst);
            (!(20..1_000_000).contains(&number)).then(|| share(question))
        }
    });
    let lab = language_lab(&served(&server, "concurrency = 1"));
    let outcome = run(&lab, &["run", "tiny.toml"]);
    let said = format!("{outcome:?}");
    assert!(said.contains("503 Service Unavailable") && said.contains("asks nothing twice"), "{said}");
    let reason = &rows(&lab, "SELECT status, reason FROM runs")[0];
    assert_eq!(reason["status"], "interrupted", "{reason}");
    is_up.store(1_000_000, Ordering::SeqCst);
    let _ = run(&lab, &["resume"]);
    assert_eq!(rows(&lab, "SELECT status FROM runs")[0]["status"], "finished");
    let used = &rows(&lab, "SELECT refused, cache_hits FROM model_uses")[0];
    assert!(used["refused"].as_i64() > Some(0), "{used}");
}

#[test]
fn a_spent_budget_stops_the_run_and_a_larger_one_goes_on() {
    let server = ChoosingServer::start(|question| Some(share(question)));
    let lab = language_lab(&served(&server, "budget_tokens = 1500"));
    let outcome = run(&lab, &["run", "tiny.toml"]);
    let said = format!("{outcome:?}");
    assert!(said.contains("the budget of 1500 tokens") && said.contains("--budget-tokens"), "{said}");
    assert_eq!(rows(&lab, "SELECT status FROM runs")[0]["status"], "interrupted");
    // The checkpoint is of the last step that was done.
    let steps = rows(
        &lab,
        "SELECT (SELECT max(step) FROM artefacts WHERE kind = 'checkpoint') AS saved, (SELECT max(step) FROM metrics) AS done",
    );
    assert_eq!(steps[0]["saved"], steps[0]["done"], "{steps:?}");
    let before = server.calls().len();
    let again = format!("{:?}", run(&lab, &["resume"]));
    assert!(again.contains("the budget of 1500 tokens"), "{again}");
    assert_eq!(server.calls().len(), before, "a spent budget asks nothing");
    let _ = run(&lab, &["resume", "--budget-tokens", "1000000"]);
    assert_eq!(rows(&lab, "SELECT status FROM runs")[0]["status"], "finished");
}

#[test]
fn grants_that_do_not_fit_are_refused_in_a_sentence() {
    let check = |plugin: &str, table: &str, part: &str| {
        let toml = experiment("CRITIC").replace("[judge.models.critic]\nCRITIC", table);
        let lab = language_lab(&toml.replace("\"llm-judge\"", &format!("\"{plugin}\"")));
        let said = format!("{:?}", lab.run(&["check", "tiny.toml"]));
        assert!(said.contains(part), "{part} is not in {said}");
        assert!(!said.contains("secret"), "{said}");
    };
    let of = |table: &str| format!("[judge.models.critic]\n{table}");
    check("llm-judge", "", "judge.models: missing");
    check("brevity", &of("path = \"tiny\""), "asks no model; remove the table");
    check("llm-judge", &of("path = \"nowhere/here\""), "judge.models.critic.path");
    check("llm-judge", &of("server = \"http://127.0.0.1:1/v1\""), "judge.models.critic.model");
    check("llm-judge", &of("server = \"ftp://h/v1\"\nmodel = \"m\""), "neither http:// nor https://");
    check(
        "llm-judge",
        &of("server = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\nkey_env = \"NOT_SET_HERE\""),
        "NOT_SET_HERE holds no key",
    );
    check(
        "llm-judge",
        &of("server = \"https://h/v1\"\nmodel = \"m\"\nkey_env = \"sk-secret\""),
        "never the key itself",
    );
    check("llm-judge", &of("path = \"tiny\"\nretries = 2"), "beside path: it is a setting of a server");
    check("llm-judge", &of("pat = \"tiny\""), "path");
}

/// Components that were built against the contract 0.1.0, which had no models, run on.
#[test]
fn plugins_of_the_first_contract_run_on() {
    let lab = Lab::new();
    let fixture = |name: &str| repository().join("tests/fixtures/wit-0.1.0").join(name).display().to_string();
    for arguments in [
        vec!["plugin", "check", &fixture("brevity.wasm")],
        vec!["plugin", "check", &fixture("moving-average.wasm")],
        vec!["plugin", "check", &fixture("swap-average.wasm"), "--upstream", &fixture("brevity.wasm")],
    ] {
        let mut command = lab.command(&arguments);
        let _ = lab.outcome(command.env("SLHF_LAB_PLUGINS", plugins_folder())).success();
    }
}
