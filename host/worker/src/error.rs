//! Why a worker cannot go on.

use std::io;
use std::path::PathBuf;

use slhf_data::{DataError, ModelFilesError};
use slhf_judge::JudgeError;
use slhf_learn::LearnError;
use slhf_plan::{FrameError, Hello};
use slhf_policy::{AnswerSetError, ModelError, PolicyError};

use crate::ranks::ExchangeError;

/// Told to the lab as one sentence, the whole chain joined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error("the worker cannot speak with the lab")]
    Frame(#[from] FrameError),
    #[error(
        "the worker was built from other sources than the lab (build {} and protocol {}, the lab has {} and {}); \
         build both again with `cargo build`",
        worker.build_id, worker.protocol, lab.build_id, lab.protocol
    )]
    Stale { lab: Hello, worker: Hello },
    #[error("the lab sent something else where the worker expected {expected}")]
    OutOfTurn { expected: &'static str },
    #[error("the process of rank {rank} cannot be started")]
    StartRank { rank: u32, source: io::Error },
    #[error("the ranks that were started elsewhere cannot be called")]
    CallRanks { source: io::Error },
    #[error("rank {ranks} did not connect within {seconds} s of the first")]
    RanksAbsent { ranks: String, seconds: u64 },
    #[error(
        "device.processes is above 1, but weights are not packed here (this processor lacks AVX2, FMA or F16C, or the model a layout): \
         several processes would not have the bits of one; use device.processes = 1"
    )]
    NotPacked,
    #[error("rank {rank}: {problem}")]
    OfRank { rank: usize, problem: String },
    #[error("the ranks of this run cannot go on together")]
    Exchange { source: ExchangeError },
    #[error("no thread for listening to the lab")]
    Thread { source: io::Error },
    #[error("the plan of the group cannot be read")]
    Plan { source: serde_json::Error },
    #[error("device {name:?} is not known; expected \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"")]
    UnknownDevice { name: String },
    #[error(
        "no CUDA device for device.name = {name:?}: libtorch sees {found}; use device.name = \"cpu\", or put a libtorch \
         with CUDA on LD_LIBRARY_PATH"
    )]
    NoCuda { name: String, found: i64 },
    #[error("game {number} of the group could not be judged")]
    Judge { number: usize, source: Box<JudgeError> },
    #[error("the plugin host could not be set up")]
    Host { source: Box<JudgeError> },
    #[error("plugin {name} could not be loaded")]
    Plugin { name: String, source: Box<JudgeError> },
    #[error(
        "the judge could not judge a response to prompt {prompt}: {reason}; judge.on_failure = \"skip\" leaves such pairs \
         out and counts them"
    )]
    ItemFailed { prompt: u32, reason: String },
    #[error(
        "a metric could not score a response to prompt {prompt}: {reason}; on_failure = \"skip\" of the metric leaves such \
         responses out and counts them"
    )]
    MeasureFailed { prompt: u32, reason: String },
    #[error(
        "responses {path} have SHA-256 {found}, but the plan was made with {expected}: the file was changed; start the run \
         anew, or put the old file back"
    )]
    ResponsesChanged { path: String, expected: String, found: String },
    #[error("responses {path} have none to the held-out prompt {prompt:?}: add a line for it")]
    Unanswered { path: String, prompt: String },
    #[error("the method wants rewards, but the plan names no reward plugin")]
    NoReward,
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The model's files.
    #[error(transparent)]
    ModelFile(#[from] ModelError),
    #[error(transparent)]
    Data { source: DataError },
    #[error(transparent)]
    ModelFiles(#[from] ModelFilesError),
    #[error(
        "model {path} has SHA-256 {found}, but the plan was made with {expected}: its files were changed; start the run \
         anew, or put the old files back"
    )]
    ModelChanged { path: String, expected: String, found: String },
    #[error(
        "prompts {path} have SHA-256 {found}, but the plan was made with {expected}: the file was changed; start the run \
         anew, or put the old file back"
    )]
    DataChanged { path: String, expected: String, found: String },
    #[error("{file}, row {row} (id \"{id}\"): the closed set of responses cannot be used")]
    AnswerSet { file: String, row: usize, id: String, source: AnswerSetError },
    #[error(
        "no held-out pair of {path} is left whose texts have at most {most} tokens: raise data.max_tokens, or hold out more prompts"
    )]
    NoHeldOutPairs { path: String, most: u32 },
    #[error(
        "no held-out pair of {path} is left whose responses have at most {most} tokens: raise data.max_response_tokens, or hold out more \
         prompts"
    )]
    NoHeldOutResponses { path: String, most: u32 },
    #[error("the tokenizer has no token that ends a response, so that no response of a file can end")]
    NoEndToken,
    #[error("the engine was loaded without anything to train")]
    NothingTrained,
    #[error(
        "this adapter changes whole weights of the model (DoRA, modules_to_save, matrices on the embedding, a vocabulary of \
         another size), which a plain low-rank adapter cannot hold; copy its folder, or import the whole model without \
         --adapter-only"
    )]
    AdapterInWeights,
    #[error("device.sampler: {reason}")]
    Sampler { reason: String },
    #[error("device.sampler: the lab replied to something else than what was asked")]
    SamplerReply,
    #[error("device.sampler: the folder {} for adapters cannot be made or emptied", path.display())]
    SamplerFolder { path: PathBuf, source: io::Error },
    #[error(
        "device.sampler: {server} says log-probabilities that differ from the trainer's by {difference:.2} nats a token: {why}"
    )]
    SamplerDiffers { server: String, difference: f64, why: String },
    #[error(
        "device.sampler: a server samples one policy at a time, and a mixture of two was asked for; use method.mixture_coef = 0"
    )]
    SampledMixture,
    #[error(
        "`method.mixture_coef` is {share} at this step, but it must lie between 0 and 1 throughout the run; mend its \
         schedule"
    )]
    ReferenceShare { share: f64 },
    #[error("there is no Follower that was trained on an instruction: name a run of stackelberg-gda")]
    NoFollower,
    #[error("the response has no tokens; give some text")]
    EmptyResponse,
    #[error(
        "{path}: the model has no reward head (`score.weight`); expected a folder whose `architectures` say \
         …ForSequenceClassification, or an adapter with the head in it"
    )]
    NoRewardHead { path: String },
    #[error("{path}: the model has no label \"{label}\"; its head has {known}")]
    NoLabel { path: String, label: String, known: String },
    #[error("the weights in checkpoint {path} cannot be taken up")]
    Weights { path: String, source: slhf_learn::Cause },
    #[error("the baseline of run {run} could not be loaded")]
    Baseline { run: i64, source: Box<JudgeError> },
    #[error("the judge of game {number} gave no preference matrix")]
    Matrix { number: usize, source: slhf_game::GameError },
    #[error(transparent)]
    Learn(#[from] LearnError),
    #[error("{} cannot be read back", path.display())]
    Artefact { path: PathBuf, source: io::Error },
    #[error("checkpoint {}: {doing}", path.display())]
    CheckpointFile { path: PathBuf, doing: &'static str, source: io::Error },
    #[error(
        "checkpoint {} has SHA-256 {found}, but the record says {expected}: it was changed or cut short; resume from an \
         earlier checkpoint, or start the run anew",
        path.display()
    )]
    CheckpointHash { path: PathBuf, expected: String, found: String },
    #[error("checkpoint {} is not one of this build: {problem}", path.display())]
    CheckpointFormat { path: PathBuf, problem: String },
    #[error("checkpoint {} holds run {run} at step {found}, but the record says step {expected}", path.display())]
    CheckpointStep { path: PathBuf, run: i64, expected: u64, found: u64 },
}

pub(crate) use slhf_words::chain;
