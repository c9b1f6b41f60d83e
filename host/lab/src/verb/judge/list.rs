//! `slhf-lab judge ls`: recorded audits side by side.

use clap::Args;
use serde_json::Value;
use slhf_record::{OpenMode, RecordedAudit};
use thiserror::Error;

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table, say};
use crate::verb::common::{FormatArgument, RecordArgument};

#[derive(Debug, Error)]
#[error("audit {audit} of the record is no JSON")]
struct Unreadable {
    audit: i64,
    source: serde_json::Error,
}

/// Arguments of `judge ls`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// One row an audit.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let audits = record.judge_audits().map_err(Failure::failed)?;
    if audits.is_empty() {
        say("no audit is recorded; `slhf-lab judge audit` makes one");
    }
    let mut table = Table::new(vec![
        Column::number("audit"),
        Column::text("judge"),
        Column::text("models"),
        Column::text("parameters"),
        Column::text("asked about"),
        Column::number("pairs"),
        Column::number("position").titled("p(a,b) + p(b,a) - 1"),
        Column::number("length").titled("win per 100 characters"),
        Column::number("noise").titled("noise (sd)"),
        Column::number("intransitive").titled("intransitive triples"),
        Column::number("accuracy"),
        Column::number("kappa"),
        Column::number("calibration_error").titled("ECE"),
        Column::number("failed"),
        Column::number("milliseconds").titled("model ms a verdict"),
    ]);
    for audit in &audits {
        table.push(row(audit)?);
    }
    output::print_table(&table.without_empty_columns(), arguments.format.format)
}

fn row(audit: &RecordedAudit) -> Result<Vec<Cell>, Failure> {
    let read = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|source| Failure::failed(Unreadable { audit: audit.judge_audit, source }))
    };
    let (found, parameters) = (read(&audit.document)?, read(&audit.parameters)?);
    let models = found["models"].as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = models.iter().filter_map(|model| model["model"].as_str()).collect();
    let milliseconds: f64 = models.iter().filter_map(|model| model["milliseconds"].as_f64()).sum();
    let verdicts = found["verdicts"].as_f64().filter(|verdicts| *verdicts > 0.0);
    Ok(vec![
        Cell::Integer(audit.judge_audit),
        Cell::text(&audit.judge),
        Cell::text(names.join(", ")),
        Cell::Brief(settings(&parameters)),
        Cell::text(&audit.subject),
        count(&found["pairs"]),
        estimate(&found["position"], &found["pairs"]),
        estimate(&found["length"]["win_per_100_characters"], &found["pairs"]),
        number(&found["noise"]["standard_deviation"]["value"]),
        number(&found["triples"]["share"]["value"]),
        share(&found["labels"]["accuracy"], &found["labels"]["n"]),
        estimate(&found["labels"]["kappa"], &found["labels"]["n"]),
        number(&found["labels"]["calibration_error"]),
        count(&found["failed"]),
        verdicts.filter(|_| !names.is_empty()).map_or(Cell::Empty, |verdicts| Cell::Number(milliseconds / verdicts)),
    ])
}

/// Of the outer plugin and of those that it wraps, where any was given.
fn settings(parameters: &Value) -> String {
    match parameters {
        Value::Object(all) if all.is_empty() => String::new(),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> Cell {
    value.as_f64().map_or(Cell::Empty, Cell::Number)
}

fn count(value: &Value) -> Cell {
    value.as_i64().map_or(Cell::Empty, Cell::Integer)
}

fn ends(of: &Value) -> Option<(f64, f64)> {
    Some((of["low"].as_f64()?, of["high"].as_f64()?))
}

fn many(n: &Value) -> usize {
    n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

fn estimate(of: &Value, n: &Value) -> Cell {
    let Some(mean) = of["value"].as_f64() else { return Cell::Empty };
    Cell::Estimate { mean, interval: ends(of), n: many(n) }
}

fn share(of: &Value, n: &Value) -> Cell {
    match (of["value"].as_f64(), ends(of)) {
        (Some(share), Some(interval)) => Cell::Share { share, interval, n: many(n) },
        (Some(value), None) => Cell::Number(value),
        (None, _) => Cell::Empty,
    }
}
