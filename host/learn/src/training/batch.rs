//! Runs at one step, on either path.

use std::sync::Arc;

use slhf_plan::ComputePath;

use crate::LearnError;
use crate::control::Control;
use crate::problem::Problem;
use crate::rules::{Course, Rules};
use crate::scalar::{Failure, Prepared, ScalarBatch, ScalarRun};
use crate::schedule::Speeds;
use crate::state::RunState;
use crate::tensor::{Place, TensorBatch, TensorRun};

/// How a group is computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program {
    pub(super) path: ComputePath,
    pub(super) place: Place,
    pub(super) threads: usize,
}

/// What a run brings to a batch and takes from it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) problem: Arc<Problem>,
    pub(super) prepared: Arc<Prepared>,
    pub(super) course: Arc<Course>,
    pub(super) control: Control,
    pub(super) state: RunState,
}

/// Runs at one step.
#[derive(Debug)]
pub(super) enum Batch {
    Scalar(ScalarBatch),
    Tensor(Box<TensorBatch>),
}

impl Batch {
    pub(super) fn new(rules: Rules, program: Program, step: u64, members: Vec<Member>) -> Result<Self, LearnError> {
        if program.path == ComputePath::Scalar {
            let runs = members.into_iter().map(|m| ScalarRun::new(m.prepared, m.course, m.control, m.state));
            return Ok(Self::Scalar(ScalarBatch::new(rules, program.threads, runs.collect())));
        }
        let mut runs = Vec::with_capacity(members.len());
        let mut states = Vec::with_capacity(members.len());
        for member in members {
            runs.push(TensorRun {
                problem: member.problem,
                course: member.course,
                control: member.control,
                adaptive: member.state.adaptive,
                speeds: None,
                failure: None,
                mean: member.state.mean.clone(),
                reference: member.state.reference.clone(),
                remembered: member.state.remembered.clone(),
            });
            states.push(member.state);
        }
        let batch = TensorBatch::new(rules, program.place, step, runs, &states)?;
        Ok(Self::Tensor(Box::new(batch)))
    }

    pub(super) fn advance(&mut self, to: u64) -> Result<(), LearnError> {
        match self {
            Self::Scalar(batch) => {
                batch.advance(to);
                Ok(())
            }
            Self::Tensor(batch) => batch.advance(to),
        }
    }

    /// Every run's state, but for its control variate's.
    pub(super) fn states(&mut self) -> Result<Vec<RunState>, LearnError> {
        match self {
            Self::Scalar(batch) => Ok(batch.runs.iter().map(ScalarRun::state).collect()),
            Self::Tensor(batch) => batch.states(),
        }
    }

    /// Adds the control variates' states, for a checkpoint. The plugin of a run that has failed may be dead.
    pub(super) fn save_controls(
        &mut self,
        states: &mut [RunState],
        alive: impl Iterator<Item = bool>,
    ) -> Result<(), LearnError> {
        for ((index, state), _) in states.iter_mut().enumerate().zip(alive).filter(|(_, alive)| *alive) {
            let (run, control) = match self {
                Self::Scalar(batch) => (batch.runs[index].course.run, &mut batch.runs[index].control),
                Self::Tensor(batch) => (batch.runs[index].course.run, &mut batch.runs[index].control),
            };
            control.save_into(state).map_err(|source| LearnError::Baseline { run, source })?;
        }
        Ok(())
    }

    /// The speeds that the last step used, and the updates so far.
    pub(super) fn speeds(&self, index: usize) -> Option<(Speeds, [u64; 2])> {
        match self {
            Self::Scalar(batch) => Some((batch.runs[index].speeds?, batch.runs[index].updates())),
            Self::Tensor(batch) => Some((batch.runs[index].speeds?, batch.updates(index))),
        }
    }

    /// Takes the failures of the last advance: (index, why).
    pub(super) fn take_failures(&mut self) -> Vec<(usize, Failure)> {
        let failures = |(index, failure): (usize, &mut Option<Failure>)| Some((index, failure.take()?));
        match self {
            Self::Scalar(batch) => {
                batch.runs.iter_mut().map(|run| &mut run.failure).enumerate().filter_map(failures).collect()
            }
            Self::Tensor(batch) => {
                batch.runs.iter_mut().map(|run| &mut run.failure).enumerate().filter_map(failures).collect()
            }
        }
    }

    /// The control variates, in order.
    pub(super) fn into_controls(self) -> Vec<Control> {
        match self {
            Self::Scalar(batch) => batch.runs.into_iter().map(|run| run.control).collect(),
            Self::Tensor(batch) => batch.runs.into_iter().map(|run| run.control).collect(),
        }
    }
}
