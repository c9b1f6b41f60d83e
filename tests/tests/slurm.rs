//! Runs in the queue of a real Slurm, brought up for each test: `cargo xtask slurm-test`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, Outcome, Random, Slurm, disturbed_language_model, language_lab, send, tasks_of_launches};

const PATIENCE: Duration = Duration::from_mins(40);

/// A lab whose verbs submit to the cluster.
fn launched(lab: &Lab, slurm: &Slurm, arguments: &[&str], meanwhile: impl FnOnce(&mut Child)) -> Outcome {
    let mut command = lab.command(arguments);
    let output = std::fs::File::create(lab.path("lab.out")).expect("made");
    let errors = std::fs::File::create(lab.path("lab.err")).expect("made");
    command.env("SLURM_CONF", slurm.configuration()).stdout(output).stderr(errors).stdin(Stdio::null());
    let mut child = command.spawn().expect("the lab starts");
    let start = Instant::now();
    meanwhile(&mut child);
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(100));
    };
    lab.outcome_of(status.code(), lab.read("lab.out"), lab.read("lab.err"))
}

fn tasks(lab: &Lab) -> Vec<u32> {
    tasks_of_launches(&lab.path("lab.db-launches"))
}

/// Every run once, finished, with the numbers of the lab itself, and the record whole.
fn is_whole(lab: &Lab, slurm: &Slurm, runs: usize, expected: &Found) {
    let listed = lab.run(&["ls", "--all", "--format", "json"]).json();
    let listed = listed.as_array().expect("rows").clone();
    assert_eq!(listed.len(), runs);
    assert!(listed.iter().all(|run| run["status"] == "finished"), "{listed:?}");
    assert_eq!(expected.difference(&Found::read(lab, &lab.path("lab.db")).expect("it is readable")), None);
    assert_eq!(lab.run(&["db", "check"]).code, Some(0));
    let mut resume = lab.command(["resume"]);
    let resumed = lab.outcome(resume.env("SLURM_CONF", slurm.configuration()));
    assert_eq!(resumed.stderr.trim(), "nothing is interrupted");
}

fn own(lab: &Lab, file: &str) -> Found {
    let outcome = lab.run(&["run", file, "--db", "own.db"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    Found::read(lab, &lab.path("own.db")).expect("it is readable")
}

fn model_lab() -> Lab {
    let text = disturbed_language_model(10, 2);
    language_lab(&text.replacen("log_completions_every", "seeds = [1, 2, 3, 4]\nlog_completions_every", 1))
}

#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn tasks_of_slurm_have_the_numbers_of_the_lab() {
    let (lab, slurm) = (model_lab(), Slurm::start(2));
    let expected = own(&lab, "tiny.toml");
    let config = "[launcher.slurm]\npartition = \"main\"\ntime = \"10:00\"\nprologue = \"export SAID_BEFORE=1\"\n";
    lab.write("config.toml", config);
    let mut command = lab.command(["run", "tiny.toml", "--launcher", "slurm"]);
    command.env("SLURM_CONF", slurm.configuration()).env("SLHF_LAB_CONFIG", lab.path("config.toml"));
    let outcome = lab.outcome(&mut command);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains(": 4 tasks (slurm)"), "{outcome}");
    is_whole(&lab, &slurm, 4, &expected);
}

/// `srun` starts the ranks of one run, and says which one each is.
#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn tasks_of_one_step_are_the_ranks_of_a_run() {
    let (lab, slurm) = (language_lab(&disturbed_language_model(10, 2)), Slurm::start(2));
    let expected = own(&lab, "tiny.toml");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let verb = lab.command(["run", "tiny.toml", "--ranks"]);
    let set = verb.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut command = Command::new("srun");
    command.args(["--ntasks", "2"]).arg(verb.get_program()).args(verb.get_args()).current_dir(lab.folder());
    command.env_clear().envs(set).env("SLURM_CONF", slurm.configuration());
    command.env("MASTER_ADDR", "localhost").env("MASTER_PORT", port.to_string());
    let outcome = lab.outcome(&mut command);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let reduced = "SELECT count(*) AS n FROM metrics WHERE key = 'timing/all_reduce'";
    assert_eq!(lab.run(&["query", reduced, "--format", "json"]).json()[0]["n"], 10);
    is_whole(&lab, &slurm, 1, &expected);
}

