//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::{
    AdapterPlan, AnswerSetsPlan, CertificatePlan, Curve, Gradient, Kappa, LINEAR_LAYERS, LanguageEvaluationPlan,
    LanguageMethod, LanguageTraining, ModelDevicePlan, ModelPrecision, ModelWeights, PROCESS_TIMEOUT_S, Parameters,
    Realisation, Sampling, Schedule, StopAtPlan,
};

use super::config::{
    AdapterConfig, AdapterKind, AnswersConfig, CertificateConfig, LanguageDeviceConfig, LanguageEvaluationConfig,
    LanguageExperimentConfig, StopAtConfig,
};
use super::evaluated::EvaluatedBy;
use crate::config::ScheduleConfig;

pub(crate) fn adapter(config: &AdapterConfig) -> AdapterPlan {
    match config.kind.unwrap_or_default() {
        AdapterKind::Full => AdapterPlan::Full,
        AdapterKind::Lora => AdapterPlan::Lora {
            lora_r: config.lora_r.unwrap_or(16),
            lora_alpha: config.lora_alpha.unwrap_or(32.0),
            lora_dropout: config.lora_dropout.unwrap_or(0.0),
            lora_target_modules: config
                .lora_target_modules
                .clone()
                .unwrap_or_else(|| LINEAR_LAYERS.map(str::to_owned).to_vec()),
        },
    }
}

/// The schedule. What a method with one policy has no use for is set to one value.
pub(super) fn schedule(config: &ScheduleConfig, method: &LanguageMethod, adapter: &AdapterPlan) -> Schedule {
    // Adapters start at zero and are few, so they take ten times the rate that whole models take.
    let rate = if matches!(adapter, AdapterPlan::Full) { 1e-5 } else { 1e-4 };
    let learning_rate = config.learning_rate.unwrap_or(Curve::Constant { value: rate });
    let warmup_steps = if method.is_trained() { config.warmup_steps.unwrap_or(0) } else { 0 };
    let LanguageMethod::StackelbergGda(game) = method else {
        return Schedule {
            realisation: Realisation::LossWeight,
            kappa: Kappa::Constant { value: 1.0 },
            learning_rate,
            follower_learning_rate: None,
            warmup_steps,
        };
    };
    let usual = match game.players.parameters {
        Parameters::Shared => Realisation::LossWeight,
        Parameters::Separate => Realisation::LearningRateRatio,
    };
    Schedule {
        realisation: config.realisation.unwrap_or(usual),
        kappa: config.kappa.unwrap_or(Kappa::Constant { value: 5.0 }),
        learning_rate,
        follower_learning_rate: config.follower_learning_rate,
        warmup_steps,
    }
}

/// The device, with `auto` resolved to `auto_device`.
/// How a model's weights lie in memory; the error is a sentence on why the one that was asked for is not there.
pub(crate) fn weights(
    asked: Option<ModelWeights>,
    adapter: &AdapterPlan,
    device: &ModelDevicePlan,
) -> Result<ModelWeights, String> {
    let hindrance = match (adapter, device.precision, device.name.as_str()) {
        (AdapterPlan::Full, ..) => Some("all weights are trained, so that they change at every step"),
        (_, ModelPrecision::Bf16, _) => {
            Some("device.precision is \"bf16\", and packed weights are multiplied with in f32")
        }
        (_, _, name) if name != "cpu" => Some("only a CPU has products with packed weights"),
        _ => None,
    };
    match (asked, hindrance) {
        (Some(ModelWeights::Packed), Some(hindrance)) => Err(format!("is \"packed\", but {hindrance}; leave it out")),
        (Some(asked), _) => Ok(asked),
        (None, Some(_)) => Ok(ModelWeights::F32),
        (None, None) => Ok(ModelWeights::Packed),
    }
}

pub(crate) fn device(
    config: &LanguageDeviceConfig,
    auto_device: impl FnOnce(u32) -> Result<String, String>,
) -> Result<ModelDevicePlan, String> {
    let threads = config.threads.unwrap_or(2);
    let name = match config.name.as_deref().unwrap_or("auto") {
        "auto" => auto_device(threads)?,
        "cuda" => "cuda:0".to_owned(),
        name => name.to_owned(),
    };
    let usual = if name == "cpu" { ModelPrecision::F32 } else { ModelPrecision::Bf16 };
    Ok(ModelDevicePlan {
        precision: config.precision.unwrap_or(usual),
        name,
        threads,
        processes: config.processes.unwrap_or(1),
        process_timeout_s: config.process_timeout_s.unwrap_or(PROCESS_TIMEOUT_S),
        // Found by itself: its server is checked.
        sampler: None,
    })
}

pub(super) fn evaluation(
    config: &LanguageEvaluationConfig,
    training: &LanguageTraining,
    held_out: u32,
    asked: EvaluatedBy,
) -> LanguageEvaluationPlan {
    let Sampling { temperature, top_k, top_p, max_new_tokens } = training.sampling;
    LanguageEvaluationPlan {
        every: config.every.unwrap_or((training.steps / 4).max(1)),
        prompts: config.prompts.unwrap_or(held_out.min(32)),
        sampling: Sampling {
            temperature: config.temperature.unwrap_or(temperature),
            top_k: config.top_k.unwrap_or(top_k),
            top_p: config.top_p.unwrap_or(top_p),
            max_new_tokens: config.max_new_tokens.unwrap_or(max_new_tokens),
        },
        batch_size: config.batch_size.unwrap_or(16),
        rounds: config.rounds.unwrap_or(1),
        family: asked.family,
        stop_at: config.stop_at.as_ref().and_then(stop_at),
        certificate: config.certificate.map(certificate),
        judges: asked.judges,
        measures: asked.measures,
        transfer: asked.transfer,
        // Of the whole plan.
        stream: None,
    }
}

/// The closed sets of answers, where there are any.
pub(super) fn answers(config: &LanguageExperimentConfig) -> Option<AnswerSetsPlan> {
    let given = config.data.answers.clone();
    if config.answers.is_none() && given.is_none() {
        return None;
    }
    let AnswersConfig { reference, gradient } = config.answers.unwrap_or_default();
    Some(AnswerSetsPlan {
        given: given.unwrap_or_default(),
        reference: reference.unwrap_or_default(),
        gradient: gradient.unwrap_or(Gradient::Exact),
    })
}

fn certificate(config: CertificateConfig) -> CertificatePlan {
    CertificatePlan {
        samples: config.samples,
        confidence: config.confidence.unwrap_or(0.95),
        leader_samples: config.leader_samples.unwrap_or(0),
    }
}

/// What one of its keys says; nothing where the settings are refused for having both or none.
fn stop_at(config: &StopAtConfig) -> Option<StopAtPlan> {
    match (config.width, config.difference_from) {
        (Some(width), None) => Some(StopAtPlan::Width(width)),
        (None, Some(mean)) => Some(StopAtPlan::DifferenceFrom(mean)),
        _ => None,
    }
}

/// (checkpoint, recorded completions), in steps.
pub(super) fn cadences(config: &LanguageExperimentConfig, steps: u64) -> (u64, u64) {
    (
        config.checkpoint.every.unwrap_or((steps / 10).max(1)),
        config.log_completions_every.unwrap_or((steps / 20).max(1)),
    )
}
