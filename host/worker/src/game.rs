//! A batch group of finite-game runs, from its plan to its ends.

mod observer;

use std::path::Path;
use std::time::Instant;

use slhf_learn::{PhaseSeconds, RunState, Training};
use slhf_plan::{
    Assignment, ControlVariate, GameRunPlan, GroupPlan, LogLevel, ModelPrecision, PluginPlan, ResumePoint, RunCost,
    RunEnvironment,
};

use self::observer::GroupObserver;
use crate::baseline::Baselines;
use crate::checkpoint::Checkpoint;
use crate::device_models::DevicePlace;
use crate::environment;
use crate::error::WorkerError;
use crate::judging::{host, judge_games};
use crate::models::{Models, Replies};
use crate::outgoing::Outgoing;
use crate::stopping::Stop;
use crate::teller::Teller;

/// Judges, trains, and tells the lab everything on the way, but for the last word.
pub(crate) fn carry_out(
    group: &GroupPlan,
    assignment: &Assignment,
    outgoing: &Outgoing,
    (stop, replies): (&Stop, &Replies),
) -> Result<(), WorkerError> {
    let environment = environment::probe(&group.device.name, group.device.threads)?;
    let runs = group.runs.iter().map(|run| run.run).collect();
    outgoing.report(RunEnvironment { runs, environment })?;

    let started = Instant::now();
    // A game is judged once, in full precision wherever it is.
    let place = DevicePlace { device: environment::resolve(&group.device.name)?, precision: ModelPrecision::F32 };
    let models = Models::new(outgoing, replies, place);
    let host = host(group.device.threads, outgoing, Some(&models))?;
    let matrices = judge_games(group, (&host, &models), outgoing, stop)?;
    if let Some(run) = group.runs.first() {
        models.tell_usage(run.run)?;
    }
    let judge_seconds = started.elapsed().as_secs_f64();

    let baselines = Baselines::load(group.runs.iter().filter_map(baseline_plugin), &host)?;
    let mut training = Training::new(group, &matrices, baselines.estimators())?;
    for note in training.notes(group) {
        outgoing.log(LogLevel::Warn, note)?;
    }
    restore(&mut training, &assignment.resume)?;
    let teller = Teller { directory: Path::new(&assignment.checkpoint_directory), outgoing, stop };
    let mut observer = GroupObserver::new(teller, group);
    training.train(&mut observer)?;
    observer.flush()?;

    baselines.tell_usage(outgoing)?;
    tell_costs(group, judge_seconds, training.seconds(), outgoing)
}

fn baseline_plugin(run: &GameRunPlan) -> Option<(i64, &PluginPlan)> {
    match &run.method.training().score_baseline {
        ControlVariate::Plugin { plugin } => Some((run.run, plugin)),
        _ => None,
    }
}

/// Puts every resumed run at its checkpoint. Runs may come from different files and stand at different steps.
fn restore(training: &mut Training, resume: &[ResumePoint]) -> Result<(), WorkerError> {
    let mut open: Option<(&str, Checkpoint)> = None;
    for point in resume {
        let checkpoint = match open.take() {
            Some((path, checkpoint)) if path == point.path => checkpoint,
            _ => Checkpoint::read(point)?,
        };
        let bytes = checkpoint.state(point.run)?;
        let found = RunState::from_bytes(point.run, bytes)?.step();
        if found != point.step {
            let path = checkpoint.path().to_owned();
            return Err(WorkerError::CheckpointStep { path, run: point.run, expected: point.step, found });
        }
        training.restore(point.run, bytes)?;
        open = Some((&point.path, checkpoint));
    }
    Ok(())
}

fn tell_costs(
    group: &GroupPlan,
    judge_seconds: f64,
    seconds: PhaseSeconds,
    outgoing: &Outgoing,
) -> Result<(), WorkerError> {
    let share = 1.0 / group.runs.len().max(1) as f64;
    let phases = [
        ("judge", judge_seconds),
        ("train", seconds.train),
        ("evaluate", seconds.evaluate),
        ("checkpoint", seconds.checkpoint),
    ];
    for run in &group.runs {
        outgoing.report(RunCost {
            run: run.run,
            seconds: phases.iter().map(|(phase, seconds)| ((*phase).to_owned(), seconds * share)).collect(),
            counts: Vec::new(),
            peak_memory_bytes: environment::peak_memory_bytes(),
        })?;
    }
    Ok(())
}
