//! A language-model experiment's TOML as types. Everything that has a default is optional here; `resolve` fills it in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use slhf_plan::{
    AnswerReference, Gradient, ImportanceLevel, LanguageMethodTable, Limits, ModelGrant, ModelPrecision, ModelShape,
    ModelWeights, OnBadRow, OnFailure, OverLong, PairLayout, PluginReference, PromptLayout,
};

use crate::config::{AxisConfig, CheckpointConfig, JudgeConfig, ScheduleConfig, SeedsConfig};

/// One experiment on a language model: a model, prompts, a judge, a method, a schedule, and the grid over them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageExperimentConfig {
    /// The experiment's name; default: the file's stem.
    pub name: Option<String>,
    /// The question it asks, in a sentence.
    pub question: Option<String>,
    /// What is trained.
    pub kind: LanguageKind,
    /// The seeds of every cell; default: `[1]`.
    pub seeds: Option<SeedsConfig>,
    /// The model.
    pub model: ModelConfig,
    /// The prompts, or pairs of responses.
    pub data: DataConfig,
    /// Who judges pairs of responses, in training and in evaluations; default: nobody, which dpo, ipo and sft-chosen alone can do without.
    pub judge: Option<JudgeConfig>,
    /// The method.
    pub method: LanguageMethodTable,
    /// How fast Leader and Follower learn.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Restricts policies to closed sets of responses, so that the solution of every prompt is known; default: absent, unless `data.answers` is
    /// given.
    pub answers: Option<AnswersConfig>,
    /// Where it is computed.
    #[serde(default)]
    pub device: LanguageDeviceConfig,
    /// When and how it is measured on held-out prompts.
    #[serde(default)]
    pub evaluation: LanguageEvaluationConfig,
    /// When its state is written to disk; default: ten times a run.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// Completions are recorded every so many steps, the first included; 0: never; default: twenty times a run.
    pub log_completions_every: Option<u64>,
    /// The axes of the grid.
    #[serde(default)]
    pub ablation: Vec<AxisConfig>,
}

/// `kind` of a language-model experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LanguageKind {
    /// Leader and Follower are language models.
    LanguageModel,
}

/// The model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// A model that the set-up provides (`smollm2-135m-instruct`), a Hugging Face folder, or a GGUF file; paths are
    /// relative to this TOML.
    pub path: String,
    /// The model's shape, under the names of its `config.json`: `check` and `run --dry-run` do without a model that is not here yet.
    pub shape: Option<ModelShape>,
    /// Which parameters are trained; default: low-rank adapters.
    #[serde(default)]
    pub adapter: AdapterConfig,
    /// `packed`: weights stay as the model's file has them and are unpacked as they are multiplied with, in f32: faster, and less memory.
    /// `f32`: unpacked on load, the only one on CUDA, in bf16 and where all weights are trained; default: `packed` where it can be.
    pub weights: Option<ModelWeights>,
    /// Recompute each layer's activations in the backward pass: less memory, a third more time; default: false.
    pub activation_checkpointing: Option<bool>,
    /// Qwen3's `enable_thinking`, passed to the chat template; default: false.
    pub thinking: Option<bool>,
    /// A file with a chat template (Jinja), relative to this TOML, in the place of the model's own; default: the model's own.
    /// A base model has none.
    pub chat_template: Option<String>,
}

/// What is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// Low-rank adapters over the frozen model.
    #[default]
    Lora,
    /// All weights.
    Full,
}

/// Which parameters are trained.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// Low-rank adapters or all weights; default: `lora`.
    pub kind: Option<AdapterKind>,
    /// Rank of A and B; default: 16.
    pub lora_r: Option<u32>,
    /// The product B A is scaled by `lora_alpha / lora_r`; default: 32.
    pub lora_alpha: Option<f64>,
    /// Probability that an input of A is dropped in training; default: 0.
    pub lora_dropout: Option<f64>,
    /// Linear layers with an adapter; default: all seven (`q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`,
    /// `up_proj`, `down_proj`).
    pub lora_target_modules: Option<Vec<String>>,
}

