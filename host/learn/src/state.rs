//! Everything a run needs to go on, and its bytes.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::log_probabilities::log_probabilities;
use crate::mean_policy::MeanPolicy;
use crate::problem::{Problem, Target};
use crate::rules::{Course, Rules};
use crate::schedule::AdaptiveState;
use slhf_random::{Place, Purpose, fill_normal};

/// Raised whenever the bytes of a [`RunState`] change their meaning.
pub const STATE_VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"slhf-run";

/// One policy's logits, with Adam's moments (empty under SGD). A Follower's are row-major n × n, row i the answer to i.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyState {
    pub(crate) logits: Vec<f64>,
    pub(crate) first_moments: Vec<f64>,
    pub(crate) second_moments: Vec<f64>,
    /// Updates so far.
    pub(crate) updates: u64,
}

/// The state of a run after a step: going on from it gives the bits of a run that was never cut.
///
/// There is no state of a random generator: every draw is a function of (seed, purpose, step, …).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    pub(crate) step: u64,
    pub(crate) leader: PolicyState,
    /// Empty for a method with one policy.
    pub(crate) follower: PolicyState,
    pub(crate) adaptive: Option<AdaptiveState>,
    /// Moving averages of the control variate: Leader, Follower; `None` before the first batch.
    pub(crate) averages: [Option<f64>; 2],
    /// A `baseline` plugin's own state.
    pub(crate) baseline: Option<Vec<u8>>,
    /// The mean of the iterates, of a method that is about it.
    pub(crate) mean: MeanPolicy,
    /// log `π_ref` once it was renewed; empty before, and where it stays what the game says.
    pub(crate) reference: Vec<f64>,
    /// What a method remembers of the steps before: the last one's direction of the payoffs alone, or log π of several, the last first;
    /// empty before the first step.
    pub(crate) remembered: Vec<f64>,
    /// Gradients until the distance to the target was first below the plan's bound; `None`: not yet, or there is no bound.
    pub(crate) reached: Option<u64>,
}

impl PolicyState {
    fn start(log_reference: &[f64], course: &Course, purpose: Purpose, moments: usize) -> Self {
        let mut logits = vec![0.0; log_reference.len()];
        fill_normal(course.seed, Place { purpose, step: 0, round: 0 }, &mut logits);
        for (logit, log_reference) in logits.iter_mut().zip(log_reference) {
            *logit = log_reference + course.logit_scale * *logit;
        }
        let moments = vec![0.0; moments * log_reference.len()];
        Self { logits, first_moments: moments.clone(), second_moments: moments, updates: 0 }
    }

    fn fits(&self, entries: usize, adam: bool) -> bool {
        let moments = if adam { entries } else { 0 };
        self.logits.len() == entries && self.first_moments.len() == moments && self.second_moments.len() == moments
    }
}

impl RunState {
    /// The seeded start: logits = log reference + scale · z.
    pub(crate) fn start(rules: &Rules, course: &Course, problem: &Problem) -> Self {
        let moments = usize::from(rules.uses_adam());
        let follower = if rules.has_follower() {
            PolicyState::start(&problem.log_reference_follower, course, Purpose::FollowerLogits, moments)
        } else {
            PolicyState::default()
        };
        let leader = match &problem.target {
            // Nothing is trained: the policy is there.
            Target::Exact { log_policy } => PolicyState { logits: log_policy.clone(), ..PolicyState::default() },
            _ => PolicyState::start(&problem.log_reference_leader, course, Purpose::LeaderLogits, moments),
        };
        let mean = if course.keeps_mean() {
            MeanPolicy::start(&log_probabilities(&leader.logits, problem.actions))
        } else {
            MeanPolicy::default()
        };
        Self {
            step: 0,
            leader,
            follower,
            mean,
            adaptive: AdaptiveState::start(&course.schedule.kappa).filter(|_| rules.has_follower()),
            averages: [None; 2],
            baseline: None,
            reference: Vec::new(),
            remembered: Vec::new(),
            reached: None,
        }
    }

    /// log `π_ref` as it stands.
    pub(crate) fn log_reference<'a>(&'a self, problem: &'a Problem) -> &'a [f64] {
        if self.reference.is_empty() { &problem.log_reference_leader } else { &self.reference }
    }

    /// Steps done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The Leader's logits, n of them.
    #[must_use]
    pub fn leader_logits(&self) -> &[f64] {
        &self.leader.logits
    }

