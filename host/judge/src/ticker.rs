//! The clock behind deadlines.
//!
//! A guest runs on the thread that calls it and never waits, so that its time is the processor time of that thread. The
//! clock on the wall would make correct guests late on a machine that is busy with other work, or that was stopped for a
//! while (a debugger, a laptop lid), and a run would end for it. The engines' epoch only says when to look at that clock: a
//! thread raises it every millisecond while guests run, and sleeps while none does.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, EngineWeak};

/// Length of a tick.
pub(crate) const TICK_MS: u64 = 1;

/// Ticks of processor time that this thread has used.
pub(crate) fn thread_ticks() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative; it is the type that can be.
    let (seconds, nanoseconds) = (used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs());
    (seconds * 1000 + nanoseconds / 1_000_000) / TICK_MS
}

/// Raises the epoch while calls are in flight.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Notified when the first call begins and when the ticker ends.
    wake: Condvar,
}

struct State {
    in_flight: usize,
    /// Whether the thread waits to be woken: to wake a thread that is awake is a system call for nothing.
    is_asleep: bool,
    ended: bool,
    engines: Vec<EngineWeak>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}

impl Shared {
    /// No code that can panic runs under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.ended {
            if state.in_flight == 0 {
                state.is_asleep = true;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            thread::sleep(Duration::from_millis(TICK_MS));
            state = self.lock();
            state.engines.retain(|engine| engine.upgrade().inspect(Engine::increment_epoch).is_some());
        }
    }
}

impl Ticker {
    pub(crate) fn start() -> std::io::Result<Self> {
        let state = Mutex::new(State { in_flight: 0, is_asleep: false, ended: false, engines: Vec::new() });
        let shared = Arc::new(Shared { state, wake: Condvar::new() });
        let own = Arc::clone(&shared);
        thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || own.run())?;
        Ok(Self { shared })
    }

    /// Raises this engine's epoch, too, from now on.
    pub(crate) fn watch(&self, engine: &Engine) {
        self.shared.lock().engines.push(engine.weak());
    }

    /// A call begins; it ends when the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let mut state = self.shared.lock();
        state.in_flight += 1;
        if std::mem::take(&mut state.is_asleep) {
            self.shared.wake.notify_one();
        }
        InFlight { shared: &self.shared }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.wake.notify_one();
    }
}

/// A call in flight.
pub(crate) struct InFlight<'t> {
    shared: &'t Shared,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shared.lock().in_flight -= 1;
    }
}
