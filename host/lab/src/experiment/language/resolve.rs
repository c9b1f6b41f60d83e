//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::{
    AdapterPlan, ControlVariate, Curve, Kappa, LanguageEvaluationPlan, LanguageMethod, LanguageRloo,
    LanguageStackelbergGda, LanguageTraining, ModelDevicePlan, ModelOptimizer, ModelPrecision, Parameters, PluginPlan,
    Realisation, Sampling, Schedule,
};

use super::super::config::{BaselineConfig, ScheduleConfig};
use super::config::{
    AdapterConfig, AdapterKind, LanguageDeviceConfig, LanguageEvaluationConfig, LanguageExperimentConfig,
    LanguageMethodConfig, LanguageMethodKind, OptimizerKind,
};

/// The linear layers of a decoder's block.
pub(super) const LINEAR_LAYERS: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// The Follower's instruction in the paper's code.
const INSTRUCTION: &str = "Improve the previous answer. Phrase it as if it was the original response.";

pub(super) fn adapter(config: &AdapterConfig) -> AdapterPlan {
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

/// Plugins that a method names, found and checked.
#[derive(Clone, Debug, Default)]
pub(super) struct MethodPlugins {
    pub(super) baseline: Option<ControlVariate>,
    pub(super) reward: Option<PluginPlan>,
}

pub(super) fn method(config: &LanguageMethodConfig, plugins: MethodPlugins) -> LanguageMethod {
    let rloo = config.name == LanguageMethodKind::Rloo;
    let given = config.score_baseline.as_ref().and_then(BaselineConfig::without_plugin);
    let usual = if rloo { ControlVariate::LeaveOneOut } else { ControlVariate::Constant { value: 0.5 } };
    let beta = config.beta.unwrap_or(0.001);
    let training = LanguageTraining {
        steps: config.steps.unwrap_or(200),
        prompts_per_step: config.prompts_per_step.unwrap_or(8),
        num_generations: config.num_generations.unwrap_or(if rloo { 2 } else { 1 }),
        micro_batch_size: config.micro_batch_size.unwrap_or(8),
        sampling: Sampling {
            temperature: config.temperature.unwrap_or(1.0),
            top_k: config.top_k.unwrap_or(0),
            top_p: config.top_p.unwrap_or(1.0),
            max_new_tokens: config.max_new_tokens.unwrap_or(64),
        },
        beta,
        kl_gradient: config.kl_gradient.unwrap_or_default(),
        kl_estimator: config.kl_estimator.unwrap_or_default(),
        score_baseline: plugins.baseline.or(given).unwrap_or(usual),
        missing_eos_penalty: config.missing_eos_penalty.unwrap_or(0.0),
        optimizer: optimizer(config),
        max_grad_norm: config.max_grad_norm.unwrap_or(1.0),
    };
    match config.name {
        LanguageMethodKind::Rloo => LanguageMethod::Rloo(LanguageRloo { training, reward: plugins.reward }),
        LanguageMethodKind::StackelbergGda => LanguageMethod::StackelbergGda(LanguageStackelbergGda {
            training,
            parameters: config.parameters.unwrap_or_default(),
            follower_beta: config.follower_beta.unwrap_or(beta),
            follower_reference: config.follower_reference.unwrap_or_default(),
            instruction: config.instruction.clone().unwrap_or_else(|| INSTRUCTION.to_owned()),
        }),
    }
}

fn optimizer(config: &LanguageMethodConfig) -> ModelOptimizer {
    match config.optimizer.unwrap_or_default() {
        OptimizerKind::Sgd => ModelOptimizer::Sgd,
        OptimizerKind::Adamw => ModelOptimizer::Adamw {
            adam_beta1: config.adam_beta1.unwrap_or(0.9),
            adam_beta2: config.adam_beta2.unwrap_or(0.999),
            adam_epsilon: config.adam_epsilon.unwrap_or(1e-8),
            weight_decay: config.weight_decay.unwrap_or(0.0),
        },
    }
}

/// The schedule. What a method with one policy has no use for is set to one value.
pub(super) fn schedule(config: &ScheduleConfig, method: &LanguageMethod, adapter: &AdapterPlan) -> Schedule {
    // Adapters start at zero and are few, so they take ten times the rate that whole models take.
    let rate = if matches!(adapter, AdapterPlan::Full) { 1e-5 } else { 1e-4 };
    let learning_rate = config.learning_rate.unwrap_or(Curve::Constant { value: rate });
    let warmup_steps = config.warmup_steps.unwrap_or(0);
    let LanguageMethod::StackelbergGda(game) = method else {
        return Schedule {
            realisation: Realisation::LossWeight,
            kappa: Kappa::Constant { value: 1.0 },
            learning_rate,
            follower_learning_rate: None,
            warmup_steps,
        };
    };
    let usual = match game.parameters {
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
pub(super) fn device(
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
    Ok(ModelDevicePlan { precision: config.precision.unwrap_or(usual), name, threads })
}

pub(super) fn evaluation(
    config: &LanguageEvaluationConfig,
    training: &LanguageTraining,
    held_out: u32,
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
    }
}

/// (checkpoint, recorded completions), in steps.
pub(super) fn cadences(config: &LanguageExperimentConfig, steps: u64) -> (u64, u64) {
    (
        config.checkpoint.every.unwrap_or((steps / 10).max(1)),
        config.log_completions_every.unwrap_or((steps / 20).max(1)),
    )
}
