//! The frozen plan of one language-model run.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model_settings::Sampling;
use crate::{
    AnswerSetsPlan, CertificatePlan, CheckpointKeep, ComparisonFamily, DataLayout, JudgePlan, LanguageMethod,
    OnFailure, PluginPlan, SamplerPlan, Schedule, StopAtPlan,
};

/// Floating-point type of a model's weights and activations. Adapters, optimizer state, log-softmax and losses are f32
/// in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelPrecision {
    /// 32 bits: the default on a CPU.
    #[default]
    F32,
    /// bfloat16: the default on CUDA.
    Bf16,
}

/// How a model's frozen weights lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelWeights {
    /// Unpacked, in the run's precision; generation merges adapters into a copy. The only one before there were others.
    #[default]
    F32,
    /// As the model's file packs them. Products unpack a block in registers and multiply in f32; adapters stay beside them.
    Packed,
}

impl ModelWeights {
    /// Whether a plan leaves it out.
    #[must_use]
    pub fn is_old(&self) -> bool {
        *self == Self::F32
    }
}

/// The device of a language-model run, with nothing left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDevicePlan {
    /// `cpu`, `cuda:0`, …
    pub name: String,
    /// Threads of libtorch.
    pub threads: u32,
    /// Of weights and activations.
    pub precision: ModelPrecision,
    /// Processes that compute one run together. In the content hash where bits depend on their number: see [`Division`].
    #[serde(default = "one_process", skip_serializing_if = "is_one")]
    pub processes: u32,
    /// Seconds that a process may take for its share of a step before the run is interrupted; in no content hash.
    #[serde(default = "process_timeout_s", skip_serializing_if = "is_usual_timeout")]
    pub process_timeout_s: u32,
    /// A server that samples. Absent: the device samples itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerPlan>,
}

/// What several processes of one run do with its gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Those of every micro-batch are added at every process in the order of micro-batches: the bits of one process, whatever their number.
    BitsOfOne,
    /// Each adds those of its own micro-batches; they are added over processes at the step, and each process keeps the moments of its share of the
    /// parameters and moves that (ZeRO-1, arXiv 1910.02054). Bits of this number of processes.
    Sharded,
}

impl LanguagePlan {
    /// What its processes do, if there are several.
    #[must_use]
    pub fn division(&self) -> Division {
        // Products with packed weights do not depend on how many rows there are; others do.
        match self.model.weights {
            ModelWeights::Packed => Division::BitsOfOne,
            ModelWeights::F32 => Division::Sharded,
        }
    }
}

/// Seconds that a process may take where nobody says it.
pub const PROCESS_TIMEOUT_S: u32 = 600;

fn one_process() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(processes: &u32) -> bool {
    *processes == 1
}

fn process_timeout_s() -> u32 {
    PROCESS_TIMEOUT_S
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_usual_timeout(seconds: &u32) -> bool {
    *seconds == PROCESS_TIMEOUT_S
}

/// Which parameters are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AdapterPlan {
    /// Low-rank adapters (Hu et al., arXiv 2106.09685) with the fields of PEFT: `W x + lora_alpha / lora_r · B A x`.
    Lora {
        /// Rank of A and B.
        lora_r: u32,
        /// The product is scaled by `lora_alpha / lora_r`.
        lora_alpha: f64,
        /// Probability that an input of A is dropped in training.
        lora_dropout: f64,
        /// Names of linear layers: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
        lora_target_modules: Vec<String>,
    },
    /// All weights.
    Full,
}

/// A model that really lies on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPlan {
    /// As the experiment names it.
    pub name: String,
    /// Absolute path of a Hugging Face folder or a GGUF file.
    pub path: String,
    /// SHA-256 over the model's files (a folder: of the sorted lines `file-name␀sha256␊` of the files that are read).
    pub sha256: String,
    /// What is trained.
    pub adapter: AdapterPlan,
    /// How the frozen weights lie in memory; absent: `f32`.
    #[serde(default, skip_serializing_if = "ModelWeights::is_old")]
    pub weights: ModelWeights,
    /// Recompute each layer's activations in the backward pass.
    pub activation_checkpointing: bool,
    /// Qwen3's `enable_thinking`; passed to the chat template.
    pub thinking: bool,
    /// A chat template (Jinja) in the place of the model's own; absent: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
}

/// What becomes of a prompt that is longer than `max_prompt_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverLong {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// The oldest tokens of its last user message are cut away, and it is counted.
    Truncate,
}

/// What becomes of a row of a file of prompts that cannot be used: no JSON, no prompt, an empty last message, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// The file is refused, with the row and the reason.
    #[default]
    Error,
    /// It is left out, and counted.
    Skip,
}

impl OnBadRow {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::Error
    }
}

/// The data of a run: prompts, or pairs of responses with their prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPlan {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its layout.
    pub layout: DataLayout,
    /// Prompts kept for evaluation, never trained on; chosen by `split_seed`.
    pub held_out: u32,
    /// Decides which prompts are held out: the same for every run of an experiment unless an axis varies it.
    pub split_seed: u64,
    /// Tokens of a rendered prompt.
    pub max_prompt_tokens: u32,
    /// What becomes of longer ones.
    pub over_long: OverLong,
    /// A system message put before every prompt that has none; empty: none.
    pub system: String,
    /// What becomes of rows that cannot be used.
    #[serde(default, skip_serializing_if = "OnBadRow::is_usual")]
    pub on_bad_row: OnBadRow,
    /// How many rows of the file cannot be used and are left out.
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub skipped_rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_of_them(count: &u64) -> bool {
    *count == 0
}

