//! Ctrl-C, for the lab alone: once = stop after this step with a checkpoint, twice = now, three times = at once. SIGTERM and SIGHUP likewise.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::worker::Control;
use crate::failure::INTERRUPTED;

/// Nobody asked for anything.
const GO_ON: u8 = 0;
/// Stop after this step.
const STOP: u8 = 1;
/// Stop now.
const NOW: u8 = 2;

/// Shared by the handler and everybody who starts workers.
#[derive(Debug, Default)]
struct State {
    level: AtomicU8,
    workers: Mutex<Vec<Weak<Control>>>,
}

/// What the user asked for with Ctrl-C so far.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Arc<State>);

/// The process has one set of signals, so there is one of these.
static STATE: OnceLock<Arc<State>> = OnceLock::new();

impl Signals {
    /// Takes over Ctrl-C, SIGTERM and SIGHUP for the rest of the process.
    pub(crate) fn handle() -> Self {
        let state = STATE.get_or_init(|| {
            let state = Arc::new(State::default());
            let shared = Arc::clone(&state);
            // A process that already has a handler keeps it: Ctrl-C then works as it did.
            if let Err(error) = ctrlc::set_handler(move || shared.on_signal()) {
                tracing::warn!("Ctrl-C cannot be handled: {error}");
            }
            state
        });
        Self(Arc::clone(state))
    }

    /// As if the user had pressed Ctrl-C once more.
    pub(crate) fn stop(&self) {
        self.0.on_signal();
    }

    /// Whether nothing new is to be started.
    pub(crate) fn stop_asked(&self) -> bool {
        self.0.level.load(Ordering::SeqCst) >= STOP
    }

    /// Whether everything is to end at once.
    pub(crate) fn now_asked(&self) -> bool {
        self.0.level.load(Ordering::SeqCst) >= NOW
    }

    /// Why runs that end now are interrupted.
    pub(crate) fn reason(&self) -> &'static str {
        if self.now_asked() {
            "stopped at once by the user (Ctrl-C twice); resume goes on from the last checkpoint"
        } else {
            "stopped by the user (Ctrl-C or SIGTERM) after a step, with a checkpoint"
        }
    }

    /// Tells a worker of every Ctrl-C from now on; of one that came before, at once.
    pub(crate) fn watch(&self, worker: &Arc<Control>) {
        let mut workers = self.0.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(worker));
        // Under the lock: a signal between the look and the entry would reach nobody.
        match self.0.level.load(Ordering::SeqCst) {
            GO_ON => {}
            STOP => worker.stop(),
            _ => worker.kill(),
        }
    }
}

/// Ends this process. Somebody may wait for a server that does not reply; what the record has is durable, workers die with the lab, and
/// whoever opens the record next sees that the runs are interrupted.
#[expect(clippy::exit, reason = "the third Ctrl-C: nothing is left to be waited for")]
fn leave() {
    crate::output::say("ended at once; `slhf-lab resume` goes on from the last checkpoints");
    std::process::exit(i32::from(INTERRUPTED));
}

impl State {
    fn on_signal(&self) {
        let before = self.level.load(Ordering::SeqCst);
        let level = (before + 1).min(NOW);
        self.level.store(level, Ordering::SeqCst);
        match before {
            GO_ON => crate::output::say("stopping after this step, with a checkpoint; press Ctrl-C again to stop now"),
            STOP => crate::output::say("stopping now; once more ends the lab at once, whatever it waits for"),
            _ => leave(),
        }
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.iter().filter_map(Weak::upgrade) {
            if level == STOP { worker.stop() } else { worker.kill() }
        }
    }
}
