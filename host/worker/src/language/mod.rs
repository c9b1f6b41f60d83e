//! One run of a language model, from its plan to its end.

mod agreement;
pub(crate) mod artefacts;
pub(crate) mod held_out;
mod judge;
pub(crate) mod load;
pub(crate) mod observer;
pub(crate) mod outputs;
mod pairs;
pub(crate) mod policies;
mod prompts;
pub(crate) mod reading;
pub(crate) mod sampler;
pub(crate) mod start;
mod transfer;

use std::path::Path;
use std::time::Instant;

use slhf_judge::Host;
use slhf_learn::language::{Evaluators, LanguagePolicies, LanguageTrainer, NobodyJudges, PairJudge};
use slhf_plan::{
    Assignment, CheckpointKind, ControlVariate, LanguagePlan, ResumePoint, RunCost, RunEnvironment, RunOutcome,
};

use self::judge::{Judge, PluginMeasure};
use self::observer::RunObserver;
use self::outputs::Outputs;
use self::policies::Policies;
use self::sampler::ServedSampler;
use crate::baseline::Baselines;
use crate::checkpoint::Checkpoint;
use crate::device_models::DevicePlace;
use crate::environment;
use crate::error::WorkerError;
use crate::judging::host;
use crate::models::{Models, Replies};
use crate::outgoing::Outgoing;
use crate::ranks::{Crew, Ranks, Team, share_of};
use crate::stopping::Stop;
use crate::teller::Teller;

/// Loads, trains, evaluates, and tells the lab everything on the way, but for the last word.
pub(crate) fn carry_out(
    plan: &LanguagePlan,
    assignment: &Assignment,
    outgoing: &Outgoing,
    (stop, replies): (&Stop, &Replies),
) -> Result<(), WorkerError> {
    let environment = environment::probe(&plan.device.name, plan.device.threads)?;
    outgoing.report(RunEnvironment { runs: vec![plan.run], environment })?;
    let started = Instant::now();
    let place = DevicePlace { device: environment::resolve(&plan.device.name)?, precision: plan.device.precision };
    let models = Models::new(outgoing, replies, place);
    let host = host(plan.device.threads, outgoing, Some(&models))?;
    let load = |judge| Judge::load(&host, judge, plan.method.reward(), (stop, Some(&models)));
    let mut judge = plan.judge.as_ref().map(load).transpose()?;
    let mut outputs = Outputs::default();
    if let Some(judge) = &judge {
        judge.outputs("judge", &mut outputs);
    }
    let mut evaluators = evaluators(plan, (&host, stop, &models), &mut outputs)?;
    let baselines = baselines(plan, &host)?;
    let crew = (plan.device.processes > 1).then(|| Crew::start(plan, assignment, outgoing)).transpose()?;
    let mut policies = Policies::load_share(plan, share_of(plan, 0))?;
    let directory = Path::new(&assignment.checkpoint_directory);
    policies.sampled_by(ServedSampler::of(plan, directory, (outgoing, replies))?);
    // Here, because what follows may take long, and the others would wait for this one.
    let ranks = crew.map(|crew| policies.may_be_divided().map(|()| Ranks::gather(crew))).transpose()?;
    let mut prompts = prompts::read(&plan.data, prompts::Closed::of(plan), &policies.tokens, outgoing)?;
    prompts.others = transfer::others(plan, &prompts.held_out, &policies.tokens)?;
    prompts.pairs = pairs::read(plan, &prompts, &policies.tokens, outgoing)?;
    let load_seconds = started.elapsed().as_secs_f64();

    let estimator = baselines.estimators().remove(&plan.run);
    let mut trainer = LanguageTrainer::new(plan, prompts, estimator)?;
    let mut team = None;
    let trained: &mut dyn LanguagePolicies = match ranks {
        Some(ranks) => team.insert(Team::new(&mut policies, ranks)),
        None => &mut policies,
    };
    if let Some(point) = assignment.resume.first() {
        let checkpoint = restore(&mut trainer, trained, point)?;
        outputs.carry(checkpoint.plugin_output_bytes());
    }
    let (run, outputs) = (plan.run, &outputs);
    let teller = Teller { directory, outgoing, stop };
    let mut observer = RunObserver { teller, run, holds: CheckpointKind::LanguageModelRun, outputs, outcome: None };
    let mut nobody = NobodyJudges;
    let asked: &mut dyn PairJudge = match &mut judge {
        Some(judge) => judge,
        None => &mut nobody,
    };
    trainer.train(trained, asked, &mut evaluators, &mut observer)?;
    if let Some(team) = team {
        team.end();
    }
    policies.end_sampling();
    let outcome = observer.outcome;

    if let Some(judge) = &judge {
        judge.tell_usage(plan.run, outgoing)?;
    }
    models.tell_usage(plan.run)?;
    baselines.tell_usage(outgoing)?;
    outgoing.report(cost(plan, &trainer, load_seconds))?;
    if let Some(end) = outcome {
        if end.outcome == RunOutcome::Finished {
            for artefact in artefacts::adapters(&policies.engine, plan, directory, end.step)? {
                outgoing.report(artefact)?;
            }
        }
        outgoing.report(end)?;
    }
    Ok(())
}

