//! What a step is measured by: every metric's name, unit and meaning, declared once.

use std::fmt;

pub use slhf_words::ROUNDING_FLOOR;

/// Whether the value of the metric of this name is a gap or a distance that cannot be told from 0.
#[must_use]
pub fn is_rounding_noise(key: &str, value: f64) -> bool {
    MetricKey::parse(key).is_some_and(MetricKey::is_distance) && value.abs() < ROUNDING_FLOOR
}

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A probability or a share, in [0, 1].
    Share,
    /// A difference of preference probabilities, 0 at the solution.
    Gap,
    /// Nats of one completion (the sum over its tokens), as a mean over completions.
    Nats,
    /// Nats of one token.
    NatsPerToken,
    /// What the objective or a reward is in.
    Reward,
    /// A number of tokens.
    Tokens,
    /// A whole number.
    Count,
    /// Floating-point operations.
    Operations,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Tokens a second.
    TokensPerSecond,
    /// A number without a unit.
    Number,
}

impl Unit {
    /// As a page shows it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Gap => "probability",
            Self::Nats => "nats a completion",
            Self::NatsPerToken => "nats a token",
            Self::Reward => "reward",
            Self::Tokens => "tokens",
            Self::Count => "count",
            Self::Operations => "operations",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::TokensPerSecond => "tokens / second",
            Self::Number => "",
        }
    }
}

/// What a metric is a figure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureOf {
    /// The run: two computations of the same step agree in it to the bit.
    Run,
    /// The machine (a time, a speed, memory): a comparison of a resumed run leaves it out.
    Machine,
}

/// Which table shows a metric without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The short table at the end of a run, and the longer ones.
    Short,
    /// `compare` and pages.
    Long,
    /// None.
    Asked,
}

/// What is said of a metric.
struct About {
    name: &'static str,
    unit: Unit,
    figure_of: FigureOf,
    shown: Shown,
    meaning: &'static str,
}

