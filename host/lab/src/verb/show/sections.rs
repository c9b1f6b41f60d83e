//! What there is to say about a run, aspect by aspect.

use slhf_record::{Record, RecordError, RunSummary, ScheduleValue};

use super::super::compare::parameter;
use super::section::{Section, Shape};
use crate::output::{Cell, Column, Table};

/// What the command line calls all aspects, in their order: their keys, but for one that is spelt otherwise in JSON.
pub(super) const NAMES: [&str; 13] = [
    "run",
    "metrics",
    "completions",
    "evaluations",
    "schedule",
    "parameters",
    "plugins",
    "costs",
    "state_changes",
    "artifacts",
    "environment",
    "provenance",
    "software",
];

/// Whether a section is the one of this name.
pub(super) fn is_named(section: &Section, name: &str) -> bool {
    section.key == name || (section.key == "artefacts" && name == "artifacts")
}

/// All aspects, in the order in which they are printed.
pub(super) fn all(record: &mut Record, run: &RunSummary) -> Result<Vec<Section>, RecordError> {
    Ok(vec![
        section("run", "Run", Shape::One, summary(run)),
        section("tags", "Tags", Shape::List, tags(record, run.run)?),
        section("notes", "Notes", Shape::List, notes(record, run.run)?),
        section("metrics", "Metrics (latest)", Shape::List, metrics(record, run.run)?),
        section("completions", "Completions", Shape::One, completions(record, run)?),
        section("evaluations", "Evaluations (last step)", Shape::List, evaluations(record, run.run)?),
        section("schedule", "Schedule as realized", Shape::List, schedule(&record.schedule(run.run)?)),
        section("parameters", "Parameters", Shape::List, parameters(record, run.run)?),
        section("plugins", "Plugins", Shape::Tall, plugins(record, run.run)?),
        section("costs", "Costs", Shape::List, costs(record, run.run)?),
        section("state_changes", "State changes", Shape::List, state_changes(record, run.run)?),
        section("artefacts", "Artifacts", Shape::List, artefacts(record, run.run)?),
        section("environment", "Computed on", Shape::One, environment(record, run.run)?),
        section("provenance", "Provenance", Shape::One, provenance(record, run.run)?),
        section("software", "Software", Shape::List, software(record, run.run)?),
    ])
}

fn tags(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![Column::text("tag")]);
    for tag in record.tags(run)? {
        table.push(vec![Cell::Text(tag)]);
    }
    Ok(table)
}

fn notes(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![Column::text("written_at").titled("written"), Column::text("text")]);
    for note in record.notes(run)? {
        table.push(vec![Cell::Text(note.written_at), Cell::Text(note.text)]);
    }
    Ok(table)
}

fn section(key: &'static str, title: &'static str, shape: Shape, table: Table) -> Section {
    Section { key, title, shape, table }
}

/// One row, built column by column.
#[derive(Default)]
struct OneRow {
    columns: Vec<Column>,
    cells: Vec<Cell>,
}

impl OneRow {
    fn with(mut self, key: &str, cell: impl Into<Cell>) -> Self {
        self.columns.push(Column::text(key));
        self.cells.push(cell.into());
        self
    }

    fn table(self) -> Table {
        let mut table = Table::new(self.columns);
        table.push(self.cells);
        table
    }
}

fn summary(run: &RunSummary) -> Table {
    OneRow::default()
        .with("run", run.run)
        .with("name", run.name())
        .with("experiment", run.experiment.as_str())
        .with("kind", run.kind.as_str())
        .with("execution", run.execution)
        .with("cell", run.cell.as_str())
        .with("seed", run.seed)
        .with("status", Cell::State(run.status.to_string()))
        .with("reason", run.reason.clone())
        .with("steps_done", run.steps_done)
        .with("steps", run.steps)
        .with("attempts", run.attempts)
        .with("created_at", Cell::Time(run.created_at.clone()))
        .with("started_at", Cell::time(run.started_at.clone()))
        .with("finished_at", Cell::time(run.finished_at.clone()))
        .with("superseded_by_execution", run.superseded_by_execution)
        .with("content_hash", run.content_hash.as_str())
        .table()
}

fn metrics(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![Column::text("key"), Column::number("step"), Column::number("value")]);
    for metric in record.latest_metrics(run)? {
        let value = Cell::measured(&metric.key, Cell::Number(metric.value));
        table.push(vec![Cell::text(metric.key), Cell::Integer(metric.step), value]);
    }
    Ok(table)
}

/// How many were recorded, and how to read them; empty on a game.
fn completions(record: &mut Record, run: &RunSummary) -> Result<Table, RecordError> {
    let steps = record.completion_steps(run.run)?;
    Ok(match (steps.first(), steps.last()) {
        (Some(first), Some(last)) => OneRow::default()
            .with("steps", Cell::count(steps.len()))
            .with("first_step", *first)
            .with("last_step", *last)
            .with("read", format!("slhf-lab samples {}", run.run))
            .table(),
        _ => Table::default(),
    })
}

fn evaluations(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![
        Column::text("name"),
        Column::text("subject"),
        Column::number("value"),
        Column::number("low"),
        Column::number("high"),
        Column::number("n"),
        Column::number("step"),
    ]);
    for row in record.latest_evaluations(run)? {
        table.push(vec![
            Cell::text(row.name.to_string()),
            Cell::text(row.subject),
            Cell::Number(row.value),
            Cell::from(row.low),
            Cell::from(row.high),
            Cell::Integer(row.n),
            Cell::Integer(row.step),
        ]);
    }
    Ok(table)
}

