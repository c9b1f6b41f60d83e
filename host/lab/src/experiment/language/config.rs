//! A language-model experiment's TOML as types. Everything that has a default is optional here; `resolve` fills it in.

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_plan::{
    LanguageMethodTable, Limits, ModelPrecision, OnBadRow, OnFailure, OverLong, PluginReference, PromptLayout,
};

use super::super::config::{AxisConfig, CheckpointConfig, JudgeConfig, ScheduleConfig, SeedsConfig};

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
    /// The seeds of every cell; default: `[1]`.
    pub(crate) seeds: Option<SeedsConfig>,
    /// The model.
    pub(crate) model: ModelConfig,
    /// The prompts.
    pub(crate) data: DataConfig,
    /// Who judges pairs of responses, in training and in evaluations.
    pub(crate) judge: JudgeConfig,
    /// The method.
    pub(crate) method: LanguageMethodTable,
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
    pub(crate) checkpoint: CheckpointConfig,
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
    /// A file with a chat template (Jinja), relative to this TOML, in the place of the model's own; default: the model's own.
    /// A base model has none.
    pub(crate) chat_template: Option<String>,
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
    /// Low-rank adapters or all weights; default: `lora`.
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
    /// How the file is laid out; default: by its name (`.jsonl`, `.json`, `.parquet`, `.txt`).
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
    /// What becomes of rows that cannot be used; default: `error`.
    pub(crate) on_bad_row: Option<OnBadRow>,
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

/// A held-out plugin, on which no policy is trained: a name, and what `[judge]` has. (Written out: serde cannot refuse unknown keys beside
/// flattened ones.)
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedPluginConfig {
    /// What it is called, as in `win_rate[name]` and `measure[name]`; default: the plugin's name.
    pub(crate) name: Option<String>,
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub(crate) plugin: String,
    /// Its parameters, checked against its own schema; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) parameters: Option<toml::Table>,
    /// Its limits.
    pub(crate) limits: Option<Limits>,
    /// What becomes of items that it declares failed; default: `abort`.
    pub(crate) on_failure: Option<OnFailure>,
    /// The plugin that it wraps, if it is a combinator.
    pub(crate) upstream: Option<Box<PluginReference>>,
}

/// Others whose responses to the held-out prompts are compared with the Leader's, and refined by the Follower: one of
/// `responses` and `model`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferConfig {
    /// What they are called: the Follower's refinements of their responses are `follower(name)`.
    pub(crate) name: String,
    /// A JSONL file of `{"prompt": …, "response": …}` with a response to each held-out prompt, relative to this TOML; where prompts
    /// share their text, `messages` (the conversation) or `prompt_id` names them.
    pub(crate) responses: Option<String>,
    /// Another model, which responds as the run's policies are sampled in evaluations: named as `model.path` names one.
    pub(crate) model: Option<String>,
    /// Of `model`: see `model.chat_template`.
    pub(crate) chat_template: Option<String>,
    /// Of `model`: see `model.thinking`.
    pub(crate) thinking: Option<bool>,
}

impl NamedPluginConfig {
    /// As `[judge]` would say it.
    pub(crate) fn judge(&self) -> JudgeConfig {
        JudgeConfig {
            plugin: self.plugin.clone(),
            parameters: self.parameters.clone(),
            limits: self.limits,
            on_failure: self.on_failure,
            upstream: self.upstream.clone(),
        }
    }
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
    /// Rounds of refinement by the Follower, where there is one, in the last evaluation: 1 to 16; default: 1.
    pub(crate) rounds: Option<u32>,
    /// Which pairs of policies are asked about, and so corrected for together: "all", or "against:NAME" for those of one policy,
    /// such as "against:reference"; default: all.
    pub(crate) family: Option<String>,
    /// Judges other than the training judge, at most 8: every evaluation asks them too, and so does `slhf-lab evaluate`.
    pub(crate) judges: Option<Vec<NamedPluginConfig>>,
    /// `reward` plugins that score every response of an evaluation; no policy is trained on them. At most 8.
    pub(crate) measures: Option<Vec<NamedPluginConfig>>,
    /// Others whose responses are compared with the Leader's and refined in the last evaluation, at most 8.
    pub(crate) transfer: Option<Vec<TransferConfig>>,
    /// Logits are divided by it, 0: the most likely token; default: the method's.
    pub(crate) temperature: Option<f64>,
    /// Sample only the most likely so many tokens, 0: all; default: the method's.
    pub(crate) top_k: Option<u32>,
    /// Sample only the most likely tokens whose probabilities reach this sum; default: the method's.
    pub(crate) top_p: Option<f64>,
    /// Tokens of one response; default: the method's.
    pub(crate) max_new_tokens: Option<u32>,
}
