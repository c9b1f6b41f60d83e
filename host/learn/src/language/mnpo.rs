//! MNPO, multiplayer Nash preference optimization (Wu et al., arXiv 2509.23102), its opponents the policies of the last steps: INPO's
//! regression, held to a population in the place of the last iterate.
//!
//! `π_{t−j}` is the policy as step t − j began, and weighs `λ_j` (j = 0: the policy that sampled). Of a pair of its responses with the
//! label ℓ, τ = β, and (here) times η/4, as the mean over all pairs of a prompt:
//!
//! ```text
//! h = Δ log π − (τ/η) Δ log π_ref − (1 − τ/η) Σ_j λ_j Δ log π_{t−j},       Δ f = f(y_i) − f(y_j)
//! L = η/4 · [ h − (ℓ − ½)/η ]²
//! ∂L/∂log π(y_i) = ½ [ η h − (ℓ − ½) ],                                    the opposite for y_j
//! ```
//!
//! The minimum is `π_{t+1} ∝ π_ref^(τ/η) · (Π_j π_{t−j}^{λ_j})^(1 − τ/η) · exp(Pπ_t / η)`. Its fixed point is INPO's, the regularised Nash
//! policy at τ, whatever the weights: there all opponents are the policy. With one opponent it is INPO. Labels are soft: the loss's gradient is
//! linear in ℓ, so that the weighted mean of several judges' labels is the weighted sum of their losses.
//!
//! Past policies play in the log-ratios alone, as in the authors' code; on games, where they are lists of probabilities, the wins are against
//! all opponents, too.

use slhf_plan::{Labels, LanguageTraining, Mnpo, opponent_weights, opponents_kept};

use super::divergence::WeighError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, labelled};
use super::online_ipo::squares;
use super::stackelberg_gda::WeighedPair;
use crate::derivatives::inpo_margin;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct MnpoLoss {
    /// τ
    pub beta: f64,
    /// η ≥ τ
    pub eta: f64,
    /// What each opponent weighs, the policy that sampled first; only ratios matter.
    pub opponents: Vec<f64>,
    /// Updates towards one iterate.
    pub num_iterations: u32,
}

impl MnpoLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &Mnpo<LanguageTraining>) -> Self {
        Self {
            beta: method.training.beta,
            eta: method.eta,
            opponents: method.opponents.clone(),
            num_iterations: method.own.num_iterations,
        }
    }
}

impl GroupLoss for MnpoLoss {
    fn outcomes(&self, verdicts: &[Option<f64>], penalties: &[f64]) -> Vec<Option<AnswerOutcome>> {
        labelled(verdicts, penalties, Labels::Soft)
    }

    fn needs_whole_groups(&self) -> bool {
        true
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn kept(&self) -> usize {
        opponents_kept(&self.opponents)
    }

    fn opponents(&self, steps_before: usize) -> Vec<f64> {
        opponent_weights(&self.opponents, steps_before)
    }

    fn weigh(&self, group: &AnswerGroup<'_>, factor: f64) -> Result<Vec<WeighedPair>, WeighError> {
        group.check(false)?;
        // How far the policy is from its opponents: what it has moved in this step, and what they were behind it.
        let moved = group.moved().into_iter().zip(group.lags()).map(|(moved, lag)| moved + lag);
        let margin = |(moved, ratio): (f64, &f64)| inpo_margin(self.eta, self.beta, moved, *ratio);
        let margins: Vec<f64> = moved.zip(&group.log_ratios()).map(margin).collect();
        let distances: Vec<f64> = margins.iter().map(|margin| margin / self.eta).collect();
        group.weighed(&squares(&margins, &distances, group.outcomes), factor)
    }
}