macro_rules! metrics {
    ($($key:ident $name:literal $unit:ident $figure:ident $shown:ident $meaning:literal;)*) => {
        /// A metric of a step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum MetricKey {
            $(#[doc = $meaning] $key,)*
        }

        impl MetricKey {
            /// All of them, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$key,)*];

            fn about(self) -> About {
                match self {
                    $(Self::$key => About {
                        name: $name,
                        unit: Unit::$unit,
                        figure_of: FigureOf::$figure,
                        shown: Shown::$shown,
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

metrics! {
    // Games: how far a run is from its closed form, best-known first.
    StackelbergGap "stackelberg_gap" Gap Run Short "The Leader's and the Follower's gap together: 0 at the Stackelberg solution alone.";
    LeaderGap "leader_gap" Gap Run Long "What the Leader loses against the best policy, the Follower's best response given.";
    FollowerGap "follower_gap" Gap Run Long "What the Follower loses against its best response to the Leader's policy.";
    TvLeader "tv_leader" Share Run Long "Total variation between the Leader and the Stackelberg solution's Leader.";
    TvFollower "tv_follower" Share Run Long "Total variation between the Follower and its best response, as a mean over the solution's Leader.";
    DualityGapAverage "duality_gap_average" Gap Run Short "Duality gap of the mean of the iterates in the game without regularization.";
    DualityGap "duality_gap" Gap Run Short "What the best opponent wins against the policy beyond one half, both regularized: 0 at the Nash policy.";
    TvFixedPoint "tv_fixed_point" Share Run Short "Total variation between the policy and the method's own fixed point.";
    TvRlhf "tv_rlhf" Share Run Short "Total variation between the policy and the RLHF policy of the same rewards.";
    TvNash "tv_nash" Share Run Asked "Total variation between the policy and the regularized Nash policy.";
    GradientsToTarget "gradients_to_target" Count Run Asked "Gradients until the distance to the method's own target was first below `evaluation.target_distance`; NaN where it never was.";
    Objective "objective" Reward Run Asked "The regularized objective of the method.";
    KlLeader "kl_leader" Nats Run Asked "KL divergence of the Leader from its reference.";
    EntropyLeader "entropy_leader" Nats Run Asked "Entropy of the Leader.";
    WinRateReference "win_rate/reference" Share Run Asked "Probability that the Leader's action beats one of its reference.";
    WinRateWorstOpponent "win_rate/worst_opponent" Share Run Asked "The same against the opponent that wins most.";
    ValueCommitted "value/committed" Share Run Short "What the Leader wins once a Follower has seen its action and gives the best response: the one figure that all methods share.";
    KlFollower "kl_follower" Nats Run Asked "KL divergence of the Follower from its reference, as a mean over the Leader's actions.";
    EntropyFollower "entropy_follower" Nats Run Asked "Entropy of the Follower, as a mean over the Leader's actions.";
    WinRateFollower "win_rate/follower" Share Run Asked "Probability that the Follower's response beats the Leader's action.";
    // Language models, under the names that users of other trainers expect.
    RewardsProbabilities "rewards/probabilities" Share Run Asked "Mean preference probability of the Leader's completions in the step.";
    RewardsMargins "rewards/margins" Reward Run Asked "Mean difference of the Leader's and the Follower's scores; of methods on the pairs of a file, of the rewards of the better and of the other response.";
    RewardsChosen "rewards/chosen" Reward Run Asked "Mean reward β (log π − log `π_ref`) of the better responses of the step's pairs, of methods on the pairs of a file.";
    RewardsRejected "rewards/rejected" Reward Run Asked "The same of the other responses.";
    RewardsAccuracies "rewards/accuracies" Share Run Short "Share of the step's pairs whose better response had the higher reward before the update; ties of the file do not count.";
    LogpsChosen "logps/chosen" Nats Run Asked "Mean log-probability of the better responses of the step's pairs.";
    LogpsRejected "logps/rejected" Nats Run Asked "The same of the other responses.";
    RewardsMean "rewards/mean" Reward Run Asked "Mean reward of a method with one policy.";
    RewardsFirstTurn "rewards/first_turn" Reward Run Asked "Mean reward of the first responses of a method with two turns.";
    RewardsSecondTurn "rewards/second_turn" Reward Run Asked "Mean reward of the second responses of a method with two turns, without its bonus for progress.";
    FracRewardZeroStd "frac_reward_zero_std" Share Run Asked "Share of prompts whose completions all have the same reward, so that none has an advantage.";
    ClipRatioLow "clip_ratio/low_mean" Share Run Asked "Share of probability ratios that are below 1 − ε with a negative advantage, and so not learned from, in the updates of the step after its first.";
    ClipRatioHigh "clip_ratio/high_mean" Share Run Asked "The same of those above 1 + `epsilon_high` with a positive advantage.";
    LossLeader "loss/leader" Number Run Asked "The Leader's loss, summed over a completion's tokens, as a mean over completions; of dpo and ipo as a mean over pairs, of sft-chosen as a mean over tokens.";
    ObjectiveKlLeader "objective/kl_leader" Nats Run Asked "KL divergence of the Leader from its reference, estimated on its completions.";
    ObjectiveEntropyLeader "objective/entropy_leader" Nats Run Asked "Entropy of the Leader's next-token distributions, summed over a completion.";
    CompletionsMeanLength "completions/mean_length" Tokens Run Asked "Mean length of the step's completions.";
    CompletionsEosRate "completions/eos_rate" Share Run Asked "Share of completions that end by themselves within `max_new_tokens`.";
    CompletionsMeanLengthLeader "completions/mean_length_leader" Tokens Run Asked "Mean length of the Leader's completions.";
    CompletionsEosRateLeader "completions/eos_rate_leader" Share Run Asked "Share of the Leader's completions that end by themselves.";
    LossFollower "loss/follower" Number Run Asked "The Follower's loss, as the Leader's.";
    ObjectiveKlFollower "objective/kl_follower" Nats Run Asked "KL divergence of the Follower from its reference, estimated on its completions.";
    ObjectiveEntropyFollower "objective/entropy_follower" Nats Run Asked "Entropy of the Follower's next-token distributions, summed over a completion.";
    CompletionsMeanLengthFollower "completions/mean_length_follower" Tokens Run Asked "Mean length of the Follower's completions.";
    CompletionsEosRateFollower "completions/eos_rate_follower" Share Run Asked "Share of the Follower's completions that end by themselves.";
    FollowerWeight "follower_weight" Number Run Asked "κ, the ratio of the Follower's speed to the Leader's.";
    GradNormFollower "grad_norm_follower" Number Run Asked "Norm of the Follower's gradient before clipping.";
    GradNorm "grad_norm" Number Run Asked "Norm of the whole gradient before clipping.";
    GradNormLeader "grad_norm_leader" Number Run Asked "Norm of the Leader's gradient before clipping.";
    LearningRate "learning_rate" Number Run Asked "The Leader's learning rate.";
    Epoch "epoch" Number Run Asked "How often the training prompts were passed.";
    NumTokens "num_tokens" Tokens Run Asked "Tokens that went through the trained policy so far, prompts included.";
    NumTokensGenerated "num_tokens_generated" Tokens Run Asked "Tokens sampled in training so far.";
    NumFlops "num_flops" Operations Run Asked "Floating-point operations of sampling and of training passes so far.";
    VerdictsSkipped "verdicts/skipped" Count Run Asked "Comparisons of the step that the judge declared failed and that were left out.";
    SamplingLogprobDifference "sampling/logprob_difference" NatsPerToken Run Asked "How far a sampled token's log-probability when it was sampled is from that in the training pass, as a mean over the step's tokens: rounding alone, where sampler and trainer agree.";
    SamplingLogprobDifferenceMax "sampling/logprob_difference_max" NatsPerToken Run Asked "The largest of the differences of which `sampling/logprob_difference` is the mean.";
    SamplingLogprobDifferenceP99 "sampling/logprob_difference_p99" NatsPerToken Run Asked "The difference that 99 in 100 of the step's tokens are not above, of a run whose responses a server samples.";
    SamplingImportanceWeight "sampling/importance_weight" Number Run Asked "Mean of the truncated importance weights of the step's samples: 1 where server and trainer agree.";
    SamplingImportanceTruncated "sampling/importance_truncated" Share Run Asked "Share of the step's importance weights that were truncated.";
    GroupsDropped "groups/dropped" Count Run Asked "Prompts of the step without enough judged completions to learn from.";
    // Reward models.
    RewardLoss "reward/loss" Number Run Long "Loss of the step's pairs, the pull of centering included, as a mean over pairs.";
    RewardAccuracy "reward/accuracy" Share Run Short "Share of the step's pairs on whose better response the model agreed before the update; of several attributes their mean.";
    RewardMargin "reward/margin" Reward Run Asked "Mean difference of what the model says of the better and of the other response, as a logit.";
    RewardMean "reward/mean" Reward Run Asked "Mean value that the step's responses were given, over all labels of the head.";
    RewardPairs "reward/pairs" Count Run Asked "Pairs that were passed so far.";
    StepTime "step_time" Seconds Machine Asked "Time of the whole step.";
    TimingGenerate "timing/generate" Seconds Machine Asked "Time of sampling.";
    TimingJudge "timing/judge" Seconds Machine Asked "Time of judging.";
    TimingTrain "timing/train" Seconds Machine Asked "Time of forward and backward passes and of updates.";
    TimingAllReduce "timing/all_reduce" Seconds Machine Asked "Of it, the time of sending and adding gradients of a run that several processes compute.";
    PerfTokensPerSecond "perf/tokens_per_second" TokensPerSecond Machine Asked "Tokens sampled and passed in the step for every second of it.";
    PerfMfu "perf/mfu" Share Machine Asked "Operations of the training passes as a share of what the device can do at its peak.";
    MemoryPeakBytes "memory/peak_bytes" Bytes Machine Asked "The most memory that was in use so far.";
}

impl MetricKey {
    /// As the record names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// What it counts in.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.about().unit
    }

    /// Whether it is 0 at a solution or at a reference, and never below but for rounding.
    #[must_use]
    pub fn is_distance(self) -> bool {
        self.unit() == Unit::Gap
            || matches!(
                self,
                Self::TvLeader
                    | Self::TvFollower
                    | Self::TvFixedPoint
                    | Self::TvRlhf
                    | Self::TvNash
                    | Self::KlLeader
                    | Self::KlFollower
            )
    }

    /// Why it is NaN where it is.
    #[must_use]
    pub fn why_no_number(self) -> &'static str {
        match self {
            Self::RewardsProbabilities
            | Self::RewardsMargins
            | Self::RewardsMean
            | Self::RewardsFirstTurn
            | Self::RewardsSecondTurn => "no comparison of the step got a verdict",
            Self::RewardsChosen
            | Self::RewardsRejected
            | Self::RewardsAccuracies
            | Self::LogpsChosen
            | Self::LogpsRejected => "no pair of the step has a better response, or the method does not read it",
            Self::SamplingLogprobDifference
            | Self::SamplingLogprobDifferenceMax
            | Self::SamplingLogprobDifferenceP99
            | Self::SamplingImportanceWeight
            | Self::SamplingImportanceTruncated => "the policy that is trained sampled nothing that was passed",
            Self::FracRewardZeroStd => "no prompt of the step has two judged completions",
            Self::PerfMfu => "the peak of this device is not known",
            Self::MemoryPeakBytes => "this machine does not tell it",
            _ if self.unit() == Unit::Gap => "it is not defined for this method, or a policy is not finite",
            _ => "the step has nothing that it could be a mean of",
        }
    }

    /// What it means, in a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.about().meaning
    }

    /// Distances to a method's own target, the first that it has. A fixed point may be another policy than the equilibrium that the method
    /// is compared with, and the mean of the iterates another than the last.
    pub const TO_OWN_TARGET: [Self; 5] =
        [Self::StackelbergGap, Self::TvFixedPoint, Self::DualityGapAverage, Self::DualityGap, Self::TvRlhf];

    /// Whether two computations of the same step may differ in it.
    #[must_use]
    pub fn is_of_machine(self) -> bool {
        self.about().figure_of == FigureOf::Machine
    }

    /// The metrics that a table shows without being asked, the longer table those of the short one too.
    pub fn shown(table: Shown) -> impl Iterator<Item = Self> {
        let is_in = move |key: &Self| match (table, key.about().shown) {
            (Shown::Short, shown) => shown == Shown::Short,
            (Shown::Long, shown) => shown != Shown::Asked,
            (Shown::Asked, _) => true,
        };
        Self::ALL.iter().copied().filter(is_in)
    }

    /// The metric of this name; `None`: a name of an earlier version, or an evaluation's.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }
}

impl fmt::Display for MetricKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_meanings_are_sentences() {
        for (index, key) in MetricKey::ALL.iter().enumerate() {
            assert_eq!(MetricKey::parse(key.name()), Some(*key));
            assert!(MetricKey::ALL[..index].iter().all(|earlier| earlier.name() != key.name()), "{key}");
            assert!(key.meaning().ends_with('.') && !key.meaning().contains('|'), "{key}");
        }
        assert_eq!(MetricKey::parse("win_rate"), None);
    }

    #[test]
    fn noise_is_told_of_gaps_and_distances_alone() {
        assert!(is_rounding_noise("stackelberg_gap", -3e-16) && is_rounding_noise("tv_nash", 0.0));
        assert!(!is_rounding_noise("stackelberg_gap", 1e-15) && !is_rounding_noise("learning_rate", 1e-16));
        assert!(!is_rounding_noise("stackelberg_gap", f64::NAN) && !is_rounding_noise("another", 0.0));
    }

    /// Records of earlier versions tell the machine's figures by these names.
    #[test]
    fn the_machines_figures_are_told_by_their_names_too() {
        let is_named_so = |name: &str| {
            name == "step_time" || ["timing/", "perf/", "memory/"].iter().any(|prefix| name.starts_with(prefix))
        };
        for key in MetricKey::ALL {
            assert_eq!(key.is_of_machine(), is_named_so(key.name()), "{key}");
        }
    }
}
