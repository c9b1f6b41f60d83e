//! States that earlier versions wrote.

use serde::Deserialize;

use super::{PolicyState, RunState};
use crate::mean_policy::MeanPolicy;
use crate::schedule::AdaptiveState;

/// Version 1: before methods that are about the mean of their iterates.
#[derive(Debug, Deserialize)]
struct Version1 {
    step: u64,
    leader: PolicyState,
    follower: PolicyState,
    adaptive: Option<AdaptiveState>,
    averages: [Option<f64>; 2],
    baseline: Option<Vec<u8>>,
}

/// Version 2: before references that are renewed, and steps that remember the one before.
#[derive(Debug, Deserialize)]
struct Version2 {
    before: Version1,
    mean: MeanPolicy,
}

/// The body of a state of an earlier version. What it lacks nobody had.
pub(super) fn read(version: u32, body: &[u8]) -> Result<RunState, postcard::Error> {
    let Version2 { before, mean } = match version {
        1 => Version2 { before: postcard::from_bytes(body)?, mean: MeanPolicy::default() },
        _ => postcard::from_bytes(body)?,
    };
    let Version1 { step, leader, follower, adaptive, averages, baseline } = before;
    Ok(RunState {
        step,
        leader,
        follower,
        adaptive,
        averages,
        baseline,
        mean,
        reference: Vec::new(),
        last_payoffs: Vec::new(),
        reached: None,
    })
}
