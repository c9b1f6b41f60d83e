//! How far a trained pair is from its equilibrium, where no closed form says so: how many responses are sampled for bounds of the gaps.

use serde::{Deserialize, Serialize};

use crate::methods::LanguageMethod;
use crate::model_settings::Sampling;
use crate::settings::Problems;

/// Fewer say nothing of a divergence's spread.
const SAMPLES_MIN: u64 = 16;
/// Bounds that may be wrong less often than this are lost in rounding.
const RISK_MIN: f64 = 1e-9;

/// Bounds of the gaps on the held-out prompts, in the last evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePlan {
    /// M: responses of the Follower and of its reference to each of the Leader's.
    pub samples: u32,
    /// Of each gap's bounds, above 0 and below 1.
    pub confidence: f64,
    /// Responses of the Leader's reference to each prompt, each with M of the Follower's reference; 0: the Leader's gap is not bounded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leader_samples: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl CertificatePlan {
    /// Samples of one prompt that a random stream can tell apart.
    pub const SAMPLES_MAX: u32 = 4096;

    pub(crate) fn check(&self, method: &LanguageMethod, problems: &mut Problems) {
        let most = u64::from(Self::SAMPLES_MAX);
        problems.whole("evaluation.certificate.samples", u64::from(self.samples), SAMPLES_MIN, most);
        problems.whole("evaluation.certificate.leader_samples", u64::from(self.leader_samples), 0, most);
        problems.require(
            self.confidence > 0.0 && self.confidence <= 1.0 - RISK_MIN,
            "evaluation.certificate.confidence",
            || format!("{}; expected a number above 0 and below 1, such as 0.95", self.confidence),
        );
        let mut refuse = |why: &str| problems.push("evaluation.certificate", format!("{why}; remove it"));
        let LanguageMethod::StackelbergGda(game) = method else {
            refuse("only stackelberg-gda plays the game whose gaps it bounds");
            return;
        };
        let training = &game.training;
        let Sampling { top_k, top_p, .. } = training.sampling;
        if top_k != 0 || top_p < 1.0 {
            refuse(
                "with method.top_k or method.top_p the policies say a part of what their reference says, and the gap is infinite",
            );
        }
        if training.missing_eos_penalty != 0.0 {
            refuse(
                "with method.missing_eos_penalty the players do not get what the other loses, and the gap is of another game",
            );
        }
        if game.is_held_otherwise() {
            refuse(
                "with another method.regularizer than \"reverse_kl\" the gaps are of another game than the one that it bounds",
            );
        }
        if game.players.follower_beta <= 0.0 {
            refuse("with method.follower_beta = 0 the Follower's best response is one that no number of samples finds");
        }
        if self.leader_samples > 0 && training.beta <= 0.0 {
            let problem = format!(
                "{}: with method.beta = 0 the Leader's best response is one that no number of samples finds; use 0",
                self.leader_samples
            );
            problems.push("evaluation.certificate.leader_samples", problem);
        }
    }
}
