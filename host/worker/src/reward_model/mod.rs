//! One run that trains a reward model, from its plan to its end.

mod data;
mod saving;
mod values;

use std::path::Path;
use std::time::Instant;

use slhf_learn::reward::RewardTrainer;
use slhf_plan::{Assignment, CheckpointKind, ResumePoint, RewardTrainingPlan, RunCost, RunEnvironment, RunOutcome};

use self::values::HeadedModel;
use crate::checkpoint::Checkpoint;
use crate::environment;
use crate::error::WorkerError;
use crate::language::observer::RunObserver;
use crate::language::outputs::Outputs;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;
use crate::teller::Teller;

/// Loads, trains, evaluates, saves, and tells the lab everything on the way, but for the last word.
pub(crate) fn carry_out(
    plan: &RewardTrainingPlan,
    assignment: &Assignment,
    outgoing: &Outgoing,
    stop: &Stop,
) -> Result<(), WorkerError> {
    let environment = environment::probe(&plan.device.name, plan.device.threads)?;
    outgoing.report(RunEnvironment { runs: vec![plan.run], environment })?;
    let started = Instant::now();
    let mut model = HeadedModel::load(plan)?;
    let pairs = data::read(plan, &model.tokens, outgoing)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let mut trainer = RewardTrainer::new(plan, pairs)?;
    if let Some(point) = assignment.resume.first() {
        restore(&mut trainer, &mut model, point)?;
    }
    let directory = Path::new(&assignment.checkpoint_directory);
    let (run, outputs) = (plan.run, &Outputs::default());
    let teller = Teller { directory, outgoing, stop };
    let mut observer = RunObserver { teller, run, holds: CheckpointKind::RewardModelRun, outputs, outcome: None };
    trainer.train(&mut model, &mut observer)?;
    let outcome = observer.outcome;
    outgoing.report(cost(plan, &trainer, load_seconds))?;
    if let Some(end) = outcome {
        if end.outcome == RunOutcome::Finished {
            for artefact in saving::artefacts(&model, plan, directory, end.step)? {
                outgoing.report(artefact)?;
            }
        }
        outgoing.report(end)?;
    }
    Ok(())
}

fn restore(trainer: &mut RewardTrainer, model: &mut HeadedModel, point: &ResumePoint) -> Result<(), WorkerError> {
    let checkpoint = Checkpoint::read(point)?;
    trainer.restore(checkpoint.state(point.run)?, model)?;
    let found = trainer.step();
    if found != point.step {
        let path = checkpoint.path().to_owned();
        return Err(WorkerError::CheckpointStep { path, run: point.run, expected: point.step, found });
    }
    Ok(())
}

fn cost(plan: &RewardTrainingPlan, trainer: &RewardTrainer, load_seconds: f64) -> RunCost {
    let (seconds, counters) = (trainer.seconds(), trainer.counters());
    let phases = [
        ("load", load_seconds),
        ("train", seconds.train),
        ("evaluate", seconds.evaluate),
        ("checkpoint", seconds.checkpoint),
    ];
    let counts = [
        ("tokens_trained", "tokens", counters.tokens_trained as f64),
        ("tokens_evaluated", "tokens", counters.tokens_evaluated as f64),
        ("operations", "FLOP", counters.operations),
    ];
    RunCost {
        run: plan.run,
        seconds: phases.iter().map(|(phase, seconds)| ((*phase).to_owned(), *seconds)).collect(),
        counts: counts.iter().map(|(name, unit, value)| ((*name).to_owned(), (*unit).to_owned(), *value)).collect(),
        peak_memory_bytes: environment::peak_memory_bytes(),
    }
}
