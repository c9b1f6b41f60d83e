//! A plan lowered to what the loop needs, and checked: a worker must not trust what it is sent.

use slhf_plan::{
    ImportancePlan, LanguageMethod, LanguagePlan, LanguageTraining, Parameters, RewardModelPlan, check_language,
};

use super::answering::Standing;
use super::certificate::CertifiedGame;
use super::loss::{Loss, RewardSource};
use super::metrics::Answered;
use super::offline::PreferenceLoss;
use super::stackelberg_gda::StackelbergLoss;
use super::traits::PolicyName;
use crate::LearnError;
use crate::error::refuse_problems;
use crate::language::loss_of_one_policy;
use crate::rules::Course;

/// Samples of one prompt in one step that a random stream can tell apart.
const SAMPLES_MAX: usize = 4096;
/// Follower updates of one step that a random stream can tell apart.
const UPDATES_MAX: u32 = 255;

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) course: Course,
    pub(crate) loss: Loss,
    pub(crate) parameters: Parameters,
    pub(crate) training: LanguageTraining,
    /// Of a method that learns from the pairs of a file; 0 of others.
    pairs_per_step: u32,
    /// Whether policies are restricted to closed sets of answers.
    pub(crate) is_closed: bool,
    /// Whether evaluations ask the judge that others are trained on.
    pub(crate) is_judged: bool,
    /// Who stands as the Leader in evaluations.
    pub(crate) standing: Standing,
    /// What the last evaluation bounds the gaps of.
    pub(crate) certified: Option<CertifiedGame>,
    /// Whether samples are another engine's.
    pub(crate) is_served: bool,
    /// How they are weighed then.
    pub(crate) importance: Option<ImportancePlan>,
}

impl Settings {
    pub(crate) fn of(plan: &LanguagePlan, prompts: usize) -> Result<Self, LearnError> {
        let training = plan.method.training().clone();
        refuse_problems(plan.run, check_language(&plan.into()))?;
        check_prompts(plan, prompts)?;
        let (loss, parameters) = match &plan.method {
            LanguageMethod::StackelbergGda(method) => {
                (Loss::Stackelberg(StackelbergLoss::of(method)), method.players.parameters)
            }
            method => (loss_of_one_policy(method), Parameters::Shared),
        };
        let standing = Standing::of(&plan.method);
        Ok(Self {
            run: plan.run,
            seed: plan.seed,
            course: Course::of_language(plan),
            loss,
            parameters,
            training,
            pairs_per_step: plan.method.pairs_per_step().unwrap_or(0),
            is_closed: plan.answers.is_some(),
            is_judged: plan.judge.is_some(),
            standing,
            certified: CertifiedGame::of(plan),
            is_served: plan.device.sampler.is_some(),
            importance: plan.device.sampler.as_ref().and_then(|sampler| sampler.importance),
        })
    }

    pub(crate) fn has_follower(&self) -> bool {
        matches!(self.loss, Loss::Stackelberg(_) | Loss::TwoTurns(..))
    }

    /// Whether the answers of a step are answered, and by whom.
    pub(crate) fn answered(&self) -> Answered {
        match self.loss {
            Loss::Stackelberg(_) => Answered::ByFollower,
            Loss::TwoTurns(..) => Answered::Twice,
            Loss::Group(..) | Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => Answered::Once,
        }
    }

    /// Updates on the same samples.
    pub(crate) fn iterations(&self) -> u32 {
        match &self.loss {
            Loss::Group(loss, _) => loss.num_iterations().max(1),
            Loss::Regression { updates } => (*updates).max(1),
            Loss::Stackelberg(_) | Loss::TwoTurns(..) | Loss::Offline(_) | Loss::Untrained => 1,
        }
    }

    /// Whether the policy that is trained is the one that sampled.
    pub(crate) fn samples_what_it_trains(&self) -> bool {
        match &self.loss {
            Loss::Group(loss, _) => loss.sampler() == PolicyName::Leader,
            Loss::Stackelberg(_)
            | Loss::TwoTurns(..)
            | Loss::Offline(_)
            | Loss::Regression { .. }
            | Loss::Untrained => true,
        }
    }

    /// Whether ratios are clipped.
    pub(crate) fn clips(&self) -> bool {
        matches!(&self.loss, Loss::Group(loss, _) if loss.clips())
    }

    /// Whether prompts whose answers all have the same reward are left out.
    pub(crate) fn drops_constant_groups(&self) -> bool {
        matches!(&self.loss, Loss::Group(loss, _) if loss.drops_constant_groups())
    }

    /// The loss on the pairs of a file, of a method that learns from one; and how many of them a step takes.
    pub(crate) fn offline(&self) -> Option<(&dyn PreferenceLoss, u32)> {
        match &self.loss {
            Loss::Offline(loss) => Some((loss.as_ref(), self.pairs_per_step)),
            _ => None,
        }
    }

    /// Whether a micro-batch must hold all answers of a prompt.
    pub(crate) fn needs_whole_groups(&self) -> bool {
        matches!(&self.loss, Loss::Group(loss, _) if loss.needs_whole_groups())
    }

    /// Whether the value of an answer comes from the others of its prompt, so that one alone has none.
    pub(crate) fn compares_within_groups(&self) -> bool {
        match self.loss {
            Loss::TwoTurns(..) => true,
            Loss::Group(_, source) => !matches!(source, RewardSource::Mixture(_)),
            Loss::Stackelberg(_) | Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => false,
        }
    }

    /// How the reward model is fit, of a method that is trained on one. On closed sets its target is a closed form, and nothing is fit.
    pub(crate) fn reward_model(&self) -> Option<RewardModelPlan> {
        match self.loss {
            Loss::Group(_, RewardSource::Fitted(plan)) | Loss::TwoTurns(_, RewardSource::Fitted(plan))
                if !self.is_closed =>
            {
                Some(plan)
            }
            _ => None,
        }
    }

    pub(crate) fn updates(&self, planned: u32) -> u32 {
        if matches!(self.loss, Loss::Stackelberg(_)) { planned.clamp(1, UPDATES_MAX) } else { 1 }
    }
}

fn refuse<T>(run: i64, key: &str, problem: impl Into<String>) -> Result<T, LearnError> {
    Err(LearnError::Setting { run, key: key.to_owned(), problem: problem.into() })
}

/// What the number of prompts allows; the rest is [`check_language`]'s.
fn check_prompts(plan: &LanguagePlan, prompts: usize) -> Result<(), LearnError> {
    let (run, training) = (plan.run, plan.method.training());
    if prompts == 0 {
        return refuse(run, "data", "has no prompt to train on after held-out and over-long ones were taken away");
    }
    // A prompt occurs once an epoch; a step touches at most so many epochs.
    let occurrences = (training.prompts_per_step as usize).div_ceil(prompts) + 1;
    if occurrences * training.num_generations as usize > SAMPLES_MAX {
        let problem = format!(
            "and method.prompts_per_step make more than {SAMPLES_MAX} responses to one prompt in one step ({prompts} prompts); \
             lower one of them"
        );
        return refuse(run, "method.num_generations", problem);
    }
    match plan.method.reward_model() {
        Some(RewardModelPlan { pairs, .. }) if 2 * (*pairs as usize).div_ceil(prompts) > SAMPLES_MAX => {
            let problem = format!("{pairs}: more than {SAMPLES_MAX} responses to one of {prompts} prompts; lower it");
            refuse(run, "method.reward_model.pairs", problem)
        }
        _ => Ok(()),
    }
}
