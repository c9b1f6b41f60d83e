//! `slhf-lab verdicts replay`: would another judge have said the same?

use clap::Args;
use slhf_comparison::{TRAINING, TrainingPairs, chain, judge_plan, present, training_pairs};
use slhf_judge::Comparison;
use slhf_plan::PluginPlan;
use slhf_random::{Purpose, Row, Stream};
use slhf_record::{OpenMode, Record};
use thiserror::Error;

use super::pair::compare;
use super::tables;
use crate::failure::Failure;
use crate::granted::GrantArguments;
use crate::output::{self, Format, say, visible};
use crate::verb::common::RecordArgument;

/// Questions that are put at once.
const BATCH: usize = 8192;

/// Arguments of `verdicts replay`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run: a number, `latest`, experiment/cell/seed, or a unique beginning of it
    run: String,
    /// The other judge: NAME or NAME=JSON with parameters, `OUTER over INNER` where one wraps another; `training` is the one that the
    /// run was trained on, asked again
    #[arg(long, value_name = "JUDGE")]
    judge: String,
    /// Of the draws, which are others than those of training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The first N verdicts alone
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
#[error("'{judge}' has no verdict on any pair that the recorded judge decided: {reason}")]
struct NothingSaid {
    judge: String,
    reason: String,
}

/// Asks and compares.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let mut pairs = training_pairs(&mut record, run.run, &mut say)?;
    if let Some(limit) = arguments.limit {
        pairs.verdicts.truncate(limit as usize);
    }
    let mut plan: PluginPlan = match arguments.judge.as_str() {
        TRAINING => present(&pairs.training_judge, &mut say)?,
        named => judge_plan(named)?,
    };
    let kept = record.is_writable().then(|| Record::open(record.path(), OpenMode::Write)).transpose();
    let host = arguments.models.host((None, kept.map_err(Failure::of_record)?), &mut [&mut plan])?;
    let judge = host.host().preference(&plan).map_err(Failure::bad_input)?;
    let mut now = Vec::with_capacity(pairs.verdicts.len());
    for batch in questions(&pairs, arguments.seed).chunks(BATCH) {
        now.extend(judge.compare(batch).map_err(Failure::failed)?);
    }
    host.remark();
    let found = compare(&pairs, &now);
    let judge = chain(&plan);
    if found.agreement.is_none() {
        let reason = found.first_failure.as_deref().unwrap_or("all of its recorded verdicts had failed");
        return Err(Failure::failed(NothingSaid { judge, reason: visible(reason) }));
    }
    let replay = tables::Replay { run: run.run, name: run.name(), judge, recorded: &pairs, found };
    if arguments.format == Format::Json {
        return output::print_json(&tables::document(&replay));
    }
    output::print_table(&tables::table(&replay), arguments.format)?;
    let flips = tables::flips(&replay);
    if !flips.rows.is_empty() {
        output::print_text("\nthe largest differences\n")?;
        output::print_table(&flips, arguments.format)?;
    }
    Ok(())
}

fn questions(pairs: &TrainingPairs, seed: u64) -> Vec<Comparison> {
    let question = |(number, asked): (usize, &slhf_comparison::AskedVerdict)| {
        let prompt = &pairs.prompts[asked.prompt];
        let row = Row {
            purpose: Purpose::Draw,
            prompt: number as u32,
            step: asked.step as u32,
            stream: Stream::LaterEvaluation,
            round: 0,
            sample: 0,
        };
        Comparison {
            prompt: prompt.text.clone(),
            messages: prompt.messages.clone(),
            metadata: prompt.metadata.clone(),
            first: asked.first.clone(),
            second: asked.second.clone(),
            draw: row.draw(seed, 0),
        }
    };
    pairs.verdicts.iter().enumerate().map(question).collect()
}
