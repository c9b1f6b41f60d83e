//! The frozen plan of a run that trains a reward model: a language model with a head of values in the place of its output matrix,
//! fit to preferences between responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CheckpointKeep, Curve, ModelDevicePlan, ModelOptimizer, ModelPlan, OnBadRow, OverLong, PairLayout};

/// Labels of one head, at most.
pub const HEAD_LABELS_MAX: usize = 256;

/// What an attribute's value is fit to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeLoss {
    /// The rating itself, by least squares (arXiv 2406.08673).
    #[default]
    Regression,
    /// Which response has the higher rating, by Bradley–Terry: a committee of scalar heads over one model, as in the experiments of
    /// arXiv 2512.16626.
    BradleyTerry,
}

/// What stands in the place of the output matrix, and what it is fit to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RewardHeadPlan {
    /// One value r: p(y ≻ y′) = σ(r(y) − r(y′)) (Bradley and Terry 1952).
    BradleyTerry {
        /// What a pair's strength is multiplied by to be its margin m in −log σ(r − r′ − m) (arXiv 2307.09288, equation 2); 0: none.
        margin: f64,
        /// Weight of (r(y) + r(y′))², which holds the rewards about 0 (arXiv 2312.09244, section 2); 0: none.
        centering: f64,
    },
    /// One value an attribute.
    Attributes {
        /// The attributes, in the order of the head's rows.
        labels: Vec<String>,
        /// What each is fit to.
        loss: AttributeLoss,
        /// As of Bradley–Terry; 0 with regression.
        centering: f64,
    },
    /// A vector v of 2k values: p(y ≻ y′) = σ(⟨R v(y), v(y′)⟩ / τ), R block-diagonal with blocks ((0, −1), (1, 0))
    /// (arXiv 2410.02197, section 3).
    GeneralPreference {
        /// k
        blocks: u32,
        /// τ, above 0.
        tau: f64,
    },
}

impl RewardHeadPlan {
    /// As a TOML has its `kind`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BradleyTerry { .. } => "bradley_terry",
            Self::Attributes { .. } => "attributes",
            Self::GeneralPreference { .. } => "general_preference",
        }
    }

    /// Names of the head's values, in the order of its rows.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        match self {
            Self::BradleyTerry { .. } => vec!["reward".to_owned()],
            Self::Attributes { labels, .. } => labels.clone(),
            Self::GeneralPreference { blocks, .. } => (0..2 * blocks).map(|index| format!("v{index}")).collect(),
        }
    }
}

/// The preferences of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairDataPlan {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its layout.
    pub layout: PairLayout,
    /// The rating that decides which response of a pair is better, in layouts of ratings; absent: the layout's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Prompts kept for evaluation with all of their pairs, never trained on; chosen by `split_seed`.
    pub held_out: u32,
    /// Decides which prompts are held out, and ties of ratings that nothing else decides.
    pub split_seed: u64,
    /// Pairs that are trained on, at most, in the order of the file; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_pairs: Option<u64>,
    /// Tokens of a conversation with its response.
    pub max_tokens: u32,
    /// What becomes of pairs with a longer one; truncation loses the end of the text, as tokenizers do unless told otherwise.
    pub over_long: OverLong,
    /// A system message put before every prompt that has none; empty: none.
    pub system: String,
    /// What becomes of rows that cannot be used.
    pub on_bad_row: OnBadRow,
}

/// How the parameters are moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardTraining {
    /// Optimizer steps.
    pub steps: u64,
    /// Pairs of a step.
    pub pairs_per_step: u32,
    /// Pairs of one pass; a step's passes are accumulated.
    pub micro_batch_size: u32,
    /// The first-order rule.
    pub optimizer: ModelOptimizer,
    /// Largest norm of the gradient; 0: not clipped.
    pub max_grad_norm: f64,
    /// The learning rate over the run.
    pub learning_rate: Curve,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
}

impl RewardTraining {
    /// The learning rate of `step` (from 1).
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        let rising = if step < self.warmup_steps { step as f64 / self.warmup_steps as f64 } else { 1.0 };
        self.learning_rate.at(step, self.steps) * rising
    }
}

/// What a finished run leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavedModel {
    /// A whole Hugging Face folder, adapters merged; adapters also by themselves, in PEFT's format.
    #[default]
    Merged,
    /// The adapter with its head alone: small, and no later experiment can name the run as its judge's model.
    Adapter,
}

/// One run that trains a reward model: a worker carries out exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardTrainingPlan {
    /// The run's number in the record.
    pub run: i64,
    /// The run's seed.
    pub seed: u64,
    /// Where it is computed.
    pub device: ModelDevicePlan,
    /// The model whose output matrix the head takes the place of.
    pub model: ModelPlan,
    /// The preferences.
    pub data: PairDataPlan,
    /// The head.
    pub head: RewardHeadPlan,
    /// How it is trained.
    pub training: RewardTraining,
    /// Steps between evaluations on the held-out pairs, the one before the first step included; 0: before the first and after the
    /// last alone.
    pub evaluation_every: u64,
    /// A checkpoint is written every so many steps, and when the run ends or is stopped.
    pub checkpoint_every: u64,
    /// See [`crate::CheckpointKeep`].
    #[serde(default, skip_serializing_if = "CheckpointKeep::is_usual")]
    pub checkpoint_keep: CheckpointKeep,
    /// What it leaves behind.
    pub save: SavedModel,
}

/// The kind of the artefact that is a whole reward model.
pub const REWARD_MODEL_ARTEFACT: &str = "reward-model";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_a_row_of_the_head() {
        let labels = |head: RewardHeadPlan| head.labels().join(" ");
        assert_eq!(labels(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.01 }), "reward");
        assert_eq!(labels(RewardHeadPlan::GeneralPreference { blocks: 2, tau: 1.0 }), "v0 v1 v2 v3");
        let named = vec!["b".to_owned(), "a".to_owned()];
        let head = RewardHeadPlan::Attributes { labels: named, loss: AttributeLoss::default(), centering: 0.0 };
        assert_eq!(labels(head), "b a");
    }

    #[test]
    fn a_rate_rises_over_the_first_steps() {
        let training = RewardTraining {
            steps: 10,
            pairs_per_step: 1,
            micro_batch_size: 1,
            optimizer: ModelOptimizer::Sgd,
            max_grad_norm: 0.0,
            learning_rate: Curve::Constant { value: 2.0 },
            warmup_steps: 4,
        };
        assert_eq!([1, 2, 4, 10].map(|step| training.rate(step)), [0.5, 1.0, 2.0, 2.0]);
    }
}
