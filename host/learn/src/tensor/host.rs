//! What the host keeps for a batch with sampled gradients.

use super::place::PerRun;
use crate::sampling::Sample;

/// What the host keeps for a batch.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) weights: PerRun,
    pub(super) kept: PerRun,
    pub(super) samples: Vec<Sample>,
}

impl Default for Host {
    fn default() -> Self {
        Self { weights: PerRun::new(), kept: PerRun::new(), samples: Vec::new() }
    }
}
