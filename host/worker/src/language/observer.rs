//! Tells the lab what a language-model run does, as it happens: a step takes seconds.

use std::path::{Path, PathBuf};

use slhf_learn::language::{LanguageObserver, MachineReading};
use slhf_learn::{Cause, Ended, Measurement};
use slhf_plan::{
    CheckpointKind, CompletionRow, EvaluationRow, FromWorker, LogLevel, MetricsBatch, RunEnd, RunOutcome, ScheduleRow,
};

use super::outputs::Outputs;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;
use crate::{checkpoint, environment};

/// The observer of one run.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    pub(super) run: i64,
    pub(super) directory: &'a Path,
    pub(super) outgoing: &'a Outgoing,
    pub(super) stop: &'a Stop,
    /// Of all plugins that judge or measure.
    pub(super) outputs: &'a Outputs,
    /// The last checkpoint, for what is made of it when the run is done.
    pub(super) checkpoint: Option<PathBuf>,
    /// How the run ended.
    pub(super) outcome: Option<RunEnd>,
}

impl LanguageObserver for Teller<'_> {
    fn stop_requested(&self) -> bool {
        self.stop.is_asked()
    }

    fn machine(&self) -> MachineReading {
        MachineReading { peak_memory_bytes: environment::peak_memory_bytes() as f64, ..MachineReading::default() }
    }

    fn note(&mut self, level: LogLevel, sentence: &str) -> Result<(), Cause> {
        Ok(self.outgoing.log(level, sentence.to_owned())?)
    }

    fn metrics(&mut self, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        let keys = measurement.keys.iter().map(|key| key.name().to_owned()).collect();
        let values = measurement.values.clone();
        let batch = MetricsBatch { keys, runs: vec![self.run], steps: vec![step], values };
        Ok(self.outgoing.send(&FromWorker::Metrics(batch))?)
    }

    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause> {
        Ok(self.outgoing.send(&FromWorker::Schedules(vec![row]))?)
    }

    fn completions(&mut self, rows: Vec<CompletionRow>) -> Result<(), Cause> {
        Ok(self.outgoing.send(&FromWorker::Completions(rows))?)
    }

    fn evaluations(&mut self, rows: Vec<EvaluationRow>) -> Result<(), Cause> {
        Ok(self.outgoing.send(&FromWorker::Evaluations(rows))?)
    }

    fn checkpoint(&mut self, step: u64, state: &[u8]) -> Result<(), Cause> {
        let states = [(self.run, state.to_vec())];
        let written =
            checkpoint::write(self.directory, CheckpointKind::LanguageModelRun, step, &states, self.outputs.bytes())?;
        self.checkpoint = Some(PathBuf::from(&written.path));
        Ok(self.outgoing.send(&FromWorker::Checkpoint(written))?)
    }

    fn progress(&mut self, steps_done: u64) -> Result<(), Cause> {
        Ok(self.outgoing.send(&FromWorker::Progress { run_steps_done: steps_done })?)
    }

    fn ended(&mut self, step: u64, ended: Ended) -> Result<(), Cause> {
        let outcome = match ended {
            Ended::Finished => RunOutcome::Finished,
            Ended::Interrupted => RunOutcome::Interrupted,
            Ended::Failed(sentence) => RunOutcome::Failed(sentence),
        };
        // Told last of all: what is still made of the run belongs to it.
        self.outcome = Some(RunEnd { run: self.run, step, outcome });
        Ok(())
    }
}
