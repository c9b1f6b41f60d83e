//! What an experiment on a language model says that does not fit together, beyond what [`slhf_plan::check_language`] asks of any
//! plan.

use slhf_plan::settings::Problems;
use slhf_plan::{LanguageMethod, PROCESS_TIMEOUT_S, Parameters};

use super::config::{
    AdapterConfig, AdapterKind, DataConfig, LanguageDeviceConfig, LanguageExperimentConfig, StopAtConfig,
};
use crate::rules::{check_device_name, check_follower_rate};

/// Tokens of a prompt.
const TOKENS_MAX: u32 = 1 << 20;

/// Processes that may compute one run together.
pub const PROCESSES_MAX: u32 = 64;

/// A day.
const PROCESS_TIMEOUT_S_MAX: u32 = 86_400;

/// What can be said before a file is read or a plugin asked; the method where it could be read.
pub(super) fn check_settings(
    config: &LanguageExperimentConfig,
    method: Option<&LanguageMethod>,
    problems: &mut Problems,
) {
    check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(2), problems);
    check_processes(&config.device, problems);
    check_adapter_settings(&config.model.adapter, problems);
    check_data_settings(&config.data, problems);
    if config.data.pairs.is_none() || config.data.held_out.is_some() {
        check_evaluated_prompts(config, config.data.held_out.unwrap_or(128), problems);
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

/// Evaluations on the way ask some of the held-out prompts.
pub(super) fn check_evaluated_prompts(config: &LanguageExperimentConfig, held_out: u32, problems: &mut Problems) {
    if let Some(prompts) = config.evaluation.prompts.filter(|prompts| !(1..=held_out).contains(prompts)) {
        problems.push("evaluation.prompts", format!("{prompts}; expected 1 to data.held_out, which is {held_out}"));
    }
}

/// What belongs to one of both kinds of files.
fn check_kind_of_data(data: &DataConfig, problems: &mut Problems) {
    match (&data.prompts, &data.pairs) {
        (Some(_), Some(_)) => problems.push(
            "data.pairs",
            "given beside data.prompts: a run has one file of data, whose prompts are held out; remove one of the two",
        ),
        (None, None) => problems.push(
            "data.prompts",
            "missing; expected a file of prompts, or at data.pairs one of preferences (for dpo, ipo and sft-chosen)",
        ),
        _ => {}
    }
    if data.pairs.is_none() {
        for (key, is_given) in [
            ("data.attribute", data.attribute.is_some()),
            ("data.training_pairs", data.training_pairs.is_some()),
            ("data.max_response_tokens", data.max_response_tokens.is_some()),
        ] {
            if is_given {
                problems.push(key, "given without data.pairs, which it is about: remove it");
            }
        }
        return;
    }
    if data.shape.is_some() {
        problems.push(
            "data.shape",
            "given beside data.pairs: it describes a file of prompts; put the file of pairs where it is named",
        );
    }
    if data.training_pairs == Some(0) {
        problems.push("data.training_pairs", "0; expected at least 1 pair to train on");
    }
    if !(1..=TOKENS_MAX).contains(&data.max_response_tokens.unwrap_or(1)) {
        problems.push("data.max_response_tokens", format!("expected 1 to {TOKENS_MAX}"));
    }
    if let Some(layout) = data.layout.filter(|layout| layout.of_pairs().is_none()) {
        let name = format!("{layout:?}").to_lowercase();
        problems.push(
            "data.layout",
            format!("\"{name}\" is a layout of prompts; expected pairs, help_steer2, ultra_feedback or transcripts"),
        );
    }
}

fn check_data_settings(data: &DataConfig, problems: &mut Problems) {
    check_kind_of_data(data, problems);
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

/// How many processes compute a run, and how long each may take.
fn check_processes(device: &LanguageDeviceConfig, problems: &mut Problems) {
    let processes = device.processes.unwrap_or(1);
    if !(1..=PROCESSES_MAX).contains(&processes) {
        problems.push("device.processes", format!("{processes}; expected 1 to {PROCESSES_MAX}"));
    }
    let timeout = device.process_timeout_s.unwrap_or(PROCESS_TIMEOUT_S);
    if !(1..=PROCESS_TIMEOUT_S_MAX).contains(&timeout) {
        problems.push("device.process_timeout_s", format!("{timeout}; expected 1 to {PROCESS_TIMEOUT_S_MAX}"));
    }
}
