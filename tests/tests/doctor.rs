//! `slhf-lab doctor`: what is there, what is missing, and what mends it.

use std::collections::BTreeMap;

use slhf_tests::{Lab, repository};

/// Runs `doctor` where `PATH` holds no program at all; the findings by subject.
fn on_a_bare_machine(lab: &Lab) -> (Option<i32>, BTreeMap<String, serde_json::Value>, String) {
    let mut command = lab.command(["doctor", "--format", "json"]);
    command
        .env("PATH", repository().join("host/toolchain/tests/fixtures/nothing"))
        .env("SLHF_LAB_CACHE", lab.path("cache"));
    let outcome = lab.outcome(&mut command);
    let findings: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).expect("a JSON array");
    let by_subject = |finding: serde_json::Value| (finding["subject"].as_str().expect("named").to_owned(), finding);
    (outcome.code, findings.into_iter().map(by_subject).collect(), outcome.stderr)
}

#[test]
fn every_missing_thing_is_named_with_what_mends_it() {
    let lab = Lab::new();
    let (code, findings, stderr) = on_a_bare_machine(&lab);
    assert_eq!(code, Some(1));
    assert_eq!(stderr, "error: 4 things that are needed are missing: the table says what mends them\n");
    for (subject, found, mend) in [
        (
            "libtorch",
            "libtorch 2.11.0 is not there",
            "run `cargo xtask setup` in a clone of the project (downloads 544 MB)",
        ),
        (
            "wasm compiler",
            "no rustc here has the target wasm32-unknown-unknown",
            "run `rustup target add wasm32-unknown-unknown` (downloads about 25 MB), or run `cargo xtask setup` in a clone of the project (downloads 200 MB where Debian's is taken)",
        ),
        (
            "C++ compiler",
            "there is no C++ compiler (`c++`) on PATH",
            "install one (Debian and Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`)",
        ),
        (
            "Python with pip",
            "there is no `python3` on PATH",
            "install Python 3 with pip (Debian and Ubuntu: `apt-get install python3 python3-pip`; Fedora: `dnf install python3-pip`)",
        ),
    ] {
        let finding = &findings[subject];
        assert_eq!(finding["state"], "missing", "{subject}");
        assert_eq!(finding["found"], found, "{subject}");
        assert_eq!(finding["mend"], mend, "{subject}");
    }
    // Looking makes nothing.
    assert!(!lab.path("cache").exists() && !lab.path("lab.db").exists());
}

#[test]
fn what_is_there_is_ready_and_a_record_is_not_needed_before_the_first_run() {
    let lab = Lab::new();
    let (_, findings, _) = on_a_bare_machine(&lab);
    assert_eq!(findings["cache folder"]["state"], "ready");
    let worker = findings["worker"]["found"].as_str().expect("text");
    assert!(worker.ends_with("/slhf-lab-worker with libtorch 2.11.0"), "{worker}");
    assert_eq!(findings["device"]["state"], "ready");
    assert_eq!(findings["plugins"]["state"], "ready");
    assert_eq!(findings["record"]["state"], "not needed");
    assert_eq!(findings["record"]["found"], "lab.db is not there yet");
    assert_eq!(findings["record"]["mend"], "the first `slhf-lab run` makes it");
}

#[test]
fn a_file_that_is_no_record_is_a_finding() {
    let lab = Lab::new();
    lab.write("lab.db", "this is text");
    let (code, findings, _) = on_a_bare_machine(&lab);
    assert_eq!(code, Some(1));
    assert_eq!(findings["record"]["state"], "missing");
    assert_eq!(findings["record"]["mend"], "name another file with --db");
}
