//! Tells the lab what a language-model run does, as it happens: a step takes seconds.

use slhf_learn::language::{LanguageObserver, MachineReading};
use slhf_learn::{Cause, Ended, Measurement};
use slhf_plan::{CheckpointKind, CompletionRow, EvaluationRow, LogLevel, MetricsBatch, RunEnd, ScheduleRow};

use super::outputs::Outputs;
use crate::environment;
use crate::teller::{Teller, run_end};

/// The observer of one run.
#[derive(Debug)]
pub(crate) struct RunObserver<'a> {
    pub(crate) teller: Teller<'a>,
    pub(crate) run: i64,
    /// What its checkpoints hold.
    pub(crate) holds: CheckpointKind,
    /// Of all plugins that judge or measure.
    pub(crate) outputs: &'a Outputs,
    /// How the run ended.
    pub(crate) outcome: Option<RunEnd>,
}

impl LanguageObserver for RunObserver<'_> {
    fn stop_requested(&self) -> bool {
        self.teller.is_asked_to_stop()
    }

    fn machine(&self) -> MachineReading {
        MachineReading { peak_memory_bytes: environment::peak_memory_bytes() as f64, ..MachineReading::default() }
    }

    fn note(&mut self, level: LogLevel, sentence: &str) -> Result<(), Cause> {
        Ok(self.teller.outgoing.log(level, sentence.to_owned())?)
    }

    fn metrics(&mut self, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        let keys = measurement.keys.iter().map(|key| key.name().to_owned()).collect();
        let values = measurement.values.clone();
        Ok(self.teller.metrics(MetricsBatch { keys, runs: vec![self.run], steps: vec![step], values })?)
    }

    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause> {
        Ok(self.teller.schedules(vec![row])?)
    }

    fn completions(&mut self, rows: Vec<CompletionRow>) -> Result<(), Cause> {
        Ok(self.teller.outgoing.report(rows)?)
    }

    fn evaluations(&mut self, rows: Vec<EvaluationRow>) -> Result<(), Cause> {
        Ok(self.teller.evaluations(rows)?)
    }

    fn checkpoint(&mut self, step: u64, state: &[u8]) -> Result<(), Cause> {
        let states = [(self.run, state.to_vec())];
        let outputs = self.outputs.bytes();
        Ok(self.teller.checkpoint(self.holds, step, &states, outputs)?)
    }

    fn progress(&mut self, steps_done: u64) -> Result<(), Cause> {
        Ok(self.teller.progress(steps_done)?)
    }

    fn ended(&mut self, step: u64, ended: Ended) -> Result<(), Cause> {
        // Told last of all: what is still made of the run belongs to it.
        self.outcome = Some(run_end(self.run, step, ended));
        Ok(())
    }
}
