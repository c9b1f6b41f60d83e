//! The second computation: the same plan as the only run of a record of its own.

use std::path::{Path, PathBuf};

use slhf_plan::{FrozenWork, GamePlan, GroupPlan, LanguagePlan, RewardTrainingPlan, Work};
use slhf_record::{FrozenGroup, NewCell, NewExecution, NewRun, OpenMode, Record, RunSummary};
use tempfile::TempDir;

use crate::failure::Failure;
use crate::running::{self, Errand, GroupWork, Places, Signals, WorkerProgram};

/// With what it is computed.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    /// The worker's program.
    pub(super) program: &'a WorkerProgram,
    /// Ctrl-C.
    pub(super) signals: &'a Signals,
    /// Where the record stays; `None`: it goes.
    pub(super) keep: Option<&'a Path>,
}

/// What was computed.
#[derive(Debug)]
pub(super) struct Second {
    path: PathBuf,
    run: i64,
    /// Gone when it is dropped.
    _folder: Option<TempDir>,
}

impl Second {
    /// Its record.
    pub(super) fn open(&self) -> Result<Record, Failure> {
        Record::open(&self.path, OpenMode::Read).map_err(Failure::of_record)
    }

    /// Its run.
    pub(super) fn run(&self) -> i64 {
        self.run
    }
}

/// Computes the run of a frozen plan again.
pub(super) fn compute(
    record: &mut Record,
    run: &RunSummary,
    work: FrozenWork,
    tools: &Tools<'_>,
) -> Result<Second, Failure> {
    let (path, folder) = place(record, tools.keep)?;
    let new = execution(record, run, &work, tools)?;
    let mut second = Record::open(&path, OpenMode::Create).map_err(Failure::of_record)?;
    let mut plan = None;
    let created = second
        .create_execution(&new, |runs| {
            let number = runs.first().map_or(0, |created| created.run);
            let frozen = FrozenWork::freeze(renumbered(work.work().clone(), number))?;
            let groups = vec![FrozenGroup::of(&frozen)];
            plan = Some(frozen);
            Ok(groups)
        })
        .map_err(Failure::failed)?;
    let groups = created.groups.iter().zip(plan).map(|(group, plan)| GroupWork {
        group: group.group,
        plan,
        resume: Vec::new(),
        divergence: None,
    });
    let errand = Errand {
        label: &run.name(),
        groups: groups.collect(),
        places: &Places::Planned(None),
        processes: None,
        budget_tokens: None,
        program: tools.program,
        signals: tools.signals,
    };
    let (_, tally) = running::compute_all(second, errand)?;
    if tools.signals.stop_asked() {
        return Err(Failure::Interrupted);
    }
    if let Some((_, reason)) = tally.failed.iter().chain(&tally.interrupted).next() {
        return Err(Failure::failed(format!("run {} could not be computed again: {reason}", run.run)));
    }
    let number = created.runs.first().map_or(0, |created| created.run);
    Ok(Second { path, run: number, _folder: folder })
}

/// Where the user says, else in a folder beside the record that goes in the end.
fn place(record: &Record, keep: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), Failure> {
    if let Some(path) = keep {
        if path.exists() {
            return Err(Failure::bad_input(format!("--keep: {} is there already; name a new file", path.display())));
        }
        return Ok((path.to_owned(), None));
    }
    let beside = slhf_files::folder_of(record.path());
    let folder = tempfile::Builder::new().prefix(".reproduce-").tempdir_in(beside).map_err(|error| {
        Failure::failed(format!("no folder can be made in {} for the second computation: {error}", beside.display()))
    })?;
    Ok((folder.path().join("lab.db"), Some(folder)))
}

fn execution(
    record: &mut Record,
    run: &RunSummary,
    work: &FrozenWork,
    tools: &Tools<'_>,
) -> Result<NewExecution, Failure> {
    let before = record.execution_of(run.run).map_err(Failure::failed)?;
    let provenance = running::provenance(tools.program)
        .map_err(|error| Failure::failed(format!("the program's own files cannot be read: {error}")))?;
    let parameters = record.parameters(run.run).map_err(Failure::failed)?;
    let cell = NewCell {
        label: run.cell.clone(),
        settings: Vec::new(),
        parameters: parameters.into_iter().filter(|(key, _)| key != "seed").collect(),
        plugins: running::grants(work.work()),
        runs: vec![NewRun {
            seed: run.seed.unsigned_abs(),
            content_hash: run.content_hash.clone(),
            steps: run.steps.unsigned_abs(),
            answered_by: None,
        }],
    };
    Ok(NewExecution {
        experiment: run.experiment.clone(),
        kind: before.kind,
        question: before.question,
        toml: before.toml,
        toml_path: before.toml_path,
        content_hash: before.content_hash,
        provenance,
        cells: vec![cell],
    })
}

/// The same work under the run's number in the second record, which decides no number of it.
fn renumbered(work: Work, number: i64) -> Work {
    match work {
        Work::Game(group) => {
            let wanted: Vec<GamePlan> =
                group.runs.iter().take(1).filter_map(|run| group.games.get(run.game).cloned()).collect();
            let runs = group.runs.into_iter().take(1).map(|run| slhf_plan::GameRunPlan { run: number, game: 0, ..run });
            Work::Game(GroupPlan { games: wanted, runs: runs.collect(), ..group })
        }
        Work::LanguageModel(plan) => Work::LanguageModel(Box::new(LanguagePlan { run: number, ..*plan })),
        Work::RewardModel(plan) => Work::RewardModel(Box::new(RewardTrainingPlan { run: number, ..*plan })),
    }
}
