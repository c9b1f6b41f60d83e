//! Everything a run that trains a reward model needs to go on, and its bytes.

use serde::{Deserialize, Serialize};

use crate::LearnError;

/// Raised whenever the bytes change their meaning.
pub const REWARD_STATE_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"slhf-rm\n";

/// Counted quantities of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardCounters {
    /// Pairs that were passed.
    pub pairs: u64,
    /// Tokens that went through the model in training passes.
    pub tokens_trained: u64,
    /// Tokens that it read in evaluations.
    pub tokens_evaluated: u64,
    /// Floating-point operations of training passes.
    pub operations: f64,
}

/// The state of the loop after a step; the model's own bytes come beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LoopState {
    pub(super) step: u64,
    /// Pairs taken from the data so far: the position in it.
    pub(super) cursor: u64,
    pub(super) counters: RewardCounters,
    /// Mean values of held-out responses before the first step, one a label; empty before they are known.
    pub(super) start_means: Vec<f64>,
}

impl LoopState {
    /// A header, the version, the state, then the model's bytes as they are.
    pub(super) fn to_bytes(&self, model: &[u8]) -> Result<Vec<u8>, LearnError> {
        let body = postcard::to_stdvec(self)?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + 12 + body.len() + model.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&REWARD_STATE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(model);
        Ok(bytes)
    }

    /// From [`Self::to_bytes`]; `run` is for the error.
    pub(super) fn from_bytes(run: i64, bytes: &[u8]) -> Result<(Self, &[u8]), LearnError> {
        let refuse = |problem: &str| LearnError::State { run, problem: problem.to_owned() };
        let cut = || refuse("is cut short: expected the checkpoint as it was written");
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        if *magic != MAGIC {
            return Err(refuse("does not start as one of a reward model"));
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        if u32::from_le_bytes(*version) != REWARD_STATE_VERSION {
            return Err(refuse("has a version that this build does not read: another build of the lab wrote it"));
        }
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (body, model) = rest.split_at_checked(length).ok_or_else(cut)?;
        Ok((postcard::from_bytes(body)?, model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_everything_and_cut_or_foreign_ones_are_refused() {
        let counters = RewardCounters { pairs: 9, operations: 1e18, ..RewardCounters::default() };
        let state = LoopState { step: 7, cursor: 21, counters, start_means: vec![0.1, -2.0] };
        let bytes = state.to_bytes(b"weights").unwrap();
        assert_eq!(LoopState::from_bytes(1, &bytes).unwrap(), (state, &b"weights"[..]));
        for length in 0..bytes.len() - b"weights".len() {
            assert!(LoopState::from_bytes(1, &bytes[..length]).is_err(), "{length}");
        }
        let mut foreign = bytes.clone();
        foreign[0] = b'x';
        let said = LoopState::from_bytes(4, &foreign).unwrap_err().to_string();
        assert!(said.contains("run 4: its state in the checkpoint does not start as one of a reward model"), "{said}");
    }
}
