//! A worker that is missing, stale, or no worker at all is a sentence that says what to do, and nothing was started.

use std::process::{Command, Stdio};

use insta::assert_snapshot;
use slhf_tests::{Lab, Outcome, install_program};

const EXPERIMENT: &str = r#"
kind = "game"
[game]
actions = ["a", "b"]
preferences = [[0.5, 0.9], [0.1, 0.5]]
tau_leader = 0.1
tau_follower = 0.1
[method]
name = "stackelberg-gda"
steps = 10
[device]
name = "cpu"
"#;

/// Runs a copy of the lab beside what `worker` says, if anything.
fn run_beside(worker: Option<&str>) -> (Lab, Outcome) {
    let lab = Lab::new();
    lab.write("game.toml", EXPERIMENT);
    let program = lab.path("bin/slhf-lab");
    install_program(&slhf_tests::lab_binary(), &program);
    if let Some(script) = worker {
        install_program(&lab.write("worker.sh", script), &lab.path("bin/slhf-lab-worker"));
    }
    let usual = lab.command(["run"]);
    let mut command = Command::new(program);
    command.args(["run", "game.toml"]).current_dir(lab.folder()).stdin(Stdio::null()).env_clear();
    command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = lab.outcome(command.env("SLHF_LAB_PLUGINS", slhf_tests::plugins_folder()));
    (lab, outcome)
}

#[test]
fn a_missing_worker_names_the_build_command_and_starts_nothing() {
    let (lab, outcome) = run_beside(None);
    assert_snapshot!("missing_worker", outcome);
    assert!(!lab.path("lab.db").exists());
}

#[test]
fn a_worker_of_other_sources_is_refused() {
    // A frame: length 19, message 0 (Hello), this protocol (a byte), a build id of 16 digits.
    let stale = format!(
        "#!/bin/sh\nprintf '\\023\\000\\000\\000\\000\\{:03o}\\0200123456789abcdef'\ncat >/dev/null\n",
        slhf_plan::PROTOCOL_VERSION
    );
    let (_lab, outcome) = run_beside(Some(&stale));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("was built from other sources than this slhf-lab (its build is 0123456789ab"),
        "{outcome}"
    );
    assert!(outcome.stderr.contains("build both anew with `cargo xtask lab --version`"), "{outcome}");
}

#[test]
fn a_worker_that_speaks_gibberish_is_refused() {
    let (_lab, outcome) = run_beside(Some("#!/bin/sh\necho 'I am another program altogether'\n"));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("it speaks another protocol"), "{outcome}");
}

#[test]
fn a_worker_that_dies_at_once_has_its_last_words_told() {
    let (_lab, outcome) = run_beside(Some("#!/bin/sh\necho 'libtorch_cpu.so: cannot open' >&2\nexit 127\n"));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let words = "exit code 127, probably a shared library that was not found: see `slhf-lab doctor`; its last words: \
                 libtorch_cpu.so: cannot open";
    assert!(outcome.stderr.contains(words), "{outcome}");
}
