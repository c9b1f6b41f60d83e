//! StackelbergGDA on language models (Pásztor et al., arXiv 2512.16626): one pair's verdict and token scores to
//! coefficients.
//!
//! ```text
//! L_leader   = −[ s_L + β_F · K_F − b_L ] · Σ_t log π(y_t)  + KL term of the Leader,    s_L = p       − penalty · [y did not end]
//! L_follower = −[ s_F            − b_F ] · Σ_t log ω(y'_t) + KL term of the Follower,  s_F = (1 − p) − penalty · [y' did not end]
//! total      = L_leader + κ · L_follower
//! ```
//!
//! Brackets are detached. `K_F = Σ_t (log ω − log ω_ref)(y'_t)`: the Follower's own KL estimate is part of what
//! committing to y gains. Each role pays the penalty for its own answer alone: a Leader gains nothing from a Follower
//! that runs out of tokens, so with a penalty the game is zero-sum no longer.
//!
//! With `regularizer` and `follower_regularizer` (RSPO, arXiv 2503.00030) the KL terms are those of [`HeldTerm`], and `K_F` is the answer's share of the
//! Follower's divergence, `Σ_t [(1 − w) r_t + w (1 − e^(−r_t) − r_t e^(−r_t))]`, r = log ω − log `ω_ref`: its mean is the divergence.
//!
//! `kl_gradient = "paper"` leaves `β_F · K_F` out, as the paper's code does.

use slhf_plan::{KlGradient, LanguageTraining, PairScores, PairWeights, StackelbergGda, TokenWeights};

use super::clipped::ClippedRatios;
use super::divergence::{HeldTerm, KlTerm, ScoreProblem, WeighError, check_scores};
use super::traits::Pair;

/// The loss of one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackelbergLoss {
    /// The Leader's KL term.
    pub leader: KlTerm,
    /// The Follower's.
    pub follower: KlTerm,
    /// The share of the forward divergence in the Leader's KL term, in [0, 1].
    pub leader_forward: f64,
    /// In the Follower's.
    pub follower_forward: f64,
    /// What an answer that did not end by itself loses of its score.
    pub missing_eos_penalty: f64,
}

/// What is known of a pair before its tokens are scored; all of it detached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairOutcome {
    /// `s_L`
    pub leader_score: f64,
    /// `b_L`
    pub leader_baseline: f64,
    /// `s_F`
    pub follower_score: f64,
    /// `b_F`
    pub follower_baseline: f64,
}

/// By what the losses of a pair are multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairFactors {
    /// Of the Leader's loss: 1 / pairs of the step; 0 in a further Follower update.
    pub leader: f64,
    /// Of the Follower's loss: κ / pairs under `loss_weight`, else 1 / pairs.
    pub follower: f64,
}

/// Coefficients of a pair, and the values of its two losses (not multiplied by any factor).
#[derive(Clone, Debug, PartialEq)]
pub struct WeighedPair {
    /// What the policies are told.
    pub weights: PairWeights,
    /// `L_leader`
    pub leader_loss: f64,
    /// `L_follower`; NaN for a method with one policy.
    pub follower_loss: f64,
    /// Ratios of a method that clips them.
    pub clipped: ClippedRatios,
}

impl StackelbergLoss {
    /// As planned.
    #[must_use]
    pub fn of(method: &StackelbergGda<LanguageTraining>) -> Self {
        let training = &method.training;
        let term = |beta| KlTerm { beta, gradient: training.kl_gradient, estimator: training.kl_estimator };
        Self {
            leader: term(training.beta),
            follower: term(method.players.follower_beta),
            leader_forward: method.players.regularizer.forward(),
            follower_forward: method.players.of_follower().forward(),
            missing_eos_penalty: training.missing_eos_penalty,
        }
    }

    /// (`s_L`, `s_F`) of a pair with verdict p(y ≻ y′).
    #[must_use]
    pub fn scores(&self, probability: f64, pair: &Pair<'_>) -> (f64, f64) {
        let penalty = |finished: bool| if finished { 0.0 } else { self.missing_eos_penalty };
        let follower_finished = pair.follower.is_none_or(|answer| answer.finished);
        (probability - penalty(pair.leader.finished), (1.0 - probability) - penalty(follower_finished))
    }

    /// The coefficients of a pair. Errors: scores that are not one finite number a token.
    pub fn weigh(
        &self,
        pair: &Pair<'_>,
        scores: &PairScores,
        outcome: &PairOutcome,
        factors: PairFactors,
    ) -> Result<WeighedPair, WeighError> {
        let divergence_share = match self.leader.gradient {
            KlGradient::Paper => 0.0,
            _ => self.follower.beta,
        };
        let leader = HeldTerm { kl: self.leader, forward: self.leader_forward };
        let follower = HeldTerm { kl: self.follower, forward: self.follower_forward };
        let terms = BothTerms { leader, follower, divergence_share };
        terms.weigh(pair, scores, outcome, factors)
    }
}

/// What the losses of two answers in a row are made of, of which the second is to the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BothTerms {
    pub(crate) leader: HeldTerm,
    pub(crate) follower: HeldTerm,
    /// What the second answer's share of its divergence is multiplied by where it is part of the first one's score.
    pub(crate) divergence_share: f64,
}

impl BothTerms {
    /// The coefficients of a pair. Errors: scores that are not one finite number a token.
    pub(crate) fn weigh(
        &self,
        pair: &Pair<'_>,
        scores: &PairScores,
        outcome: &PairOutcome,
        factors: PairFactors,
    ) -> Result<WeighedPair, WeighError> {
        let leader_fault = |source| WeighError { agent: "Leader", source };
        let follower_fault = |source| WeighError { agent: "Follower", source };
        let (Some(answer), Some(follower)) = (pair.follower, &scores.follower) else {
            return Err(follower_fault(ScoreProblem::NoFollower));
        };
        let wants_exact = |term: &HeldTerm| term.kl.gradient == KlGradient::Exact;
        check_scores(&scores.leader, pair.leader.tokens.len(), wants_exact(&self.leader)).map_err(leader_fault)?;
        check_scores(follower, answer.tokens.len(), wants_exact(&self.follower)).map_err(follower_fault)?;

        let divergence = self.divergence_share * self.follower.share(follower);
        let leader_advantage = outcome.leader_score + divergence - outcome.leader_baseline;
        let follower_advantage = outcome.follower_score - outcome.follower_baseline;
        let leader = self.leader.loss(leader_advantage, &scores.leader);
        let follower = self.follower.loss(follower_advantage, follower);
        let (leader_loss, follower_loss) = (leader.loss, follower.loss);
        let leader = leader.times(factors.leader).map_err(leader_fault)?;
        let follower = follower.times(factors.follower).map_err(follower_fault)?;
        Ok(WeighedPair {
            weights: PairWeights {
                leader: TokenWeights { score: leader.score, exact_kl: leader.exact_kl },
                follower: Some(TokenWeights { score: follower.score, exact_kl: follower.exact_kl }),
            },
            leader_loss,
            follower_loss,
            clipped: ClippedRatios::default(),
        })
    }
}
