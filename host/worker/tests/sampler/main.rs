//! A run whose responses a server samples, from its TOML to the record: the server has a tiny model, reads the adapters that it is given,
//! and misbehaves.

#![expect(clippy::expect_used, reason = "tests")]

mod server;

use serde_json::Value;
use server::{Manners, SamplingServer};
use slhf_tests::{Lab, Outcome, language_lab};

const KEY: &str = "sk-a-secret-of-this-test-0123456789";

/// `method` and `sampler` are further lines of their tables.
fn experiment(origin: &str, method: &str, sampler: &str) -> String {
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
plugin = "brevity"

[method]
steps = 4
prompts_per_step = 2
max_new_tokens = 6
{method}

[schedule]
learning_rate = 0.02

[device]
name = "cpu"
threads = 1
[device.sampler]
server = "{origin}"
retries = 2
{sampler}

[evaluation]
every = 0

[checkpoint]
every = 2
"#
    )
}

const SHARED: &str = "name = \"stackelberg-gda\"";

struct Tried {
    lab: Lab,
    server: SamplingServer,
}

impl Tried {
    fn new(manners: Manners, method: &str, sampler: &str) -> Self {
        let lab = language_lab("");
        let server = SamplingServer::start(&lab.path("tiny"), manners);
        lab.write("tiny.toml", experiment(server.origin(), method, sampler));
        Self { lab, server }
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.lab.command(arguments);
        self.lab.outcome(command.env("SAMPLER_KEY", KEY))
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        self.run(&["query", sql, "--format", "json"]).json().as_array().expect("rows").clone()
    }

    fn metric(&self, key: &str) -> Vec<f64> {
        let sql = format!("SELECT value FROM metrics WHERE key = '{key}' ORDER BY step");
        self.rows(&sql).iter().map(|row| row["value"].as_f64().unwrap_or(f64::NAN)).collect()
    }

