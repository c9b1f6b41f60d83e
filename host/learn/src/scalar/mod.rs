//! The scalar path: run by run, in plain Rust, in f64.

mod finite;
#[expect(clippy::inline_always, reason = "compiled for the registers of who calls")]
mod kernel;
#[expect(clippy::inline_always, reason = "compiled for the registers of who calls")]
mod run;

pub(crate) use run::{Failure, Prepared, ScalarRun, Scratch};

use crate::rules::Rules;

/// Runs at one step, computed one after the other on each thread.
#[derive(Debug)]
pub(crate) struct ScalarBatch {
    rules: Rules,
    threads: usize,
    pub(crate) runs: Vec<ScalarRun>,
}

impl ScalarBatch {
    pub(crate) fn new(rules: Rules, threads: usize, runs: Vec<ScalarRun>) -> Self {
        Self { rules, threads: threads.max(1), runs }
    }

    /// Every run goes on to step `to`. The runs are split over the threads; no run's numbers depend on the split.
    pub(crate) fn advance(&mut self, to: u64) {
        let rules = self.rules;
        let share = self.runs.len().div_ceil(self.threads).max(1);
        let work = |runs: &mut [ScalarRun]| {
            let mut scratch = Scratch::of(&rules);
            for run in runs {
                run.advance(&rules, to, &mut scratch);
            }
        };
        if self.threads == 1 || self.runs.len() == 1 {
            work(&mut self.runs);
            return;
        }
        std::thread::scope(|scope| {
            for runs in self.runs.chunks_mut(share) {
                scope.spawn(|| work(runs));
            }
        });
    }
}
