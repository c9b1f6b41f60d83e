//! Arguments that several verbs share, and what they mean.

use std::path::{Path, PathBuf};

use clap::Args;
use slhf_experiment::TrainedRewardModel;
use slhf_plan::{REWARD_MODEL_ARTEFACT, Work};
use slhf_record::{OpenMode, Record, RunStatus, RunSummary};

use crate::failure::Failure;
use crate::output::{self, Format};

/// Which record.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArgument {
    /// The record's file
    #[arg(long, value_name = "PATH", env = "SLHF_LAB_DB", default_value = DEFAULT)]
    pub(crate) db: PathBuf,
}

impl RecordArgument {
    /// Opens the record and marks runs that nobody computes any more as interrupted.
    pub(crate) fn open(&self, mode: OpenMode) -> Result<Record, Failure> {
        let mut record = Record::open(&self.db, mode).map_err(Failure::of_record)?;
        for dead in record.mark_dead_runs().map_err(Failure::failed)? {
            output::say(format!("note: run {} is interrupted: {}", dead.run, dead.reason));
        }
        Ok(record)
    }
}

/// The runs that were named, each once.
pub(crate) fn resolve_all(record: &mut Record, names: &[String]) -> Result<Vec<RunSummary>, Failure> {
    let mut runs: Vec<RunSummary> = Vec::with_capacity(names.len());
    for name in names {
        let run = record.resolve_run(name).map_err(Failure::of_record)?;
        if !runs.iter().any(|known| known.run == run.run) {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// How this program was called, where that is no `slhf-lab`: `cargo xtask lab` says it.
const CALLED_AS: &str = "SLHF_LAB_CALLED_AS";
const DEFAULT: &str = "lab.db";

impl RecordArgument {
    /// A verb on this record, as it is to be typed.
    pub(crate) fn command(&self, verb: &str) -> String {
        let program = std::env::var(CALLED_AS).unwrap_or_else(|_| "slhf-lab".to_owned());
        let is_usual = self.db == Path::new(DEFAULT) || std::env::var_os("SLHF_LAB_DB").is_some_and(|db| db == self.db);
        let db = self.db.display().to_string();
        let is_plain = db.chars().all(|letter| letter.is_alphanumeric() || "/._-".contains(letter));
        let db = match (is_usual, is_plain) {
            (true, _) => String::new(),
            (false, true) => format!(" --db {db}"),
            (false, false) => format!(" --db '{}'", output::visible(&db).replace('\'', "'\\''")),
        };
        format!("{program} {verb}{db}")
    }
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArgument {
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// The reward model that a run has trained; an error is a sentence.
pub(crate) fn reward_model_of(argument: &RecordArgument, named: &str) -> Result<TrainedRewardModel, String> {
    let said = |error: slhf_record::RecordError| slhf_words::chain(&error);
    let mut record = Record::open(&argument.db, OpenMode::Read).map_err(said)?;
    let run = record.resolve_run(named).map_err(said)?;
    trained_reward_model(&mut record, &run)
}

/// Whether a run trains a reward model.
pub(crate) fn trains_reward_model(record: &mut Record, run: &RunSummary) -> bool {
    let frozen = record.frozen_plan(run.run).ok().flatten();
    matches!(frozen.as_deref().map(Work::from_json), Some(Ok(Work::RewardModel(_))))
}

/// Likewise, of a run that was found.
pub(crate) fn trained_reward_model(record: &mut Record, run: &RunSummary) -> Result<TrainedRewardModel, String> {
    let said = |error: slhf_record::RecordError| slhf_words::chain(&error);
    let name = format!("run {} ({})", run.run, output::visible(&run.name()));
    let frozen = record.frozen_plan(run.run).map_err(said)?;
    let Some(Ok(Work::RewardModel(plan))) = frozen.as_deref().map(Work::from_json) else {
        return Err(format!("{name} trains no reward model; name a run of an experiment with kind = \"reward-model\""));
    };
    let artefacts = record.artefacts(run.run).map_err(said)?;
    let root = record.checkpoint_folder().map_err(said)?.path().to_owned();
    let folder = |of: &dyn Fn(&str) -> bool| {
        let artefact = artefacts.iter().rev().find(|artefact| of(&artefact.kind))?;
        let folder = root.join(Path::new(&artefact.path));
        let lost =
            format!("the reward model of {name} is no longer at {}", output::visible(&folder.display().to_string()));
        Some(if folder.is_dir() { Ok(folder) } else { Err(lost) })
    };
    if let Some(merged) = folder(&|kind| kind == REWARD_MODEL_ARTEFACT) {
        return Ok(TrainedRewardModel { path: merged?, adapter: None });
    }
    if let Some(adapter) = folder(&|kind| kind.starts_with("adapter/")) {
        let here = PathBuf::from(&plan.model.path);
        let path = if here.exists() {
            here
        } else {
            slhf_experiment::models::find(&plan.model.name, Path::new("")).map_err(|error| slhf_words::chain(&error))?
        };
        return Ok(TrainedRewardModel { path, adapter: Some(adapter?) });
    }
    Err(format!("{name} has left no reward model: it is {}, and a finished run leaves one", run.status))
}

/// The states of a run, as the command line takes them.
pub(crate) fn status_names() -> Vec<&'static str> {
    RunStatus::ALL.into_iter().map(RunStatus::as_str).collect()
}