/// How a file of data is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DataLayout")]
pub enum DataLayoutConfig {
    /// Prompts: one JSON object a line, or a JSON list of objects: `prompt` (text) or `messages` (list of `{role, content}`), else `chosen` and
    /// `rejected`, which begin with the prompt; the rest is metadata.
    Jsonl,
    /// Prompts: a Parquet table with the columns of `jsonl`.
    Parquet,
    /// Prompts: plain text, one a line; empty lines and lines that start with `#` are skipped.
    Text,
    /// `HelpSteer2`: two consecutive rows with `prompt`, `response` and ratings. Prompts, or pairs of responses.
    HelpSteer2,
    /// `UltraFeedback`: `instruction` and `completions`, each with `response` and ratings (of prompts also Parquet with `prompt`, `chosen`,
    /// `rejected`). Prompts, or pairs of responses.
    UltraFeedback,
    /// Pairs: JSON objects with `chosen` and `rejected` (texts or lists of messages), or `responses` with `p_second` or `label`; `prompt` or
    /// `messages`, or else what both responses begin with.
    Pairs,
    /// Pairs: `chosen` and `rejected` as transcripts with `\n\nHuman:` and `\n\nAssistant:` turns, whose common beginning is the prompt.
    Transcripts,
}

impl DataLayoutConfig {
    /// Of prompts, where it can be.
    pub(super) fn of_prompts(self) -> Option<PromptLayout> {
        match self {
            Self::Jsonl => Some(PromptLayout::Jsonl),
            Self::Parquet => Some(PromptLayout::Parquet),
            Self::Text => Some(PromptLayout::Text),
            Self::HelpSteer2 => Some(PromptLayout::HelpSteer2),
            Self::UltraFeedback => Some(PromptLayout::UltraFeedback),
            Self::Pairs | Self::Transcripts => None,
        }
    }

    /// Of pairs of responses, where it can be.
    pub(super) fn of_pairs(self) -> Option<PairLayout> {
        match self {
            Self::Pairs => Some(PairLayout::Pairs),
            Self::Transcripts => Some(PairLayout::Transcripts),
            Self::HelpSteer2 => Some(PairLayout::HelpSteer2),
            Self::UltraFeedback => Some(PairLayout::UltraFeedback),
            Self::Jsonl | Self::Parquet | Self::Text => None,
        }
    }
}

/// The data: prompts, to which responses are sampled, or pairs of responses; one of `prompts` and `pairs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A file of prompts, relative to this TOML; default: none, with `pairs`.
    pub prompts: Option<String>,
    /// A file of preferences, relative to this TOML, from whose pairs of responses dpo, ipo and sft-chosen learn; `run --data` names another one;
    /// default: none, with `prompts`.
    pub pairs: Option<String>,
    /// How the file is laid out; default: of prompts by its name (`.jsonl`, `.json`, `.parquet`, `.txt`), of pairs `pairs`.
    pub layout: Option<DataLayoutConfig>,
    /// Of `pairs` in layouts of ratings: the rating that decides which response is better; default: `helpfulness` of `HelpSteer2`,
    /// `overall_score` of `UltraFeedback`.
    pub attribute: Option<String>,
    /// Of `pairs`: those that are trained on, at most, in the order of the file; default: all.
    pub training_pairs: Option<u64>,
    /// Of `pairs`: tokens of a response, the one that ends it included; longer ones are left out with their pair, or cut (`over_long`);
    /// default: 512.
    pub max_response_tokens: Option<u32>,
    /// Prompts kept for evaluation and never trained on, with all of their pairs; default: 128, of `pairs` a tenth of the prompts.
    pub held_out: Option<u32>,
    /// Decides which prompts are held out (and ties that ratings of `pairs` leave open); default: 0, the same for every seed.
    pub split_seed: Option<u64>,
    /// Tokens of a rendered prompt; default: 512.
    pub max_prompt_tokens: Option<u32>,
    /// What becomes of longer prompts, and of longer responses of `pairs`; default: `drop`.
    pub over_long: Option<OverLong>,
    /// A system message put before every prompt that has none; default: none.
    pub system: Option<String>,
    /// What becomes of rows that cannot be used; default: `error`.
    pub on_bad_row: Option<OnBadRow>,
    /// A closed set of 2 to 12 responses for every prompt; default: with `[answers]`, the list `"answers"` of each row.
    pub answers: Option<Vec<String>>,
    /// What is known of a file that is not here yet: `check` and `run --dry-run` do without it.
    pub shape: Option<PromptsShape>,
}

