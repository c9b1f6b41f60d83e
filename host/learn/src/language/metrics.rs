//! What every step is measured by, under the names that people expect.

use slhf_plan::{MetricKey, TokenScores};

use super::clipped::ClippedRatios;
use super::importance::ImportanceSums;
use crate::Measurement;
use crate::schedule::Speeds;

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

/// How far log-probabilities of tokens moved between sampling and the training pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Differences {
    tokens: u64,
    sum: f64,
    largest: f64,
    /// Every one of them, where another engine samples.
    each: Option<Vec<f64>>,
}

impl Differences {
    /// Of samples of another engine: how they are distributed is known, too.
    pub(crate) fn of_another_engine() -> Self {
        Self { each: Some(Vec::new()), ..Self::default() }
    }

    /// The smallest that 99 in 100 are not above; `None` where they are not kept.
    fn percentile_99(&self) -> Option<f64> {
        let mut sorted = self.each.clone()?;
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        Some(sorted.get(place).copied().unwrap_or(f64::NAN))
    }

    /// Counts an answer that the trained policy sampled; one that nobody sampled counts nothing.
    pub(crate) fn compared(&mut self, answer: &super::Answer, scores: &TokenScores) {
        for (draw, passed) in answer.draws.iter().zip(&scores.policy) {
            let difference = (draw.log_probability - passed).abs();
            self.tokens += 1;
            self.sum += difference;
            if let Some(each) = &mut self.each {
                each.push(difference);
            }
            // NaN is the largest, and stays it.
            if difference > self.largest || difference.is_nan() {
                self.largest = difference;
            }
        }
    }

    fn largest(&self) -> f64 {
        if self.tokens == 0 { f64::NAN } else { self.largest }
    }
}

/// Whether an answer is answered, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It is not.
    Once,
    /// By the same policy, in a second turn.
    Twice,
    /// By a Follower.
    ByFollower,
}

