//! A lab that is watched through its record, and can be killed when a wanted number of rows is committed.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slhf_record::{OpenMode, QueryLimits, Record};
use slhf_tests::{Found, GAME_EVALUATIONS, Lab, Outcome, Random, disturbed_game, install_program, send, worker_of};

/// Cells × seeds.
pub(crate) const RUNS: usize = 4;
/// Nothing in these tests takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Which program computes the game. Both are to take a second or two: one does many more steps in that time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// A plain loop.
    Scalar,
    /// Batched tensors.
    Tensor,
}

impl Path {
    /// Steps between two evaluations.
    pub(crate) fn every(self) -> u64 {
        match self {
            Self::Scalar => 800,
            Self::Tensor => 20,
        }
    }

    /// Steps of every run.
    pub(crate) fn steps(self) -> u64 {
        self.every() * GAME_EVALUATIONS
    }
}

/// Long enough to be killed in the middle.
pub(crate) fn experiment(path: Path) -> String {
    let program = match path {
        Path::Scalar => "scalar",
        Path::Tensor => "tensor",
    };
    disturbed_game(program, path.every())
}

/// Moments to kill at, in committed rows: seeded, so that a failure comes again.
#[derive(Debug)]
pub(crate) struct Moments {
    random: Random,
}

impl Moments {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// How many new rows are waited for, so that `kills_left` kills fit into the rest of the run.
    pub(crate) fn rows(&mut self, kills_left: usize) -> u64 {
        // Five gaps a run and evaluation is a lower bound of what a run records.
        let all = RUNS as u64 * 5 * GAME_EVALUATIONS;
        1 + self.random.below(all / (kills_left as u64 + 2))
    }
}

/// Waits until so many rows are committed.
pub(crate) fn wait_for_rows(lab: &Lab, wanted: u64) {
    let start = Instant::now();
    while rows(lab) < wanted {
        assert!(start.elapsed() < PATIENCE, "no {wanted} rows in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A lab process that computes.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    lab: &'a Lab,
    child: Child,
    rows_before: u64,
}

impl<'a> Watched<'a> {
    /// Starts a verb.
    pub(crate) fn start(lab: &'a Lab, verb: &[&str]) -> Self {
        let rows_before = rows(lab);
        let child = lab.command(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the lab starts");
        Self { lab, child, rows_before }
    }

    /// Waits until so many more rows are committed; false when the lab ended before.
    pub(crate) fn wait_for_new_rows(&mut self, wanted: u64) -> bool {
        let start = Instant::now();
        while rows(self.lab) < self.rows_before + wanted {
            if self.child.try_wait().expect("the lab can be waited for").is_some() {
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "no {wanted} new rows in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// SIGKILL to the lab.
    pub(crate) fn kill_lab(&mut self) {
        self.child.kill().expect("the lab can be killed");
    }

    /// SIGKILL to the lab's worker.
    pub(crate) fn kill_worker(&mut self) {
        if let Some(worker) = self.worker() {
            send("KILL", worker);
        }
    }

    /// A signal to the lab.
    pub(crate) fn signal(&mut self, name: &str) {
        send(name, self.child.id());
    }

    /// Whether the lab has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the lab can be waited for").is_some()
    }

    /// The worker's process number.
    pub(crate) fn worker(&self) -> Option<u32> {
        worker_of(self.child.id())
    }

    /// Waits for the lab's end.
    pub(crate) fn wait(&mut self) -> Outcome {
        let read = |mut stream: Box<dyn std::io::Read + Send>| {
            thread::spawn(move || {
                let mut text = String::new();
                let _ = stream.read_to_string(&mut text);
                text
            })
        };
        let stdout = self.child.stdout.take().map(|stream| read(Box::new(stream)));
        let stderr = self.child.stderr.take().map(|stream| read(Box::new(stream)));
        let status = self.child.wait().expect("the lab can be waited for");
        let text = |thread: Option<thread::JoinHandle<String>>| thread.and_then(|t| t.join().ok()).unwrap_or_default();
        self.lab.outcome_of(status.code(), text(stdout), text(stderr))
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Committed metric values; 0 before there is a record.
fn rows(lab: &Lab) -> u64 {
    let path = lab.path("lab.db");
    if !path.exists() {
        return 0;
    }
    // Opening fails while the record is being made.
    let Ok(mut record) = Record::open(&path, OpenMode::Read) else { return 0 };
    let Ok(answer) = record.query("SELECT count(*) FROM metrics", QueryLimits::default()) else { return 0 };
    match answer.rows.first().and_then(|row| row.first()) {
        Some(slhf_record::Cell::Integer(count)) => count.unsigned_abs(),
        _ => 0,
    }
}

/// Status and reason of every run.
pub(crate) fn statuses(lab: &Lab) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let listed = lab.run(&["ls", "--all", "--format", "json"]).json();
    listed.as_array().expect("rows").iter().map(|run| (text(&run["status"]), text(&run["reason"]))).collect()
}

/// Every number that was computed.
pub(crate) fn numbers(lab: &Lab) -> Found {
    Found::read(lab, "lab.db".as_ref()).expect("the record can be queried")
}

/// The lab beside a worker that does the same and is another file: the same program with a byte behind its end.
pub(crate) fn lab_with_another_worker(lab: &Lab, arguments: &[&str]) -> Outcome {
    let folder = lab.path("other");
    let program = folder.join("slhf-lab");
    if !program.exists() {
        install_program(&slhf_tests::lab_binary(), &program);
        let mut worker = fs::read(slhf_tests::worker_binary()).expect("the worker can be read");
        worker.push(b'\n');
        let changed = lab.path("changed-worker");
        fs::write(&changed, worker).expect("the copy can be written");
        install_program(&changed, &folder.join("slhf-lab-worker"));
    }
    let usual = lab.command(arguments);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(lab.folder()).stdin(Stdio::null()).env_clear();
    for (name, value) in usual.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    lab.outcome(command.env("SLHF_LAB_PLUGINS", slhf_tests::plugins_folder()))
}

/// Checkpoint files that are there.
pub(crate) fn checkpoints(lab: &Lab) -> Vec<PathBuf> {
    let sql = "SELECT DISTINCT path FROM artefacts WHERE kind = 'checkpoint' AND removed_at IS NULL";
    let rows = lab.run(&["query", sql, "--format", "json"]).json();
    let folder = lab.path("lab.db-checkpoints");
    rows.as_array().expect("rows").iter().filter_map(|row| row["path"].as_str()).map(|path| folder.join(path)).collect()
}
