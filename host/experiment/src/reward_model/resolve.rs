//! From one cell's settings to everything that its runs do: defaults filled in, nothing left open.

use slhf_plan::settings::Problems;
use slhf_plan::{AdapterPlan, AttributeLoss, Curve, ModelOptimizer, OptimizerKind, RewardHeadPlan, RewardTraining};

use super::config::{HeadConfig, RewardExperimentConfig, RewardTrainingConfig};

/// Of the paper's code (arXiv 2512.16626).
const CENTERING: f64 = 0.01;

/// The head; labels that nobody names are `known`.
pub(super) fn head(config: Option<&HeadConfig>, known: &[String]) -> RewardHeadPlan {
    match config {
        None => RewardHeadPlan::BradleyTerry { margin: 0.0, centering: CENTERING },
        Some(HeadConfig::BradleyTerry { margin, centering }) => {
            RewardHeadPlan::BradleyTerry { margin: margin.unwrap_or(0.0), centering: centering.unwrap_or(CENTERING) }
        }
        Some(HeadConfig::Attributes { labels, loss, centering }) => {
            let loss = loss.unwrap_or_default();
            let usual = if loss == AttributeLoss::BradleyTerry { CENTERING } else { 0.0 };
            RewardHeadPlan::Attributes {
                labels: labels.clone().unwrap_or_else(|| known.to_vec()),
                loss,
                centering: centering.unwrap_or(usual),
            }
        }
        Some(HeadConfig::GeneralPreference { blocks, tau }) => {
            RewardHeadPlan::GeneralPreference { blocks: blocks.unwrap_or(3), tau: tau.unwrap_or(1.0) }
        }
    }
}

/// How it is trained on so many pairs.
pub(super) fn training(config: &RewardExperimentConfig, adapter: &AdapterPlan, pairs: u64) -> RewardTraining {
    let given = &config.training;
    let pairs_per_step = given.pairs_per_step.unwrap_or(16);
    let passed = given.epochs.unwrap_or(1.0) * pairs as f64 / f64::from(pairs_per_step.max(1));
    // Adapters start at zero and are few, so they take ten times the rate that whole models take.
    let rate = if matches!(adapter, AdapterPlan::Full) { 1e-5 } else { 1e-4 };
    RewardTraining {
        steps: given.steps.unwrap_or(passed.ceil() as u64),
        pairs_per_step,
        micro_batch_size: given.micro_batch_size.unwrap_or(pairs_per_step.min(8)),
        optimizer: optimizer(given),
        max_grad_norm: given.max_grad_norm.unwrap_or(1.0),
        learning_rate: config.schedule.learning_rate.unwrap_or(Curve::Cosine { start: rate, end: 0.0 }),
        warmup_steps: config.schedule.warmup_steps.unwrap_or(0),
    }
}

fn optimizer(given: &RewardTrainingConfig) -> ModelOptimizer {
    match given.optimizer.unwrap_or_default() {
        OptimizerKind::Sgd => ModelOptimizer::Sgd,
        OptimizerKind::Adamw => ModelOptimizer::Adamw {
            adam_beta1: given.adam_beta1.unwrap_or(0.9),
            adam_beta2: given.adam_beta2.unwrap_or(0.999),
            adam_epsilon: given.adam_epsilon.unwrap_or(1e-8),
            weight_decay: given.weight_decay.unwrap_or(0.0),
        },
    }
}

/// What does not fit beside each other, whatever the data.
pub(super) fn check_settings(config: &RewardExperimentConfig, problems: &mut Problems) {
    let given = &config.training;
    if given.steps.is_some() && given.epochs.is_some() {
        problems.push("training.epochs", "given beside training.steps: both say how long the run is; give one of them");
    }
    if given.epochs.is_some_and(|epochs| !(epochs.is_finite() && epochs > 0.0)) {
        problems.push("training.epochs", "expected a finite number above 0");
    }
    if given.optimizer == Some(OptimizerKind::Sgd) {
        for (key, is_given) in [
            ("training.adam_beta1", given.adam_beta1.is_some()),
            ("training.adam_beta2", given.adam_beta2.is_some()),
            ("training.adam_epsilon", given.adam_epsilon.is_some()),
            ("training.weight_decay", given.weight_decay.is_some()),
        ] {
            if is_given {
                problems.push(key, "only adamw has it; remove it, or use optimizer = \"adamw\"");
            }
        }
    }
    if config.data.held_out == Some(0) {
        problems.push("data.held_out", "0; expected at least 1 prompt to evaluate on");
    }
    if config.data.training_pairs == Some(0) {
        problems.push("data.training_pairs", "0; expected at least 1 pair to train on");
    }
    if !(1..=1 << 20).contains(&config.data.max_tokens.unwrap_or(512)) {
        problems.push("data.max_tokens", "expected 1 to 1048576");
    }
    if i64::try_from(config.data.split_seed.unwrap_or(0)).is_err() {
        problems.push("data.split_seed", "expected a number below 2^63");
    }
}