/// Policies restricted to closed sets of responses: π(a | x) ∝ exp ℓ(a | x), with ℓ the sum of the log-probabilities of a response's tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersConfig {
    /// What policies are held to: `uniform` over the set, or the frozen `model`, restricted to it; default: `uniform`.
    pub reference: Option<AnswerReference>,
    /// `exact`: every response and every pair of responses is scored. `sampled`: responses are drawn from the restricted policies, `num_generations`
    /// a prompt; default: `exact`.
    pub gradient: Option<Gradient>,
}

/// What is known of a file of prompts that is not here yet.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptsShape {
    /// Tokens of a rendered prompt, on average.
    pub prompt_tokens: u32,
}

/// Where a run is computed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageDeviceConfig {
    /// `auto`, `cpu`, `cuda` or `cuda:N`; default: `auto`.
    pub name: Option<String>,
    /// Threads of libtorch; default: 2. A setting, never derived from `--jobs`: sums depend on it.
    pub threads: Option<u32>,
    /// Of weights and activations; default: `f32` on a CPU, `bf16` on CUDA.
    pub precision: Option<ModelPrecision>,
    /// Processes that compute one run together on a CPU, each with so many threads; default: 1. To the same bits whatever their number on packed
    /// weights, else to bits of this number.
    pub processes: Option<u32>,
    /// Seconds that rank 0 waits for the share of another process before the run is interrupted; default: 600.
    pub process_timeout_s: Option<u32>,
    /// A server that samples all responses of training and evaluations; default: the device samples itself.
    pub sampler: Option<SamplerConfig>,
}

/// A server with vLLM's interface that samples: the run's adapters are given to it as folders, anew after every update.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// The base of its interface, like `http://127.0.0.1:8000/v1`; nothing else is reachable.
    pub server: String,
    /// The model without adapters, as the server names it: it must be the one at `model.path`; default: `model.path`.
    pub model: Option<String>,
    /// The name of the environment's variable that holds the server's key; default: no key is sent.
    pub key_env: Option<String>,
    /// Requests in flight at the server, one for each response, with those of other runs of the command; default: 64.
    pub concurrency: Option<u32>,
    /// Seconds for one request; default: 600.
    pub timeout_s: Option<f64>,
    /// How often a request is made again that the server refused for the moment; default: 4.
    pub retries: Option<u32>,
    /// Tokens that one run may spend at the server; where they are spent, it is interrupted; default: no limit.
    pub budget_tokens: Option<u64>,
    /// The record's folder of checkpoints as the server sees it, where it has another path there; default: the same path.
    pub folder_on_server: Option<String>,
    /// Weighs samples by how much likelier they are under the trained policy than under the server's; default: they are not weighed.
    pub importance: Option<ImportanceConfig>,
}

/// Truncated importance weights.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportanceConfig {
    /// No weight is above it; default: 2.
    pub truncate_at: Option<f64>,
    /// `token`: every token has a weight. `sequence`: everything that was sampled in one go has one; default: `token`.
    pub level: Option<ImportanceLevel>,
}

/// A held-out plugin, on which no policy is trained: a name, and what `[judge]` has. (Written out: serde cannot refuse unknown keys beside
/// flattened ones.)
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedPluginConfig {
    /// What it is called, as in `win_rate[name]` and `measure[name]`; default: the plugin's name.
    pub name: Option<String>,
    /// A shipped plugin's name, or the path of a `.wasm` file relative to this TOML.
    pub plugin: String,
    /// Its parameters, checked against its own schema; default: none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub parameters: Option<toml::Table>,
    /// Its limits.
    pub limits: Option<Limits>,
    /// What becomes of items that it declares failed; default: `abort`.
    pub on_failure: Option<OnFailure>,
    /// The plugin that it wraps, if it is a combinator.
    pub upstream: Option<Box<PluginReference>>,
    /// The models that it may ask, by name.
    pub models: Option<BTreeMap<String, ModelGrant>>,
}

