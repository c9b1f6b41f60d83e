//! What is certified, how and where.

use slhf_plan::{CertificatePlan, FollowerReference, LanguageMethod, LanguagePlan, Sampling};

use crate::language::failure::StepError;

/// What is certified, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertifiedGame {
    pub(crate) plan: CertificatePlan,
    pub(crate) leader_temperature: f64,
    pub(crate) follower_temperature: f64,
    pub(crate) sampling: Sampling,
    pub(crate) follower_reference: FollowerReference,
    pub(crate) micro_batch_size: usize,
}

/// Whose, when, and in which streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificatePlace {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// The cell's.
    pub(crate) stream: u32,
    /// Rows generated at once.
    pub(crate) batch_size: usize,
}

impl CertifiedGame {
    /// Of a plan that asks for it. What it refuses is [`slhf_plan::check_language`]'s.
    pub(crate) fn of(plan: &LanguagePlan) -> Option<Self> {
        let LanguageMethod::StackelbergGda(game) = &plan.method else { return None };
        Some(Self {
            plan: plan.evaluation.certificate?,
            leader_temperature: game.training.beta,
            follower_temperature: game.players.follower_beta,
            sampling: game.training.sampling,
            follower_reference: game.players.follower_reference,
            micro_batch_size: (game.training.micro_batch_size as usize).max(1),
        })
    }
}

/// Why there are no samples to certify with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Uncertified {
    /// The policies or the judge failed.
    #[error("{}", slhf_words::chain(.0))]
    Failed(#[from] StepError),
    /// A verdict failed.
    #[error("a verdict failed, and may not be left out: {0}")]
    Verdict(String),
    /// A verdict is not a function of the pair.
    #[error(
        "the judge gave the same pair of responses {once} and, with another draw, {twice}; its verdict must be a function of the pair"
    )]
    NotAFunction {
        /// The first time.
        once: f64,
        /// Another time.
        twice: f64,
    },
}
