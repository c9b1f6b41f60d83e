//! Control variates of sampled gradients: what is subtracted from a score to make it less noisy. None may depend on the
//! sample's own reward, which would bias the gradient.

use serde::{Deserialize, Serialize};
use slhf_plan::ControlVariate;

use crate::error::Cause;
use crate::state::RunState;

/// Whose sample a baseline is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaselineRole {
    /// y ~ π.
    Leader,
    /// y′ ~ ω(· | y).
    Follower,
}

/// One sample whose baseline is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaselineSample {
    /// Whose.
    pub role: BaselineRole,
    /// The step (from 1).
    pub step: u64,
    /// p for the Leader (RLHF: the Bradley–Terry reward), 1 − p for the Follower.
    pub reward: f64,
    /// The prompt's number in its data; 0 on finite games.
    pub prompt: u32,
}

/// A control variate of somebody else's (a `baseline` plugin): one instance a run, asked in the order of the updates.
pub trait BaselineEstimator: Send {
    /// A finite baseline per sample, in order. The batch is then part of what was seen.
    fn estimate(&mut self, samples: &[BaselineSample]) -> Result<Vec<f64>, Cause>;
    /// Its whole state.
    fn save(&mut self) -> Result<Vec<u8>, Cause>;
    /// Takes up a saved state.
    fn restore(&mut self, state: &[u8]) -> Result<(), Cause>;
}

/// What is subtracted where nothing better is known: a fair judge's mean.
const UNINFORMED: f64 = 0.5;

/// The control variate of one run, with its state.
pub(crate) enum Control {
    Constant(f64),
    LeaveOneOut,
    MovingAverage { decay: f64, averages: [Option<f64>; 2] },
    Plugin(Box<dyn BaselineEstimator>),
}

impl std::fmt::Debug for Control {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(value) => write!(formatter, "Constant({value})"),
            Self::LeaveOneOut => write!(formatter, "LeaveOneOut"),
            Self::MovingAverage { decay, averages } => write!(formatter, "MovingAverage({decay}, {averages:?})"),
            Self::Plugin(_) => write!(formatter, "Plugin"),
        }
    }
}

/// The samples of one agent in one update.
pub(crate) struct Batch<'a> {
    pub(crate) role: BaselineRole,
    pub(crate) step: u64,
    /// p, or 1 − p, or r.
    pub(crate) rewards: &'a [f64],
    /// The rewards with their KL terms.
    pub(crate) scores: &'a [f64],
    /// The prompt of each sample; empty on games, which have none.
    pub(crate) prompts: &'a [u32],
}

/// What a control variate must remember.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ControlState {
    /// Moving averages: Leader, Follower; `None` before the first batch.
    pub(crate) averages: [Option<f64>; 2],
    /// A plugin's own state.
    pub(crate) plugin: Option<Vec<u8>>,
}

impl Control {
    pub(crate) fn of(plan: &ControlVariate, estimator: Option<Box<dyn BaselineEstimator>>) -> Option<Self> {
        Some(match plan {
            ControlVariate::Constant { value } => Self::Constant(*value),
            ControlVariate::LeaveOneOut => Self::LeaveOneOut,
            ControlVariate::MovingAverage { decay } => Self::MovingAverage { decay: *decay, averages: [None; 2] },
            ControlVariate::Plugin { .. } => Self::Plugin(estimator?),
        })
    }

    pub(crate) fn save_into(&mut self, state: &mut RunState) -> Result<(), Cause> {
        match self {
            Self::Constant(_) | Self::LeaveOneOut => {}
            Self::MovingAverage { averages, .. } => state.averages = *averages,
            Self::Plugin(estimator) => state.baseline = Some(estimator.save()?),
        }
        Ok(())
    }

    pub(crate) fn restore(&mut self, state: &RunState) -> Result<(), Cause> {
        match (self, &state.baseline) {
            (Self::MovingAverage { averages, .. }, _) => *averages = state.averages,
            (Self::Plugin(estimator), Some(bytes)) => estimator.restore(bytes)?,
            _ => {}
        }
        Ok(())
    }

