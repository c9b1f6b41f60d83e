//! Everything a language-model run needs to go on, and its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reward_model::RewardModel;
use crate::LearnError;
use crate::control::ControlState;
use crate::schedule::AdaptiveState;

/// Raised whenever the bytes change their meaning.
pub const LANGUAGE_STATE_VERSION: u32 = 4;
/// The one before, whose states remember nothing of prompts.
const FORGETFUL_VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"slhf-lm\n";
const HEADER_BYTES: usize = MAGIC.len() + 4 + 8;

/// Counted quantities of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LanguageCounters {
    /// Tokens sampled in training, and for a reward model.
    pub tokens_generated: u64,
    /// Tokens that went through the trained policy in training passes, prompts included.
    pub tokens_trained: u64,
    /// Tokens sampled in evaluations; on closed sets those that the policies read in them.
    pub tokens_evaluated: u64,
    /// Floating-point operations of training passes, and of those in which a reward model reads.
    pub operations: f64,
    /// Floating-point operations of sampling in training, and for a reward model.
    pub operations_generating: f64,
    /// Comparisons and rewards that the judge was asked for in training, and for a reward model.
    pub verdicts: u64,
    /// Those that failed and were let pass.
    pub verdicts_skipped: u64,
    /// Groups of answers that were dropped because fewer than two were left.
    pub groups_dropped: u64,
}

/// The state of the loop after a step; the policies' own bytes come beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoopState {
    pub(crate) step: u64,
    /// Prompts taken from the data so far: the position in it.
    pub(crate) cursor: u64,
    pub(crate) updates: [u64; 2],
    pub(crate) adaptive: Option<AdaptiveState>,
    /// Sum and number of the Follower's wins since the adaptive rule read last.
    pub(crate) wins: (f64, u64),
    pub(crate) control: ControlState,
    pub(crate) counters: LanguageCounters,
    /// Of a method that is trained on one; fit before the first step.
    pub(crate) reward_model: Option<RewardModel>,
    /// What the responses of a prompt's closed set won when it was trained on last, by the prompt's number; of a method that extrapolates them.
    pub(crate) remembered: BTreeMap<u32, Vec<f64>>,
}

impl LoopState {
    /// A header, the version, the state, then the policies' bytes as they are (they may be large).
    pub(crate) fn to_bytes(&self, policies: &[u8]) -> Result<Vec<u8>, LearnError> {
        let body = postcard::to_stdvec(self)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + policies.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&LANGUAGE_STATE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(policies);
        Ok(bytes)
    }

    /// From [`Self::to_bytes`]; `run` is for the error.
    pub(crate) fn from_bytes(run: i64, bytes: &[u8]) -> Result<(Self, &[u8]), LearnError> {
        let refuse = |problem: String| LearnError::State { run, problem };
        let cut = || refuse("is cut short: expected the checkpoint as it was written".to_owned());
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        if *magic != MAGIC {
            return Err(refuse("does not start as one of a language model".to_owned()));
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let version = u32::from_le_bytes(*version);
        if ![FORGETFUL_VERSION, LANGUAGE_STATE_VERSION].contains(&version) {
            let problem = format!(
                "has version {version}; expected {FORGETFUL_VERSION} or {LANGUAGE_STATE_VERSION}: another build of the lab wrote it"
            );
            return Err(refuse(problem));
        }
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (body, policies) = rest.split_at_checked(length).ok_or_else(cut)?;
        if version == FORGETFUL_VERSION {
            // Fields stand one after another: an empty map at the end is what that version left out.
            let body = [body, &postcard::to_stdvec(&BTreeMap::<u32, Vec<f64>>::new())?].concat();
            return Ok((postcard::from_bytes(&body)?, policies));
        }
        Ok((postcard::from_bytes(body)?, policies))
    }
}

/// The policies' own bytes within a checkpoint, for verbs that want the weights and not the run: what
/// [`super::LanguagePolicies::restore`] takes. With the steps done.
pub fn policies_in_checkpoint(run: i64, bytes: &[u8]) -> Result<(u64, &[u8]), LearnError> {
    let (state, policies) = LoopState::from_bytes(run, bytes)?;
    Ok((state.step, policies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_everything_and_cut_or_foreign_ones_are_refused() {
        let state = LoopState {
            step: 7,
            cursor: 21,
            updates: [7, 14],
            adaptive: Some(AdaptiveState { log_kappa: 0.1 + 0.2, smoothed: None }),
            wins: (1.25, 3),
            control: ControlState { averages: [Some(0.5), None], plugin: Some(vec![9, 8]) },
            counters: LanguageCounters { operations: 1e18, tokens_trained: 5, ..LanguageCounters::default() },
            reward_model: Some(RewardModel::new(vec![0.1, -2.0], 0.3)),
            remembered: BTreeMap::from([(4, vec![0.25, 0.75])]),
        };
        let bytes = state.to_bytes(b"weights").unwrap();
        let (back, policies) = LoopState::from_bytes(1, &bytes).unwrap();
        assert_eq!((back, policies), (state, &b"weights"[..]));
        assert_eq!(policies_in_checkpoint(1, &bytes).unwrap(), (7, &b"weights"[..]));

        for length in 0..bytes.len() - b"weights".len() {
            assert!(LoopState::from_bytes(1, &bytes[..length]).is_err(), "{length}");
        }
        let refusal = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = bytes.clone();
            change(&mut changed);
            LoopState::from_bytes(4, &changed).unwrap_err().to_string()
        };
        assert!(refusal(&|bytes| bytes[0] = b'x').contains("run 4: its state in the checkpoint does not start as one"));
        assert!(refusal(&|bytes| bytes[8] = 99).contains("has version 99; expected 3 or 4"));
        assert!(refusal(&|bytes| bytes[12..20].fill(0xFF)).contains("cut short"));
    }
}
