//! What a solver did that the user should know: typed, with a sentence each.

use crate::bradley_terry::VIRTUAL_WINS;
use crate::preference::Asymmetry;

/// One remark on a set of solutions. Actions are 0-based indices here; [`Note::sentence`] names them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// The matrix is not complementary; Nash and Bradley–Terry saw `(P + 1 − Pᵀ)/2`.
    Symmetrised(Asymmetry),
    /// At `τ_L` = 0 several actions are best for the Leader.
    LeaderTied(Vec<usize>),
    /// At `τ_F` = 0 the Follower has several best answers to these actions.
    FollowerTied(Vec<usize>),
    /// At `τ_nash` = 0 there may be other maximal lotteries.
    LotteryMayNotBeUnique,
    /// The Nash solver could not reach its precision.
    NashImprecise {
        /// [`crate::NashSolution::residual`].
        residual: f64,
        /// The gap that was reached.
        duality_gap: f64,
    },
    /// The Bradley–Terry likelihood has no finite maximum; virtual wins were added.
    VirtualWins,
}

impl Note {
    /// The sentence, with actions called by their names (by their number, counted from 1, where
    /// `names` is too short).
    pub fn sentence<Name: AsRef<str>>(&self, names: &[Name]) -> String {
        let name = |action: usize| {
            names.get(action).map_or_else(|| format!("action {}", action + 1), |n| n.as_ref().to_owned())
        };
        let list = |actions: &[usize]| {
            let named: Vec<String> = actions.iter().map(|&action| name(action)).collect();
            named.join(", ")
        };
        match self {
            Self::Symmetrised(worst) if worst.row == worst.column => format!(
                "the preferences are not complementary (worst: {0} against itself is off 0.5 by {1:.3e}); \
                 Nash, Bradley-Terry and rules of social choice are of (P + 1 - P^T)/2, Stackelberg of P as given",
                name(worst.row),
                worst.amount / 2.0
            ),
            Self::Symmetrised(worst) => format!(
                "the preferences are not complementary (worst: {0} against {1} and {1} against {0} miss a sum of 1 by {2:.3e}); \
                 Nash, Bradley-Terry and rules of social choice are of (P + 1 - P^T)/2, Stackelberg of P as given",
                name(worst.row),
                name(worst.column),
                worst.amount
            ),
            Self::LeaderTied(actions) => format!(
                "tau_leader is 0 and {} are equally good for the Leader; the policy is its reference restricted to them",
                list(actions)
            ),
            Self::FollowerTied(actions) => format!(
                "tau_follower is 0 and the Follower has several best responses to {}; it plays its reference restricted to them",
                list(actions)
            ),
            Self::LotteryMayNotBeUnique => {
                "tau_nash is 0 and there may be several maximal lotteries; one is shown".to_owned()
            }
            Self::NashImprecise { residual, duality_gap } => format!(
                "the Nash solver stopped at a residual of {residual:.1e} and a duality gap of {duality_gap:.1e}; a larger tau_nash is easier"
            ),
            Self::VirtualWins => format!(
                "the Bradley-Terry likelihood has no finite maximum (some action never loses to another, even through third ones); \
                 {VIRTUAL_WINS} virtual wins were added to either side of every pair"
            ),
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.sentence::<&str>(&[]))
    }
}
