//! The clock behind deadlines: a thread that raises the engines' epoch every millisecond while guests run, and sleeps
//! while none does.
//!
//! Ticks, not timestamps, are counted: a host that is stopped for a while (a debugger, a laptop lid) does not make its
//! guests late.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use wasmtime::{Engine, EngineWeak};

/// Length of a tick.
pub(crate) const TICK_MS: u64 = 1;

/// Counts ticks while calls are in flight.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Notified when the first call begins and when the ticker ends.
    wake: Condvar,
    ticks: AtomicU64,
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
        f.debug_struct("Ticker").field("ticks", &self.ticks).finish_non_exhaustive()
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
            self.ticks.fetch_add(1, Ordering::Relaxed);
            state = self.lock();
            state.engines.retain(|engine| engine.upgrade().inspect(Engine::increment_epoch).is_some());
        }
    }
}

impl Ticker {
    pub(crate) fn start() -> std::io::Result<Self> {
        let state = Mutex::new(State { in_flight: 0, is_asleep: false, ended: false, engines: Vec::new() });
        let shared = Arc::new(Shared { state, wake: Condvar::new(), ticks: AtomicU64::new(0) });
        let own = Arc::clone(&shared);
        thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || own.run())?;
        Ok(Self { shared })
    }

    /// Raises this engine's epoch, too, from now on.
    pub(crate) fn watch(&self, engine: &Engine) {
        self.shared.lock().engines.push(engine.weak());
    }

    /// Ticks counted so far.
    pub(crate) fn now(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
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
