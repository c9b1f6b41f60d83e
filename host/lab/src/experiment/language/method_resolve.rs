//! From `[method]` to the method with all of its settings.

use slhf_plan::{
    ControlVariate, Curve, KlGradient, LanguageBestOfN, LanguageGrpo, LanguageInpo, LanguageMethod, LanguageNashMd,
    LanguageOnlineDpo, LanguageOnlineIpo, LanguageRloo, LanguageSelfRefinement, LanguageSft, LanguageSppo,
    LanguageStackelbergGda, LanguageTraining, ModelOptimizer, PluginPlan, RewardModelPlan, Sampling,
};

use super::super::config::BaselineConfig;
use super::method_config::{LanguageMethodConfig, LanguageMethodKind as Kind, OptimizerKind};

/// The Follower's instruction in the paper's code.
const INSTRUCTION: &str = "Improve the previous answer. Phrase it as if it was the original response.";
/// η of SPPO's authors.
const SPPO_ETA: f64 = 1000.0;
/// η / τ of INPO's authors.
const INPO_ETA_OF_BETA: f64 = 3.0;
/// Pairs that a reward model is fit to.
const REWARD_MODEL_PAIRS: u32 = 256;

/// Plugins that a method names, found and checked.
#[derive(Clone, Debug, Default)]
pub(super) struct MethodPlugins {
    pub(super) baseline: Option<ControlVariate>,
    pub(super) reward: Option<PluginPlan>,
}

/// The method; settings that it does not have are refused elsewhere.
pub(super) fn method(config: &LanguageMethodConfig, plugins: MethodPlugins) -> LanguageMethod {
    let training = training(config, plugins.baseline);
    let reward = plugins.reward;
    let reward_model = config
        .reward_model
        .map(|model| RewardModelPlan { pairs: model.pairs.unwrap_or(REWARD_MODEL_PAIRS), l2: model.l2 });
    let labels = config.labels.unwrap_or_default();
    let num_iterations = config.num_iterations.unwrap_or(1);
    let instruction = || config.instruction.clone().unwrap_or_else(|| INSTRUCTION.to_owned());
    match config.name {
        Kind::StackelbergGda => LanguageMethod::StackelbergGda(LanguageStackelbergGda {
            parameters: config.parameters.unwrap_or_default(),
            follower_beta: config.follower_beta.unwrap_or(training.beta),
            follower_reference: config.follower_reference.unwrap_or_default(),
            instruction: instruction(),
            training,
        }),
        Kind::Rloo => LanguageMethod::Rloo(LanguageRloo { training, reward, reward_model }),
        Kind::Grpo => LanguageMethod::Grpo(LanguageGrpo {
            training,
            reward,
            reward_model,
            scale_rewards: config.scale_rewards.unwrap_or_default(),
            loss_type: config.loss_type.unwrap_or_default(),
            epsilon: config.epsilon.unwrap_or(0.2),
            num_iterations,
        }),
        Kind::NashMd => LanguageMethod::NashMd(LanguageNashMd {
            training,
            mixture_coef: config.mixture_coef.unwrap_or(Curve::Constant { value: 0.0 }),
        }),
        Kind::OnlineDpo => LanguageMethod::OnlineDpo(LanguageOnlineDpo { training, labels }),
        Kind::OnlineIpo => LanguageMethod::OnlineIpo(LanguageOnlineIpo { training, labels }),
        Kind::Sppo => {
            LanguageMethod::Sppo(LanguageSppo { training, eta: config.eta.unwrap_or(SPPO_ETA), num_iterations })
        }
        Kind::Inpo => LanguageMethod::Inpo(LanguageInpo {
            eta: config.eta.unwrap_or(INPO_ETA_OF_BETA * training.beta),
            training,
            num_iterations,
            labels,
        }),
        Kind::Sft => LanguageMethod::Sft(LanguageSft { training, labels }),
        Kind::BestOfN => LanguageMethod::BestOfN(LanguageBestOfN { training, reward }),
        Kind::SelfRefinement => LanguageMethod::SelfRefinement(LanguageSelfRefinement {
            training,
            rounds: config.rounds.unwrap_or(1),
            instruction: instruction(),
        }),
    }
}

/// What the methods have in common.
fn training(config: &LanguageMethodConfig, baseline: Option<ControlVariate>) -> LanguageTraining {
    let given = config.score_baseline.as_ref().and_then(BaselineConfig::without_plugin);
    let usual_baseline = match config.name {
        Kind::Rloo => ControlVariate::LeaveOneOut,
        _ => ControlVariate::Constant { value: 0.5 },
    };
    let usual_generations = match config.name {
        Kind::StackelbergGda | Kind::NashMd | Kind::SelfRefinement => 1,
        Kind::BestOfN => 4,
        _ => 2,
    };
    let usual_beta = if matches!(config.name, Kind::Sppo | Kind::Sft) { 0.0 } else { 0.001 };
    let usual_kl_gradient = match config.name {
        Kind::Grpo => KlGradient::DifferentiatedK3,
        _ => KlGradient::RewardToGo,
    };
    let is_trained = !matches!(config.name, Kind::BestOfN | Kind::SelfRefinement);
    LanguageTraining {
        steps: if is_trained { config.steps.unwrap_or(200) } else { 0 },
        prompts_per_step: config.prompts_per_step.unwrap_or(8),
        num_generations: config.num_generations.unwrap_or(usual_generations),
        micro_batch_size: config.micro_batch_size.unwrap_or(8),
        sampling: Sampling {
            temperature: config.temperature.unwrap_or(1.0),
            top_k: config.top_k.unwrap_or(0),
            top_p: config.top_p.unwrap_or(1.0),
            max_new_tokens: config.max_new_tokens.unwrap_or(64),
        },
        beta: config.beta.unwrap_or(usual_beta),
        kl_gradient: config.kl_gradient.unwrap_or(usual_kl_gradient),
        kl_estimator: config.kl_estimator.unwrap_or_default(),
        score_baseline: baseline.or(given).unwrap_or(usual_baseline),
        missing_eos_penalty: config.missing_eos_penalty.unwrap_or(0.0),
        optimizer: optimizer(config),
        max_grad_norm: config.max_grad_norm.unwrap_or(1.0),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpo_alone_has_the_published_kl_unless_another_is_asked_for() {
        let kl_gradient = |text: &str| {
            let config: LanguageMethodConfig = toml::from_str(text).unwrap();
            method(&config, MethodPlugins::default()).training().kl_gradient
        };
        assert_eq!(kl_gradient("name = 'grpo'"), KlGradient::DifferentiatedK3);
        assert_eq!(kl_gradient("name = 'grpo'\nkl_gradient = 'reward_to_go'"), KlGradient::RewardToGo);
        for name in ["stackelberg-gda", "rloo", "nash-md"] {
            assert_eq!(kl_gradient(&format!("name = '{name}'")), KlGradient::RewardToGo);
        }
    }
}
