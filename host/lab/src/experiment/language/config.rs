//! A language-model experiment's TOML as types. Everything that has a default is optional here; `resolve` fills it in.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_plan::{FollowerReference, KlEstimator, KlGradient, ModelPrecision, OverLong, Parameters, PromptLayout};

use super::super::config::{
    AxisConfig, BaselineConfig, CadenceConfig, ConstantOr, JudgeConfig, PluginConfig, ScheduleConfig, SeedsConfig,
};

/// One experiment on a language model: a model, prompts, a judge, a method, a schedule, and the grid over them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageExperimentConfig {
    /// The experiment's name; default: the file's stem.
    pub(crate) name: Option<String>,
    /// The question it asks, in a sentence.
    pub(crate) question: Option<String>,
    /// What is trained.
    #[expect(dead_code, reason = "looked at before the rest is read; here for the schema")]
    pub(crate) kind: LanguageKind,
    /// The seeds of every cell; default: [1].
    pub(crate) seeds: Option<SeedsConfig>,
    /// The model.
    pub(crate) model: ModelConfig,
    /// The prompts.
    pub(crate) data: DataConfig,
    /// Who judges pairs of answers, in training and in evaluations.
    pub(crate) judge: JudgeConfig,
    /// The method.
    pub(crate) method: LanguageMethodConfig,
    /// How fast Leader and Follower learn.
    #[serde(default)]
    pub(crate) schedule: ScheduleConfig,
    /// Where it is computed.
    #[serde(default)]
    pub(crate) device: LanguageDeviceConfig,
    /// When and how it is measured on held-out prompts.
    #[serde(default)]
    pub(crate) evaluation: LanguageEvaluationConfig,
    /// When its state is written to disk; default: ten times a run.
    #[serde(default)]
    pub(crate) checkpoint: CadenceConfig,
    /// Completions are recorded every so many steps, the first included; 0: never; default: twenty times a run.
    pub(crate) log_completions_every: Option<u64>,
    /// The axes of the grid.
    #[serde(default)]
    #[expect(dead_code, reason = "expanded before a cell is read; here for the schema")]
    pub(crate) ablation: Vec<AxisConfig>,
}

/// `kind` of a language-model experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LanguageKind {
    /// Leader and Follower are language models.
    LanguageModel,
}

/// The model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelConfig {
    /// A model that the set-up provides (`smollm2-135m-instruct`), a Hugging Face folder, or a GGUF file; paths are
    /// relative to this TOML.
    pub(crate) path: String,
    /// Which parameters are trained; default: low-rank adapters.
    #[serde(default)]
    pub(crate) adapter: AdapterConfig,
    /// Recompute each layer's activations in the backward pass: less memory, a third more time; default: false.
    pub(crate) activation_checkpointing: Option<bool>,
    /// Qwen3's `enable_thinking`, passed to the chat template; default: false.
    pub(crate) thinking: Option<bool>,
}

/// What is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AdapterKind {
    /// Low-rank adapters over the frozen model.
    #[default]
    Lora,
    /// All weights.
    Full,
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdapterConfig {
    /// Default: `lora`.
    pub(crate) kind: Option<AdapterKind>,
    /// Rank of A and B; default: 16.
    pub(crate) lora_r: Option<u32>,
    /// The product B A is scaled by `lora_alpha / lora_r`; default: 32.
    pub(crate) lora_alpha: Option<f64>,
    /// Probability that an input of A is dropped in training; default: 0.
    pub(crate) lora_dropout: Option<f64>,
    /// Linear layers with an adapter; default: all seven (`q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`,
    /// `up_proj`, `down_proj`).
    pub(crate) lora_target_modules: Option<Vec<String>>,
}

/// The prompts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// The file, relative to this TOML.
    pub(crate) prompts: String,
    /// How the file is laid out; default: by its name (`.jsonl`, `.parquet`, `.txt`).
    pub(crate) layout: Option<PromptLayout>,
    /// Prompts kept for evaluation and never trained on; default: 128.
    pub(crate) held_out: Option<u32>,
    /// Decides which prompts are held out; default: 0, the same for every seed.
    pub(crate) split_seed: Option<u64>,
    /// Tokens of a rendered prompt; default: 512.
    pub(crate) max_prompt_tokens: Option<u32>,
    /// What becomes of longer prompts; default: `drop`.
    pub(crate) over_long: Option<OverLong>,
    /// A system message put before every prompt that has none; default: none.
    pub(crate) system: Option<String>,
}

/// The method's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LanguageMethodKind {
    /// Leader and Follower by gradient descent ascent (arXiv 2512.16626).
    StackelbergGda,
    /// REINFORCE with a leave-one-out baseline (arXiv 2402.14740).
    Rloo,
}

