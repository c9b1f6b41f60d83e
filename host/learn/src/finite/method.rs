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
            Scheme::OneGradient | Scheme::Population | Scheme::Optimistic => u64::from(self.num_iterations()),
        }
    }

    /// How many policies of earlier steps it plays against, of a population.
    fn remembered(&self) -> usize {
        0
    }

    /// What each of a population weighs after so many steps before, which sum to 1: the policy as it is, then those before it.
    fn weights(&self, _steps_before: usize) -> Vec<f64> {
        vec![1.0]
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
    /// An update takes the payoffs against the policies of the last steps, and is held to them.
    Population,
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
    /// Whom answers are compared with, of a method that says so: who samples, where a step would lead, or a mixture of past policies;
    /// else empty.
    pub(crate) opponent: &'a [f64],
    /// `Σ_j λ_j log π_{t−j}`, of a method that plays against a population; else empty.
    pub(crate) log_population: &'a [f64],
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

    /// The mean label of y against the opponent.
    pub(crate) fn won(&self, y: usize) -> f64 {
        self.opponent.iter().enumerate().map(|(z, p)| p * self.label(y, z)).sum()
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
