//! A plan lowered to what the loop needs, and checked: a worker must not trust what it is sent.

use slhf_plan::{
    ControlVariate, Curve, KlGradient, LanguageMethod, LanguagePlan, LanguageTraining, ModelOptimizer, Parameters,
    Realisation, RewardModelPlan,
};

use super::answering::Standing;
use super::group::GroupLoss;
use super::grpo::GrpoLoss;
use super::inpo::InpoLoss;
use super::nash_md::NashMdLoss;
use super::online_dpo::OnlineDpoLoss;
use super::online_ipo::OnlineIpoLoss;
use super::rloo::RlooLoss;
use super::sft::SftLoss;
use super::sppo::SppoLoss;
use super::stackelberg_gda::StackelbergLoss;
use crate::LearnError;
use crate::rules::{Course, check_schedule};

/// Samples of one prompt in one step that a random stream can tell apart.
const SAMPLES_MAX: usize = 4096;
/// Follower updates of one step that a random stream can tell apart.
const UPDATES_MAX: u32 = 255;

/// The method with its constants.
#[derive(Debug)]
pub(crate) enum Loss {
    Stackelberg(StackelbergLoss),
    /// One policy.
    Group(Box<dyn GroupLoss>, RewardSource),
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

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) course: Course,
    pub(crate) loss: Loss,
    pub(crate) parameters: Parameters,
    pub(crate) training: LanguageTraining,
    /// Who stands as the Leader in evaluations.
    pub(crate) standing: Standing,
}

impl Settings {
    pub(crate) fn of(plan: &LanguagePlan, prompts: usize) -> Result<Self, LearnError> {
        let training = plan.method.training().clone();
        check_sizes(plan.run, &training, prompts)?;
        check_kl_gradient(plan.run, &plan.method)?;
        check_reward_model(plan.run, plan.method.reward_model(), prompts)?;
        let (loss, parameters) = match &plan.method {
            LanguageMethod::StackelbergGda(method) => {
                check_stackelberg(plan, method.parameters)?;
                (Loss::Stackelberg(StackelbergLoss::of(method)), method.parameters)
            }
            method => (group_loss(plan.run, method)?, Parameters::Shared),
        };
        check_schedule(plan.run, training.steps, &plan.schedule, matches!(loss, Loss::Stackelberg(_)))?;
        let standing = Standing::of(&plan.method);
        Ok(Self {
            run: plan.run,
            seed: plan.seed,
            course: Course::of_language(plan),
            loss,
            parameters,
            training,
            standing,
        })
    }

    pub(crate) fn has_follower(&self) -> bool {
        matches!(self.loss, Loss::Stackelberg(_))
    }

    /// Updates on the same samples.
    pub(crate) fn iterations(&self) -> u32 {
        match &self.loss {
            Loss::Group(loss, _) => loss.num_iterations().max(1),
            Loss::Stackelberg(_) | Loss::Untrained => 1,
        }
    }

    /// Whether a micro-batch must hold all answers of a prompt.
    pub(crate) fn needs_whole_groups(&self) -> bool {
        matches!(&self.loss, Loss::Group(loss, _) if loss.needs_whole_groups())
    }

    /// Whether the worth of an answer comes from the others of its prompt, so that one alone has none.
    pub(crate) fn compares_within_groups(&self) -> bool {
        matches!(self.loss, Loss::Group(_, RewardSource::Plugin | RewardSource::Fitted(_) | RewardSource::Verdicts))
    }

    /// How the reward model is fit, of a method that is trained on one.
    pub(crate) fn reward_model(&self) -> Option<RewardModelPlan> {
        match self.loss {
            Loss::Group(_, RewardSource::Fitted(plan)) => Some(plan),
            _ => None,
        }
    }

    pub(crate) fn updates(&self, planned: u32) -> u32 {
        if self.has_follower() { planned.clamp(1, UPDATES_MAX) } else { 1 }
    }
}

fn refuse<T>(run: i64, key: &'static str, problem: impl Into<String>) -> Result<T, LearnError> {
    Err(LearnError::Setting { run, key, problem: problem.into() })
}

fn check_sizes(run: i64, training: &LanguageTraining, prompts: usize) -> Result<(), LearnError> {
    let at_least_one = [
        ("method.prompts_per_step", training.prompts_per_step),
        ("method.num_generations", training.num_generations),
        ("method.micro_batch_size", training.micro_batch_size),
        ("method.sampling.max_new_tokens", training.sampling.max_new_tokens),
    ];
    if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
        return refuse(run, key, "is 0; expected at least 1");
    }
    if prompts == 0 {
        return refuse(run, "data", "has no prompt to train on after held-out and over-long ones were taken away");
    }
    if training.steps >= u64::from(u32::MAX) {
        return refuse(run, "method.steps", format!("is {}; expected fewer than 2^32", training.steps));
    }
    // A prompt occurs once an epoch; a step touches at most so many epochs.
    let occurrences = (training.prompts_per_step as usize).div_ceil(prompts) + 1;
    if occurrences * training.num_generations as usize > SAMPLES_MAX {
        let problem = format!(
            "and method.prompts_per_step make more than {SAMPLES_MAX} answers to one prompt in one step ({prompts} prompts); \
             lower one of them"
        );
        return refuse(run, "method.num_generations", problem);
    }
    if !(training.sampling.temperature > 0.0 && training.sampling.temperature.is_finite()) {
        return refuse(run, "method.sampling.temperature", "must be above 0 in training");
    }
    match training.score_baseline {
        ControlVariate::LeaveOneOut if training.num_generations < 2 => {
            refuse(run, "method.score_baseline", "leave_one_out needs method.num_generations of at least 2")
        }
        ControlVariate::MovingAverage { decay } if !(0.0..1.0).contains(&decay) => {
            refuse(run, "method.score_baseline.decay", "must be in [0, 1)")
        }
        ControlVariate::Constant { value } if !value.is_finite() => {
            refuse(run, "method.score_baseline.value", "must be finite")
        }
        _ => Ok(()),
    }
}

