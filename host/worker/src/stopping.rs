//! The lab's wish that this worker stops: seen after each step, and while a judge works.
//!
//! A step ends with a checkpoint, so that one which is under way is worth waiting for. A judge is not: it may take its
//! deadline for every 64 of a million questions. Once a stop was asked for, each call to a judge has one deadline left; then
//! the process ends, and the lab resumes its runs from their last checkpoints.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slhf_plan::FromWorker;

use crate::outgoing::Outgoing;

/// How often a call is looked at once a stop was asked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Shared by the thread that hears the lab and the one that computes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicBool,
    call: Mutex<Option<Call>>,
}

/// A judge works.
#[derive(Clone, Copy, Debug)]
struct Call {
    began: Instant,
    deadline: Duration,
}

/// Held while a judge works.
#[derive(Debug)]
pub(crate) struct Working<'a>(&'a Stop);

impl Stop {
    /// Whether no further step is to begin.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// The lab asks for it.
    pub(crate) fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// A judge with this deadline is asked from here until the guard is dropped.
    pub(crate) fn judge_works(&self, deadline_ms: u64) -> Working<'_> {
        self.set(Some(Call { began: Instant::now(), deadline: Duration::from_millis(deadline_ms) }));
        Working(self)
    }

    /// Returns once a judge has had its deadline since `asked_at`, or since its call began where that was later.
    fn wait_for_an_overdue_judge(&self, asked_at: Instant) {
        let is_overdue = |call: Call| call.began.max(asked_at).elapsed() > call.deadline;
        while !self.0.call.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(is_overdue) {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends the process when a judge keeps it from stopping. For a thread of its own, once a stop was asked for.
    pub(crate) fn watch_judges(&self, outgoing: &Outgoing) {
        self.wait_for_an_overdue_judge(Instant::now());
        let why = "stopped by the user while a judge worked longer than its deadline; the step under way is not kept";
        let _ = outgoing.send(&FromWorker::Fatal(why.to_owned()));
        let _held_to_the_end = outgoing.between_messages();
        leave();
    }

    fn set(&self, call: Option<Call>) {
        *self.0.call.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// Ends the process, whatever its other threads do.
#[expect(clippy::exit, reason = "the main thread may be deep in a computation that nobody waits for any more")]
pub(crate) fn leave() -> ! {
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_has_one_deadline_from_the_stop_or_from_its_call() {
        let stop = Stop::default();
        assert!(!stop.is_asked());
        stop.ask();
        assert!(stop.is_asked());
        let asked_at = Instant::now();
        let waiting = {
            let stop = stop.clone();
            std::thread::spawn(move || {
                stop.wait_for_an_overdue_judge(asked_at);
                asked_at.elapsed()
            })
        };
        // A quick one, then nothing for longer than its deadline: no judge is late.
        drop(stop.judge_works(40));
        std::thread::sleep(Duration::from_millis(80));
        assert!(!waiting.is_finished());
        let _working = stop.judge_works(40);
        let waited = waiting.join().expect("it ends");
        assert!(waited >= Duration::from_millis(120), "{waited:?}");
    }
}
