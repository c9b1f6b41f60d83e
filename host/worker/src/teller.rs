//! Tells the lab what a training does: what games and language models tell alike.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_learn::Ended;
use slhf_plan::{CheckpointKind, EvaluationRow, FromWorker, MetricsBatch, RunEnd, RunOutcome, ScheduleRow};

use crate::checkpoint;
use crate::error::WorkerError;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// The lab's ear, and where checkpoints go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Teller<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) outgoing: &'a Outgoing,
    pub(crate) stop: &'a Stop,
}

impl Teller<'_> {
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.stop.is_asked()
    }

    pub(crate) fn metrics(&self, batch: MetricsBatch) -> Result<(), WorkerError> {
        self.outgoing.report(batch)
    }

    /// Nothing is said of no rows.
    pub(crate) fn schedules(&self, rows: Vec<ScheduleRow>) -> Result<(), WorkerError> {
        if rows.is_empty() { Ok(()) } else { self.outgoing.report(rows) }
    }

    /// Likewise.
    pub(crate) fn evaluations(&self, rows: Vec<EvaluationRow>) -> Result<(), WorkerError> {
        if rows.is_empty() { Ok(()) } else { self.outgoing.report(rows) }
    }

    /// Writes a checkpoint and tells of it.
    pub(crate) fn checkpoint(
        &self,
        kind: CheckpointKind,
        step: u64,
        states: &[(i64, Vec<u8>)],
        outputs: BTreeMap<String, u64>,
    ) -> Result<(), WorkerError> {
        let written = checkpoint::write(self.directory, kind, step, states, outputs)?;
        self.outgoing.report(written)
    }

    pub(crate) fn progress(&self, run_steps_done: u64) -> Result<(), WorkerError> {
        self.outgoing.send(&FromWorker::Progress { run_steps_done })
    }
}

/// How a run ended, as the lab is told.
pub(crate) fn run_end(run: i64, step: u64, ended: Ended) -> RunEnd {
    let outcome = match ended {
        Ended::Finished => RunOutcome::Finished,
        Ended::Interrupted => RunOutcome::Interrupted,
        Ended::Failed(sentence) => RunOutcome::Failed(sentence),
    };
    RunEnd { run, step, outcome }
}
