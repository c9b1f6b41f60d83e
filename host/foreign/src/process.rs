//! The lab's end of the process that reads files of others.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use slhf_plan::{read_frame, write_frame};

use crate::error::ForeignError;
use crate::limits::{self, ForeignLimits};
use crate::protocol::{OWN, Question, Said, VERB};

/// Threads of the process: each takes address space for its stack and its heap.
const THREADS: &str = "4";

/// The process of a command, started when it is first asked.
pub(crate) struct Reader {
    started: Mutex<Option<Started>>,
}

struct Started {
    child: Arc<Mutex<Child>>,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    limits: ForeignLimits,
    /// Questions it has answered.
    answered: u64,
}

/// How a question went.
enum Outcome {
    Answered(Vec<u8>),
    GaveUp { who: String, words: String },
    TooSlow,
    Ended(String),
}

impl Reader {
    pub(crate) fn of_this_command() -> &'static Self {
        static READER: Reader = Reader { started: Mutex::new(None) };
        &READER
    }

    pub(crate) fn ask<A: DeserializeOwned>(&self, question: &Question) -> Result<A, ForeignError> {
        let mut started = lock(&self.started);
        loop {
            let reader = match started.as_mut() {
                Some(reader) => reader,
                None => started.insert(Started::new().map_err(ForeignError::CannotStart)?),
            };
            let (limits, was_used) = (reader.limits, reader.answered > 0);
            let outcome = reader.ask(question);
            if !matches!(outcome, Outcome::Answered(_)) {
                // Whatever state it is in: the next question gets another one.
                *started = None;
            }
            let file = question.file();
            return Err(match outcome {
                Outcome::Answered(bytes) => match slhf_plan::decode(&bytes) {
                    Ok(answer) => return Ok(answer),
                    Err(_) => ended(file, "with an invalid reply".to_owned(), limits),
                },
                // What it kept of the files before may have been what was too much.
                Outcome::Ended(_) | Outcome::GaveUp { .. } if was_used => continue,
                // No library's: a thread or memory that the system refused, most likely.
                Outcome::GaveUp { who, words } if who == OWN || limits::is_about_memory(&words) => {
                    tracing::debug!("reader: {}", slhf_report::escape::line(&words));
                    ended(file, "it gave up, as when memory runs out".to_owned(), limits)
                }
                Outcome::GaveUp { who, words } => ForeignError::GaveUp { file, who, words },
                Outcome::TooSlow => ForeignError::TooSlow { file, seconds: limits.seconds },
                Outcome::Ended(how) => ended(file, how, limits),
            });
        }
    }
}

fn ended(file: String, how: String, limits: ForeignLimits) -> ForeignError {
    ForeignError::Ended { file, how, memory_mib: limits.memory_mib, set_by: limits.set_by }
}

impl Started {
    fn new() -> io::Result<Self> {
        let limits = ForeignLimits::of_process();
        let mut child = Command::new(std::env::current_exe()?)
            .arg(VERB)
            .env(limits::MEMORY_VARIABLE, limits.memory_mib.to_string())
            .env("RAYON_NUM_THREADS", THREADS)
            .env("MALLOC_ARENA_MAX", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            let _ = child.kill();
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // What an allocator or the system says of its end is said better by whoever asked; its own warnings are for the user.
        thread::spawn(move || {
            for line in BufReader::new(stderr).take(1 << 16).lines().map_while(Result::ok) {
                if let Some(warning) = line.trim_start().strip_prefix("WARN ") {
                    tracing::warn!("{}", slhf_report::escape::line(warning));
                } else {
                    tracing::debug!("reader: {}", slhf_report::escape::line(&line));
                }
            }
        });
        let stdout = BufReader::with_capacity(1 << 16, stdout);
        Ok(Self { child: Arc::new(Mutex::new(child)), stdin, stdout, limits, answered: 0 })
    }

    fn ask(&mut self, question: &Question) -> Outcome {
        let (answered, answer) = mpsc::channel::<()>();
        let (child, time) = (Arc::clone(&self.child), Duration::from_secs_f64(self.limits.seconds.min(1e9)));
        let watchdog = thread::spawn(move || match answer.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => {
                let _ = lock(&child).kill();
                true
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => false,
        });
        let began = std::time::Instant::now();
        let heard = self.hear(question);
        // On a busy machine the answer may come before the watchdog runs at all.
        let is_late = began.elapsed() >= time;
        drop(answered);
        let was_late = watchdog.join().unwrap_or(false) || is_late;
        match heard {
            Some(_) if is_late => Outcome::TooSlow,
            Some(Ok(bytes)) => {
                self.answered += 1;
                Outcome::Answered(bytes)
            }
            Some(Err((who, words))) => Outcome::GaveUp { who, words },
            None if was_late => Outcome::TooSlow,
            None => Outcome::Ended(self.end()),
        }
    }

    /// The bytes of an answer, or who gave up; `None` when the process is no longer there.
    fn hear(&mut self, question: &Question) -> Option<Result<Vec<u8>, (String, String)>> {
        write_frame(&mut self.stdin, question).ok()?;
        let mut bytes = Vec::new();
        loop {
            match read_frame(&mut self.stdout).ok()?? {
                Said::Piece(piece) => bytes.extend_from_slice(&piece),
                Said::End => return Some(Ok(bytes)),
                Said::GaveUp { who, words } => return Some(Err((who, words))),
            }
        }
    }

    fn end(&self) -> String {
        let mut child = lock(&self.child);
        // One that closed its output has nothing more to do.
        let _ = child.kill();
        child.wait().map_or_else(|error| error.to_string(), describe)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(6), _) => "aborted, as when memory runs out".to_owned(),
        (Some(9), _) => "killed, as when the machine's memory runs out".to_owned(),
        (Some(11), _) => "segmentation fault, as when a stack overflows".to_owned(),
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "in an unknown way".to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
