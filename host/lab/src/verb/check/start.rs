//! How far from the solution policies on closed response sets begin: of the first such cell, with `check --start` of all.

use std::path::Path;

use slhf_experiment::Experiment;
use slhf_plan::{EvaluationRow, FrozenWork, LanguagePlan, MetricKey, ModelAnswer, ModelRequest, ModelTask, Work};

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};
use crate::verb::model::asking::{ask, unexpected};

/// Which prompts a column is of, as evaluations name them.
const PROMPTS: [&str; 2] = ["train", "held_out"];

/// Of which cells it is shown: each loads its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    First,
    All,
}

/// A table of the cells' distance to their own targets at the first seed, where it is known.
pub(super) fn show(file: &Path, experiment: &Experiment, shown: Shown) -> Result<(), Failure> {
    let mut columns = vec![Column::text("cell"), Column::text("distance to its target")];
    columns.extend(PROMPTS.map(|prompts| Column::number(format!("{prompts} at step 0"))));
    let mut table = Table::new(columns);
    let cells: Vec<(&str, LanguagePlan)> = experiment
        .cells
        .iter()
        .enumerate()
        .filter_map(|(index, cell)| Some((cell.label.as_str(), closed(experiment, index)?)))
        .collect();
    let count = match shown {
        Shown::First => cells.len().min(1),
        Shown::All => cells.len(),
    };
    for (cell, plan) in &cells[..count] {
        let label = output::visible(cell);
        if plan.judge.as_ref().is_some_and(|judge| !judge.plugin.models.is_empty()) {
            output::say(format!("note: {}: {label}: the judge asks a model, which a check does not", file.display()));
            continue;
        }
        if !Path::new(&plan.model.path).exists() {
            output::say(format!(
                "note: {}: {label}: the gap at step 0 needs the model, which is not here",
                file.display()
            ));
            continue;
        }
        let (rows, note) = start(plan)?;
        if let Some(note) = note {
            output::say(format!("note: {}: {label}: {note}", file.display()));
        }
        let Some((name, values)) = distance(&rows) else { continue };
        let mut row = vec![Cell::text(*cell), Cell::text(name)];
        row.extend(values.map(|value| value.map_or(Cell::Empty, Cell::Number)));
        table.push(row);
    }
    if cells.len() > count {
        output::say(format!(
            "note: {}: the first of {} cells on closed response sets; --start shows the gap at step 0 of all",
            file.display(),
            cells.len()
        ));
    }
    if shown == Shown::All && cells.is_empty() {
        output::say(format!(
            "note: {}: no cell is restricted to closed response sets: what policies begin with is known after the first evaluation",
            file.display()
        ));
    }
    if table.rows.is_empty() {
        return Ok(());
    }
    output::print_table(&table, Format::Table)
}

/// The plan of a cell's first seed, where it is of closed sets.
fn closed(experiment: &Experiment, cell: usize) -> Option<LanguagePlan> {
    let run = experiment.runs.iter().position(|run| run.cell == cell)?;
    match experiment.groups.get(experiment.runs[run].group)?.freeze(|_| Some(0))? {
        Work::LanguageModel(plan) => plan.answers.is_some().then_some(*plan),
        _ => None,
    }
}

fn start(plan: &LanguagePlan) -> Result<(Vec<EvaluationRow>, Option<String>), Failure> {
    let work = FrozenWork::freeze(Work::LanguageModel(Box::new(plan.clone()))).map_err(Failure::failed)?;
    let device = &plan.device;
    let request = ModelRequest {
        device: device.name.clone(),
        threads: device.threads,
        precision: Some(device.precision),
        task: ModelTask::Start { frozen: work.text().to_owned() },
    };
    let mut found = None;
    ask(request, &mut |answer| {
        let ModelAnswer::Start { rows, note } = answer else { return Err(unexpected()) };
        found = Some((rows, note));
        Ok(())
    })?;
    found.ok_or_else(unexpected)
}

/// The figure that the cell's method is to bring to 0.
fn distance(rows: &[EvaluationRow]) -> Option<(&'static str, [Option<f64>; 2])> {
    let of = |name: &str, prompts: &str| {
        rows.iter().find(|row| row.name == name && row.subject == prompts).map(|row| row.value)
    };
    let name = MetricKey::TO_OWN_TARGET.into_iter().map(MetricKey::name).find(|name| of(name, PROMPTS[0]).is_some())?;
    Some((name, PROMPTS.map(|prompts| of(name, prompts))))
}