/// What one step did; the Leader's update, not the further ones of the Follower, where it says nothing else.
#[derive(Clone, Debug, Default)]
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
    /// Of the second answers of a method with two turns.
    pub(crate) second_reward: f64,
    pub(crate) differences: Differences,
    /// Of samples of another engine that are weighed.
    pub(crate) importance: Option<ImportanceSums>,
    pub(crate) groups: u64,
    pub(crate) groups_zero_std: u64,
    /// Of the updates after the first, of a method that clips ratios in them.
    pub(crate) clipped: Option<ClippedRatios>,
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
    /// Of a run that several processes compute.
    pub(crate) all_reduce: Option<f64>,
    pub(crate) whole: f64,
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
    /// Of a step that begins at these speeds.
    pub(crate) fn begun(speeds: &Speeds) -> Self {
        Self {
            learning_rate: speeds.leader_rate,
            kappa: speeds.kappa,
            peak_operations_per_second: f64::NAN,
            peak_memory_bytes: f64::NAN,
            ..Self::default()
        }
    }

    /// Of a step on closed sets: what was found of the policies, then the update, counts and times.
    pub(crate) fn closed_measurement(&self, found: Measurement, has_follower: bool) -> Measurement {
        let mut measurement = found;
        let mut push = |key, value| {
            measurement.keys.push(key);
            measurement.values.push(value);
        };
        if has_follower {
            push(MetricKey::FollowerWeight, self.kappa);
            push(MetricKey::GradNormFollower, self.follower_norm);
        }
        push(MetricKey::GradNorm, self.norm);
        push(MetricKey::GradNormLeader, self.leader_norm);
        push(MetricKey::LearningRate, self.learning_rate);
        push(MetricKey::Epoch, self.epoch);
        push(MetricKey::NumTokens, self.num_tokens as f64);
        push(MetricKey::NumFlops, self.num_flops);
        push(MetricKey::StepTime, self.seconds.whole);
        push(MetricKey::TimingTrain, self.seconds.train);
        if let Some(seconds) = self.seconds.all_reduce {
            push(MetricKey::TimingAllReduce, seconds);
        }
        push(MetricKey::PerfTokensPerSecond, self.step_tokens as f64 / self.seconds.whole);
        push(MetricKey::PerfMfu, self.step_operations / self.seconds.train / self.peak_operations_per_second);
        push(MetricKey::MemoryPeakBytes, self.peak_memory_bytes);
        measurement
    }

    /// Under their names; those of the Follower are absent for a method with one policy, those of rewards for one
    /// without. Losses, KL divergences and entropies are sums over an answer's tokens (nats an answer), as means over
    /// the step's answers.
    pub(crate) fn measurement(&self, answered: Answered) -> Measurement {
        let has_follower = answered != Answered::Once;
        let mut measurement = Measurement { keys: Vec::with_capacity(40), values: Vec::with_capacity(40) };
        let mut push = |key, value| {
            measurement.keys.push(key);
            measurement.values.push(value);
        };
        let (leader, follower) = (&self.leader, &self.follower);
        push(MetricKey::RewardsProbabilities, per(self.probability, self.verdicts));
        match answered {
            Answered::ByFollower => push(MetricKey::RewardsMargins, per(self.margin, self.verdicts)),
            Answered::Once => push(MetricKey::RewardsMean, per(self.reward, self.rewards)),
            Answered::Twice => {
                push(MetricKey::RewardsFirstTurn, per(self.reward, self.rewards));
                push(MetricKey::RewardsSecondTurn, per(self.second_reward, self.rewards));
            }
        }
        push(MetricKey::FracRewardZeroStd, per(self.groups_zero_std as f64, self.groups));
        if let Some(ClippedRatios { ratios, low, high }) = self.clipped {
            push(MetricKey::ClipRatioLow, per(low as f64, ratios));
            push(MetricKey::ClipRatioHigh, per(high as f64, ratios));
        }
        push(MetricKey::LossLeader, per(leader.loss, leader.scored));
        push(MetricKey::ObjectiveKlLeader, per(leader.kl, leader.scored));
        push(MetricKey::ObjectiveEntropyLeader, per(leader.entropy, leader.scored));
        let answers = leader.answers + follower.answers;
        push(MetricKey::CompletionsMeanLength, per((leader.tokens + follower.tokens) as f64, answers));
        push(MetricKey::CompletionsEosRate, per((leader.finished + follower.finished) as f64, answers));
        push(MetricKey::CompletionsMeanLengthLeader, per(leader.tokens as f64, leader.answers));
        push(MetricKey::CompletionsEosRateLeader, per(leader.finished as f64, leader.answers));
        if has_follower {
            push(MetricKey::LossFollower, per(follower.loss, follower.scored));
            push(MetricKey::ObjectiveKlFollower, per(follower.kl, follower.scored));
            push(MetricKey::ObjectiveEntropyFollower, per(follower.entropy, follower.scored));
            push(MetricKey::CompletionsMeanLengthFollower, per(follower.tokens as f64, follower.answers));
            push(MetricKey::CompletionsEosRateFollower, per(follower.finished as f64, follower.answers));
        }
        if answered == Answered::ByFollower {
            push(MetricKey::FollowerWeight, self.kappa);
            push(MetricKey::GradNormFollower, self.follower_norm);
        }
        push(MetricKey::GradNorm, self.norm);
        push(MetricKey::GradNormLeader, self.leader_norm);
        push(MetricKey::LearningRate, self.learning_rate);
        push(MetricKey::Epoch, self.epoch);
        push(MetricKey::NumTokens, self.num_tokens as f64);
        push(MetricKey::NumTokensGenerated, self.num_tokens_generated as f64);
        push(MetricKey::NumFlops, self.num_flops);
        push(MetricKey::VerdictsSkipped, self.skipped as f64);
        push(MetricKey::SamplingLogprobDifference, per(self.differences.sum, self.differences.tokens));
        push(MetricKey::SamplingLogprobDifferenceMax, self.differences.largest());
        if let Some(difference) = self.differences.percentile_99() {
            push(MetricKey::SamplingLogprobDifferenceP99, difference);
        }
        if let Some(ImportanceSums { weights, sum, truncated }) = self.importance {
            push(MetricKey::SamplingImportanceWeight, per(sum, weights));
            push(MetricKey::SamplingImportanceTruncated, per(truncated as f64, weights));
        }
        push(MetricKey::GroupsDropped, self.groups_dropped as f64);
        let seconds = &self.seconds;
        push(MetricKey::StepTime, seconds.whole);
        push(MetricKey::TimingGenerate, seconds.generate);
        push(MetricKey::TimingJudge, seconds.judge);
        push(MetricKey::TimingTrain, seconds.train);
        if let Some(seconds) = seconds.all_reduce {
            push(MetricKey::TimingAllReduce, seconds);
        }
        push(MetricKey::PerfTokensPerSecond, self.step_tokens as f64 / seconds.whole);
        push(MetricKey::PerfMfu, self.step_operations / seconds.train / self.peak_operations_per_second);
        push(MetricKey::MemoryPeakBytes, self.peak_memory_bytes);
        measurement
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Answer, Draw};

    fn differences(sampled: &[f64], passed: &[f64]) -> Differences {
        compared(Differences::default(), sampled, passed)
    }

    fn compared(mut found: Differences, sampled: &[f64], passed: &[f64]) -> Differences {
        let draw = |log_probability: &f64| Draw { log_probability: *log_probability, support: 0 };
        let answer = Answer {
            tokens: [1, 2, 3].into(),
            finished: true,
            text: "so".into(),
            draws: sampled.iter().map(draw).collect(),
        };
        found.compared(&answer, &TokenScores { policy: passed.to_vec(), ..TokenScores::default() });
        found
    }

    #[test]
    fn differences_are_counted_by_token_and_what_is_no_number_is_not_lost() {
        let found = differences(&[-1.0, -2.0, -3.0], &[-1.25, -2.0, -2.5]);
        assert_eq!((found.tokens, found.sum, found.largest()), (3, 0.75, 0.5));
        assert!(differences(&[-1.0, -2.0, -3.0], &[-1.0, f64::NAN, -2.5]).largest().is_nan());
        assert!(differences(&[], &[-1.0]).largest().is_nan(), "nothing was sampled");
    }

    #[test]
    fn of_another_engine_the_distribution_of_differences_is_known() {
        assert_eq!(differences(&[-1.0], &[-2.0]).percentile_99(), None);
        let none = Differences::of_another_engine();
        assert!(none.percentile_99().is_some_and(f64::is_nan));
        let passed: Vec<f64> = (0..200).map(|number| -f64::from(number)).collect();
        let found = compared(none, &[0.0; 200], &passed);
        assert_eq!(found.percentile_99(), Some(197.0));
        // What is no number is above all numbers.
        let found = compared(Differences::of_another_engine(), &[-1.0, -1.0], &[-1.0, f64::NAN]);
        assert!(found.percentile_99().is_some_and(f64::is_nan));
    }
}