/// When enough is known of a pair of policies: one of `width` and `difference_from`. Prompts are drawn in a random order, without replacement;
/// the bounds may be looked at all the time (betting, arXiv 2010.09686).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopAtConfig {
    /// The 95 % interval of the win rate of these trained policies on these prompts is so narrow; above 0 and below 1; default: none.
    pub width: Option<f64>,
    /// That win rate differs from this one: a claim of all pairs together, of which 5 % may be wrong (e-BH, arXiv 2009.02824); above 0 and
    /// below 1; default: none.
    pub difference_from: Option<f64>,
}

/// Others whose responses to the held-out prompts are compared with the Leader's, and refined by the Follower: one of
/// `responses` and `model`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferConfig {
    /// What they are called: the Follower's refinements of their responses are `follower(name)`.
    pub name: String,
    /// A JSONL file of `{"prompt": …, "response": …}` with a response to each held-out prompt, relative to this TOML; where prompts
    /// share their text, `messages` (the conversation) or `prompt_id` names them.
    pub responses: Option<String>,
    /// Another model, which responds as the run's policies are sampled in evaluations: named as `model.path` names one.
    pub model: Option<String>,
    /// Of `model`: see `model.chat_template`.
    pub chat_template: Option<String>,
    /// Of `model`: see `model.thinking`.
    pub thinking: Option<bool>,
}

impl NamedPluginConfig {
    /// As `[judge]` would say it.
    pub fn judge(&self) -> JudgeConfig {
        JudgeConfig {
            plugin: self.plugin.clone(),
            parameters: self.parameters.clone(),
            limits: self.limits,
            models: self.models.clone(),
            on_failure: self.on_failure,
            upstream: self.upstream.clone(),
        }
    }
}

/// How far the trained pair may be from its equilibrium. Responses are sampled as in training (`method.temperature`,
/// `method.max_new_tokens`).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// Responses of the Follower and of its reference to each of the Leader's: 16 to 4096; there is no default.
    pub samples: u32,
    /// Of each gap's bounds, above 0 and below 1; default: 0.95.
    pub confidence: Option<f64>,
    /// Responses of the Leader's reference to each prompt, each with `samples` of the Follower's reference: up to 4096; default: 0, no
    /// bounds of the Leader's gap.
    pub leader_samples: Option<u32>,
}

/// When and how a run is measured on held-out prompts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageEvaluationConfig {
    /// Steps between evaluations, step 0 included; 0: only at the end; default: a quarter of the run.
    pub every: Option<u64>,
    /// Held-out prompts of an evaluation on the way, the last one uses all; default: 32, or all where there are fewer.
    pub prompts: Option<u32>,
    /// Rows generated at once; default: 16.
    pub batch_size: Option<u32>,
    /// Rounds of refinement by the Follower, where there is one, in the last evaluation: 1 to 16; default: 1.
    pub rounds: Option<u32>,
    /// Which pairs of policies are asked about, and so corrected for together: "all", or "against:NAME" for those of one policy,
    /// such as "against:reference"; default: all.
    pub family: Option<String>,
    /// When `slhf-lab evaluate` knows enough of a pair of policies and asks the judge no more about it; evaluations of a run ask about
    /// every prompt. No run depends on it; default: when all prompts were asked.
    pub stop_at: Option<StopAtConfig>,
    /// Bounds of the Follower's and the Leader's gap on the held-out prompts, from samples of the last evaluation, for
    /// `stackelberg-gda`; default: none.
    pub certificate: Option<CertificateConfig>,
    /// Judges other than the training judge, at most 8: every evaluation asks them too, and so does `slhf-lab evaluate`.
    pub judges: Option<Vec<NamedPluginConfig>>,
    /// `reward` plugins that score every response of an evaluation; no policy is trained on them. At most 8.
    pub measures: Option<Vec<NamedPluginConfig>>,
    /// Others whose responses are compared with the Leader's and refined in the last evaluation, at most 8.
    pub transfer: Option<Vec<TransferConfig>>,
    /// Logits are divided by it, 0: the most likely token; default: the method's.
    pub temperature: Option<f64>,
    /// Sample only the most likely so many tokens, 0: all; default: the method's.
    pub top_k: Option<u32>,
    /// Sample only the most likely tokens whose probabilities reach this sum; default: the method's.
    pub top_p: Option<f64>,
    /// Tokens of one response; default: the method's.
    pub max_new_tokens: Option<u32>,
}
