//! `slhf-lab ls`: runs, newest first.

use std::collections::HashMap;

use clap::Args;
use clap::builder::PossibleValuesParser;
use slhf_record::{OpenMode, RunFilter, RunStatus, RunSummary};

use super::common::{FormatArgument, RecordArgument, status_names};
use crate::failure::Failure;
use crate::launching;
use crate::output::{self, Cell, Column, Table};

/// Runs that are listed unless `--all` or `--limit` says otherwise.
const LIMIT: usize = 50;

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only runs of this experiment
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// Only runs in this state (may be given several times)
    #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(status_names()))]
    status: Vec<String>,
    /// Only runs that carry this tag (several: all of them)
    #[arg(long, value_name = "NAME")]
    tag: Vec<String>,
    /// All runs, superseded ones too
    #[arg(long)]
    all: bool,
    /// Maximum number of runs [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "all")]
    limit: Option<usize>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let mut statuses: Vec<RunStatus> = arguments.status.iter().filter_map(|name| RunStatus::from_name(name)).collect();
    if statuses.is_empty() && !arguments.all {
        statuses = RunStatus::ALL.into_iter().filter(|status| *status != RunStatus::Superseded).collect();
    }
    let filter = RunFilter {
        experiment: arguments.experiment.clone(),
        statuses,
        tags: arguments.tag.clone(),
        ..RunFilter::default()
    };
    let mut runs = record.runs(&filter).map_err(Failure::failed)?;
    runs.reverse();
    let limit = if arguments.all { usize::MAX } else { arguments.limit.unwrap_or(LIMIT) };
    let more = runs.len().saturating_sub(limit);
    runs.truncate(limit);
    let mut waiting = HashMap::new();
    if runs.iter().any(|run| run.status == RunStatus::Pending) {
        waiting = launching::waiting_runs(&mut record);
    }
    for run in runs.iter_mut().filter(|run| run.status == RunStatus::Pending && run.reason.is_none()) {
        run.reason = waiting.remove(&run.run);
    }
    output::print_table(&table(&runs), arguments.format.format)?;
    if more > 0 {
        output::say(format!("{more} older runs are not listed: --all lists them"));
    } else if runs.is_empty() {
        output::say(nothing(&mut record, arguments)?);
    }
    Ok(())
}

/// Why the list is empty, with what would fill it.
fn nothing(record: &mut slhf_record::Record, arguments: &Arguments) -> Result<String, Failure> {
    let experiments = record.experiments().map_err(Failure::failed)?;
    let names: Vec<String> = experiments.into_iter().map(|known| output::visible(&known.experiment)).collect();
    Ok(match &arguments.experiment {
        _ if names.is_empty() => "the record holds no run yet: `slhf-lab run FILE.toml` makes some".to_owned(),
        Some(name) if !names.contains(name) => {
            let known = slhf_words::known(name, names.iter().map(String::as_str));
            format!("the record holds no experiment \"{}\": it has {known}", output::visible(name))
        }
        _ if !arguments.tag.is_empty() => {
            let tags = record.all_tags().map_err(Failure::failed)?;
            let known: Vec<String> = tags.iter().map(|(tag, _)| output::visible(tag)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("no run matches: the tags of this record are {known}; --all lists superseded runs too")
        }
        _ => "no run matches: --all lists superseded ones too".to_owned(),
    })
}

fn table(runs: &[RunSummary]) -> Table {
    let mut table = Table::new(vec![
        Column::number("run"),
        Column::text("experiment"),
        Column::number("execution"),
        Column::labels("cell"),
        Column::number("seed"),
        Column::text("status"),
        Column::number("steps_done").titled("done").spare(),
        Column::number("steps"),
        Column::text("started_at").titled("started").spare(),
        Column::text("finished_at").titled("ended").spare(),
        Column::text("reason"),
    ])
    .captioned();
    for run in runs {
        table.push(vec![
            Cell::Integer(run.run),
            Cell::text(&run.experiment),
            Cell::Integer(run.execution),
            Cell::text(&run.cell),
            Cell::Integer(run.seed),
            Cell::State(run.status.to_string()),
            Cell::Integer(run.steps_done),
            Cell::Integer(run.steps),
            Cell::time(run.started_at.clone()),
            Cell::time(run.finished_at.clone()),
            Cell::from(run.reason.clone()),
        ]);
    }
    table
}
