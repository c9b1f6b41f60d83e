//! What a method learns by, and from what.

use slhf_plan::{Curve, RewardModelPlan};

use super::group::GroupLoss;
use super::offline::PreferenceLoss;
use super::score::ScoreLoss;
use super::stackelberg_gda::StackelbergLoss;

/// The method with its constants.
#[derive(Debug)]
pub(crate) enum Loss {
    Stackelberg(StackelbergLoss),
    /// One policy that answers twice.
    TwoTurns(ScoreLoss, RewardSource),
    /// One policy.
    Group(Box<dyn GroupLoss>, RewardSource),
    /// One policy, which learns from the pairs of a file.
    Offline(Box<dyn PreferenceLoss>),
    /// One policy on closed sets alone, regressed by so many updates on each step's target there.
    Regression {
        updates: u32,
    },
    /// Nothing is learned: the run is its evaluation.
    Untrained,
}

/// What tells the answers of a method with one policy apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RewardSource {
    /// A reward plugin.
    Plugin,
    /// A Bradley–Terry model, fit to the judge's verdicts before the first step.
    Fitted(RewardModelPlan),
    /// Verdicts among the answers of a prompt.
    Verdicts,
    /// A verdict against one answer of the mixture of policy and reference, with the reference's weight over the run.
    Mixture(Curve),
}
