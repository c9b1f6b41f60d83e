//! A plan lowered to what the loop needs, and checked: a worker must not trust what it is sent.

use slhf_plan::{
    ControlVariate, LanguageMethod, LanguagePlan, LanguageTraining, ModelOptimizer, Parameters, Realisation,
};

use super::rloo::RlooLoss;
use super::stackelberg_gda::StackelbergLoss;
use crate::LearnError;
use crate::rules::{Course, check_schedule};

/// Samples of one prompt in one step that a random stream can tell apart.
const SAMPLES_MAX: usize = 4096;
/// Follower updates of one step that a random stream can tell apart.
const UPDATES_MAX: u32 = 255;

/// The method with its constants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    Stackelberg(StackelbergLoss),
    /// With rewards of a plugin, or with verdicts.
    Rloo(RlooLoss, RewardSource),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RewardSource {
    Plugin,
    Verdicts,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) course: Course,
    pub(crate) loss: Loss,
    pub(crate) parameters: Parameters,
    pub(crate) training: LanguageTraining,
}

impl Settings {
    pub(crate) fn of(plan: &LanguagePlan, prompts: usize) -> Result<Self, LearnError> {
        let training = plan.method.training().clone();
        check_sizes(plan.run, &training, prompts)?;
        let (loss, parameters) = match &plan.method {
            LanguageMethod::StackelbergGda(method) => {
                check_stackelberg(plan, method.parameters)?;
                (Loss::Stackelberg(StackelbergLoss::of(method)), method.parameters)
            }
            LanguageMethod::Rloo(method) => {
                let source = if method.reward.is_some() { RewardSource::Plugin } else { RewardSource::Verdicts };
                let loss = RlooLoss::of(&training);
                check_rloo(plan.run, &training, loss)?;
                (Loss::Rloo(loss, source), Parameters::Shared)
            }
        };
        check_schedule(plan.run, training.steps, &plan.schedule, matches!(loss, Loss::Stackelberg(_)))?;
        Ok(Self { run: plan.run, seed: plan.seed, course: Course::of_language(plan), loss, parameters, training })
    }

    pub(crate) fn has_follower(&self) -> bool {
        matches!(self.loss, Loss::Stackelberg(_))
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

fn check_rloo(run: i64, training: &LanguageTraining, loss: RlooLoss) -> Result<(), LearnError> {
    if training.num_generations < 2 {
        return refuse(run, "method.num_generations", "is 1; RLOO compares at least 2 answers of a prompt");
    }
    if training.score_baseline != ControlVariate::LeaveOneOut {
        return refuse(run, "method.score_baseline", "must be leave_one_out, which is what RLOO is");
    }
    if loss.needs_whole_groups() && training.micro_batch_size < training.num_generations {
        let problem = format!(
            "is {}; kl_gradient = \"paper\" makes the KL part of the reward, so that all {} answers of a prompt must be \
             in one micro-batch",
            training.micro_batch_size, training.num_generations
        );
        return refuse(run, "method.micro_batch_size", problem);
    }
    Ok(())
}
