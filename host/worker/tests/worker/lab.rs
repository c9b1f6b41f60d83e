//! The lab's end of the pipes.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use slhf_plan::{
    Assignment, CheckpointWritten, FromWorker, GroupPlan, Hello, PROTOCOL_VERSION, Report, ResumePoint, RunEnd,
    ToWorker, read_frame, write_frame,
};

/// What the tests and the worker are built from.
pub(crate) const BUILD_ID: &str = env!("SLHF_BUILD_ID");

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one; nothing has been said yet.
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_slhf-lab-worker"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        Self { child, input, output: BufReader::new(output) }
    }

    /// Starts one and greets it.
    pub(crate) fn greeted() -> Self {
        let mut worker = Self::start();
        let own = Hello { protocol: PROTOCOL_VERSION, build_id: BUILD_ID.to_owned() };
        worker.send(&ToWorker::Hello(own.clone()));
        assert_eq!(worker.next(), Some(FromWorker::Hello(own)));
        worker
    }

    pub(crate) fn send(&mut self, message: &ToWorker) {
        write_frame(self.input.as_mut().expect("still open"), message).expect("the worker listens");
    }

    /// The next message; `None` when the worker has closed its end.
    pub(crate) fn next(&mut self) -> Option<FromWorker> {
        read_frame(&mut self.output).expect("only whole frames come out of a worker")
    }

    /// Everything up to the end of the stream, and how the process ended.
    pub(crate) fn finish(mut self) -> (Vec<FromWorker>, ExitStatus) {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            messages.push(message);
        }
        (messages, self.child.wait().expect("it ends"))
    }

    /// Closes the worker's input, as the death of the lab does.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Ends it as the kernel would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
    }
}

/// A piece of work.
pub(crate) fn assignment(group: &GroupPlan, directory: &Path, resume: Vec<ResumePoint>) -> ToWorker {
    ToWorker::Assignment(Assignment {
        frozen: serde_json::to_string(group).expect("a plan is JSON"),
        runs: group.runs.iter().map(|run| run.run).collect(),
        checkpoint_directory: directory.display().to_string(),
        resume,
        device: None,
        processes: None,
        ranks: slhf_plan::RanksFrom::Worker,
    })
}

/// Gives the whole of it to a fresh worker.
pub(crate) fn carry_out(
    group: &GroupPlan,
    directory: &Path,
    resume: Vec<ResumePoint>,
) -> (Vec<FromWorker>, ExitStatus) {
    let mut worker = Worker::greeted();
    worker.send(&assignment(group, directory, resume));
    worker.finish()
}

/// The same, where nothing may go wrong.
pub(crate) fn succeed(group: &GroupPlan, directory: &Path, resume: Vec<ResumePoint>) -> Vec<FromWorker> {
    let (messages, status) = carry_out(group, directory, resume);
    assert!(status.success(), "{status}: {:?}", messages.last());
    assert_eq!(messages.last(), Some(&FromWorker::Done));
    messages
}

/// The sentence of a worker that could not go on.
pub(crate) fn fatal(messages: &[FromWorker], status: ExitStatus) -> &str {
    assert_eq!(status.code(), Some(1));
    match messages.last() {
        Some(FromWorker::Fatal(sentence)) => sentence,
        other => panic!("expected a fatal error, not {other:?}"),
    }
}

pub(crate) fn checkpoints(messages: &[FromWorker]) -> Vec<CheckpointWritten> {
    let checkpoints = messages.iter().filter_map(|message| match message {
        FromWorker::Report(Report::Checkpoint(checkpoint)) => Some(checkpoint.clone()),
        _ => None,
    });
    checkpoints.collect()
}

pub(crate) fn ends(messages: &[FromWorker]) -> Vec<RunEnd> {
    let ends = messages.iter().filter_map(|message| match message {
        FromWorker::Report(Report::RunEnd(end)) => Some(end.clone()),
        _ => None,
    });
    ends.collect()
}

/// Every metric value that was told: (run, step, key, bits).
pub(crate) fn metrics(messages: &[FromWorker]) -> Vec<(i64, u64, String, u64)> {
    let mut rows = Vec::new();
    for message in messages {
        let FromWorker::Report(Report::Metrics(batch)) = message else { continue };
        for (row, values) in batch.values.chunks_exact(batch.keys.len()).enumerate() {
            for (key, value) in batch.keys.iter().zip(values) {
                rows.push((batch.runs[row], batch.steps[row], key.clone(), value.to_bits()));
            }
        }
    }
    rows.sort();
    rows
}

/// A shipped plugin, where `cargo xtask guests` puts it: beside the folder of the profile that these tests are in.
pub(crate) fn plugin(name: &str) -> PathBuf {
    let folder = match std::env::var_os("SLHF_LAB_PLUGINS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_BIN_EXE_slhf-lab-worker"))
            .parent()
            .and_then(Path::parent)
            .expect("target/<profile>/slhf-lab-worker")
            .join("plugins"),
    };
    let path = folder.join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is not there: run `cargo xtask guests` once", path.display());
    path
}