/// The linear layers of a decoder's block, which adapters may be put on.
pub const LINEAR_LAYERS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// When and how a run is measured on held-out prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageEvaluationPlan {
    /// Steps between evaluations; 0: only at the end. Step 0 is evaluated where this is not 0.
    pub every: u64,
    /// Held-out prompts used in an evaluation on the way; the last one uses all.
    pub prompts: u32,
    /// How answers are sampled.
    pub sampling: Sampling,
    /// Rows generated at once.
    pub batch_size: u32,
    /// Rounds of refinement by the Follower, of the reference's answers and of the Leader's; 1 or more. Rounds after the
    /// first are sampled in the last evaluation alone.
    #[serde(default = "one_round")]
    pub rounds: u32,
    /// Which pairs of policies `slhf-lab evaluate` corrects its p-values over. No number of a run depends on it.
    #[serde(default, skip_serializing_if = "ComparisonFamily::is_default")]
    pub family: ComparisonFamily,
    /// When `slhf-lab evaluate` knows enough of a pair of policies. No number of a run depends on it. Absent: it asks all prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<StopAtPlan>,
    /// Bounds of the gaps in the last evaluation. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificatePlan>,
    /// Judges other than the training judge: what it rewards too much shows under them. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<EvaluationJudgePlan>,
    /// What else is measured of every answer. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<MeasurePlan>,
    /// Others whose answers to the held-out prompts are compared with the Leader's and refined, in the last evaluation. At
    /// most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfer: Vec<TransferPlan>,
    /// The cell's part of the key of evaluations' random streams: with one key for all cells their Leaders would share
    /// uniforms, and their differences would vary less than those of policies that answer on their own. The reference and other
    /// models answer alike in all cells. Absent: a plan of an earlier version, whose cells share streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<NonZeroU32>,
}

/// A judge that nobody is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationJudgePlan {
    /// What it is called in evaluations: its win rate is `win_rate[name]`.
    pub name: String,
    /// The judge.
    pub judge: JudgePlan,
}

/// A `reward` plugin that nobody is trained on: it scores every answer of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurePlan {
    /// What it is called in evaluations: its mean score is `measure[name]`, the mean of an attribute `measure[name]/attribute`.
    pub name: String,
    /// The plugin.
    pub plugin: PluginPlan,
    /// What becomes of answers that it declares failed.
    pub on_failure: OnFailure,
}

/// Whose answers a Follower is given that was trained on others' (transfer, section 5 of arXiv 2512.16626).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferPlan {
    /// What they are called in evaluations; the Follower's refinements of theirs are `follower(name)`.
    pub name: String,
    /// Where the answers come from.
    pub source: TransferSource,
}

/// Where others' answers come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TransferSource {
    /// A file of responses with an answer to each held-out prompt.
    Responses {
        /// Absolute path.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
    },
    /// Another model, which responds as the run's policies are sampled in evaluations.
    Model {
        /// As the experiment names it.
        name: String,
        /// Absolute path of a Hugging Face folder or a GGUF file.
        path: String,
        /// See [`ModelPlan::sha256`].
        sha256: String,
        /// See [`ModelPlan::thinking`].
        thinking: bool,
        /// See [`ModelPlan::chat_template`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chat_template: Option<String>,
    },
}

fn one_round() -> u32 {
    1
}

/// One run of a language model: a worker carries out exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePlan {
    /// The run's number in the record.
    pub run: i64,
    /// The run's seed.
    pub seed: u64,
    /// Where it is computed.
    pub device: ModelDevicePlan,
    /// The model.
    pub model: ModelPlan,
    /// The prompts, or the preferences.
    pub data: DataPlan,
    /// Who judges pairs of responses, in training and in evaluations; absent: nobody does, of a method that learns from a file of
    /// preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgePlan>,
    /// The method.
    pub method: LanguageMethod,
    /// The schedule.
    pub schedule: Schedule,
    /// When it is measured.
    pub evaluation: LanguageEvaluationPlan,
    /// A checkpoint is written every so many steps, and when the run ends or is stopped.
    pub checkpoint_every: u64,
    /// See [`crate::CheckpointKeep`].
    #[serde(default, skip_serializing_if = "CheckpointKeep::is_usual")]
    pub checkpoint_keep: CheckpointKeep,
    /// Completions are recorded every so many steps, the first step included; 0: never.
    pub log_completions_every: u64,
    /// Policies restricted to closed sets of answers; absent: they say what they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerSetsPlan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans that earlier versions froze go on in the streams that they began in.
    #[test]
    fn an_evaluation_without_a_stream_is_read_and_written_as_it_was() {
        let old = r#"{"every":0,"prompts":2,"sampling":{"temperature":1.0,"top_k":0,"top_p":1.0,"max_new_tokens":4},"batch_size":2,"rounds":1}"#;
        let plan: LanguageEvaluationPlan = serde_json::from_str(old).expect("an old plan");
        assert_eq!(plan.stream, None);
        assert_eq!(serde_json::to_string(&plan).expect("JSON"), old);
        let new = LanguageEvaluationPlan { stream: NonZeroU32::new(7), ..plan };
        let json = serde_json::to_string(&new).expect("JSON");
        assert_eq!(serde_json::from_str::<LanguageEvaluationPlan>(&json).expect("a plan"), new);
    }
}
