//! What an experiment on a language model says that does not fit together, beyond what [`slhf_plan::check_language`] asks of any
//! plan.

use slhf_plan::settings::Problems;
use slhf_plan::{LanguageMethod, Parameters};

use super::config::{AdapterConfig, AdapterKind, DataConfig, LanguageExperimentConfig, StopAtConfig};
use crate::rules::{check_device_name, check_follower_rate};

/// Tokens of a prompt.
const TOKENS_MAX: u32 = 1 << 20;

/// What can be said before a file is read or a plugin asked; the method where it could be read.
pub(super) fn check_settings(
    config: &LanguageExperimentConfig,
    method: Option<&LanguageMethod>,
    problems: &mut Problems,
) {
    check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(2), problems);
    check_adapter_settings(&config.model.adapter, problems);
    check_data_settings(&config.data, problems);
    let held_out = config.data.held_out.unwrap_or(128);
    if let Some(prompts) = config.evaluation.prompts.filter(|prompts| !(1..=held_out).contains(prompts)) {
        problems.push("evaluation.prompts", format!("{prompts}; expected 1 to data.held_out, which is {held_out}"));
    }
    if let Some(StopAtConfig { width, difference_from }) = &config.evaluation.stop_at
        && width.is_some() == difference_from.is_some()
    {
        let found = if width.is_some() { "both" } else { "neither" };
        let problem =
            format!("{found} of width and difference_from; expected one, such as {{ difference_from = 0.5 }}");
        problems.push("evaluation.stop_at", problem);
    }
    let Some(LanguageMethod::StackelbergGda(game)) = method else { return };
    check_follower_rate(&config.schedule, problems);
    if config.schedule.follower_learning_rate.is_some() && game.players.parameters == Parameters::Shared {
        problems.push(
            "schedule.follower_learning_rate",
            "needs method.parameters = \"separate\": shared weights are moved by one optimizer with one learning rate",
        );
    }
}

fn check_data_settings(data: &DataConfig, problems: &mut Problems) {
    if data.held_out == Some(0) {
        problems.push("data.held_out", "0; expected at least 1 prompt to evaluate on");
    }
    if !(1..=TOKENS_MAX).contains(&data.max_prompt_tokens.unwrap_or(512)) {
        problems.push("data.max_prompt_tokens", format!("expected 1 to {TOKENS_MAX}"));
    }
    if i64::try_from(data.split_seed.unwrap_or(0)).is_err() {
        problems.push("data.split_seed", "expected a number below 2^63");
    }
}

pub(crate) fn check_adapter_settings(adapter: &AdapterConfig, problems: &mut Problems) {
    if adapter.kind != Some(AdapterKind::Full) {
        return;
    }
    for (key, given) in [
        ("model.adapter.lora_r", adapter.lora_r.is_some()),
        ("model.adapter.lora_alpha", adapter.lora_alpha.is_some()),
        ("model.adapter.lora_dropout", adapter.lora_dropout.is_some()),
        ("model.adapter.lora_target_modules", adapter.lora_target_modules.is_some()),
    ] {
        if given {
            problems.push(key, "given beside kind = \"full\", which trains all weights: remove one of the two");
        }
    }
}
