//! The processes of the other ranks, as rank 0 started them, and what becomes of the worker when one is lost.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
        let meeting = Meeting::serve(HOST, 0, timeout).map_err(lost)?;
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
        match ProcessGroup::join(&self.meeting, HOST, rank, self.timeout) {
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
        let missing = self.seen.missing_another.lock().unwrap_or_else(PoisonError::into_inner);
        let silent: Vec<String> =
            (1..self.size).filter(|rank| !missing.contains(rank)).map(|rank| rank.to_string()).collect();
        let others = match &silent[..] {
            [] => "a rank".to_owned(),
            [rank] => format!("rank {rank}"),
            several => format!("one of the ranks {}", several.join(", ")),
        };
        let (host, seconds) = (host_name(), self.timeout.as_secs());
        lose(
            &self.outgoing,
            format!(
                "{others} on {host} did not do its share within device.process_timeout_s = {seconds}: {}",
                chain(error)
            ),
        )
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
        write_frame(&mut stdin, &ToWorker::Hello(greeting::own()))?;
        write_frame(&mut stdin, &ToWorker::Rank(Box::new(told)))?;
        Ok(Self { rank, child, stdout: BufReader::new(stdout) })
    }

    /// Until it ends; before it may, that ends the worker.
    fn watch(mut self, outgoing: &Outgoing, seen: &Seen) {
        let mut said = None;
        while let Ok(Some(message)) = read_frame::<FromWorker>(&mut self.stdout) {
            match message {
                FromWorker::Fatal(sentence) => said = Some(sentence),
                FromWorker::Lost(_) => {
                    seen.missing_another.lock().unwrap_or_else(PoisonError::into_inner).insert(self.rank);
                }
                FromWorker::Log(line) => {
                    let _ = outgoing.send(&FromWorker::Log(line));
                }
                _ => {}
            }
        }
        let ended = self.child.wait();
        let missed = seen.missing_another.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.rank);
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