/// First, last, lowest and highest: the whole of it is `query "SELECT * FROM schedules WHERE run = …"`.
fn schedule(rows: &[ScheduleValue]) -> Table {
    let mut table = Table::new(vec![
        Column::text("value"),
        Column::number("first"),
        Column::number("last"),
        Column::number("lowest"),
        Column::number("highest"),
    ]);
    if rows.is_empty() {
        return table;
    }
    let mut push = |name: &str, values: Vec<f64>| {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return };
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        table.push(vec![
            Cell::text(name),
            Cell::Number(*first),
            Cell::Number(*last),
            Cell::Number(lowest),
            Cell::Number(highest),
        ]);
    };
    push("step", rows.iter().map(|row| row.step as f64).collect());
    push("kappa", rows.iter().filter_map(|row| row.kappa).collect());
    push("leader_learning_rate", rows.iter().filter_map(|row| row.leader_learning_rate).collect());
    push("follower_learning_rate", rows.iter().filter_map(|row| row.follower_learning_rate).collect());
    push("leader_updates", rows.iter().map(|row| row.leader_updates as f64).collect());
    push("follower_updates", rows.iter().map(|row| row.follower_updates as f64).collect());
    table
}

fn parameters(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![Column::text("key"), Column::text("value")]);
    for (key, value) in record.parameters(run)? {
        table.push(vec![Cell::text(key), parameter(&value)]);
    }
    Ok(table)
}

fn plugins(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::default();
    for plugin in record.plugins(run)? {
        let row = OneRow::default()
            .with("role", plugin.role)
            .with("name", plugin.name)
            .with("version", plugin.version)
            .with("wit_version", plugin.wit_version)
            .with("sha256", plugin.sha256)
            .with("path", plugin.path)
            .with("capabilities", plugin.capabilities)
            .with("parameters", plugin.parameters)
            .with("on_failure", plugin.on_failure)
            .with("memory_mib", plugin.memory_mib)
            .with("deadline_ms", plugin.deadline_ms)
            .with("fuel_per_item", plugin.fuel_per_item)
            .with("calls", plugin.calls)
            .with("items", plugin.items)
            .with("failed_items", plugin.failed_items)
            .with("wall_ns", plugin.wall_ns)
            .with("fuel", plugin.fuel)
            .with("peak_memory_bytes", plugin.peak_memory_bytes)
            .with("shared_by_runs", plugin.shared_by_runs)
            .table();
        table.columns = row.columns;
        table.rows.extend(row.rows);
    }
    Ok(table)
}

fn costs(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![
        Column::text("quantity"),
        Column::number("value"),
        Column::text("unit"),
        Column::number("attempts"),
    ]);
    for cost in record.costs(run)? {
        table.push(vec![
            Cell::text(cost.quantity),
            Cell::Number(cost.value),
            Cell::text(cost.unit),
            Cell::Integer(cost.attempts),
        ]);
    }
    Ok(table)
}

fn state_changes(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![
        Column::text("changed_at").titled("at"),
        Column::text("from_status").titled("from"),
        Column::text("to_status").titled("to"),
        Column::number("step"),
        Column::text("reason"),
    ]);
    for change in record.state_changes(run)? {
        table.push(vec![
            Cell::Time(change.changed_at),
            Cell::from(change.from_status),
            Cell::State(change.to_status),
            Cell::from(change.step),
            Cell::from(change.reason),
        ]);
    }
    Ok(table)
}

fn artefacts(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![
        Column::number("step"),
        Column::text("kind"),
        Column::number("size_bytes"),
        Column::text("written_at"),
        Column::text("removed_at"),
        Column::text("sha256"),
        Column::text("path"),
    ]);
    let files = record.artefacts(run)?;
    let is_spoilt = files.iter().any(|file| file.unusable_at.is_some());
    if is_spoilt {
        table.columns.extend([Column::text("unusable_at"), Column::text("unusable_reason")]);
    }
    for file in files {
        let mut row = vec![
            Cell::Integer(file.step),
            Cell::text(file.kind),
            Cell::Integer(file.size_bytes),
            Cell::Time(file.written_at),
            Cell::time(file.removed_at),
            Cell::text(file.sha256),
            Cell::text(file.path),
        ];
        if is_spoilt {
            row.extend([Cell::time(file.unusable_at), Cell::from(file.unusable_reason)]);
        }
        table.push(row);
    }
    Ok(table)
}

fn environment(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    Ok(record.environment(run)?.map_or_else(Table::default, |environment| {
        OneRow::default()
            .with("device", environment.device)
            .with("device_description", environment.device_description)
            .with("cpu_capability", environment.cpu_capability)
            .with("threads", i64::from(environment.threads))
            .with("libtorch_version", environment.libtorch_version)
            .with("worker_sha256", environment.worker_sha256)
            .with("mkl_cbwr", environment.mkl_cbwr)
            .table()
    }))
}

fn provenance(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let execution = record.execution_of(run)?;
    Ok(OneRow::default()
        .with("question", execution.question)
        .with("toml_path", execution.toml_path)
        .with("command_line", execution.command_line)
        .with("working_directory", execution.working_directory)
        .with("created_at", Cell::Time(execution.created_at))
        .with("host", execution.host)
        .with("lab_version", execution.lab_version)
        .with("lab_sha256", execution.lab_sha256)
        .with("worker_sha256", execution.worker_sha256)
        .with("source_commit", execution.source_commit)
        .with("source_dirty", execution.source_dirty.map_or(Cell::Empty, Cell::Boolean))
        .with("content_hash", execution.content_hash)
        .table())
}

fn software(record: &mut Record, run: i64) -> Result<Table, RecordError> {
    let mut table = Table::new(vec![Column::text("software"), Column::text("version")]);
    for (name, version) in record.software_of(run)? {
        table.push(vec![Cell::text(name), Cell::text(version)]);
    }
    Ok(table)
}
