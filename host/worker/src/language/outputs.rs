//! What a run's plugins have put into its record: one budget a run, however often the run is resumed.

use std::collections::BTreeMap;

use slhf_judge::RunOutput;

/// By the part that a plugin plays in the run.
#[derive(Debug, Default)]
pub(crate) struct Outputs(BTreeMap<String, RunOutput>);

impl Outputs {
    pub(super) fn add(&mut self, part: String, output: RunOutput) {
        self.0.insert(part, output);
    }

    /// For a checkpoint.
    pub(super) fn bytes(&self) -> BTreeMap<String, u64> {
        let of = |(part, output): (&String, &RunOutput)| (part.clone(), output.bytes());
        self.0.iter().map(of).filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// From a checkpoint, before anything is asked.
    pub(super) fn carry(&self, bytes: &BTreeMap<String, u64>) {
        for (part, spent) in bytes {
            if let Some(output) = self.0.get(part) {
                output.carry(*spent);
            }
        }
    }
}
