//! What a worker is asked about a model besides training: one task, one answer.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::{
    AsJson, AskedPrompt, CompletionRow, EvaluationRow, LanguagePlan, Message, ModelFault, ModelPrecision, NamedValue,
    PluginPlan, PromptText, ResumePoint, Sampling, Work,
};

/// A model, alone or with the adapters of a run's checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSource {
    /// Absolute path of a Hugging Face folder or a GGUF file.
    pub path: String,
    /// A PEFT adapter folder, or nothing.
    pub adapter: Option<String>,
    /// A run whose checkpoint has the weights, or nothing.
    pub run: Option<RunSource>,
    /// See [`crate::ModelPlan::thinking`].
    pub thinking: bool,
    /// See [`crate::ModelPlan::chat_template`].
    pub chat_template: Option<String>,
}

/// A run's trained weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSource {
    /// The text of its frozen plan, as the record keeps it.
    pub frozen: String,
    /// Where its model lies now: an absolute path.
    pub model_path: String,
    /// The checkpoint.
    pub checkpoint: ResumePoint,
}

impl RunSource {
    /// The frozen plan, on the model where it lies now.
    ///
    /// # Errors
    /// The text is no plan of a language model.
    pub fn plan(&self) -> Result<LanguagePlan, serde_json::Error> {
        let Work::LanguageModel(mut plan) = Work::from_json(&self.frozen)? else {
            return Err(serde_json::Error::custom("expected the plan of a language model"));
        };
        plan.model.path.clone_from(&self.model_path);
        Ok(*plan)
    }
}

/// How a run's held-out prompts are answered again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutSampling {
    /// How.
    pub sampling: Sampling,
    /// Rounds of refinement, K ≥ 0.
    pub rounds: u32,
    /// The run's judge, where it lies now; `None`: it has none.
    pub judge: Option<PluginPlan>,
    /// The plugin that the method is paid by, likewise.
    pub reward: Option<PluginPlan>,
    /// Prompts in the place of the plan's held-out ones.
    pub prompts: Option<Vec<AskedPrompt>>,
}

impl HeldOutSampling {
    /// Puts it into a run's plan.
    pub fn apply(&self, plan: &mut LanguagePlan) {
        plan.evaluation.sampling = self.sampling;
        plan.evaluation.rounds = self.rounds;
        if self.prompts.is_some() {
            // Files of others' responses answer the held-out prompts, not these.
            plan.evaluation.transfer.clear();
        }
        if let (Some(place), Some(judge)) = (&mut plan.judge, &self.judge) {
            place.plugin.clone_from(judge);
        }
        if let (Some(place), Some(reward)) = (plan.method.reward_mut(), &self.reward) {
            place.clone_from(reward);
        }
    }
}

/// How a text that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncation {
    /// Tokens that stay.
    pub max_tokens: u32,
    /// Where the others are taken from.
    pub side: TruncationSide,
}

/// A tokenizer's `truncation_side`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TruncationSide {
    /// The end is lost: what tokenizers do unless they are told otherwise.
    Right,
    /// The beginning is lost.
    Left,
}

/// A piece of work on a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ModelTask {
    /// What the model is: family, shapes, tensors, tokens, template. Answer: [`ModelAnswer::Description`].
    Inspect {
        /// The model.
        model: ModelSource,
    },
    /// Log-probabilities of a response. Answer: [`ModelAnswer::LogProbabilities`].
    LogProbabilities {
        /// The model.
        model: ModelSource,
        /// Before the response.
        prompt: PromptText,
        /// Tokenised on its own: no special token added, no end-of-sequence appended.
        response: String,
    },
    /// Values of a reward head. Answers: a [`ModelAnswer::Scored`] each, in order.
    Score {
        /// The model.
        model: ModelSource,
        /// Each ends with the response.
        conversations: Vec<Vec<Message>>,
        /// Of these labels, in this order; empty: of all.
        labels: Vec<String>,
        /// Of what is too long; `None`: it has no values.
        truncation: Option<Truncation>,
    },
    /// One answer a prompt. Answers: a [`ModelAnswer::Generated`] each, in order.
    Generate {
        /// The model.
        model: ModelSource,
        /// The prompts.
        prompts: Vec<PromptText>,
        /// How.
        sampling: Sampling,
        /// Answers sampled at once.
        batch_size: u32,
        /// Decides the draws.
        seed: u64,
    },
    /// The Leader's answer (or a given one) and rounds of the Follower's refinements. Answers: a
    /// [`ModelAnswer::Generated`] a round, from round 0.
    Refine {
        /// The run whose Follower (and Leader) answer.
        model: ModelSource,
        /// Another model that gives the first response.
        from: Option<ModelSource>,
        /// The conversation.
        messages: Vec<Message>,
        /// Rounds of refinement, K ≥ 0.
        rounds: u32,
        /// How.
        sampling: Sampling,
        /// Decides the draws.
        seed: u64,
    },
    /// Everybody's answers to held-out prompts at a run's checkpoint, as its last evaluation samples them. Answers: a
    /// [`ModelAnswer::HeldOut`] each, prompt by prompt.
    HeldOut {
        /// The run.
        run: RunSource,
        /// How, and to what.
        asked: AsJson<HeldOutSampling>,
    },
    /// Where policies that are restricted to closed sets stand before the first step, on the plan's device. Answer: [`ModelAnswer::Start`].
    Start {
        /// The text of a frozen plan of a language model.
        frozen: String,
    },
    /// Writes a plain Hugging Face folder (safetensors). Answer: [`ModelAnswer::Written`].
    Export {
        /// The model; adapters are merged into the weights.
        model: ModelSource,
        /// An absolute folder that does not exist yet.
        folder: String,
        /// Only the adapter, in PEFT's format.
        adapter_only: bool,
    },
}

/// A task with what it runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// `auto`, `cpu`, `cuda`, `cuda:1`.
    pub device: String,
    /// Threads of libtorch.
    pub threads: u32,
    /// `None`: f32 on a CPU, bf16 on CUDA.
    pub precision: Option<ModelPrecision>,
    /// What to do.
    pub task: ModelTask,
}

/// What a task found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ModelAnswer {
    /// A JSON object: `family`, `parameters`, `layers`, `hidden_size`, …, `tensors` (name, type, shape).
    Description(String),
    /// Token by token; natural logarithms at temperature 1.
    LogProbabilities {
        /// Of the response.
        token_ids: Vec<u32>,
        /// Vocabulary pieces.
        tokens: Vec<String>,
        /// One a token.
        logprobs: Vec<f64>,
    },
    /// Values of a reward head.
    Scored {
        /// Index of the conversation.
        index: u32,
        /// Of the conversation, as it was scored.
        token_count: u32,
        /// In the order of the labels.
        outcome: Result<Vec<NamedValue>, ModelFault>,
    },
    /// One answer.
    Generated {
        /// Index of the prompt, or the round of a refinement.
        index: u32,
        /// Decoded, without the end-of-sequence token.
        text: String,
        /// As sampled.
        token_ids: Vec<u32>,
        /// Whether it ended by itself.
        finished: bool,
    },
    /// One answer to a held-out prompt, its verdict missing.
    HeldOut(CompletionRow),
    /// Gaps and distances before the first step, on training and on held-out prompts.
    Start {
        /// As an evaluation at step 0 records them.
        rows: Vec<EvaluationRow>,
        /// What its reader should know.
        note: Option<String>,
    },
    /// A folder was written.
    Written {
        /// Absolute path.
        folder: String,
        /// File names with their sizes in bytes.
        files: Vec<(String, u64)>,
    },
}
