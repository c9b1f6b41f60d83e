//! The typed, serialisable plan of a run, and the messages between lab and worker.
//!
//! Only `slhf-lab` reads TOML and arguments; what it lowers them to lives here: valid, explicit, with every default
//! filled in. The same JSON that is frozen into the record before anything starts is what the worker is handed.
//!
//! Invariant: a plan holds no path that is relative and no value that is "to be decided later".

mod checkpoint;
mod curve;
mod device;
mod family;
mod frame;
mod game;
mod game_method;
mod language;
mod language_method;
mod message;
mod method;
mod pass;
mod plugin;
mod prompt_id;
mod schedule;
mod task;
mod work;

pub use checkpoint::{
    CHECKPOINT_HEADER_BYTES_MAX, CHECKPOINT_VERSION, CheckpointHeader, CheckpointKeep, CheckpointKind, CheckpointStart,
};
pub use curve::Curve;
pub use device::{ComputePath, DevicePlan, Precision};
pub use family::{ComparisonFamily, FamilyError};
pub use frame::{FRAME_BYTES_MAX, FrameError, decode, encode, read_frame, write_frame};
pub use game::{ActionPlan, GamePlan, GameRunPlan, GroupPlan, Temperatures};
pub use game_method::{BestOfN, GameReward, Grpo, GrpoKl, Inpo, OnlineDpo, OnlineIpo, Rloo, SelfRefinement, Sft, Sppo};
pub use language::{
    AdapterPlan, DataPlan, EvaluationJudgePlan, FollowerReference, KlEstimator, KlGradient, LanguageEvaluationPlan,
    LanguagePlan, LanguageTraining, MeasurePlan, ModelDevicePlan, ModelOptimizer, ModelPlan, ModelPrecision, OnBadRow,
    OverLong, Parameters, PromptLayout, Sampling, TransferPlan, TransferSource,
};
pub use language_method::{
    GrpoLossType, Labels, LanguageBestOfN, LanguageGrpo, LanguageInpo, LanguageMethod, LanguageNashMd,
    LanguageOnlineDpo, LanguageOnlineIpo, LanguageRloo, LanguageSelfRefinement, LanguageSft, LanguageSppo,
    LanguageStackelbergGda, RewardModelPlan, ScaleRewards,
};
pub use message::{
    ArtefactWritten, Assignment, CheckpointWritten, CompletionRow, Environment, EvaluationRow, FromWorker, GameJudged,
    Hello, LogLevel, LogLine, MetricsBatch, PROTOCOL_VERSION, PairVerdict, PluginUse, ResumePoint, RunCost, RunEnd,
    RunOutcome, ScheduleRow, ToWorker, TrainingVerdict, VERDICT_ROWS_ACTIONS_MAX, VerdictAttribute,
};
pub use method::{
    ControlVariate, GameTraining, Gradient, InitialPolicy, Method, MethodName, NashMd, Optimizer, PairDistribution,
    Preconditioner, Rlhf, StackelbergGda,
};
pub use pass::{PairScores, PairWeights, Passed, TokenScores, TokenWeights};
pub use plugin::{JudgePlan, Limits, OnFailure, PluginPlan};
pub use prompt_id::{NotAPromptId, PromptId, PromptNumbering};
pub use schedule::{AdaptiveRule, Kappa, Realisation, Schedule};
pub use task::{AskedPrompt, Message, ModelAnswer, ModelRequest, ModelSource, ModelTask, PromptText, RunSource};
pub use work::Work;
