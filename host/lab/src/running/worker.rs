//! One worker process: how it is found, started, spoken to, stopped, and how its death is put into words.
//!
//! The worker sits in a process group of its own, so that a Ctrl-C on the terminal reaches the lab alone, and has its
//! environment from here: nothing that changes a number is left to what the user's shell happens to export.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use slhf_plan::{
    Assignment, Environment, FrameError, FromWorker, Hello, ModelAnswer, ModelRequest, PROTOCOL_VERSION, ToWorker,
    read_frame, write_frame,
};

use super::death::{Death, EXIT_TIMEOUT, HowItEnded};

/// The worker's name, beside the lab's own executable.
const PROGRAM: &str = "slhf-lab-worker";

/// The command that builds both.
const BUILD_COMMAND: &str = "cargo xtask lab --version";

/// Hash of the sources the worker is built from, as the lab knows them.
pub(crate) const BUILD_ID: &str = env!("SLHF_BUILD_ID");

/// `MKL_CBWR` of every worker: one code path and one rounding, whatever the alignment of the memory and however busy the machine. That of tests is in
/// `.cargo/config.toml`.
const MKL_CBWR: &str = "AVX2,STRICT";

/// Loading libtorch from a cold disk takes seconds; a minute means that something hangs.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_mins(1);

/// Lines of stderr that are kept for the reason of a death.
const STDERR_LINES_KEPT: usize = 12;

/// Bytes of one line of stderr that are kept.
const STDERR_LINE_BYTES_MAX: usize = 500;

/// Why there is no worker to speak to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// The lab cannot say where it lies itself.
    #[error("the folder of slhf-lab's own executable cannot be found")]
    NoOwnFolder(#[source] io::Error),
    /// The file is not there.
    #[error("the worker {} is missing: build it with `{BUILD_COMMAND}`", .0.display())]
    Missing(PathBuf),
    /// It does not start.
    #[error("the worker {} cannot be started: build it anew with `{BUILD_COMMAND}`", path.display())]
    CannotStart {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was built from other sources.
    #[error(
        "the worker {} was built from other sources than this slhf-lab ({}): build both anew with `{BUILD_COMMAND}`",
        path.display(),
        difference
    )]
    Stale {
        /// The program.
        path: PathBuf,
        /// Which build or protocol it has, which was expected.
        difference: String,
    },
    /// It said nothing.
    #[error("the worker {} said nothing for {} s after its start{tail}", path.display(), HANDSHAKE_TIMEOUT.as_secs())]
    Silent {
        /// The program.
        path: PathBuf,
        /// What it printed on stderr.
        tail: String,
    },
    /// It ended before it said what it is.
    #[error("the worker {} ended before it said a word ({death})", path.display())]
    EndedAtOnce {
        /// The program.
        path: PathBuf,
        /// How, in words.
        death: Death,
    },
    /// It does not read what it is told.
    #[error("the worker could not be sent its request")]
    Deaf(#[source] FrameError),
    /// The checkpoints have no place.
    #[error("the folder for checkpoints {} cannot be made", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot do what was asked, in its own words.
    #[error("{0}")]
    Refused(String),
    /// A model that was named cannot be used.
    #[error("{0}")]
    BadModel(String),
    /// The answer was no answer.
    #[error("the worker ended without a reply ({0})")]
    NoAnswer(Death),
    /// A child without pipes.
    #[error("the worker cannot be spoken to: its pipes are closed")]
    NoPipes,
}

/// Where the worker's program lies.
#[derive(Clone, Debug)]
pub(crate) struct WorkerProgram {
    path: PathBuf,
    /// Variables of the environment that it is not to see.
    hidden: Vec<String>,
}

impl WorkerProgram {
    /// Looks beside the lab's own executable.
    pub(crate) fn find() -> Result<Self, WorkerError> {
        let own = std::env::current_exe().map_err(WorkerError::NoOwnFolder)?;
        let path = own.with_file_name(PROGRAM);
        if path.is_file() { Ok(Self { path, hidden: Vec::new() }) } else { Err(WorkerError::Missing(path)) }
    }

