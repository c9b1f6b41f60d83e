//! Why a run of a language model ends before its last step.

use slhf_statistics::ComparisonsError;

use super::divergence::WeighError;
use crate::{Cause, LearnError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("the policies failed while they were {doing}")]
    Policies {
        doing: &'static str,
        #[source]
        source: Cause,
    },
    #[error("the policies gave {found} {what}; expected {expected}")]
    Count { what: &'static str, found: usize, expected: usize },
    #[error("the policies gave a response without a token to prompt {prompt}")]
    EmptyAnswer { prompt: u32 },
    #[error("the judge failed")]
    Judge(#[source] Cause),
    #[error("the judge gave {found} {what} for {expected}")]
    Verdicts { what: &'static str, found: usize, expected: usize },
    #[error("the judge's {what} on prompt {prompt} is {value}; expected {expected}")]
    Verdict { what: &'static str, prompt: u32, value: f64, expected: &'static str },
    #[error(
        "no response is left to train on: {failed} of {asked} verdicts failed{first}; mend the judge, or use more responses a step"
    )]
    NothingLeft { failed: u64, asked: u64, first: String },
    #[error(
        "{usable} of {pairs} pairs can be used for the reward model, and it needs 2: {failed} of {asked} verdicts failed{first}; \
         mend the judge, or raise method.reward_model.pairs"
    )]
    FewPairs { usable: usize, pairs: usize, failed: u64, asked: u64, first: String },
    #[error("the reward model cannot be fit")]
    RewardModel(#[source] ComparisonsError),
    #[error("the reward model was not fit before it was asked")]
    NoRewardModel,
    #[error("the reward model's reward on prompt {prompt} is {value}; expected a finite number")]
    Reward { prompt: u32, value: f64 },
    #[error("prompt {prompt}")]
    Weigh {
        prompt: u32,
        #[source]
        source: WeighError,
    },
    #[error("the baseline failed")]
    Baseline(#[source] Cause),
    #[error("the baseline of prompt {prompt} is {value}; expected a finite number")]
    BaselineValue { prompt: u32, value: f64 },
    #[error(
        "the judge failed on the responses \"{first}\" and \"{second}\" to prompt {prompt}: {reason}; a closed set needs the verdicts on \
         all of its pairs"
    )]
    Unjudged { prompt: u32, first: String, second: String, reason: String },
    #[error(
        "no reward of the response \"{answer}\" to prompt {prompt}: {reason}; a closed set needs the rewards of all of its responses"
    )]
    Unscored { prompt: u32, answer: String, reason: String },
    #[error("the closed set of prompt {prompt} is no game")]
    ClosedGame { prompt: u32, source: Box<LearnError> },
    #[error("the score of a response to prompt {prompt} is {value}; expected a finite number")]
    SetScore { prompt: u32, value: f64 },
    #[error("the closed set of prompt {prompt} was not judged before it was used")]
    UnpreparedSet { prompt: u32 },
    #[error("the norm of the {agent}'s gradient is {value}; expected a finite number")]
    Norm { agent: &'static str, value: f64 },
}

/// An error with everything behind it, in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        words = format!("{words}: {next}");
        source = next.source();
    }
    words
}
