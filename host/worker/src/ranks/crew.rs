//! The processes of the other ranks, as rank 0 started them, and what becomes of the worker when one is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slhf_plan::{Assignment, FromWorker, LanguagePlan, RankAssignment, ToWorker, read_frame, write_frame};
use slhf_torch_shim::{Meeting, ProcessGroup, Rank};
use slhf_words::chain;

use super::exchange::{Exchange, ExchangeError};
use crate::error::WorkerError;
use crate::greeting;
use crate::outgoing::Outgoing;
use crate::stopping::leave;

/// Ranks of one machine speak over its loopback.
const HOST: &str = "127.0.0.1";

/// How long ranks may take to load the model and find each other.
pub(super) const START_TIMEOUT: Duration = Duration::from_mins(30);

/// How often a rank says that it lives.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// A rank that died is missed by the others at once, in words of sockets; who saw it die says why.
const FOR_WHO_SAW_IT: Duration = Duration::from_secs(2);

/// The processes of ranks 1 and up.
#[derive(Debug)]
pub(crate) struct Crew {
    meeting: Meeting,
    size: u32,
    timeout: Duration,
    outgoing: Outgoing,
    seen: Arc<Seen>,
}

/// What is known of the other ranks.
#[derive(Debug, Default)]
struct Seen {
    /// Whether they may end.
    is_over: AtomicBool,
    /// Those that missed another one, and ended for it.
    missing_another: Mutex<BTreeSet<u32>>,
    /// When each was heard last.
    heard: Mutex<BTreeMap<u32, Instant>>,
}

impl Seen {
    fn missing_another(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.missing_another.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<u32, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who may be the reason: those that say nothing at all any more, else all that miss nobody.
    fn suspects(&self, size: u32) -> Vec<u32> {
        let missing = self.missing_another();
        let others: Vec<u32> = (1..size).filter(|rank| !missing.contains(rank)).collect();
        let heard = self.heard();
        let is_silent = |rank: &u32| heard.get(rank).is_none_or(|at| at.elapsed() > 3 * SIGN_OF_LIFE);
        let silent: Vec<u32> = others.iter().copied().filter(is_silent).collect();
        if silent.is_empty() { others } else { silent }
    }
}

impl Crew {
    /// Starts them; each loads the model while this one does.
    pub(crate) fn start(
        plan: &LanguagePlan,
        assignment: &Assignment,
        outgoing: &Outgoing,
    ) -> Result<Self, WorkerError> {
        let timeout = Duration::from_secs(u64::from(plan.device.process_timeout_s));
        let lost = |error| WorkerError::Exchange { source: ExchangeError::Group(error) };
        let meeting = Meeting::serve(HOST, 0, START_TIMEOUT).map_err(lost)?;
        let seen = Arc::new(Seen::default());
        let size = plan.device.processes;
        for rank in 1..size {
            let told = RankAssignment {
                assignment: assignment.clone(),
                rank,
                size,
                host: HOST.to_owned(),
                port: meeting.port(),
            };
            let member = Member::start(told)?;
            let (outgoing, seen) = (outgoing.clone(), Arc::clone(&seen));
            std::thread::Builder::new()
                .name(format!("rank-{rank}"))
                .spawn(move || member.watch(&outgoing, &seen))
                .map_err(|source| WorkerError::Thread { source })?;
        }
        Ok(Self { meeting, size, timeout, outgoing: outgoing.clone(), seen })
    }

    /// Waits until all ranks are there.
    pub(super) fn join(&self) -> Exchange {
        let rank = Rank { rank: 0, size: self.size };
        match ProcessGroup::join(&self.meeting, HOST, rank, START_TIMEOUT) {
            Ok(group) => Exchange::new(group, self.timeout),
            Err(error) => self.lost(&ExchangeError::Group(error)),
        }
    }

    /// From here on the others may end.
    pub(super) fn ends(&self) {
        self.seen.is_over.store(true, Ordering::SeqCst);
    }

    /// Ends the worker: a rank is gone, or takes longer than it may.
    pub(super) fn lost(&self, error: &ExchangeError) -> ! {
        std::thread::sleep(FOR_WHO_SAW_IT);
        let suspects: Vec<String> = self.seen.suspects(self.size).iter().map(ToString::to_string).collect();
        let others = match &suspects[..] {
            [] => "a rank".to_owned(),
            [rank] => format!("rank {rank}"),
            several => format!("one of the ranks {}", several.join(", ")),
        };
        let (host, why) = (host_name(), chain(error));
        // Gloo's own words; another error came at once.
        let what = if why.to_lowercase().contains("timed out") {
            format!("did not do its share within device.process_timeout_s = {}", self.timeout.as_secs())
        } else {
            "is not reached any more".to_owned()
        };
        lose(&self.outgoing, format!("{others} on {host} {what}: {why}"))
    }
}

/// Tells the lab, and ends the process.
fn lose(outgoing: &Outgoing, reason: String) -> ! {
    // If the lab is gone, nobody is left to be told.
    let _ = outgoing.send(&FromWorker::Lost(reason));
    let _held_to_the_end = outgoing.between_messages();
    leave()
}

/// The process of one rank.
struct Member {
    rank: u32,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Open as long as this process lives: its end is the second way to notice that.
    _stdin: ChildStdin,
}

impl Member {
    fn start(told: RankAssignment) -> Result<Self, WorkerError> {
        let rank = told.rank;
        let cannot = |source| WorkerError::StartRank { rank, source };
        let program = std::env::current_exe().map_err(cannot)?;
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cannot(std::io::ErrorKind::BrokenPipe.into()));
        };
        let told = write_frame(&mut stdin, &ToWorker::Hello(greeting::own()))
            .and_then(|()| write_frame(&mut stdin, &ToWorker::Rank(Box::new(told))));
        if told.is_err() {
            // It ended before it read: how says more than the pipe.
            let status = child.wait().map_err(cannot)?;
            return Err(cannot(std::io::Error::other(format!("it ended at once: {status}"))));
        }
        Ok(Self { rank, child, stdout: BufReader::new(stdout), _stdin: stdin })
    }

    /// Until it ends; before it may, that ends the worker.
    fn watch(mut self, outgoing: &Outgoing, seen: &Seen) {
        let mut said = None;
        while let Ok(Some(message)) = read_frame::<FromWorker>(&mut self.stdout) {
            seen.heard().insert(self.rank, Instant::now());
            match message {
                FromWorker::Fatal(sentence) => said = Some(sentence),
                FromWorker::Lost(_) => {
                    seen.missing_another().insert(self.rank);
                }
                FromWorker::Log(line) => {
                    let _ = outgoing.send(&FromWorker::Log(line));
                }
                _ => {}
            }
        }
        let ended = self.child.wait();
        let missed = seen.missing_another().contains(&self.rank);
        if missed || seen.is_over.load(Ordering::SeqCst) {
            return;
        }
        let how = match (said, ended) {
            (Some(sentence), _) => sentence,
            (None, Ok(status)) => status.to_string(),
            (None, Err(error)) => error.to_string(),
        };
        lose(outgoing, format!("rank {} on {} ended: {how}", self.rank, host_name()));
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
