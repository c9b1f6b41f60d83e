//! Training of language models: the methods as coefficients of log-probabilities.
//!
//! Every method here is a policy gradient or another function of the chosen tokens' log-probabilities, so what a
//! method says to a policy is one number a token: ∂loss/∂log `π(y_t)`, detached. [`LanguagePolicies`] runs the forward
//! pass, shows the log-probabilities, is told the coefficients, and runs the backward pass. This module never touches a
//! tensor of a model.
//!
//! [`LanguageTrainer`] is the loop: prompts, answers, verdicts, coefficients, updates, evaluations, checkpoints. It tells
//! a [`LanguageObserver`] everything.
//!
//! Invariants:
//! - A run that was cut at any step and resumed computes the numbers of one that was not.
//! - Nothing that is decided depends on a clock.
//! - A verdict that failed is left out or ends the run; it never becomes a number.

mod answering;
mod asking;
mod certificate;
mod clipped;
mod closed;
mod completions;
mod divergence;
mod evaluation;
mod failure;
mod group;
pub mod grpo;
mod importance;
pub mod inpo;
mod judged;
mod judging;
mod loss;
mod metrics;
pub mod mnpo;
pub mod nash_md;
mod observer;
mod offline;
pub mod online_dpo;
pub mod online_ipo;
mod passing;
mod past;
mod playing;
mod prompts;
mod recorded_judge;
mod reward_fit;
mod reward_model;
pub mod rloo;
pub mod score;
mod settings;
pub mod sft;
pub mod sppo;
mod stackelberg_gda;
mod state;
mod step;
mod training;
mod traits;
mod turns;

pub use clipped::ClippedRatios;
pub use divergence::{KlTerm, ScoreProblem, WeighError};
pub use evaluation::other_model_row;
pub use group::{AnswerGroup, AnswerOutcome, GroupLoss, PastScore, outcomes_from_rewards};
pub use importance::{ImportanceSums, weigh_by_importance};
pub use observer::{LanguageObserver, MachineReading};
pub use offline::{
    DpoLoss, IpoLoss, LabeledPair, PairOfScores, PreferenceLoss, PreferencePairs, SftChosenLoss, WeighedResponses,
};
pub use prompts::{GivenAnswers, PromptSource};
pub use rloo::outcomes_from_verdicts;
pub use stackelberg_gda::{PairFactors, PairOutcome, StackelbergLoss, WeighedPair};
pub use state::{LANGUAGE_STATE_VERSION, LanguageCounters, policies_in_checkpoint};
pub use training::{LanguageSeconds, LanguageTrainer};
pub use traits::{
    Agents, Answer, AnswerSet, Candidate, Comparison, Draw, Evaluators, ExactKl, Features, Generation, GradientNorms,
    LanguagePolicies, Measure, Measured, NobodyJudges, Pair, PairJudge, PassPlace, PolicyName, Prompt, Request, Reward,
    ScoredBy, Update, Verdict, WeighEach,
};

use slhf_plan::LanguageMethod;

use loss::{Loss, RewardSource};

/// The loss of a method with one policy: a line each.
fn loss_of_one_policy(method: &LanguageMethod) -> Loss {
    let verdicts = RewardSource::Verdicts;
    let rewards = match (method.reward(), method.reward_model()) {
        (Some(_), _) => RewardSource::Plugin,
        (None, Some(&plan)) => RewardSource::Fitted(plan),
        (None, None) => verdicts,
    };
    let (loss, source): (Box<dyn GroupLoss>, RewardSource) = match method {
        LanguageMethod::StackelbergGda(_) | LanguageMethod::BestOfN(_) | LanguageMethod::SelfRefinement(_) => {
            return Loss::Untrained;
        }
        LanguageMethod::Score(method) => return Loss::TwoTurns(score::ScoreLoss::of(method), rewards),
        LanguageMethod::Dpo(method) => return Loss::Offline(Box::new(DpoLoss::of(method))),
        LanguageMethod::Ipo(method) => return Loss::Offline(Box::new(IpoLoss::of(method))),
        LanguageMethod::SftChosen(method) => return Loss::Offline(Box::new(SftChosenLoss::of(method))),
        LanguageMethod::Egpo(slhf_plan::Egpo { step, .. }) | LanguageMethod::Omwu(slhf_plan::Omwu { step, .. }) => {
            return Loss::Regression { updates: step.num_iterations };
        }
        LanguageMethod::Rloo(method) => (Box::new(rloo::RlooLoss::of(&method.training)), rewards),
        LanguageMethod::Grpo(method) => (Box::new(grpo::GrpoLoss::of(method)), rewards),
        LanguageMethod::NashMd(method) => {
            (Box::new(nash_md::NashMdLoss::of(method)), RewardSource::Mixture(method.mixture_coef))
        }
        LanguageMethod::OnlineDpo(method) => (Box::new(online_dpo::OnlineDpoLoss::of(method)), verdicts),
        LanguageMethod::OnlineIpo(method) => (Box::new(online_ipo::OnlineIpoLoss::of(method)), verdicts),
        LanguageMethod::Sppo(method) => (Box::new(sppo::SppoLoss::of(method)), verdicts),
        LanguageMethod::Inpo(method) => (Box::new(inpo::InpoLoss::of(method)), verdicts),
        LanguageMethod::Mnpo(method) => (Box::new(mnpo::MnpoLoss::of(method)), verdicts),
        LanguageMethod::Sft(method) => (Box::new(sft::SftLoss::of(method)), verdicts),
    };
    Loss::Group(loss, source)
}