/// The lab is gone; its tasks are not.
#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn a_lab_that_ends_leaves_its_tasks_in_the_queue() {
    let (lab, slurm) = (model_lab(), Slurm::start(2));
    let expected = own(&lab, "tiny.toml");
    let outcome = launched(&lab, &slurm, &["run", "tiny.toml", "--launcher", "slurm"], |submitting| {
        let start = Instant::now();
        while tasks(&lab).is_empty() {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(50));
        }
        send("INT", submitting.id());
    });
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert!(outcome.stderr.contains("the lab ends, its tasks go on"), "{outcome}");
    let outcome = launched(&lab, &slurm, &["resume", "--launcher", "slurm"], |_| {});
    assert_eq!(outcome.code, Some(0), "{outcome}");
    is_whole(&lab, &slurm, 4, &expected);
}

/// A controller that is killed soon after it took jobs forgets some of them.
#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn a_killed_controller_loses_nothing() {
    let (lab, slurm) = (model_lab(), Slurm::start(2));
    let expected = own(&lab, "tiny.toml");
    let outcome = launched(&lab, &slurm, &["run", "tiny.toml", "--launcher", "slurm"], |_| {
        let start = Instant::now();
        while slurm.said("squeue", &["-h"]).trim().is_empty() {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(50));
        }
        slurm.restart_controller();
    });
    assert_eq!(outcome.code, Some(0), "{outcome}");
    is_whole(&lab, &slurm, 4, &expected);
}

/// Slurm says so before the limit; the task puts itself back into the queue, and goes on from its checkpoint.
#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn a_task_whose_time_is_up_goes_on_in_the_queue() {
    let lab = language_lab(&disturbed_language_model(1500, 10));
    let slurm = Slurm::start(2);
    let expected = own(&lab, "tiny.toml");
    lab.write("config.toml", "[launcher.slurm]\ntime = \"3:00\"\n");
    let mut command = lab.command(["run", "tiny.toml", "--launcher", "slurm"]);
    command.env("SLURM_CONF", slurm.configuration()).env("SLHF_LAB_CONFIG", lab.path("config.toml"));
    let outcome = lab.outcome(&mut command);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let launches = std::fs::read_dir(lab.path("lab.db-launches")).expect("listed");
    let files = launches.flatten().flat_map(|launch| std::fs::read_dir(launch.path()).expect("listed").flatten());
    let logs: String = files
        .filter(|file| file.file_name().to_string_lossy().starts_with("slurm-"))
        .map(|file| std::fs::read_to_string(file.path()).expect("read"))
        .collect();
    assert!(logs.contains("the job waits in the queue again"), "{logs}");
    is_whole(&lab, &slurm, 1, &expected);
}

/// A thousand cells, of which tasks are killed again and again.
#[test]
#[ignore = "needs Slurm: cargo xtask slurm-test"]
fn two_hundred_kills_among_a_thousand_cells_lose_nothing() {
    let (lab, slurm) = (Lab::new(), Slurm::start(4));
    lab.write("game.toml", thousand_cells());
    let expected = own(&lab, "game.toml");
    let mut random = Random::new(2403);
    let mut killed = 0;
    let launch = ["run", "game.toml", "--launcher", "slurm", "--tasks", "250"];
    let outcome = launched(&lab, &slurm, &launch, |submitting| {
        while killed < 200 && submitting.try_wait().expect("it can be waited for").is_none() {
            thread::sleep(random.moment(Duration::from_millis(800)));
            let computed = tasks(&lab);
            if !computed.is_empty() {
                send("KILL", computed[random.below(computed.len() as u64) as usize]);
                killed += 1;
            }
        }
    });
    assert_eq!(outcome.code, Some(0), "after {killed} kills: {outcome}");
    assert_eq!(killed, 200);
    is_whole(&lab, &slurm, 1000, &expected);
}

fn thousand_cells() -> String {
    let numbers = |many: u32, first: f64, step: f64| {
        (0..many).map(|index| format!("{:.3}", first + step * f64::from(index))).collect::<Vec<_>>().join(", ")
    };
    format!(
        r#"
kind = "game"
seeds = [1]

[game]
actions = ["a", "b", "c"]
preferences = [[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]
tau_leader = 0.1
tau_follower = 0.1

[method]
name = "stackelberg-gda"
steps = 200000

[schedule]
kappa = {{ kind = "constant", value = 5.0 }}
learning_rate = {{ kind = "power", start = 0.5, exponent = 0.6 }}

[device]
name = "cpu"
threads = 1
path = "scalar"

[evaluation]
every = 20000

[checkpoint]
every = 20000

[[ablation]]
key = "schedule.kappa.value"
values = [{}]

[[ablation]]
key = "game.tau_follower"
values = [{}]
"#,
        numbers(40, 1.0, 0.1),
        numbers(25, 0.05, 0.01)
    )
}