    /// Its state.
    pub(crate) fn state(&mut self) -> Result<ControlState, Cause> {
        Ok(match self {
            Self::Constant(_) | Self::LeaveOneOut => ControlState::default(),
            Self::MovingAverage { averages, .. } => ControlState { averages: *averages, plugin: None },
            Self::Plugin(estimator) => ControlState { averages: [None; 2], plugin: Some(estimator.save()?) },
        })
    }

    /// Takes up a state.
    pub(crate) fn take_up(&mut self, state: &ControlState) -> Result<(), Cause> {
        match (self, &state.plugin) {
            (Self::MovingAverage { averages, .. }, _) => *averages = state.averages,
            (Self::Plugin(estimator), Some(bytes)) => estimator.restore(bytes)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether the baseline of a Leader's sample is made of others of the same prompt.
    pub(crate) fn needs_others(&self) -> bool {
        matches!(self, Self::LeaveOneOut)
    }

    /// A baseline per sample into `baselines`.
    ///
    /// Leave-one-out is the mean *score* of the others, KL terms included; the moving average and a plugin see the
    /// rewards alone, as the contract of `baseline` plugins says.
    pub(crate) fn baselines(&mut self, batch: &Batch<'_>, baselines: &mut Vec<f64>) -> Result<(), Cause> {
        let count = batch.rewards.len();
        baselines.clear();
        match self {
            Self::Constant(value) => baselines.resize(count, *value),
            // Over several Follower samples it would cancel part of the gradient.
            Self::LeaveOneOut if batch.role == BaselineRole::Follower => baselines.resize(count, UNINFORMED),
            Self::LeaveOneOut => {
                let sum: f64 = batch.scores.iter().sum();
                baselines.extend(batch.scores.iter().map(|score| (sum - score) / (count - 1) as f64));
            }
            Self::MovingAverage { decay, averages } => {
                let average = &mut averages[usize::from(batch.role == BaselineRole::Follower)];
                baselines.resize(count, average.unwrap_or(UNINFORMED));
                let mean = batch.rewards.iter().sum::<f64>() / count as f64;
                *average = Some(average.map_or(mean, |past| *decay * past + (1.0 - *decay) * mean));
            }
            Self::Plugin(estimator) => {
                let sample = |(index, &reward): (usize, &f64)| BaselineSample {
                    role: batch.role,
                    step: batch.step,
                    reward,
                    prompt: batch.prompts.get(index).copied().unwrap_or(0),
                };
                let samples: Vec<_> = batch.rewards.iter().enumerate().map(sample).collect();
                *baselines = estimator.estimate(&samples)?;
                if baselines.len() != count {
                    return Err(format!("it gave {} baselines for {count} samples", baselines.len()).into());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(control: &mut Control, role: BaselineRole, rewards: &[f64], scores: &[f64]) -> Vec<f64> {
        let mut baselines = Vec::new();
        control.baselines(&Batch { role, step: 1, rewards, scores, prompts: &[] }, &mut baselines).unwrap();
        baselines
    }

    #[test]
    fn leave_one_out_is_the_mean_score_of_the_others_and_only_the_leaders() {
        let mut control = Control::LeaveOneOut;
        assert_eq!(ask(&mut control, BaselineRole::Leader, &[0.0; 3], &[1.0, 2.0, 6.0]), [4.0, 3.5, 1.5]);
        assert_eq!(ask(&mut control, BaselineRole::Follower, &[0.0; 3], &[1.0, 2.0, 6.0]), [0.5; 3]);
    }

    #[test]
    fn a_moving_average_excludes_the_current_batch_and_keeps_the_agents_apart() {
        let mut control = Control::MovingAverage { decay: 0.75, averages: [None; 2] };
        assert_eq!(ask(&mut control, BaselineRole::Leader, &[0.25, 0.75], &[9.0; 2]), [0.5, 0.5]);
        assert_eq!(ask(&mut control, BaselineRole::Leader, &[1.0, 1.0], &[9.0; 2]), [0.5, 0.5]);
        assert_eq!(ask(&mut control, BaselineRole::Leader, &[0.0], &[9.0]), [0.625]);
        assert_eq!(ask(&mut control, BaselineRole::Follower, &[0.2], &[9.0]), [0.5]);
        assert_eq!(ask(&mut control, BaselineRole::Follower, &[0.0], &[9.0]), [0.2]);
    }
}
