//! What fits together on a language model and what does not, each refusal with its reason.

use slhf_plan::{
    AdapterPlan, ControlVariate, KlGradient, LanguageMethod, LanguagePlan, LanguageTraining, ModelOptimizer,
    Parameters, Realisation, Sampling, Schedule,
};

use super::super::config::ScheduleConfig;
use super::super::rules::{
    Refusal, check_baseline, check_device_name, check_kappa, check_power_pair, check_rate, check_rate_and_warmup,
    refuse,
};
use super::config::{
    AdapterConfig, AdapterKind, LanguageExperimentConfig, LanguageMethodConfig, LanguageMethodKind, OptimizerKind,
};
use super::resolve::LINEAR_LAYERS;

/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 100_000_000;
/// Prompts, samples or rows of one step beyond which nobody means it.
const ROWS_MAX: u32 = 65_536;
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

fn check_method_settings(method: &LanguageMethodConfig) -> Result<(), Refusal> {
    let games_only = [
        ("method.parameters", method.parameters.is_some()),
        ("method.follower_beta", method.follower_beta.is_some()),
        ("method.follower_reference", method.follower_reference.is_some()),
        ("method.instruction", method.instruction.is_some()),
    ];
    if method.name == LanguageMethodKind::Rloo
        && let Some((key, _)) = games_only.into_iter().find(|(_, given)| *given)
    {
        return refuse(key, "only stackelberg-gda has it: rloo trains one policy and knows no Follower");
    }
    if method.reward.is_some() && method.name != LanguageMethodKind::Rloo {
        return refuse("method.reward", "only rloo has it: stackelberg-gda learns from the judge's verdicts");
    }
    if method.kl_estimator.is_some() && method.kl_gradient != Some(KlGradient::Paper) {
        return refuse(
            "method.kl_estimator",
            "only used by kl_gradient = \"paper\": the other gradients do not choose an estimate",
        );
    }
    let adam = [
        ("method.adam_beta1", method.adam_beta1.is_some()),
        ("method.adam_beta2", method.adam_beta2.is_some()),
        ("method.adam_epsilon", method.adam_epsilon.is_some()),
        ("method.weight_decay", method.weight_decay.is_some()),
    ];
    if method.optimizer == Some(OptimizerKind::Sgd)
        && let Some((key, _)) = adam.into_iter().find(|(_, given)| *given)
    {
        return refuse(key, "only adamw has it; remove it, or use optimizer = \"adamw\"");
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
    check_training(plan.method.training())?;
    check_method(&plan.method)?;
    check_schedule(&plan.schedule, plan)?;
    let evaluation = &plan.evaluation;
    check_sampling(&evaluation.sampling, ["evaluation.temperature", "evaluation.top_p", "evaluation.max_new_tokens"])?;
    if !(1..=ROWS_MAX).contains(&evaluation.batch_size) {
        return refuse("evaluation.batch_size", format!("{}; expected 1 to {ROWS_MAX}", evaluation.batch_size));
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

fn check_training(training: &LanguageTraining) -> Result<(), Refusal> {
    if !(1..=STEPS_MAX).contains(&training.steps) {
        return refuse("method.steps", format!("{}; expected 1 to {STEPS_MAX}", training.steps));
    }
    for (key, value) in [
        ("method.prompts_per_step", training.prompts_per_step),
        ("method.num_generations", training.num_generations),
        ("method.micro_batch_size", training.micro_batch_size),
    ] {
        if !(1..=ROWS_MAX).contains(&value) {
            return refuse(key, format!("{value}; expected 1 to {ROWS_MAX}"));
        }
    }
    if training.sampling.temperature == 0.0 {
        return refuse(
            "method.temperature",
            "0: the likeliest token has no gradient to learn from; expected a number above 0 (evaluation.temperature \
             may be 0)",
        );
    }
    check_sampling(&training.sampling, ["method.temperature", "method.top_p", "method.max_new_tokens"])?;
    for (key, value) in [("method.beta", training.beta), ("method.max_grad_norm", training.max_grad_norm)] {
        if !(value.is_finite() && value >= 0.0) {
            return refuse(key, format!("{value}; expected a finite number, not negative"));
        }
    }
    if !training.missing_eos_penalty.is_finite() {
        return refuse(
            "method.missing_eos_penalty",
            format!("{}; expected a finite number", training.missing_eos_penalty),
        );
    }
    check_optimizer(&training.optimizer)?;
    check_baseline(&training.score_baseline, training.num_generations)
}

fn check_sampling(sampling: &Sampling, [temperature, top_p, max_new_tokens]: [&'static str; 3]) -> Result<(), Refusal> {
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

fn check_optimizer(optimizer: &ModelOptimizer) -> Result<(), Refusal> {
    let ModelOptimizer::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay } = *optimizer else {
        return Ok(());
    };
    for (key, value) in [("method.adam_beta1", adam_beta1), ("method.adam_beta2", adam_beta2)] {
        if !(0.0..1.0).contains(&value) {
            return refuse(key, format!("{value}; expected a number in [0, 1)"));
        }
    }
    if !(adam_epsilon.is_finite() && adam_epsilon > 0.0) {
        return refuse("method.adam_epsilon", format!("{adam_epsilon}; expected a finite number above 0"));
    }
    if !(weight_decay.is_finite() && weight_decay >= 0.0) {
        return refuse("method.weight_decay", format!("{weight_decay}; expected a finite number, not negative"));
    }
    Ok(())
}

fn check_method(method: &LanguageMethod) -> Result<(), Refusal> {
    match method {
        LanguageMethod::StackelbergGda(game) => {
            if !(game.follower_beta.is_finite() && game.follower_beta >= 0.0) {
                return refuse(
                    "method.follower_beta",
                    format!("{}; expected a finite number, not negative", game.follower_beta),
                );
            }
            if game.instruction.trim().is_empty() {
                return refuse("method.instruction", "empty; expected the user turn that asks for a better answer");
            }
            Ok(())
        }
        LanguageMethod::Rloo(rloo) => {
            let n = rloo.training.num_generations;
            if n < 2 {
                return refuse(
                    "method.num_generations",
                    format!("{n} with rloo: its baseline is the mean of the other samples of a prompt; use at least 2"),
                );
            }
            if rloo.training.score_baseline != ControlVariate::LeaveOneOut {
                return refuse("method.score_baseline", "rloo is REINFORCE with the leave-one-out baseline: remove it");
            }
            if rloo.training.kl_gradient == KlGradient::Paper && rloo.training.micro_batch_size < n {
                return refuse(
                    "method.micro_batch_size",
                    format!(
                        "{} with kl_gradient = \"paper\": the KL is part of the reward there, so all {n} answers of a \
                         prompt must be in one micro-batch; use at least {n}",
                        rloo.training.micro_batch_size
                    ),
                );
            }
            Ok(())
        }
    }
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
