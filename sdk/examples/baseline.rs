//! A control variate: what reward to expect of a sample, before it is known.
//!
//! This one is the mean of all rewards that an agent had in earlier batches. It keeps state from batch to batch;
//! `save` and `restore` carry it through checkpoints.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_sdk::{Baseline, Failure, Manifest, Plugin, Role, Sample, manifest};

/// What an experiment may set under `parameters`. Doc comments become descriptions in the plugin's schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// The baseline before anything was seen.
    pub initial: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { initial: 0.5 }
    }
}

/// The control variate.
#[derive(Debug)]
pub struct RunningMean {
    initial: f64,
    /// Sum and number of rewards, by role.
    seen: [(f64, f64); 2],
}

impl Plugin for RunningMean {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the mean of each agent's rewards in earlier batches")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        Ok(Self { initial: parameters.initial, seen: [(0.0, 0.0); 2] })
    }
}

fn place(role: Role) -> usize {
    match role {
        Role::Leader => 0,
        Role::Follower => 1,
    }
}

impl Baseline for RunningMean {
    fn estimate(&mut self, batch: &[Sample]) -> Result<Vec<f64>, Failure> {
        let mean = |(sum, count): (f64, f64)| if count > 0.0 { sum / count } else { self.initial };
        // First every answer, then what was seen: a baseline that saw its own reward would bias the gradient.
        let baselines = batch.iter().map(|sample| mean(self.seen[place(sample.role)])).collect();
        for sample in batch {
            let (sum, count) = &mut self.seen[place(sample.role)];
            *sum += sample.reward;
            *count += 1.0;
        }
        Ok(baselines)
    }

    fn save(&self) -> Vec<u8> {
        self.seen.iter().flat_map(|(sum, count)| [sum.to_le_bytes(), count.to_le_bytes()].concat()).collect()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Failure> {
        let numbers: Vec<f64> = state
            .chunks(8)
            .map(|bytes| bytes.try_into().map(f64::from_le_bytes).map_err(|_| "a saved state is cut short".into()))
            .collect::<Result<_, Failure>>()?;
        let [leader_sum, leader_count, follower_sum, follower_count] = numbers[..] else {
            return Err(format!("a saved state holds {} numbers, 4 were expected", numbers.len()).into());
        };
        self.seen = [(leader_sum, leader_count), (follower_sum, follower_count)];
        Ok(())
    }
}

slhf_sdk::export_baseline!(RunningMean);

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(role: Role, reward: f64) -> Sample {
        Sample { prompt_id: 0, role, step: 0, reward }
    }

    #[test]
    fn the_mean_is_of_earlier_batches_and_survives_a_checkpoint() {
        let mut baseline = RunningMean::new(Parameters::default()).unwrap();
        let first = [sample(Role::Leader, 1.0), sample(Role::Leader, 0.0), sample(Role::Follower, 0.25)];
        assert_eq!(baseline.estimate(&first).unwrap(), [0.5, 0.5, 0.5]);
        let mut restored = RunningMean::new(Parameters::default()).unwrap();
        restored.restore(&baseline.save()).unwrap();
        for baseline in [&mut baseline, &mut restored] {
            let next = [sample(Role::Follower, 1.0), sample(Role::Leader, 1.0)];
            assert_eq!(baseline.estimate(&next).unwrap(), [0.25, 0.5]);
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let mut baseline = RunningMean::new(Parameters::default()).unwrap();
        assert_eq!(baseline.restore(&[0; 8]).unwrap_err().reason, "a saved state holds 1 numbers, 4 were expected");
        assert_eq!(baseline.restore(&[0; 3]).unwrap_err().reason, "a saved state is cut short");
    }
}