/// The first-order rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OptimizerKind {
    /// Adam with decoupled weight decay (arXiv 1711.05101).
    #[default]
    Adamw,
    /// Step = learning rate × gradient.
    Sgd,
}

/// The method with the settings it shares with the others, and its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageMethodConfig {
    /// Which.
    pub(crate) name: LanguageMethodKind,
    /// stackelberg-gda: one set of weights in both roles, or two adapters over one frozen model; default: `shared`.
    pub(crate) parameters: Option<Parameters>,
    /// Training steps, which are Leader updates; default: 200.
    pub(crate) steps: Option<u64>,
    /// Prompts a step; default: 8.
    pub(crate) prompts_per_step: Option<u32>,
    /// Leader samples of each prompt; default: 1 (rloo: 2).
    pub(crate) num_generations: Option<u32>,
    /// Sequences of one forward and backward pass; default: 8.
    pub(crate) micro_batch_size: Option<u32>,
    /// `τ_L`: weight of the Leader's KL divergence from the reference; default: 0.001.
    pub(crate) beta: Option<f64>,
    /// stackelberg-gda: `τ_F`, weight of the Follower's; default: `beta`.
    pub(crate) follower_beta: Option<f64>,
    /// How the KL term enters the gradient; default: `reward_to_go`.
    pub(crate) kl_gradient: Option<KlGradient>,
    /// The estimate used by `kl_gradient = "paper"`; default: `k1`.
    pub(crate) kl_estimator: Option<KlEstimator>,
    /// stackelberg-gda: what the Follower's reference is conditioned on; default: `context`.
    pub(crate) follower_reference: Option<FollowerReference>,
    /// What is subtracted from a score: a number, or a table; default: 0.5 (rloo: `{ kind = "leave_one_out" }`).
    #[schemars(with = "Option<ConstantOr<BaselineConfig>>")]
    pub(crate) score_baseline: Option<BaselineConfig>,
    /// Subtracted from the score of an answer that did not end by itself; default: 0.
    pub(crate) missing_eos_penalty: Option<f64>,
    /// stackelberg-gda: the user turn between y and y′; default: the paper's, "Improve the previous answer. Phrase it
    /// as if it was the original response."
    pub(crate) instruction: Option<String>,
    /// rloo: a `reward` plugin; default: the mean of the judge's verdicts against the other samples of the prompt.
    pub(crate) reward: Option<PluginConfig>,
    /// Default: `adamw`.
    pub(crate) optimizer: Option<OptimizerKind>,
    /// adamw: β₁; default: 0.9.
    pub(crate) adam_beta1: Option<f64>,
    /// adamw: β₂; default: 0.999.
    pub(crate) adam_beta2: Option<f64>,
    /// adamw: ε; default: 1e-8.
    pub(crate) adam_epsilon: Option<f64>,
    /// adamw: decay of matrices, vectors are never decayed; default: 0.
    pub(crate) weight_decay: Option<f64>,
    /// Largest norm of one agent's gradient; 0: not clipped; default: 1.
    pub(crate) max_grad_norm: Option<f64>,
    /// Logits are divided by it, in sampling and in training alike; default: 1.
    pub(crate) temperature: Option<f64>,
    /// Sample only the likeliest so many tokens; 0: all; default: 0.
    pub(crate) top_k: Option<u32>,
    /// Sample only the likeliest tokens whose probabilities reach this sum; default: 1, all.
    pub(crate) top_p: Option<f64>,
    /// Tokens of one answer, the end-of-sequence token included; default: 64.
    pub(crate) max_new_tokens: Option<u32>,
}

/// Where a run is computed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageDeviceConfig {
    /// `auto`, `cpu`, `cuda` or `cuda:N`; default: `auto`.
    pub(crate) name: Option<String>,
    /// Threads of libtorch; default: 2. A setting, never derived from `--jobs`: sums depend on it.
    pub(crate) threads: Option<u32>,
    /// Of weights and activations; default: `f32` on a CPU, `bf16` on CUDA.
    pub(crate) precision: Option<ModelPrecision>,
}

/// When and how a run is measured on held-out prompts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageEvaluationConfig {
    /// Steps between evaluations, step 0 included; 0: only at the end; default: a quarter of the run.
    pub(crate) every: Option<u64>,
    /// Held-out prompts of an evaluation on the way, the last one uses all; default: 32, or all where there are fewer.
    pub(crate) prompts: Option<u32>,
    /// Rows generated at once; default: 16.
    pub(crate) batch_size: Option<u32>,
    /// Default: the method's; 0: the likeliest token.
    pub(crate) temperature: Option<f64>,
    /// Default: the method's.
    pub(crate) top_k: Option<u32>,
    /// Default: the method's.
    pub(crate) top_p: Option<f64>,
    /// Default: the method's.
    pub(crate) max_new_tokens: Option<u32>,
}
