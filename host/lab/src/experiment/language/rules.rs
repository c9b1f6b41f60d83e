//! What fits together on a language model and what does not, each refusal with its reason.

use slhf_plan::{
    AdapterPlan, LanguageMethod, LanguagePlan, ModelOptimizer, Parameters, Realisation, Sampling, Schedule,
};

use super::super::config::ScheduleConfig;
use super::super::rules::{
    Refusal, check_device_name, check_kappa, check_power_pair, check_rate, check_rate_and_warmup, refuse,
};
use super::config::{AdapterConfig, AdapterKind, LanguageExperimentConfig};
use super::method_config::{LanguageMethodConfig, LanguageMethodKind};
use super::method_rules::{check_method, check_method_settings, check_training};
use super::resolve::LINEAR_LAYERS;

/// Prompts, samples or rows of one step beyond which nobody means it.
pub(super) const ROWS_MAX: u32 = 65_536;
/// Tokens of a prompt or an answer.
const TOKENS_MAX: u32 = 1 << 20;

/// What can be said before a file is read or a plugin asked.
pub(super) fn check_settings(config: &LanguageExperimentConfig) -> Result<(), Refusal> {
    check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(2))?;
    check_adapter_settings(&config.model.adapter)?;
    check_method_settings(&config.method)?;
    check_schedule_settings(&config.schedule, &config.method)?;
    let data = &config.data;
    let held_out = data.held_out.unwrap_or(128);
    if held_out == 0 {
        return refuse("data.held_out", "0; expected at least 1 prompt to evaluate on");
    }
    if let Some(prompts) = config.evaluation.prompts.filter(|prompts| !(1..=held_out).contains(prompts)) {
        return refuse("evaluation.prompts", format!("{prompts}; expected 1 to data.held_out, which is {held_out}"));
    }
    if !(1..=TOKENS_MAX).contains(&data.max_prompt_tokens.unwrap_or(512)) {
        return refuse("data.max_prompt_tokens", format!("expected 1 to {TOKENS_MAX}"));
    }
    if i64::try_from(data.split_seed.unwrap_or(0)).is_err() {
        return refuse("data.split_seed", "expected a number below 2^63");
    }
    Ok(())
}

fn check_adapter_settings(adapter: &AdapterConfig) -> Result<(), Refusal> {
    if adapter.kind == Some(AdapterKind::Full) {
        let given = [
            ("model.adapter.lora_r", adapter.lora_r.is_some()),
            ("model.adapter.lora_alpha", adapter.lora_alpha.is_some()),
            ("model.adapter.lora_dropout", adapter.lora_dropout.is_some()),
            ("model.adapter.lora_target_modules", adapter.lora_target_modules.is_some()),
        ];
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
            return refuse(key, "given beside kind = \"full\", which trains all weights: remove one of the two");
        }
    }
    Ok(())
}

fn check_schedule_settings(schedule: &ScheduleConfig, method: &LanguageMethodConfig) -> Result<(), Refusal> {
    if method.name != LanguageMethodKind::StackelbergGda || schedule.follower_learning_rate.is_none() {
        return Ok(());
    }
    let key = "schedule.follower_learning_rate";
    if schedule.kappa.is_some() {
        return refuse(key, "given beside kappa, but kappa is the ratio of the two rates: give one of them");
    }
    if method.parameters.unwrap_or_default() == Parameters::Shared {
        return refuse(
            key,
            "needs method.parameters = \"separate\": shared weights are moved by one optimizer with one learning rate",
        );
    }
    if schedule.realisation.is_some_and(|realisation| realisation != Realisation::LearningRateRatio) {
        return refuse(
            key,
            "a rate of its own is a ratio of learning rates: it needs realisation = \"learning_rate_ratio\"",
        );
    }
    Ok(())
}

