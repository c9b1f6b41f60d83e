//! The record: one SQLite file that answers every question about every run.
//!
//! It never starts a run, reads a TOML or knows what a method is: it keeps what it is handed, and says no where that
//! contradicts what is stored. Everything is synchronous: the asynchronous runtime that sqlx needs lives and ends in here.
//!
//! Begin with [`Record`], which opens the file, plans executions, changes states and answers questions; then [`Writer`],
//! which commits what workers report ([`slhf_plan::Report`], in the worker's own words); then [`views`].
//!
//! ```
//! use slhf_record::{Cell, OpenMode, QueryLimits, Record};
//!
//! let folder = tempfile::tempdir().expect("a folder");
//! let mut record = Record::open(&folder.path().join("lab.db"), OpenMode::Create)?;
//! let answer = record.query("SELECT count(*) FROM runs", QueryLimits::default())?;
//! assert_eq!(answer.rows, [[Cell::Integer(0)]]);
//! # Ok::<(), slhf_record::RecordError>(())
//! ```
//!
//! Invariant: the views ([`views`]) are the interface of the file; tables change only with a migration.
//! Invariant: nothing is silently replaced. Runs end with a status and a reason; old steps of a resumed run that
//! computes others are kept as superseded.
//! Invariant: a record has files of its own in one folder, which carries its id; nothing else is ever deleted.

mod buckets;
mod checkpoint_folder;
mod checkpoints;
mod comparison;
mod completions;
mod copy;
mod curve;
mod detail;
mod divergence;
mod error;
mod every_metric;
mod execution;
mod execution_rows;
mod export;
mod judge_audit;
mod labels;
mod lease;
mod list;
mod many_rows;
mod model_answers;
mod new_execution;
mod open;
mod placed;
mod policy_evaluation;
mod query;
mod removal;
mod resolve;
mod schema;
mod snapshot;
mod sql;
mod state;
mod status;
mod status_change;
mod stored_copy;
mod stored_file;
mod time;
mod training_verdicts;
mod transfer;
mod trash;
mod unfinished;
mod upkeep;
mod value;
mod writer;

pub use checkpoint_folder::{CheckpointFolder, FolderState};
pub use checkpoints::{CheckpointSearch, FoundCheckpoint, PruneScope, RefusedCheckpoint};
pub use comparison::{ComparedCell, ComparedRun, Comparison};
pub use completions::Completion;
pub use copy::Copied;
pub use curve::{Curve, CurvePoint, CurveQuery};
pub use detail::{
    ArtefactDetail, Cost, EvaluationValue, ExecutionDetail, MetricValue, PluginDetail, ScheduleValue, StateChange,
    VerdictValue,
};
pub use divergence::{DivergencePolicy, StepDivergence};
pub use error::RecordError;
pub use every_metric::MetricPoint;
pub use execution::{CreatedExecution, CreatedGroup, CreatedRun, FreezeError, FrozenGroup};
pub use judge_audit::{JudgeAudit, RecordedAudit};
pub use labels::{Note, TAG_CHARACTERS_MAX, TagChange};
pub use lease::{DeadRun, HEARTBEAT_TIMEOUT_MS, Lease, ProcessIdentity, Sighting};
pub use list::{ExecutionChoice, ExperimentSummary, RunFilter, RunSummary};
pub use model_answers::AnswerKey;
pub use new_execution::{CellSetting, NewCell, NewExecution, NewRun, PluginGrant, Provenance};
pub use open::{OpenMode, Record};
pub use policy_evaluation::PolicyEvaluation;
pub use query::{Cell, QueryAnswer, QueryLimits};
pub use schema::{Column, ColumnType, View, reference, views};
pub use status::RunStatus;
pub use stored_copy::COMPONENTS;
pub use training_verdicts::RecordedVerdict;
pub use transfer::{Collected, FilesCopied, Merged, MovedRun, Taken};
pub use trash::Removal;
pub use unfinished::UnfinishedGroup;
pub use upkeep::{Garbage, GarbageKind, Problem, Sizes, Vacuumed};
pub use value::{ParameterValue, non_finite_word, serialize_number};
pub use writer::{Writer, WriterOptions};
