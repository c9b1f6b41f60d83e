//! All groups of an execution, several workers at once, on one writer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;

use slhf_experiment::PhaseGuesser;
use slhf_record::{CheckpointFolder, PruneScope, Record, RecordError, RunFilter, Writer, WriterOptions};

use super::checkpoints::{Keeper, say_refused};
use super::group::{Crew, GroupWork, Tally, compute};
use super::models::ServedModels;
use super::places::{Place, Places};
use super::plugin_store;
use super::progress::{GroupAmount, Progress};
use super::signals::Signals;
use super::worker::WorkerProgram;
use crate::failure::Failure;

/// What is to be computed, by whom.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    /// For the progress bar.
    pub(crate) label: &'a str,
    /// The groups.
    pub(crate) groups: Vec<GroupWork>,
    /// How many at once, and where.
    pub(crate) places: &'a Places,
    /// Processes that compute a run of a language model, in the place of those of its plan.
    pub(crate) processes: Option<u32>,
    /// Tokens that a run may spend at a served model, in the place of those of its plan.
    pub(crate) budget_tokens: Option<u64>,
    /// The worker's program.
    pub(crate) program: &'a WorkerProgram,
    /// Ctrl-C.
    pub(crate) signals: &'a Signals,
}

/// Computes all groups. The record is taken and given back: the groups' threads share it meanwhile.
pub(crate) fn compute_all(record: Record, errand: Errand<'_>) -> Result<(Record, Tally), Failure> {
    if errand.groups.is_empty() {
        return Ok((record, Tally::default()));
    }
    let mut record = record;
    let checkpoints = checkpoint_folder(&mut record)?;
    let lease = record.acquire_lease().map_err(Failure::failed)?;
    let options = WriterOptions { lease: Some(lease), ..WriterOptions::default() };
    let writer = Writer::start(&record, &options).map_err(Failure::failed)?;
    let works = errand.groups.iter().map(|group| group.plan.work());
    let places = errand.places.each(works, errand.processes);
    let amounts = amounts(&mut record, &errand.groups).map_err(Failure::failed)?;
    let progress = Progress::start(errand.label, amounts, places.len());
    let path = record.path().to_owned();
    let record = Mutex::new(record);
    let models = ServedModels::new(errand.budget_tokens);
    for group in &errand.groups {
        if let Err(error) = plugin_store::keep(checkpoints.path(), group.plan.work()) {
            crate::output::say(format!("note: a plugin is not kept beside the record: {error}"));
        }
    }
    let result = thread::scope(|scope| {
        let keeper = Keeper::start(scope, path, &writer);
        let crew = Crew {
            program: errand.program,
            record: &record,
            writer: &writer,
            lease,
            signals: errand.signals,
            progress: &progress,
            checkpoints,
            keeper: &keeper,
            models: &models,
            processes: errand.processes,
            ranks: errand.places.ranks(),
        };
        share_out(errand.groups, &places, &crew)
    });
    progress.finish();
    let closed = writer.close();
    let mut record = record.into_inner().unwrap_or_else(PoisonError::into_inner);
    let released = record.release_lease(lease);
    let tally = result.map_err(Failure::failed)?;
    closed.and(released).map_err(Failure::failed)?;
    // Those of runs that ended last, and of runs that were superseded.
    say_refused(&record.prune_checkpoints(PruneScope::All).map_err(Failure::failed)?);
    Ok((record, tally))
}

/// Every place takes the next group that may be computed there until there is none, or until the record fails.
fn share_out(groups: Vec<GroupWork>, places: &[Place<'_>], crew: &Crew<'_>) -> Result<Tally, RecordError> {
    let many = groups.len().max(1);
    let queue = Mutex::new(VecDeque::from(groups));
    let take = |place: Place<'_>| {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.iter().position(|group| place.takes(group.plan.work()))?;
        queue.remove(next)
    };
    let work = |place: Place<'_>| -> Result<Tally, RecordError> {
        let mut tally = Tally::default();
        while let Some(group) = take(place) {
            match compute(&group, place, crew) {
                Ok(ended) => tally.add(ended),
                Err(error) => {
                    // A record that fails for one fails for all: nothing further is started.
                    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return Err(error);
                }
            }
        }
        Ok(tally)
    };
    thread::scope(|scope| {
        let work = &work;
        // No more threads than groups; devices of two kinds may need all of theirs.
        let many = if places.iter().all(|place| *place == Place::Planned) { many } else { places.len() };
        let threads: Vec<_> = places.iter().take(many).map(|place| scope.spawn(move || work(*place))).collect();
        let mut tally = Tally::default();
        let mut failure = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(ended)) => tally.add(ended),
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failure.map_or(Ok(tally), Err)
    })
}

/// What there is to do, with a name for it and a guess of what it costs.
fn amounts(record: &mut Record, groups: &[GroupWork]) -> Result<Vec<GroupAmount>, RecordError> {
    let mut guesser = PhaseGuesser::default();
    let labels = labels(record, groups)?;
    let mut amount = |group: &GroupWork| {
        let work = group.plan.work();
        let runs = work.runs();
        let label = match runs[..] {
            [(run, _)] => labels.get(&run).cloned().unwrap_or_else(|| format!("run {run}")),
            _ => format!("{} runs", runs.len()),
        };
        GroupAmount {
            group: group.group,
            label,
            runs: runs.len() as u64,
            steps: runs.iter().map(|(_, steps)| *steps).max().unwrap_or(0),
            run_steps_done: group.run_steps_done(),
            phases: guesser.of(work),
        }
    };
    Ok(groups.iter().map(&mut amount).collect())
}

/// `kappa=1/2`, cell and seed, of runs that are groups of their own.
fn labels(record: &mut Record, groups: &[GroupWork]) -> Result<HashMap<i64, String>, RecordError> {
    let alone: Vec<i64> = groups.iter().map(GroupWork::runs).filter(|runs| runs.len() == 1).flatten().collect();
    if alone.is_empty() {
        return Ok(HashMap::new());
    }
    let runs = record.runs(&RunFilter { runs: alone, ..RunFilter::default() })?;
    let cells: Vec<&str> = runs.iter().map(|run| run.cell.as_str()).collect();
    let short = slhf_words::short_labels(&cells);
    Ok(runs.iter().zip(short).map(|(run, cell)| (run.run, format!("{cell}/{}", run.seed))).collect())
}

/// Beside the record, and its own. A record that has lost its checkpoints is told where they are.
fn checkpoint_folder(record: &mut Record) -> Result<CheckpointFolder, Failure> {
    let (folder, elsewhere) = record.claim_checkpoint_folder().map_err(Failure::failed)?;
    if let Some(sentence) = elsewhere {
        crate::output::say(format!("note: {sentence}"));
    }
    Ok(folder)
}