    /// The Follower's logits, row-major n × n, row i the answer to action i; empty for a method with one policy.
    #[must_use]
    pub fn follower_logits(&self) -> &[f64] {
        &self.follower.logits
    }

    /// Its bytes: a header, the version, exact f64 bits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LearnError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&STATE_VERSION.to_le_bytes());
        Ok(postcard::to_extend(self, bytes)?)
    }

    /// From [`Self::to_bytes`]; `run` is for the error.
    pub fn from_bytes(run: i64, bytes: &[u8]) -> Result<Self, LearnError> {
        let refuse = |problem: String| Err(LearnError::State { run, problem });
        let Some((header, body)) = bytes.split_at_checked(MAGIC.len() + 4) else {
            return refuse("is cut short".to_owned());
        };
        if header[..MAGIC.len()] != MAGIC {
            return refuse("does not start as one: the file is no checkpoint of this program".to_owned());
        }
        let version: [u8; 4] = header[MAGIC.len()..].try_into().unwrap_or_default();
        match u32::from_le_bytes(version) {
            STATE_VERSION => Ok(postcard::from_bytes(body)?),
            earlier @ 1..STATE_VERSION => Ok(read_earlier(earlier, body)?),
            other => {
                refuse(format!("has version {other}; expected 1 to {STATE_VERSION}: a later build of the lab wrote it"))
            }
        }
    }

    /// Checks that the state is one of this run.
    pub(crate) fn check(&self, run: i64, rules: &Rules, course: &Course) -> Result<(), LearnError> {
        let n = rules.actions;
        let follower = if rules.has_follower() { n * n } else { 0 };
        let adam = rules.uses_adam() && rules.is_trained;
        let mean = if course.keeps_mean() { n } else { 0 };
        let reference = if course.renew_every.is_some_and(|every| self.step >= every) { n } else { 0 };
        let remembered = n * course.remembered(self.step);
        let refuse = |problem: String| Err(LearnError::State { run, problem });
        if !self.leader.fits(n, adam)
            || !self.follower.fits(follower, adam && rules.has_follower())
            || self.mean.probabilities.len() != mean
            || self.reference.len() != reference
            || self.remembered.len() != remembered
        {
            return refuse(format!("is of another shape than a game of {n} actions under this method and optimizer"));
        }
        if self.step > rules.steps {
            return refuse(format!("is at step {}, past the last one ({})", self.step, rules.steps));
        }
        let adaptive = rules.has_follower() && course.schedule.kappa.curve().is_none();
        if self.adaptive.is_some() != adaptive {
            return refuse("was made under another kind of schedule.kappa".to_owned());
        }
        Ok(())
    }
}

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
fn read_earlier(version: u32, body: &[u8]) -> Result<RunState, postcard::Error> {
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
        remembered: Vec::new(),
        reached: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> RunState {
        let policy = |values: &[f64]| PolicyState {
            logits: values.to_vec(),
            first_moments: vec![0.1 + 0.2; values.len()],
            second_moments: vec![f64::MIN_POSITIVE / 3.0; values.len()],
            updates: 9,
        };
        RunState {
            step: 7,
            leader: policy(&[-0.0, f64::MAX]),
            follower: policy(&[1.0, 2.0, 3.0, 4.0]),
            adaptive: Some(AdaptiveState { log_kappa: 0.3, smoothed: None }),
            averages: [Some(0.5), None],
            baseline: Some(vec![1, 2, 3]),
            mean: MeanPolicy { probabilities: vec![0.1 + 0.2, 0.7], weight: 3.0 },
            reference: vec![-0.1 - 0.2],
            remembered: vec![f64::MIN_POSITIVE],
            reached: Some(9),
        }
    }

    #[test]
    fn bytes_keep_every_bit() {
        let bytes = state().to_bytes().unwrap();
        let back = RunState::from_bytes(1, &bytes).unwrap();
        assert_eq!(back, state());
        assert_eq!(back.leader.logits[0].to_bits(), (-0.0_f64).to_bits());
        assert_eq!(back.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn foreign_and_cut_bytes_are_refused() {
        let check = |bytes: &[u8], expected: &str| {
            let error = RunState::from_bytes(4, bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let bytes = state().to_bytes().unwrap();
        check(&bytes[..5], "run 4: its state in the checkpoint is cut short");
        check(&bytes[..40], "could not be encoded or decoded");
        check(b"something else altogether", "does not start as one");
        let mut newer = bytes;
        newer[8] = 99;
        check(&newer, "has version 99; expected 1 to 3");
    }
}