/// The other methods' targets are of the reverse divergence.
fn check_kl_gradient(run: i64, method: &LanguageMethod) -> Result<(), LearnError> {
    let is_k3 = method.training().kl_gradient == KlGradient::DifferentiatedK3;
    match method {
        LanguageMethod::StackelbergGda(_) | LanguageMethod::Rloo(_) | LanguageMethod::NashMd(_) if is_k3 => {
            refuse(run, "method.kl_gradient", "differentiated_k3 is grpo's: it holds the policy by another divergence")
        }
        _ => Ok(()),
    }
}

fn check_reward_model(run: i64, plan: Option<&RewardModelPlan>, prompts: usize) -> Result<(), LearnError> {
    let Some(RewardModelPlan { pairs, l2 }) = plan else { return Ok(()) };
    if *pairs < 2 {
        return refuse(run, "method.reward_model.pairs", format!("is {pairs}; expected at least 2"));
    }
    if 2 * (*pairs as usize).div_ceil(prompts) > SAMPLES_MAX {
        let problem = format!("is {pairs}: more than {SAMPLES_MAX} answers to one of {prompts} prompts; lower it");
        return refuse(run, "method.reward_model.pairs", problem);
    }
    match l2 {
        Some(l2) if !(l2.is_finite() && *l2 > 0.0) => {
            refuse(run, "method.reward_model.l2", format!("is {l2}; expected a finite number above 0"))
        }
        _ => Ok(()),
    }
}

fn check_stackelberg(plan: &LanguagePlan, parameters: Parameters) -> Result<(), LearnError> {
    let run = plan.run;
    let adam = matches!(plan.method.training().optimizer, ModelOptimizer::Adamw { .. });
    match (parameters, plan.schedule.realisation) {
        (Parameters::Separate, Realisation::LossWeight) if adam => refuse(
            run,
            "schedule.realisation",
            "loss_weight does nothing with separate parameters under AdamW, which rescales it away; \
             use learning_rate_ratio",
        ),
        (Parameters::Shared, Realisation::LearningRateRatio) => refuse(
            run,
            "schedule.realisation",
            "learning_rate_ratio needs method.parameters = \"separate\": shared parameters have one learning rate; \
             use loss_weight",
        ),
        (_, Realisation::UpdatesPerLeaderUpdate) => match plan.schedule.kappa.curve() {
            Some(curve) => {
                let steps = plan.method.training().steps;
                let most = curve.at(1, steps).max(curve.at(steps, steps));
                if most <= f64::from(UPDATES_MAX) {
                    return Ok(());
                }
                let problem = format!("reaches {most} Follower updates a step; expected at most {UPDATES_MAX}");
                refuse(run, "schedule.kappa", problem)
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The loss of a method with one policy, checked.
fn group_loss(run: i64, method: &LanguageMethod) -> Result<Loss, LearnError> {
    let training = method.training();
    let verdicts = RewardSource::Verdicts;
    let rewards = match (method.reward(), method.reward_model()) {
        (Some(_), Some(_)) => return refuse(run, "method.reward_model", "is there beside method.reward"),
        (Some(_), None) => RewardSource::Plugin,
        (None, Some(&plan)) => RewardSource::Fitted(plan),
        (None, None) => verdicts,
    };
    let (loss, source): (Box<dyn GroupLoss>, RewardSource) = match method {
        LanguageMethod::StackelbergGda(_) | LanguageMethod::BestOfN(_) | LanguageMethod::SelfRefinement(_) => {
            return Ok(Loss::Untrained);
        }
        LanguageMethod::Rloo(_) => {
            check_rloo(run, training)?;
            (Box::new(RlooLoss::of(training)), rewards)
        }
        LanguageMethod::Grpo(method) => (Box::new(GrpoLoss::of(method)), rewards),
        LanguageMethod::NashMd(method) => {
            (Box::new(NashMdLoss::of(training)), RewardSource::Mixture(method.mixture_coef))
        }
        LanguageMethod::OnlineDpo(method) => (Box::new(OnlineDpoLoss::of(method)), verdicts),
        LanguageMethod::OnlineIpo(method) => (Box::new(OnlineIpoLoss::of(method)), verdicts),
        LanguageMethod::Sppo(method) => (Box::new(SppoLoss::of(method)), verdicts),
        LanguageMethod::Inpo(method) => (Box::new(InpoLoss::of(method)), verdicts),
        LanguageMethod::Sft(method) => (Box::new(SftLoss::of(method)), verdicts),
    };
    let versus_itself = !matches!(source, RewardSource::Mixture(_));
    if versus_itself && training.num_generations < 2 {
        return refuse(run, "method.num_generations", "is 1; the method compares at least 2 answers of a prompt");
    }
    if loss.needs_whole_groups() && training.micro_batch_size < training.num_generations {
        let problem = format!(
            "is {}; this method weighs all {} answers of a prompt together, which must be in one micro-batch",
            training.micro_batch_size, training.num_generations
        );
        return refuse(run, "method.micro_batch_size", problem);
    }
    Ok(Loss::Group(loss, source))
}

fn check_rloo(run: i64, training: &LanguageTraining) -> Result<(), LearnError> {
    if training.score_baseline != ControlVariate::LeaveOneOut {
        return refuse(run, "method.score_baseline", "must be leave_one_out, which is what RLOO is");
    }
    Ok(())
}
