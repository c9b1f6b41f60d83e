//! The processes of the other ranks, as rank 0 started them, and what becomes of the worker when one is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slhf_plan::{Assignment, FromWorker, LanguagePlan, RankAssignment, RanksFrom};
use slhf_torch_shim::{Meeting, ProcessGroup, Rank};
use slhf_words::chain;

use super::exchange::{Exchange, ExchangeError};
use super::reached::Reached;
use crate::error::WorkerError;
use crate::outgoing::Outgoing;
use crate::stopping::leave;

/// Ranks of one machine speak over this address.
const LOOPBACK: &str = "127.0.0.1";

/// How long ranks may take to load the model and find each other.
pub(super) const START_TIMEOUT: Duration = Duration::from_mins(30);

/// How often a rank says that it lives.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// A rank that died is missed by the others at once, in words of sockets; who saw it die says why.
const FOR_WHO_SAW_IT: Duration = Duration::from_secs(2);

/// The processes of ranks 1 and up.
#[derive(Debug)]
pub(crate) struct Crew {
    /// The address by which the others reach this process.
    host: String,
    /// The machines of the others.
    hosts: BTreeMap<u32, String>,
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
    /// Starts them, or calls them; each loads the model while this one does.
    pub(crate) fn start(
        plan: &LanguagePlan,
        assignment: &Assignment,
        outgoing: &Outgoing,
    ) -> Result<Self, WorkerError> {
        let timeout = Duration::from_secs(u64::from(plan.device.process_timeout_s));
        let size = plan.device.processes;
        let (ranks, host) = match assignment.ranks {
            RanksFrom::Worker => {
                let ranks: Result<Vec<Reached>, _> = (1..size).map(|rank| Reached::start(rank, host_name())).collect();
                (ranks?, LOOPBACK.to_owned())
            }
            RanksFrom::Elsewhere => {
                let (ranks, address) = Reached::call(size, outgoing)?;
                (ranks, address.to_string())
            }
        };
        let lost = |error| WorkerError::Exchange { source: ExchangeError::Group(error) };
        let meeting = Meeting::serve(&host, 0, START_TIMEOUT).map_err(lost)?;
        let seen = Arc::new(Seen::default());
        let hosts = ranks.iter().map(|rank| (rank.rank(), rank.host().to_owned())).collect();
        for mut rank in ranks {
            let told = RankAssignment {
                assignment: assignment.clone(),
                rank: rank.rank(),
                size,
                host: host.clone(),
                port: meeting.port(),
                own_host: host.clone(),
            };
            rank.tell(told)?;
            let (outgoing, seen) = (outgoing.clone(), Arc::clone(&seen));
            std::thread::Builder::new()
                .name(format!("rank-{}", rank.rank()))
                .spawn(move || watch(rank, &outgoing, &seen))
                .map_err(|source| WorkerError::Thread { source })?;
        }
        Ok(Self { host, hosts, meeting, size, timeout, outgoing: outgoing.clone(), seen })
    }

    /// Waits until all ranks are there.
    pub(super) fn join(&self) -> Exchange {
        let rank = Rank { rank: 0, size: self.size };
        match ProcessGroup::join(&self.meeting, &self.host, rank, START_TIMEOUT) {
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
        let named = |rank: &u32| format!("rank {rank} on {}", self.hosts.get(rank).map_or("a machine", String::as_str));
        let suspects: Vec<String> = self.seen.suspects(self.size).iter().map(named).collect();
        let others = match &suspects[..] {
            [] => "a rank".to_owned(),
            [rank] => rank.clone(),
            several => format!("one of {}", several.join(", ")),
        };
        let why = chain(error);
        // Gloo's own words; another error came at once.
        let what = if why.to_lowercase().contains("timed out") {
            format!("did not do its share within device.process_timeout_s = {}", self.timeout.as_secs())
        } else {
            "is not reached any more".to_owned()
        };
        lose(&self.outgoing, format!("{others} {what}: {why}"))
    }
}

/// Tells the lab, and ends the process.
fn lose(outgoing: &Outgoing, reason: String) -> ! {
    // If the lab is gone, nobody is left to be told.
    let _ = outgoing.send(&FromWorker::Lost(reason));
    let _held_to_the_end = outgoing.between_messages();
    leave()
}

/// Until the rank ends; before it may, that ends the worker.
fn watch(mut rank: Reached, outgoing: &Outgoing, seen: &Seen) {
    let mut said = None;
    while let Some(message) = rank.hear() {
        seen.heard().insert(rank.rank(), Instant::now());
        match message {
            FromWorker::Fatal(sentence) => said = Some(sentence),
            FromWorker::Lost(_) => {
                seen.missing_another().insert(rank.rank());
            }
            FromWorker::Log(line) => {
                let _ = outgoing.send(&FromWorker::Log(line));
            }
            _ => {}
        }
    }
    let ended = rank.how_it_ended();
    let missed = seen.missing_another().contains(&rank.rank());
    if missed || seen.is_over.load(Ordering::SeqCst) {
        return;
    }
    lose(outgoing, format!("rank {} on {} ended: {}", rank.rank(), rank.host(), said.unwrap_or(ended)));
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
