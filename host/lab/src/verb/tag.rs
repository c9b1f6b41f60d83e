//! `slhf-lab tag`: tags to find runs by.

use clap::Args;
use slhf_record::{OpenMode, TagChange};

use super::common::{FormatArgument, RecordArgument, resolve_all};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};

/// Arguments of `tag`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Runs: numbers, `latest`, experiment/cell/seed, or unique beginnings of it; none: list all tags
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// A tag that they get (may be given several times)
    #[arg(long, value_name = "NAME", requires = "runs")]
    add: Vec<String>,
    /// A tag that they lose (may be given several times)
    #[arg(long, value_name = "NAME", requires = "runs")]
    remove: Vec<String>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Changes tags, and prints those of the runs; without a run, all tags of the record.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = TagChange { add: arguments.add.clone(), remove: arguments.remove.clone() };
    let mode = if change == TagChange::default() { OpenMode::Read } else { OpenMode::Write };
    let mut record = arguments.record.open(mode)?;
    if arguments.runs.is_empty() {
        let mut table = Table::new(vec![Column::text("tag"), Column::number("runs")]);
        for (tag, runs) in record.all_tags().map_err(Failure::failed)? {
            table.push(vec![Cell::Text(tag), Cell::Integer(runs)]);
        }
        return output::print_table(&table, arguments.format.format);
    }
    let runs = resolve_all(&mut record, &arguments.runs)?;
    if change != TagChange::default() {
        let numbers: Vec<i64> = runs.iter().map(|run| run.run).collect();
        record.change_tags(&numbers, &change).map_err(Failure::of_record)?;
    }
    let mut table = Table::new(vec![Column::number("run"), Column::text("name"), Column::text("tags")]);
    for run in &runs {
        let tags = record.tags(run.run).map_err(Failure::failed)?.join(", ");
        table.push(vec![Cell::Integer(run.run), Cell::text(run.name()), Cell::Text(tags)]);
    }
    output::print_table(&table, arguments.format.format)
}
