//! What every step is measured by, under the names that people expect.

use slhf_plan::TokenScores;

use crate::Measurement;

/// Sums over the answers of one role in one step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoleSums {
    pub(crate) answers: u64,
    pub(crate) tokens: u64,
    pub(crate) finished: u64,
    /// Answers that were scored by a pass.
    pub(crate) scored: u64,
    pub(crate) loss: f64,
    pub(crate) kl: f64,
    pub(crate) entropy: f64,
}

/// What one step did; the Leader's update, not the further ones of the Follower, where it says nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepRecord {
    pub(crate) leader: RoleSums,
    pub(crate) follower: RoleSums,
    /// Verdicts, their sum, and the sum of score differences.
    pub(crate) verdicts: u64,
    pub(crate) probability: f64,
    pub(crate) margin: f64,
    /// Rewards of a method that has them.
    pub(crate) rewards: u64,
    pub(crate) reward: f64,
    pub(crate) groups: u64,
    pub(crate) groups_zero_std: u64,
    pub(crate) skipped: u64,
    pub(crate) groups_dropped: u64,
    pub(crate) leader_norm: f64,
    pub(crate) follower_norm: f64,
    pub(crate) norm: f64,
    pub(crate) learning_rate: f64,
    pub(crate) kappa: f64,
    pub(crate) epoch: f64,
    /// Tokens that went through the trained policy so far, prompts included.
    pub(crate) num_tokens: u64,
    /// Tokens sampled in training so far.
    pub(crate) num_tokens_generated: u64,
    /// Floating-point operations of sampling and of training passes so far.
    pub(crate) num_flops: f64,
    /// Sampled and passed in this step, all updates.
    pub(crate) step_tokens: u64,
    pub(crate) step_operations: f64,
    pub(crate) seconds: StepSeconds,
    pub(crate) peak_operations_per_second: f64,
    pub(crate) peak_memory_bytes: f64,
}

/// Wall-clock seconds of one step: recorded, never used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepSeconds {
    pub(crate) generate: f64,
    pub(crate) judge: f64,
    pub(crate) train: f64,
    pub(crate) whole: f64,
}

/// Whether a metric is a measurement of this machine (a time, a speed, memory in use) and not a number of the run:
/// two computations of the same step differ in it, and a comparison of a resumed run must leave it out.
#[must_use]
pub fn is_machine_metric(key: &str) -> bool {
    key == "step_time" || ["timing/", "perf/", "memory/"].iter().any(|prefix| key.starts_with(prefix))
}

fn per(sum: f64, count: u64) -> f64 {
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

impl RoleSums {
    /// Counts an answer that was sampled.
    pub(crate) fn sampled(&mut self, answer: &super::Answer) {
        self.answers += 1;
        self.tokens += answer.tokens.len() as u64;
        self.finished += u64::from(answer.finished);
    }

    /// Counts an answer that was passed.
    pub(crate) fn passed(&mut self, scores: &TokenScores, loss: f64) {
        self.scored += 1;
        self.loss += loss;
        self.kl += scores.kl();
        self.entropy += scores.entropy.iter().sum::<f64>();
    }
}

impl StepRecord {
    /// Under their names; those of the Follower are absent for a method with one policy, those of rewards for one
    /// without. Losses, KL divergences and entropies are sums over an answer's tokens (nats an answer), as means over
    /// the step's answers.
    pub(crate) fn measurement(&self, has_follower: bool) -> Measurement {
        let mut measurement = Measurement { keys: Vec::with_capacity(40), values: Vec::with_capacity(40) };
        let mut push = |key, value| {
            measurement.keys.push(key);
            measurement.values.push(value);
        };
        let (leader, follower) = (&self.leader, &self.follower);
        push("rewards/probabilities", per(self.probability, self.verdicts));
        if has_follower {
            push("rewards/margins", per(self.margin, self.verdicts));
        } else {
            push("rewards/mean", per(self.reward, self.rewards));
        }
        push("frac_reward_zero_std", per(self.groups_zero_std as f64, self.groups));
        push("loss/leader", per(leader.loss, leader.scored));
        push("objective/kl_leader", per(leader.kl, leader.scored));
        push("objective/entropy_leader", per(leader.entropy, leader.scored));
        let answers = leader.answers + follower.answers;
        push("completions/mean_length", per((leader.tokens + follower.tokens) as f64, answers));
        push("completions/eos_rate", per((leader.finished + follower.finished) as f64, answers));
        push("completions/mean_length_leader", per(leader.tokens as f64, leader.answers));
        push("completions/eos_rate_leader", per(leader.finished as f64, leader.answers));
        if has_follower {
            push("loss/follower", per(follower.loss, follower.scored));
            push("objective/kl_follower", per(follower.kl, follower.scored));
            push("objective/entropy_follower", per(follower.entropy, follower.scored));
            push("completions/mean_length_follower", per(follower.tokens as f64, follower.answers));
            push("completions/eos_rate_follower", per(follower.finished as f64, follower.answers));
            push("follower_weight", self.kappa);
            push("grad_norm_follower", self.follower_norm);
        }
        push("grad_norm", self.norm);
        push("grad_norm_leader", self.leader_norm);
        push("learning_rate", self.learning_rate);
        push("epoch", self.epoch);
        push("num_tokens", self.num_tokens as f64);
        push("num_tokens_generated", self.num_tokens_generated as f64);
        push("num_flops", self.num_flops);
        push("verdicts/skipped", self.skipped as f64);
        push("groups/dropped", self.groups_dropped as f64);
        let seconds = &self.seconds;
        push("step_time", seconds.whole);
        push("timing/generate", seconds.generate);
        push("timing/judge", seconds.judge);
        push("timing/train", seconds.train);
        push("perf/tokens_per_second", self.step_tokens as f64 / seconds.whole);
        push("perf/mfu", self.step_operations / seconds.train / self.peak_operations_per_second);
        push("memory/peak_bytes", self.peak_memory_bytes);
        measurement
    }
}
