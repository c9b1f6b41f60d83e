//! The typed plan of a run, and the messages between lab and worker: what both sides of a pipe and the record agree on.
//!
//! Only `slhf-lab` reads TOML and arguments; what it lowers them to lives here: valid, explicit, with every default
//! filled in. It never opens a file, trains or judges. The text that is frozen into the record before anything starts is what
//! the worker is handed ([`FrozenWork`]), and what a worker reports is what the record writes ([`Report`]).
//!
//! Begin with [`Work`], then `methods/` (each method declared once), then [`FromWorker`] and [`ToWorker`].
//!
//! ```
//! use slhf_plan::settings::Placeholders;
//! use slhf_plan::{EvaluationName, LanguageMethodTable, Role};
//!
//! let table = LanguageMethodTable(toml::from_str("name = \"rloo\"\nnum_generation = 8")?);
//! let (method, problems) = table.read(&mut Placeholders);
//! assert_eq!(method.expect("a known name").training().num_generations, 2);
//! let said: Vec<String> = problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect();
//! assert_eq!(said, ["method.num_generation: there is no such key; did you mean method.num_generations?"]);
//!
//! assert_eq!(EvaluationName::parse("measure[words]"), EvaluationName::measure("words"));
//! assert!(Role::parse("held-out/follower(leader)").is_held_out);
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! Invariant: a plan holds no path that is relative and no value that is "to be decided later".

mod answer_sets;
mod as_json;
mod certificate;
mod checkpoint;
mod checks;
mod control_variate;
mod conversation;
mod curve;
mod data_layout;
mod device;
mod evaluation_name;
mod family;
mod frame;
mod game;
mod granted;
mod group;
mod inputs;
mod language;
mod message;
mod methods;
mod metric;
mod model_call;
mod model_settings;
mod model_shape;
mod pass;
mod plugin;
mod prompt_id;
mod report;
mod reward_training;
mod role;
mod sampler;
mod schedule;
pub mod settings;
mod stop_at;
mod task;
mod work;

pub use answer_sets::{ANSWERS_MAX, ANSWERS_MIN, AnswerReference, AnswerSetsPlan, answer_set_problem};
pub use as_json::AsJson;
pub use certificate::CertificatePlan;
pub use checkpoint::{
    CHECKPOINT_HEADER_BYTES_MAX, CHECKPOINT_VERSION, CheckpointHeader, CheckpointKeep, CheckpointKind, CheckpointStart,
    ResumePoint,
};
pub use checks::{GameCell, LanguageCell, RewardCell, check_game, check_language, check_reward, check_weight_curve};
pub use control_variate::{ControlVariate, GivenBaseline};
pub use conversation::{AskedPrompt, Message, PromptText};
pub use curve::Curve;
pub use data_layout::{DataLayout, PairLayout, PreferenceData, PromptLayout};
pub use device::{ComputePath, DeviceKind, DevicePlan, Precision};
pub use evaluation_name::{CertificateFigure, EvaluationName, RewardModelFigure};
pub use family::{ComparisonFamily, FamilyError};
pub use frame::{FRAME_BYTES_MAX, FrameError, decode, encode, read_frame, write_frame};
pub use game::{ActionPlan, GamePlan, Temperatures};
pub use granted::{DeviceModelPlan, GrantNamed, GrantedAdapter, GrantedModel, ModelGrant, RunNamed, ServedModelPlan};
pub use group::{GameRunPlan, GroupPlan};
pub use inputs::{Input, InputKind};
pub use language::{
    AdapterPlan, DataPlan, Division, EvaluationJudgePlan, LINEAR_LAYERS, LanguageEvaluationPlan, LanguagePlan,
    MeasurePlan, ModelDevicePlan, ModelPlan, ModelPrecision, ModelWeights, OnBadRow, OverLong, PROCESS_TIMEOUT_S,
    TransferPlan, TransferSource,
};
pub use message::{
    Assignment, FromWorker, Hello, LogLevel, LogLine, PROTOCOL_VERSION, RankAssignment, RankGreeting, RanksFrom,
    ToWorker,
};
// A new method is named in its own crate's list alone.
pub use methods::*;
pub use metric::{FigureOf, MetricKey, ROUNDING_FLOOR, Shown, Unit, is_rounding_noise};
pub use model_call::{
    Choice, ChoiceItem, CompletionItem, Embedding, Evidence, FaultKind, ModelCall, ModelCompletion, ModelContext,
    ModelFault, ModelReply, ModelUsage, NamedValue,
};
pub use model_settings::{
    FollowerReference, KlEstimator, KlGradient, ModelOptimizer, OptimizerKind, Parameters, Sampling, TrainedOn,
};
pub use model_shape::ModelShape;
pub use pass::{AnswerSetScores, AnswerSetWeights, PairScores, PairWeights, Passed, TokenScores, TokenWeights};
pub use plugin::{JudgePlan, Limits, OnFailure, PluginPlan, PluginReference};
pub use prompt_id::{NotAPromptId, PromptId, PromptNumbering};
pub use report::{
    ArtefactWritten, CheckpointWritten, CompletionRow, Environment, EvaluationRow, GameJudged, MetricsBatch, ModelUse,
    PairVerdict, PluginUse, Report, RunCost, RunEnd, RunEnvironment, RunOutcome, ScheduleRow, TrainingVerdict,
    VERDICT_ROWS_ACTIONS_MAX, VerdictAttribute,
};
pub use reward_training::{
    AttributeLoss, HEAD_LABELS_MAX, PairDataPlan, REWARD_MODEL_ARTEFACT, RewardHeadPlan, RewardTraining,
    RewardTrainingPlan, SavedModel,
};
pub use role::{Role, Who};
pub use sampler::{
    ImportanceLevel, ImportancePlan, SampleCall, SampleRow, SampledResponse, SamplerCall, SamplerOutcome, SamplerPlan,
    SamplerReply,
};
pub use schedule::{AdaptiveRule, Kappa, Realisation, Schedule};
pub use stop_at::{StopAtError, StopAtPlan};
pub use task::{
    HeldOutSampling, ModelAnswer, ModelRequest, ModelSource, ModelTask, RunSource, Truncation, TruncationSide,
};
pub use work::{FrozenWork, Work};