/// The control variate, where it is a plugin.
fn baselines(plan: &LanguagePlan, host: &Host) -> Result<Baselines, WorkerError> {
    let baseline = match &plan.method.training().score_baseline {
        ControlVariate::Plugin { plugin } => Some((plan.run, plugin.as_ref())),
        _ => None,
    };
    Baselines::load(baseline, host)
}

/// Judges and measures that nobody is trained on.
fn evaluators(
    plan: &LanguagePlan,
    (host, stop, models): (&Host, &Stop, &Models),
    outputs: &mut Outputs,
) -> Result<Evaluators, WorkerError> {
    let mut found = Evaluators::default();
    for (place, asked) in plan.evaluation.judges.iter().enumerate() {
        let judge = Judge::load(host, &asked.judge, None, (stop, Some(models)))?;
        judge.outputs(&format!("evaluation judge {}", place + 1), outputs);
        found.judges.push(Box::new(judge));
    }
    for (place, asked) in plan.evaluation.measures.iter().enumerate() {
        let measure = PluginMeasure::load(host, asked, (stop, models))?;
        measure.outputs(&format!("measure {}", place + 1), outputs);
        found.measures.push(Box::new(measure));
    }
    Ok(found)
}

fn restore(
    trainer: &mut LanguageTrainer,
    policies: &mut dyn LanguagePolicies,
    point: &ResumePoint,
) -> Result<Checkpoint, WorkerError> {
    let checkpoint = Checkpoint::read(point)?;
    trainer.restore(checkpoint.state(point.run)?, policies)?;
    let found = trainer.step();
    if found != point.step {
        let path = checkpoint.path().to_owned();
        return Err(WorkerError::CheckpointStep { path, run: point.run, expected: point.step, found });
    }
    Ok(checkpoint)
}

fn cost(plan: &LanguagePlan, trainer: &LanguageTrainer, load_seconds: f64) -> RunCost {
    let (seconds, counters) = (trainer.seconds(), trainer.counters());
    let phases = [
        ("load", load_seconds),
        ("generate", seconds.generate),
        ("judge", seconds.judge),
        ("train", seconds.train),
        ("evaluate", seconds.evaluate),
        ("checkpoint", seconds.checkpoint),
    ];
    let counts = [
        ("tokens_generated", "tokens", counters.tokens_generated as f64),
        ("tokens_trained", "tokens", counters.tokens_trained as f64),
        ("tokens_evaluated", "tokens", counters.tokens_evaluated as f64),
        ("operations", "FLOP", counters.operations),
        ("operations_generating", "FLOP", counters.operations_generating),
    ];
    RunCost {
        run: plan.run,
        seconds: phases.iter().map(|(phase, seconds)| ((*phase).to_owned(), *seconds)).collect(),
        counts: counts.iter().map(|(name, unit, value)| ((*name).to_owned(), (*unit).to_owned(), *value)).collect(),
        peak_memory_bytes: environment::peak_memory_bytes(),
    }
}