    fn failed(&self, part: &str, status: &str) {
        let outcome = self.run(&["run", "tiny.toml"]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        let runs = self.rows("SELECT status, reason FROM runs");
        let reason = runs[0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(part), "{part}: {reason}\n{outcome}");
        assert_eq!(runs[0]["status"], status, "{reason}");
    }
}

/// The key test: it fails where any adapter is older than the weights that are trained.
#[test]
fn log_probabilities_of_the_server_are_the_trainers_after_every_update() {
    for (method, agents) in [
        ("name = \"stackelberg-gda\"\ntemperature = 0.8", vec!["shared"]),
        ("name = \"stackelberg-gda\"\nparameters = \"separate\"", vec!["leader", "follower"]),
        ("name = \"online-ipo\"", vec!["shared"]),
    ] {
        let tried = Tried::new(Manners::Good, method, "key_env = \"SAMPLER_KEY\"");
        let _ = tried.run(&["run", "tiny.toml"]).success();
        let (mean, largest) =
            (tried.metric("sampling/logprob_difference"), tried.metric("sampling/logprob_difference_max"));
        assert_eq!(mean.len(), 4, "{method}");
        assert!(largest.iter().all(|difference| *difference < 1e-4), "{method}: {largest:?}");
        assert!(mean.iter().zip(&largest).all(|(mean, largest)| mean <= largest));
        let p99 = tried.metric("sampling/logprob_difference_p99");
        assert!(p99.len() == 4 && p99.iter().zip(&largest).all(|(p99, largest)| p99 <= largest), "{p99:?}");

        let seen = tried.server.take_seen();
        // Before each of the four updates, and after the last one for the evaluation.
        for agent in &agents {
            let loads = seen.loaded.iter().filter(|name| name.contains(&format!("-{agent}-"))).count();
            assert_eq!(loads, 5, "{method}: {:?}", seen.loaded);
        }
        assert_eq!(seen.loaded.len(), 5 * agents.len());
        let mut names = (seen.loaded.clone(), seen.unloaded.clone());
        names.0.sort();
        names.1.sort();
        assert_eq!(names.0, names.1, "every adapter is let go");
        assert!(seen.sampled.iter().any(|model| model == "tiny"), "the reference is the model without an adapter");
        assert!(seen.keys > seen.sampled.len(), "the server is shown its key");
        assert!(!tried.lab.path("lab.db-checkpoints/group-1/run-1-sampler").exists());
        let text = std::fs::read(tried.lab.path("lab.db")).expect("the record");
        assert!(!text.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "the key is in the record");
        let uses = tried.rows("SELECT server, items, requests, completion_tokens FROM model_uses");
        assert!(uses.iter().any(|row| row["completion_tokens"].as_i64() > Some(0)), "{uses:?}");
    }
}

#[test]
fn a_server_may_see_the_folder_of_checkpoints_under_another_path() {
    let lab = language_lab("");
    let mounted = lab.path("mounted");
    std::os::unix::fs::symlink(lab.path("lab.db-checkpoints"), &mounted).expect("a link");
    let server = SamplingServer::start(&lab.path("tiny"), Manners::Good);
    let sampler = format!("folder_on_server = \"{}/\"", mounted.display());
    lab.write("tiny.toml", experiment(server.origin(), "name = \"online-dpo\"", &sampler));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let seen = server.take_seen();
    assert!(seen.folders.len() == 5 && seen.folders.iter().all(|folder| folder.starts_with(&mounted)), "{seen:?}");
}

#[test]
fn importance_weights_of_a_server_that_agrees_are_one_and_change_nothing() {
    let weighed = |importance: &str| {
        let tried = Tried::new(Manners::Good, SHARED, importance);
        let _ = tried.run(&["run", "tiny.toml"]).success();
        tried
    };
    let (plain, token) = (weighed(""), weighed("importance = { truncate_at = 2.0 }"));
    let sequence = weighed("importance = { level = \"sequence\" }");
    assert!(plain.metric("sampling/importance_weight").is_empty());
    for tried in [&token, &sequence] {
        let weights = tried.metric("sampling/importance_weight");
        assert!(weights.len() == 4 && weights.iter().all(|weight| (weight - 1.0).abs() < 1e-3), "{weights:?}");
        assert_eq!(tried.metric("sampling/importance_truncated"), [0.0; 4]);
        let norms = plain.metric("grad_norm").into_iter().zip(tried.metric("grad_norm"));
        // Sampling is a function of weights and seeds here: the first steps' responses are the same.
        for (plain, weighed) in norms.take(1) {
            assert!((plain - weighed).abs() < 1e-3 * plain, "{plain} and {weighed}");
        }
    }
}

#[test]
fn a_server_that_says_other_log_probabilities_is_told_by_its_likely_cause() {
    let raw = Tried::new(Manners::Raw, "name = \"stackelberg-gda\"\ntemperature = 0.5", "");
    raw.failed("start it with --logprobs-mode processed_logprobs", "failed");
    // At temperature 1 they are the same.
    let same = Tried::new(Manners::Raw, SHARED, "");
    let _ = same.run(&["run", "tiny.toml"]).success();
    assert!(same.metric("sampling/logprob_difference_max").iter().all(|difference| *difference < 1e-4));

    let without = Tried::new(Manners::WithoutAdapters, SHARED, "");
    without.failed("it samples without the adapter that it was given", "failed");
    // The weights before the first update are those of the model: an adapter that changes nothing yet.
    let stale = Tried::new(Manners::Stale, SHARED, "");
    stale.failed("it samples without the adapter that it was given", "failed");
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_dies_interrupts_the_run_which_goes_on() {
    let busy = Tried::new(Manners::Busy, SHARED, "");
    let _ = busy.run(&["run", "tiny.toml"]).success();
    let retries = busy.rows("SELECT sum(retries) AS retries FROM model_uses");
    assert!(retries[0]["retries"].as_i64() > Some(0), "{retries:?}");

    let dying = Tried::new(Manners::DiesAfter(9), SHARED, "");
    dying.failed("the sampler did not reply: `slhf-lab resume` goes on from the last checkpoint", "interrupted");
    assert_eq!(dying.rows("SELECT steps_done FROM runs")[0]["steps_done"], 2);
    let first = dying.server.take_seen();
    dying.server.behave(Manners::Good);
    let _ = dying.run(&["resume"]).success();
    let second = dying.server.take_seen();
    assert!(second.loaded.iter().all(|name| !first.loaded.contains(name)), "an adapter's name is used once");
    let largest = dying.metric("sampling/logprob_difference_max");
    assert!(largest.len() == 4 && largest.iter().all(|difference| *difference < 1e-4), "{largest:?}");
}

#[test]
fn a_server_that_was_started_anew_interrupts_the_run_which_goes_on() {
    let anew = Tried::new(Manners::ForgetsAfter(9), SHARED, "");
    anew.failed("it has lost the adapter", "interrupted");
    anew.server.behave(Manners::Good);
    let _ = anew.run(&["resume"]).success();
    assert_eq!(anew.metric("sampling/logprob_difference_max").len(), 4);
}

/// That an adapter stays at the server is no reason for anything that comes later.
#[test]
fn a_server_that_lets_no_adapter_go_does_not_decide_how_the_run_ends() {
    let confused = Tried::new(Manners::ConfusedAfter(9), SHARED, "");
    confused.failed("where the adapter", "failed");
    let kept = Tried::new(Manners::ConfusedAfter(usize::MAX), SHARED, "");
    let _ = kept.run(&["run", "tiny.toml"]).success();
    // Nobody can promise such a run's bits.
    let refused = kept.run(&["reproduce", "1"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("a server sampled its responses"), "{refused}");
}

#[test]
fn a_server_that_is_not_there_or_has_another_model_ends_the_run_before_its_first_step() {
    let lab = language_lab(&experiment("http://127.0.0.1:1/v1", SHARED, "timeout_s = 1"));
    let outcome = lab.run(&["run", "tiny.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("cannot be reached"), "{outcome}");
    let other = Tried::new(Manners::Good, SHARED, "model = \"big\"");
    other.failed("the server has tiny; set device.sampler.model", "interrupted");
}

#[test]
fn what_a_server_cannot_sample_is_refused_when_it_is_planned() {
    let check = |method: &str, set: &[&str], part: &str| {
        let lab = language_lab(&experiment("http://127.0.0.1:1/v1", method, ""));
        let set: Vec<&str> = set.iter().flat_map(|one| ["--set", *one]).collect();
        let refused = lab.run(&[&["run", "tiny.toml"][..], &set].concat());
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    };
    check("name = \"nash-md\"\nmixture_coef = 0.1", &[], "a server samples one policy at a time");
    check(SHARED, &["device.processes=2"], "given with device.processes = 2");
    check(SHARED, &["method.top_k=5"], "does not say among how many tokens one was drawn");
    check(SHARED, &["method.top_p=0.9"], "use top_p = 1");
    check(SHARED, &["device.sampler.importance.truncate_at=0.5"], "expected a number of at least 1");
    check("name = \"sft\"", &["device.sampler.importance.truncate_at=2"], "does not learn from samples of the policy");
    check(SHARED, &["device.sampler.server=ftp://somewhere"], "device.sampler.server");
    check(SHARED, &["device.sampler.key_env=NO_SUCH_KEY"], "NO_SUCH_KEY holds no key");
    check(SHARED, &["device.sampler.timeout_s=0"], "device.sampler.timeout_s");
    check(SHARED, &["device.sampler.folder_on_server=here"], "expected an absolute path");
    check(SHARED, &["model.adapter={ kind = \"full\" }"], "takes adapters from a folder");
}
