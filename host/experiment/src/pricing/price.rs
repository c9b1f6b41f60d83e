//! What some runs cost, added up.

use std::ops::AddAssign;

use thiserror::Error;

/// Why a plan has no price.
#[derive(Debug, Error)]
pub enum PriceError {
    /// A model's configuration cannot be read.
    #[error("{0}")]
    Model(String),
}

/// What some runs cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Price {
    /// Tokens that are sampled from models on the device.
    pub generated_tokens: f64,
    /// Tokens that go through the trained model in training passes.
    pub trained_tokens: f64,
    /// Tokens that other models on the device read: the reference in training, judges, reward models.
    pub read_tokens: f64,
    /// Verdicts of all judges.
    pub verdicts: f64,
    /// Floating-point operations of sampling, prompts included.
    pub sampling_operations: f64,
    /// Bytes of weights that sampling reads: all of them for every token of the rows that are sampled at once.
    pub sampling_bytes: f64,
    /// Floating-point operations of all other passes.
    pub pass_operations: f64,
    /// Tokens that servers read and write.
    pub server_tokens: f64,
    /// What was assumed beside what the module says, a sentence each.
    pub notes: Vec<String>,
}

impl Price {
    /// All operations on the device.
    #[must_use]
    pub fn operations(&self) -> f64 {
        self.sampling_operations + self.pass_operations
    }

    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl AddAssign<&Self> for Price {
    fn add_assign(&mut self, other: &Self) {
        self.generated_tokens += other.generated_tokens;
        self.trained_tokens += other.trained_tokens;
        self.read_tokens += other.read_tokens;
        self.verdicts += other.verdicts;
        self.sampling_operations += other.sampling_operations;
        self.sampling_bytes += other.sampling_bytes;
        self.pass_operations += other.pass_operations;
        self.server_tokens += other.server_tokens;
        other.notes.iter().for_each(|note| self.note(note.clone()));
    }
}
