//! `moving-average`: a running mean of rewards as control variate.
//!
//! One exponential moving average an agent: after each batch, mean ← decay · mean + (1 − decay) · (the batch's mean
//! reward of that agent); the first batch that has samples of an agent sets its mean. A sample's baseline is the mean
//! *before* its batch, so it depends on no reward of that batch, its own least of all. Until an agent has a mean, its
//! baseline is `initial`.
//!
//! ```toml
//! plugin = "moving-average"
//! parameters = { decay = 0.95 }
//! ```

use serde::Deserialize;
use slhf_sdk::{Baseline, Failure, JsonSchema, Manifest, Plugin, Role, Sample, manifest};

/// Parameters of `moving-average`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// How much of the old mean a batch leaves; at least 0, below 1.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub decay: f64,
    /// The baseline before anything was seen; ½ is the reward of a response against itself.
    pub initial: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { decay: 0.9, initial: 0.5 }
    }
}

/// The control variate.
#[derive(Debug)]
pub struct MovingAverage {
    decay: f64,
    initial: f64,
    /// By role: Leader, Follower.
    means: [Option<f64>; 2],
}

/// Of the saved state: one byte of version, then for each role one byte (is there a mean?) and a little-endian f64.
const VERSION: u8 = 1;
const STATE_BYTES: usize = 1 + 2 * 9;

impl Plugin for MovingAverage {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("an exponential moving average of each agent's rewards, excluding the current batch")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { decay, initial } = parameters;
        if !(0.0..1.0).contains(&decay) {
            return Err(format!("parameter 'decay' is {decay}, it must be at least 0 and below 1").into());
        }
        if !initial.is_finite() {
            return Err(format!("parameter 'initial' is {initial}, it must be finite").into());
        }
        Ok(Self { decay, initial, means: [None; 2] })
    }
}

impl Baseline for MovingAverage {
    fn estimate(&mut self, batch: &[Sample]) -> Result<Vec<f64>, Failure> {
        if let Some(index) = batch.iter().position(|sample| !sample.reward.is_finite()) {
            return Err(format!("the reward of sample {index} is {}, it must be finite", batch[index].reward).into());
        }
        let baselines = batch.iter().map(|sample| self.means[place(sample.role)].unwrap_or(self.initial)).collect();
        for role in [Role::Leader, Role::Follower] {
            let rewards = || batch.iter().filter(|sample| sample.role == role).map(|sample| sample.reward);
            let count = rewards().count();
            if count > 0 {
                let seen = rewards().sum::<f64>() / count as f64;
                let mean = &mut self.means[place(role)];
                *mean = Some(mean.map_or(seen, |mean| self.decay * mean + (1.0 - self.decay) * seen));
            }
        }
        Ok(baselines)
    }

    fn save(&self) -> Vec<u8> {
        let mut state = vec![VERSION];
        for mean in self.means {
            state.push(u8::from(mean.is_some()));
            state.extend(mean.unwrap_or(0.0).to_le_bytes());
        }
        state
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Failure> {
        let foreign = || Failure::new(format!("a saved state of {} bytes is not moving-average's", state.len()));
        if state.len() != STATE_BYTES || state[0] != VERSION {
            return Err(foreign());
        }
        let mut means = [None; 2];
        for (mean, saved) in means.iter_mut().zip(state[1..].chunks_exact(9)) {
            let value = saved[1..].try_into().map(f64::from_le_bytes).map_err(|_| foreign())?;
            *mean = match saved[0] {
                0 => None,
                1 if value.is_finite() => Some(value),
                _ => return Err(foreign()),
            };
        }
        self.means = means;
        Ok(())
    }
}

fn place(role: Role) -> usize {
    match role {
        Role::Leader => 0,
        Role::Follower => 1,
    }
}

slhf_sdk::export_baseline!(MovingAverage);

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Follower, Leader};
    use slhf_sdk::parameters;

    fn baseline(parameters: &str) -> Result<MovingAverage, Failure> {
        parameters::read(parameters).and_then(MovingAverage::new)
    }

    fn batch(rewards: &[(Role, f64)]) -> Vec<Sample> {
        rewards.iter().map(|(role, reward)| Sample { prompt_id: 0, role: *role, step: 0, reward: *reward }).collect()
    }

    #[test]
    fn the_mean_moves_after_the_batch_and_for_its_agent_alone() {
        let mut baseline = baseline(r#"{"decay": 0.75, "initial": 0.25}"#).unwrap();
        let mut estimate = |rewards: &[(Role, f64)]| baseline.estimate(&batch(rewards)).unwrap();
        assert_eq!(estimate(&[(Leader, 1.0), (Leader, 0.0), (Leader, 0.5)]), [0.25; 3]);
        assert_eq!(estimate(&[(Leader, 1.0), (Follower, 0.0)]), [0.5, 0.25]);
        assert_eq!(estimate(&[(Leader, 0.0), (Follower, 1.0)]), [0.625, 0.0]);
        assert_eq!(estimate(&[(Follower, 1.0), (Leader, 1.0)]), [0.25, 0.75 * 0.625]);
    }

    #[test]
    fn a_baseline_does_not_depend_on_its_own_batch() {
        let seen = batch(&[(Leader, 0.3), (Follower, 0.9)]);
        let estimate = |reward| {
            let mut baseline = baseline("{}").unwrap();
            baseline.estimate(&seen).unwrap();
            baseline.estimate(&batch(&[(Leader, reward), (Follower, reward)])).unwrap()
        };
        assert_eq!(estimate(0.0), estimate(1.0));
    }

    #[test]
    fn a_restored_state_continues_bit_for_bit() {
        let mut original = baseline("{}").unwrap();
        for rewards in [vec![], vec![(Leader, 0.1)], vec![(Leader, 0.7), (Follower, 0.3)]] {
            original.estimate(&batch(&rewards)).unwrap();
            let mut restored = baseline("{}").unwrap();
            restored.restore(&original.save()).unwrap();
            assert_eq!(restored.save(), original.save());
            assert_eq!(restored.means, original.means);
        }
    }

    #[test]
    fn foreign_states_and_rewards_are_refused() {
        let mut baseline = baseline("{}").unwrap();
        let good = baseline.save();
        for (at, byte) in [(0, 9), (1, 2)] {
            let mut state = good.clone();
            state[at] = byte;
            let failure = baseline.restore(&state).unwrap_err();
            assert_eq!(failure.reason, "a saved state of 19 bytes is not moving-average's");
        }
        assert_eq!(baseline.restore(b"").unwrap_err().reason, "a saved state of 0 bytes is not moving-average's");
        let failure = baseline.estimate(&batch(&[(Leader, 1.0), (Leader, f64::NAN)])).unwrap_err();
        assert_eq!(failure.reason, "the reward of sample 1 is NaN, it must be finite");
    }

    #[test]
    fn bad_parameters_are_named() {
        let check = |json, expected| assert_eq!(baseline(json).unwrap_err().reason, expected);
        check(r#"{"decay": 1}"#, "parameter 'decay' is 1, it must be at least 0 and below 1");
        check(r#"{"decya": 1}"#, "parameter 'decya' is unknown, did you mean 'decay'? (known here: decay, initial)");
    }
}
