//! `slhf-lab judge audit`: what a judge's verdicts say of the judge.

use std::path::PathBuf;

use clap::Args;
use slhf_comparison::{TRAINING, chain, judge_plan, parameters, present, run_responses};
use slhf_plan::PluginPlan;
use slhf_record::{JudgeAudit, OpenMode, Record};
use slhf_statistics::{Audit, AuditSettings, Repeats};
use thiserror::Error;

use super::trial::Trial;
use super::{document, tables};
use crate::failure::Failure;
use crate::granted::GrantArguments;
use crate::output::{self, Format, say, visible};
use crate::trial::{self, Asking, Plan, Subject};
use crate::verb::common::RecordArgument;

/// Arguments of `judge audit`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The judge: NAME or NAME=JSON with parameters, `OUTER over INNER` where one wraps another; with --run also `training`, the one
    /// that the run was trained on
    judge: String,
    /// Pairs of responses, one JSON object a line: `prompt`, `chosen` and `rejected` (texts or lists of messages); or `prompt` and
    /// `responses`, with `p_second` (a probability) or `label` (the place of the best from 0, or a number for each), or without
    #[arg(long, value_name = "FILE", required_unless_present = "run", conflicts_with = "run")]
    pairs: Option<PathBuf>,
    /// A run of a language model in the place of a file: all pairs of its policies' recorded responses to each held-out prompt. A
    /// number, `latest`, experiment/cell/seed, or a unique beginning of it
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// How often each pair is asked in each order, with other draws [default: 3 where verdicts change with the draw, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    draws: Option<u8>,
    /// Of the draws and of what is simulated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The first N prompts alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    models: GrantArguments,
    #[command(flatten)]
    record: RecordArgument,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error)]
enum AuditError {
    #[error("`training` is the judge of a run: name one with --run, or the judge itself")]
    TrainingOfNobody,
    #[error("run {run} has no training judge: it learned from a file of preferences; name a judge")]
    TrainedOnNobody { run: i64 },
    #[error("there is nothing to ask about: give --pairs FILE or --run RUN")]
    Nothing,
}

/// What is audited, with the record that keeps what is found; `None`: it cannot be written.
struct Named {
    plan: PluginPlan,
    subject: Subject,
    run: Option<i64>,
    record: Option<Record>,
}

/// Asks, keeps and prints what was found.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Named { mut plan, mut subject, run, record } = named(arguments)?;
    subject.keep(arguments.limit.map(|limit| limit as usize));
    let kept = record.as_ref().map(|record| Record::open(record.path(), OpenMode::Write)).transpose();
    let host = arguments.models.host((None, kept.map_err(Failure::of_record)?), &mut [&mut plan])?;
    let judge = host.host().preference(&plan).map_err(Failure::bad_input)?;
    let asking = Asking { draws: arguments.draws, seed: arguments.seed, pairs: Plan::All };
    let asked = trial::ask(&judge, &subject, asking)?;
    let settings = AuditSettings { seed: arguments.seed, repeats: asked.repeats, ..AuditSettings::default() };
    let audit = Audit::of(&asked.prompts, settings);
    let trial = Trial { judge: chain(&plan), subject, seed: arguments.seed, asked, audit, models: host.usage() };
    remark(&trial);
    keep(record, &plan, run, &trial)?;
    if arguments.format == Format::Json {
        return output::print_json(&document::of(&trial));
    }
    output::print_table(&tables::of(&trial), arguments.format)
}

fn keep(record: Option<Record>, plan: &PluginPlan, run: Option<i64>, trial: &Trial) -> Result<(), Failure> {
    let Some(mut record) = record else {
        say("note: the record is read-only: the audit is not recorded");
        return Ok(());
    };
    let found = JudgeAudit {
        judge: trial.judge.clone(),
        parameters: parameters(plan).to_string(),
        sha256: plan.sha256.clone(),
        subject: trial.subject.name.clone(),
        subject_sha256: trial.subject.sha256.clone(),
        run,
        document: document::of(trial).to_string(),
    };
    let number = record.add_judge_audit(&found).map_err(Failure::failed)?;
    say(format!("recorded as audit {number} in {}", visible(&record.path().display().to_string())));
    Ok(())
}

/// The judge, and what it is asked about.
fn named(arguments: &Arguments) -> Result<Named, Failure> {
    let writable = |record: Record| record.is_writable().then_some(record);
    match (&arguments.run, &arguments.pairs) {
        (Some(run), _) => {
            let mut record = arguments.record.open(OpenMode::Read)?;
            let run = record.resolve_run(run).map_err(Failure::of_record)?;
            let responses = run_responses(&mut record, run.run, &mut say)?;
            let plan = match &responses.training_judge {
                _ if arguments.judge != TRAINING => judge_plan(&arguments.judge)?,
                Some(judge) => present(judge, &mut say)?,
                None => return Err(Failure::bad_input(AuditError::TrainedOnNobody { run: run.run })),
            };
            let name = format!("run {} ({})", run.run, run.name());
            let subject = Subject::of_run(run.run, name, responses)?;
            Ok(Named { plan, subject, run: Some(run.run), record: writable(record) })
        }
        (None, Some(_)) if arguments.judge == TRAINING => Err(Failure::bad_input(AuditError::TrainingOfNobody)),
        (None, Some(file)) => {
            let (plan, subject) = (judge_plan(&arguments.judge)?, Subject::of_file(file)?);
            let mode = if arguments.record.db.exists() { OpenMode::Read } else { OpenMode::Create };
            Ok(Named { plan, subject, run: None, record: writable(arguments.record.open(mode)?) })
        }
        (None, None) => Err(Failure::bad_input(AuditError::Nothing)),
    }
}

/// What the numbers do not say of themselves.
fn remark(trial: &Trial) {
    let (asked, audit) = (&trial.asked, &trial.audit);
    if asked.repeats == Repeats::Steady {
        say(
            "note: verdicts do not change with the draw, as far as pairs asked twice show: each pair was asked once in each order",
        );
    }
    if asked.repeats == Repeats::Drawn && audit.noise.is_none() {
        say(
            "note: one draw a pair says nothing of noise, and so not whether cycles are more than noise: give --draws 2 or more",
        );
    }
    if audit.triples.is_none() {
        say("note: no prompt has three compared responses: nothing is known of cycles");
    } else if audit.cyclic_part.is_none() {
        say(
            "note: some probability is below .01 or above .99, or no prompt has all of its pairs: cycles are counted, log-odds not decomposed",
        );
    }
}