    /// The same, whose processes do not see these variables of the environment: keys of servers are the lab's alone.
    pub(crate) fn without<'a>(&self, variables: impl IntoIterator<Item = &'a str>) -> Self {
        Self { path: self.path.clone(), hidden: variables.into_iter().map(str::to_owned).collect() }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks a worker what it would run on: resolves `auto`, and says in a sentence why a device cannot be used.
    pub(crate) fn probe(&self, device: &str, threads: u32) -> Result<Environment, WorkerError> {
        let mut worker = Worker::start(self, threads, |_| {})?;
        worker.send(&ToWorker::Probe { device: device.to_owned(), threads })?;
        let mut found = None;
        loop {
            match worker.receive() {
                Ok(Some(FromWorker::Environment(environment))) => found = Some(environment),
                Ok(Some(FromWorker::Fatal(why))) => {
                    worker.end();
                    return Err(WorkerError::Refused(why));
                }
                Ok(Some(FromWorker::Done)) => {
                    let death = worker.end();
                    return found.ok_or(WorkerError::NoAnswer(death));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(WorkerError::NoAnswer(worker.end())),
            }
        }
    }
}

impl WorkerProgram {
    /// Has a worker carry out a task on a model. `hear` gets the answers as they come, and says whether to go on.
    pub(crate) fn ask(
        &self,
        request: ModelRequest,
        mut hear: impl FnMut(ModelAnswer) -> bool,
    ) -> Result<(), WorkerError> {
        slhf_foreign::try_models_of_task(&request).map_err(WorkerError::BadModel)?;
        let mut worker = Worker::start(self, request.threads, |_| {})?;
        worker.send(&ToWorker::Model(Box::new(request)))?;
        loop {
            match worker.receive() {
                Ok(Some(FromWorker::ModelAnswer(answer))) => {
                    if !hear(answer) {
                        return Ok(());
                    }
                }
                Ok(Some(FromWorker::Log(line))) => super::log::log(&line),
                Ok(Some(FromWorker::Fatal(why))) => {
                    worker.end();
                    return Err(WorkerError::Refused(why));
                }
                Ok(Some(FromWorker::Done)) => {
                    worker.end();
                    return Ok(());
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(WorkerError::NoAnswer(worker.end())),
            }
        }
    }
}

/// A running worker after its handshake.
#[derive(Debug)]
pub(crate) struct Worker {
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<Vec<String>>>,
    control: Arc<Control>,
}

/// The part of a worker that other threads may use: the one that handles Ctrl-C.
#[derive(Debug)]
pub(crate) struct Control {
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    /// Whether it was given work: until then there is nothing that a stop could lose.
    is_at_work: AtomicBool,
}

impl Control {
    /// Asks for the end after this step, with a checkpoint; ends one at once that has no work yet. A worker that is dead
    /// already needs no telling.
    pub(crate) fn stop(&self) {
        if !self.is_at_work.load(Ordering::SeqCst) {
            return self.kill();
        }
        if let Some(stdin) = lock(&self.stdin).as_mut() {
            let _ = write_frame(stdin, &ToWorker::Stop);
        }
    }

    /// Replies to a question; a worker that is dead needs none.
    pub(crate) fn reply(&self, reply: &ToWorker) {
        if let Some(stdin) = lock(&self.stdin).as_mut() {
            let _ = write_frame(stdin, reply);
        }
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        let _ = lock(&self.child).kill();
    }
}

impl Worker {
    /// Starts a worker and shakes hands with it. `watch` gets its control before that: a start takes seconds.
    pub(crate) fn start(
        program: &WorkerProgram,
        threads: u32,
        watch: impl FnOnce(&Arc<Control>),
    ) -> Result<Self, WorkerError> {
        let mut child = command(program, threads)
            .spawn()
            .map_err(|source| WorkerError::CannotStart { path: program.path.clone(), source })?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            let _ = child.kill();
            return Err(WorkerError::NoPipes);
        };
        let mut worker = Self {
            stdout: BufReader::with_capacity(1 << 16, stdout),
            stderr: Some(thread::spawn(move || keep_tail(stderr))),
            control: Arc::new(Control {
                child: Mutex::new(child),
                stdin: Mutex::new(Some(stdin)),
                is_at_work: AtomicBool::new(false),
            }),
        };
        watch(&worker.control);
        worker.shake_hands(program)?;
        Ok(worker)
    }

    /// The part for other threads.
    pub(crate) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Gives the worker its work: from here on a stop lets it end its step.
    pub(crate) fn assign(&mut self, assignment: Assignment) -> Result<(), WorkerError> {
        self.send(&ToWorker::Assignment(assignment))?;
        self.control.is_at_work.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Tells the worker something.
    pub(crate) fn send(&mut self, message: &ToWorker) -> Result<(), WorkerError> {
        let mut stdin = lock(&self.control.stdin);
        let Some(stdin) = stdin.as_mut() else {
            return Err(WorkerError::Deaf(FrameError::Pipe(io::ErrorKind::BrokenPipe.into())));
        };
        write_frame(stdin, message).map_err(WorkerError::Deaf)
    }

    /// Waits for the next message; `None` when the worker closed its output.
    pub(crate) fn receive(&mut self) -> Result<Option<FromWorker>, FrameError> {
        read_frame(&mut self.stdout)
    }

    /// Closes its input, waits for its exit (not for ever), and says in words how it ended.
    pub(crate) fn end(mut self) -> Death {
        self.end_in_place()
    }

    fn shake_hands(&mut self, program: &WorkerProgram) -> Result<(), WorkerError> {
        // A worker that is deaf is dead: what it says (nothing) and how it ended tell more than the broken pipe.
        let _ = self.send(&ToWorker::Hello(Hello { protocol: PROTOCOL_VERSION, build_id: BUILD_ID.to_owned() }));
        let (answered, answer) = mpsc::channel::<()>();
        let control = self.control();
        let watchdog = thread::spawn(move || match answer.recv_timeout(HANDSHAKE_TIMEOUT) {
            Err(RecvTimeoutError::Timeout) => {
                control.kill();
                true
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        });
        let hello = self.receive();
        drop(answered);
        let timed_out = watchdog.join().unwrap_or(false);
        let path = program.path.clone();
        match hello {
            Ok(Some(FromWorker::Hello(hello))) => {
                let Some(difference) = difference(&hello) else { return Ok(()) };
                self.end_in_place();
                Err(WorkerError::Stale { path, difference })
            }
            _ if timed_out => {
                let death = self.end_in_place();
                Err(WorkerError::Silent { path, tail: format!(" ({death})") })
            }
            Ok(Some(_)) | Err(FrameError::Malformed(_) | FrameError::TooLong { .. }) => {
                self.control.kill();
                self.end_in_place();
                Err(WorkerError::Stale { path, difference: "it speaks another protocol".to_owned() })
            }
            Ok(None) | Err(_) => Err(WorkerError::EndedAtOnce { path, death: self.end_in_place() }),
        }
    }

    fn end_in_place(&mut self) -> Death {
        drop(lock(&self.control.stdin).take());
        let (status, was_killed_here) = self.wait();
        let last_words = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let how = match status {
            _ if was_killed_here => HowItEnded::Hung,
            Ok(status) => HowItEnded::Exited(status),
            Err(error) => HowItEnded::Unknown(error),
        };
        Death { how, last_words }
    }

    /// Polls, because the handler of Ctrl-C must be able to kill the child meanwhile.
    fn wait(&self) -> (io::Result<ExitStatus>, bool) {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match lock(&self.control.child).try_wait() {
                Ok(Some(status)) => return (Ok(status), false),
                Ok(None) if start.elapsed() > EXIT_TIMEOUT => break,
                Ok(None) => {}
                Err(error) => return (Err(error), false),
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        let mut child = lock(&self.control.child);
        let _ = child.kill();
        (child.wait(), true)
    }
}

/// A worker that nobody waited for any more (an error on the way) leaves neither a process nor a zombie.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.stderr.is_some() {
            self.control.kill();
            let _ = lock(&self.control.child).wait();
        }
    }
}

/// A poisoned lock only means that another thread died while it held a pipe: the pipe is still a pipe.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn command(program: &WorkerProgram, threads: u32) -> Command {
    let threads = threads.to_string();
    let mut command = Command::new(&program.path);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .env("OMP_NUM_THREADS", &threads)
        .env("MKL_NUM_THREADS", &threads)
        .env("OMP_DYNAMIC", "false")
        .env("MKL_DYNAMIC", "FALSE")
        .env("MKL_CBWR", MKL_CBWR);
    for variable in &program.hidden {
        command.env_remove(variable);
    }
    if let Some(path) = library_path() {
        command.env("LD_LIBRARY_PATH", path);
    }
    command
}

