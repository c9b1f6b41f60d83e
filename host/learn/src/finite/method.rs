//! What a method with one policy is, and where a run stands when it is asked.

use crate::problem::Payoff;

/// A method with one policy.
pub(crate) trait FiniteMethod: std::fmt::Debug + Send + Sync {
    /// Who samples what is trained on.
    fn sampler(&self) -> Sampler {
        Sampler::Policy
    }

    /// Updates on the same samples, at least 1.
    fn num_iterations(&self) -> u32 {
        1
    }

    /// How gradients make a step.
    fn scheme(&self) -> Scheme {
        Scheme::OneGradient
    }

    /// Gradients of a step.
    fn gradients(&self) -> u64 {
        match self.scheme() {
            Scheme::Extragradient => 2,
            Scheme::OneGradient | Scheme::Optimistic => u64::from(self.num_iterations()),
        }
    }

    /// Whether the mean of the iterates is what the method is about.
    fn keeps_mean(&self) -> bool {
        false
    }

    /// The coefficient of every answer, in expectation over all that it is compared with, drawn from μ.
    fn expected(&self, at: &Position<'_>, coefficients: &mut [f64]);

    /// The coefficient of each answer of a group of two or more, drawn from μ.
    fn of_group(&self, at: &Position<'_>, group: &[usize], coefficients: &mut [f64]);
}

/// How gradients make a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Every gradient is an update.
    OneGradient,
    /// An update takes the payoffs against the policy to which a first gradient would lead.
    Extragradient,
    /// An update takes the payoffs as if they changed by as much again as since the last step.
    Optimistic,
}

/// Who samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// The policy as it was when the step began.
    Policy,
    /// The reference.
    Reference,
}

/// Where a run stands in one update; all slices have an entry an action.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    pub(crate) payoff: &'a Payoff,
    /// τ
    pub(crate) tau: f64,
    pub(crate) log_reference: &'a [f64],
    /// log π
    pub(crate) log_policy: &'a [f64],
    /// log μ, who samples.
    pub(crate) log_sampled: &'a [f64],
    /// μ
    pub(crate) sampled: &'a [f64],
    /// Whom answers are compared with, of a method that says so: who samples, or where a step would lead; else empty.
    pub(crate) opponent: &'a [f64],
    /// Actions drawn from the opponent; empty with exact gradients.
    pub(crate) opponents: &'a [usize],
}

/// What holds a policy, and what it is paid.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) payoff: &'a Payoff,
    /// τ
    pub(crate) tau: f64,
    pub(crate) log_reference: &'a [f64],
}

impl Held<'_> {
    /// The payoffs alone.
    pub(crate) fn by_nothing(self) -> Self {
        Self { tau: 0.0, ..self }
    }
}

impl Position<'_> {
    /// log π − log `π_ref`
    pub(crate) fn log_ratio(&self, y: usize) -> f64 {
        self.log_policy[y] - self.log_reference[y]
    }

    /// log π − log μ
    pub(crate) fn moved(&self, y: usize) -> f64 {
        self.log_policy[y] - self.log_sampled[y]
    }

    /// ℓ(y, z); ½ where there are no pairs.
    pub(crate) fn label(&self, y: usize, z: usize) -> f64 {
        match self.payoff {
            Payoff::Pairs(labels) => labels[y * self.log_policy.len() + z],
            Payoff::Scores(_) => 0.5,
        }
    }

    /// `Σ_z μ(z) f(z)`
    pub(crate) fn mean(&self, f: impl Fn(usize) -> f64) -> f64 {
        self.sampled.iter().enumerate().map(|(z, p)| p * f(z)).sum()
    }

    /// The reward of y: its score, or its mean label against μ.
    pub(crate) fn expected_reward(&self, y: usize) -> f64 {
        match self.payoff {
            Payoff::Scores(scores) => scores[y],
            Payoff::Pairs(_) => self.mean(|z| self.label(y, z)),
        }
    }

    /// The rewards of a group: scores, or mean labels against the others.
    pub(crate) fn group_rewards(&self, group: &[usize]) -> Vec<f64> {
        match self.payoff {
            Payoff::Scores(scores) => group.iter().map(|&y| scores[y]).collect(),
            Payoff::Pairs(_) => mean_of_pairs(group, |y, z| self.label(y, z)),
        }
    }
}

/// The mean over the others of a group of a function of a pair.
pub(crate) fn mean_of_pairs(group: &[usize], of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let others = (group.len().max(2) - 1) as f64;
    let mean = |i: usize| {
        let others_of = group.iter().enumerate().filter(|(j, _)| *j != i);
        others_of.map(|(_, &z)| of(group[i], z)).sum::<f64>() / others
    };
    (0..group.len()).map(mean).collect()
}
