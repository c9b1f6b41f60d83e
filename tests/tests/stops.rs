//! Every end is told right: what a stop or a start that failed has ended can be resumed; failed is what would come again.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slhf_tests::{
    ChoosingServer, Lab, install_program, lab_binary, language_lab, plugins_folder, send, worker_binary, worker_of,
};

const GAME: &str = "kind = \"game\"\nseeds = [1, 2]\n[game]\nactions = [\"a\", \"b\"]\n[method]\nname = \"stackelberg-gda\"\n\
                    steps = 3\n[device]\nname = \"cpu\"\nthreads = 1\n";
const MATRIX: &str = "[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\n";

fn interrupt(child: &Child) {
    send("INT", child.id());
}

fn statuses(lab: &Lab) -> Vec<String> {
    let rows = lab.run(&["query", "SELECT status FROM runs ORDER BY run", "--format", "json"]).json();
    let status = |row: &serde_json::Value| row["status"].as_str().expect("a status").to_owned();
    rows.as_array().expect("rows").iter().map(status).collect()
}

#[test]
fn one_ctrl_c_at_any_moment_of_a_start_leaves_runs_that_resume_finishes() {
    let mut interrupted = 0;
    for moment in 0..12 {
        let lab = Lab::new();
        lab.write("game.toml", GAME.replace("[game]\nactions = [\"a\", \"b\"]\n", MATRIX));
        let mut child =
            lab.command(["run", "game.toml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let started = Instant::now();
        // From the record's first moment on, or from the worker's: how long a start takes differs with the load.
        let has_begun = || if moment < 4 { lab.path("lab.db").exists() } else { worker_of(child.id()).is_some() };
        while !has_begun() && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(40 * (moment % 4)));
        interrupt(&child);
        let code = child.wait().expect("waited for").code();
        // 130: stopped; 0: done before; none: the signal came before anybody listened for it.
        assert!(matches!(code, None | Some(0 | 130)), "{code:?}");
        let listed = lab.run(&["query", "SELECT status FROM runs", "--format", "json"]);
        if listed.code != Some(0) || listed.stdout.trim() == "[]" {
            continue;
        }
        let before = statuses(&lab);
        assert!(!before.iter().any(|status| status == "failed"), "{moment}: {before:?}");
        interrupted += usize::from(before.iter().any(|status| status == "interrupted"));
        let _ = lab.run(&["resume"]).success();
        assert_eq!(statuses(&lab), ["finished", "finished"], "{moment}: {before:?}");
    }
    assert!(interrupted > 0, "no signal came while a worker started: the moments are to be chosen anew");
}

/// A copy of the lab with a worker of the test's own beside it.
fn command_beside(lab: &Lab, arguments: &[&str]) -> Command {
    let usual = lab.command(arguments);
    let mut command = Command::new(lab.path("bin/slhf-lab"));
    command.args(arguments).current_dir(lab.folder()).stdin(Stdio::null()).env_clear();
    command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SLHF_LAB_PLUGINS", plugins_folder());
    command
}

fn with_worker(lab: &Lab, worker: &Path) {
    let _ = std::fs::remove_file(lab.path("bin/slhf-lab-worker"));
    install_program(worker, &lab.path("bin/slhf-lab-worker"));
}

fn beside(experiment: &str, worker: &str) -> Lab {
    let lab = Lab::new();
    lab.write("game.toml", experiment);
    install_program(&lab_binary(), &lab.path("bin/slhf-lab"));
    with_worker(&lab, &lab.write("worker.sh", worker));
    lab
}

#[test]
fn a_worker_that_ends_before_its_handshake_leaves_runs_that_resume_finishes() {
    let workers =
        ["#!/bin/sh\nkill -9 $$\n", "#!/bin/sh\nkill -15 $$\n", "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho no worker\n"];
    for worker in workers {
        let lab = beside(&GAME.replace("[game]\nactions = [\"a\", \"b\"]\n", MATRIX), worker);
        let outcome = lab.outcome(&mut command_beside(&lab, &["run", "game.toml"]));
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert_eq!(statuses(&lab), ["interrupted", "interrupted"], "{worker}: {outcome}");
        with_worker(&lab, &worker_binary());
        let _ = lab.outcome(&mut command_beside(&lab, &["resume"])).success();
        assert_eq!(statuses(&lab), ["finished", "finished"], "{worker}");
    }
}

#[test]
fn a_plugin_that_was_replaced_leaves_runs_that_resume_finishes_once_it_is_back() {
    let lab = beside(&format!("{GAME}[judge]\nplugin = \"./mine.wasm\"\n"), "#!/bin/sh\nkill -9 $$\n");
    let plugin = |name: &str| std::fs::read(plugins_folder().join(name)).expect("a shipped plugin");
    lab.write("mine.wasm", plugin("brevity.wasm"));
    assert_eq!(lab.outcome(&mut command_beside(&lab, &["run", "game.toml"])).code, Some(1));
    with_worker(&lab, &worker_binary());
    lab.write("mine.wasm", plugin("position-bias.wasm"));
    let outcome = lab.outcome(&mut command_beside(&lab, &["resume"]));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("the file changed since the plan was made"), "{outcome}");
    assert_eq!(statuses(&lab), ["interrupted", "interrupted"], "{outcome}");
    lab.write("mine.wasm", plugin("brevity.wasm"));
    let _ = lab.outcome(&mut command_beside(&lab, &["resume"])).success();
    assert_eq!(statuses(&lab), ["finished", "finished"]);
}

