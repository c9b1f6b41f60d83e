//! What rank 0 has all ranks do. Every rank carries out an order with the same exchanges in the same sequence.

use serde::{Deserialize, Serialize};
use slhf_learn::language::Update;
use slhf_plan::Sampling;
use slhf_policy::{AnswerTree, GenerateRow, PassSettings, Player, ReferenceShare, TrainingPair};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Sample responses.
    Generate(Generate),
    /// Pass micro-batches of pairs, the settings being those of the first; gradients accumulate.
    Pass { micro_batches: Vec<Vec<TrainingPair>>, first: PassSettings },
    /// Likewise of closed sets.
    PassSets { micro_batches: Vec<Vec<AnswerTree>>, first: PassSettings },
    /// Take an optimizer step.
    Update(Update),
    /// Send the moments of its share of the parameters, for a checkpoint.
    Save,
    /// Take up parameters and the optimizer's state of a checkpoint.
    Restore(Vec<u8>),
    /// Training is over.
    End,
}

/// Responses to be sampled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Generate {
    pub(super) speaker: Speaker,
    /// One entry a rank: rows, each with its place among all of them.
    pub(super) parts: Vec<Vec<(usize, GenerateRow)>>,
    pub(super) seed: u64,
    pub(super) sampling: Sampling,
}

/// How the engine answers in a policy's name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Speaker {
    Player(Player),
    /// The Leader with so much of the reference, in [0, 1].
    Mixture(f64),
}

impl Speaker {
    pub(crate) fn mixture(share: ReferenceShare) -> Self {
        Self::Mixture(share.share())
    }
}
