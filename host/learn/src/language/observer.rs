//! Who is told what a language-model run does.

use slhf_plan::{CompletionRow, EvaluationRow, LogLevel, ScheduleRow};

use crate::{Cause, Ended, Measurement};

/// What is known of the machine; NaN where it is not. Recorded, never used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineReading {
    /// The device's peak at the precision in use, in FLOP/s.
    pub peak_operations_per_second: f64,
    /// The highest memory in use so far, in bytes: of the device, or of the process.
    pub peak_memory_bytes: f64,
}

impl Default for MachineReading {
    fn default() -> Self {
        Self { peak_operations_per_second: f64::NAN, peak_memory_bytes: f64::NAN }
    }
}

/// Who is told. Rows up to step s are told before the checkpoint of step s.
pub trait LanguageObserver {
    /// Asked between steps: whether to end with a checkpoint.
    fn stop_requested(&self) -> bool;
    /// Asked once a step.
    fn machine(&self) -> MachineReading {
        MachineReading::default()
    }
    /// Something that the user should know: a sentence.
    fn note(&mut self, level: LogLevel, sentence: &str) -> Result<(), Cause>;
    /// Metrics of a step (from 1); [`slhf_plan::MetricKey::is_of_machine`] says which are not the run's own.
    fn metrics(&mut self, step: u64, measurement: &Measurement) -> Result<(), Cause>;
    /// What the schedule did in a step.
    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause>;
    /// Completions of a step or of an evaluation.
    fn completions(&mut self, rows: Vec<CompletionRow>) -> Result<(), Cause>;
    /// An evaluation.
    fn evaluations(&mut self, rows: Vec<EvaluationRow>) -> Result<(), Cause>;
    /// The state after a step, as bytes that [`super::LanguageTrainer::restore`] takes.
    fn checkpoint(&mut self, step: u64, state: &[u8]) -> Result<(), Cause>;
    /// Steps done.
    fn progress(&mut self, steps_done: u64) -> Result<(), Cause>;
    /// The run ended.
    fn ended(&mut self, step: u64, ended: Ended) -> Result<(), Cause>;
}