/// What a resolved cell must satisfy.
pub(super) fn check(plan: &LanguagePlan) -> Result<(), Refusal> {
    check_adapter(&plan.model.adapter)?;
    check_training(&plan.method)?;
    check_method(&plan.method)?;
    check_schedule(&plan.schedule, plan)?;
    let evaluation = &plan.evaluation;
    check_sampling(&evaluation.sampling, ["evaluation.temperature", "evaluation.top_p", "evaluation.max_new_tokens"])?;
    if !(1..=ROWS_MAX).contains(&evaluation.batch_size) {
        return refuse("evaluation.batch_size", format!("{}; expected 1 to {ROWS_MAX}", evaluation.batch_size));
    }
    if !(1..=16).contains(&evaluation.rounds) {
        return refuse("evaluation.rounds", format!("{}; expected 1 to 16", evaluation.rounds));
    }
    if plan.checkpoint_every == 0 {
        return refuse("checkpoint.every", "0; expected a number of steps, at least 1");
    }
    Ok(())
}

fn check_adapter(adapter: &AdapterPlan) -> Result<(), Refusal> {
    let AdapterPlan::Lora { lora_r, lora_alpha, lora_dropout, lora_target_modules } = adapter else { return Ok(()) };
    if !(1..=4096).contains(lora_r) {
        return refuse("model.adapter.lora_r", format!("{lora_r}; expected 1 to 4096"));
    }
    if !(lora_alpha.is_finite() && *lora_alpha > 0.0) {
        return refuse("model.adapter.lora_alpha", format!("{lora_alpha}; expected a finite number above 0"));
    }
    if !(0.0..1.0).contains(lora_dropout) {
        return refuse("model.adapter.lora_dropout", format!("{lora_dropout}; expected a probability in [0, 1)"));
    }
    let key = "model.adapter.lora_target_modules";
    if lora_target_modules.is_empty() {
        return refuse(key, "an empty list; expected at least one linear layer");
    }
    for (index, name) in lora_target_modules.iter().enumerate() {
        if !LINEAR_LAYERS.contains(&name.as_str()) {
            return refuse(key, format!("\"{name}\" is no linear layer; expected of {}", LINEAR_LAYERS.join(", ")));
        }
        if lora_target_modules[..index].contains(name) {
            return refuse(key, format!("\"{name}\" stands there twice"));
        }
    }
    Ok(())
}

pub(super) fn check_sampling(
    sampling: &Sampling,
    [temperature, top_p, max_new_tokens]: [&'static str; 3],
) -> Result<(), Refusal> {
    if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
        return refuse(temperature, format!("{}; expected a finite number, not negative", sampling.temperature));
    }
    if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
        return refuse(top_p, format!("{}; expected a number in (0, 1]", sampling.top_p));
    }
    if !(1..=TOKENS_MAX).contains(&sampling.max_new_tokens) {
        return refuse(max_new_tokens, format!("{}; expected 1 to {TOKENS_MAX}", sampling.max_new_tokens));
    }
    Ok(())
}

fn check_schedule(schedule: &Schedule, plan: &LanguagePlan) -> Result<(), Refusal> {
    let training = plan.method.training();
    check_rate_and_warmup(schedule, training.steps)?;
    let LanguageMethod::StackelbergGda(game) = &plan.method else { return Ok(()) };
    let adam = matches!(training.optimizer, ModelOptimizer::Adamw { .. });
    match (game.parameters, schedule.realisation) {
        (Parameters::Separate, _) if plan.model.adapter == AdapterPlan::Full => refuse(
            "method.parameters",
            "\"separate\" with model.adapter.kind = \"full\": separate players are two adapters over one frozen model; \
             use kind = \"lora\"",
        ),
        (Parameters::Separate, Realisation::LossWeight) if adam => refuse(
            "schedule.realisation",
            "\"loss_weight\" under optimizer = \"adamw\" with parameters = \"separate\" does nothing: Adam divides every \
             gradient by its own size, so a weight on the Follower's loss cancels; use \"learning_rate_ratio\" or \
             \"updates_per_leader_update\", or optimizer = \"sgd\"",
        ),
        (Parameters::Shared, Realisation::LearningRateRatio) => refuse(
            "schedule.realisation",
            "\"learning_rate_ratio\" does not exist with parameters = \"shared\": one optimizer moves the weights of both \
             players at one learning rate; use \"loss_weight\" or \"updates_per_leader_update\", or \
             method.parameters = \"separate\"",
        ),
        _ => match &schedule.follower_learning_rate {
            Some(follower) => {
                check_rate("schedule.follower_learning_rate", follower, training.steps)?;
                check_power_pair(&schedule.learning_rate, follower)
            }
            None => check_kappa(&schedule.kappa, schedule.realisation, training.steps),
        },
    }
}