/// A libtorch that the user names at run time (one with CUDA, say) comes before the one that the worker was built
/// with; whatever the dynamic loader was told besides stays.
fn library_path() -> Option<std::ffi::OsString> {
    let libraries = PathBuf::from(std::env::var_os("LIBTORCH")?).join("lib");
    if !libraries.join("libtorch_cpu.so").is_file() {
        return None;
    }
    let inherited = std::env::var_os("LD_LIBRARY_PATH").filter(|value| !value.is_empty());
    let inherited: Vec<PathBuf> = inherited.iter().flat_map(std::env::split_paths).collect();
    std::env::join_paths(std::iter::once(libraries).chain(inherited)).ok()
}

fn difference(hello: &Hello) -> Option<String> {
    if hello.protocol != PROTOCOL_VERSION {
        return Some(format!("it speaks protocol {}, expected {PROTOCOL_VERSION}", hello.protocol));
    }
    (hello.build_id != BUILD_ID)
        .then(|| format!("its build is {}, expected {}", short(&hello.build_id), short(BUILD_ID)))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Reads stderr to its end, keeps its last lines, and passes every line on to the log.
fn keep_tail(stderr: ChildStderr) -> Vec<String> {
    let mut tail = std::collections::VecDeque::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        line.truncate(STDERR_LINE_BYTES_MAX);
        let text = crate::output::visible(String::from_utf8_lossy(&line).trim_end());
        tracing::debug!("worker: {text}");
        if !text.is_empty() {
            tail.push_back(text);
        }
        if tail.len() > STDERR_LINES_KEPT {
            tail.pop_front();
        }
        line.clear();
    }
    tail.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_compute_as_workers_do() {
        let command = command(&WorkerProgram { path: PathBuf::from(PROGRAM), hidden: Vec::new() }, 1);
        for name in ["MKL_CBWR", "OMP_DYNAMIC"] {
            let of_workers = command.get_envs().find(|(known, _)| *known == name).and_then(|(_, value)| value);
            assert_eq!(std::env::var_os(name).as_deref(), of_workers, "{name}");
        }
    }

    #[test]
    fn a_worker_of_other_sources_is_recognised() {
        let own = Hello { protocol: PROTOCOL_VERSION, build_id: BUILD_ID.to_owned() };
        assert_eq!(difference(&own), None);
        let protocol = Hello { protocol: PROTOCOL_VERSION + 1, ..own.clone() };
        assert!(difference(&protocol).is_some_and(|text| text.contains("protocol")));
        let build = Hello { build_id: "0123456789abcdef".to_owned(), ..own };
        assert!(difference(&build).is_some_and(|text| text.contains("0123456789ab,")));
    }
}