/// So many that a judge is asked for a minute, and may be: its deadline is for 64 of a million questions.
const ACTIONS: usize = 1500;

#[test]
fn a_stop_waits_for_no_judge_longer_than_its_deadline() {
    let mut actions = String::new();
    for number in 0..ACTIONS {
        let _ = writeln!(actions, "  {{ name = \"{number}\", text = \"{}\" }},", "word ".repeat(200));
    }
    let lab = Lab::new();
    let game = format!("[game]\nactions = [\n{actions}]\n");
    let judge = "[judge]\nplugin = \"brevity\"\n[judge.limits]\ndeadline_ms = 500\n";
    lab.write("game.toml", GAME.replace("[game]\nactions = [\"a\", \"b\"]\n", &game) + judge);
    let mut command = lab.command(["run", "game.toml"]);
    command.env("SLHF_LAB_PLUGINS", plugins_folder()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("started");
    let sql = "SELECT count(*) AS n FROM runs WHERE status = 'running'";
    let started = Instant::now();
    while started.elapsed() < Duration::from_mins(1) {
        let listed = lab.run(&["query", sql, "--format", "json"]);
        if listed.code == Some(0) && listed.json()[0]["n"] == 2 {
            break;
        }
    }
    // Long enough for the worker to have begun to ask.
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().expect("looked at").is_none(), "the judge was asked in less time than that");
    let asked = Instant::now();
    interrupt(&child);
    let code = child.wait().expect("waited for").code();
    let waited = asked.elapsed();
    assert_eq!(code, Some(130));
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert_eq!(statuses(&lab), ["interrupted", "interrupted"]);
}

/// A server that does not reply keeps a command for as long as its time-out; three times Ctrl-C does not wait for it.
#[test]
fn a_third_ctrl_c_waits_for_no_server() {
    let server = ChoosingServer::start(|_| {
        std::thread::sleep(Duration::from_mins(1));
        Some(0.5)
    });
    let lab = language_lab(&format!(
        "kind = \"language-model\"\n[model]\npath = \"tiny\"\n[data]\nprompts = \"prompts.jsonl\"\nheld_out = 2\n\
         [judge]\nplugin = \"llm-judge\"\n[judge.models.critic]\nserver = \"{}\"\nmodel = \"chooser\"\ntimeout_s = 120\n\
         [method]\nname = \"stackelberg-gda\"\nsteps = 1\nprompts_per_step = 1\nmax_new_tokens = 4\n\
         [device]\nname = \"cpu\"\nthreads = 1\n[evaluation]\nevery = 0\n",
        server.origin()
    ));
    let mut command = lab.command(["run", "tiny.toml"]);
    command.env("SLHF_LAB_PLUGINS", plugins_folder()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("started");
    let started = Instant::now();
    while server.calls().is_empty() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!server.calls().is_empty(), "the judge asked nobody");
    let asked = Instant::now();
    for _ in 0..3 {
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(300));
    }
    let code = child.wait().expect("waited for").code();
    assert_eq!(code, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    // Whoever opens the record next says that the run is interrupted.
    let listed = lab.run(&["ls", "--format", "json"]).json();
    assert_eq!(listed[0]["status"], "interrupted", "{listed}");
}
