//! The rows of the subjects: cells of executions, and single runs.

use std::collections::BTreeMap;

use slhf_plan::EvaluationName;
use slhf_record::{ComparedCell, ComparedRun, Comparison, Record, RecordError, RunStatus};

use super::at;
use super::row::{Row, RowWithRuns};
use crate::failure::Failure;
use crate::output;
use crate::over_seeds::prompts_of;
use crate::verb::budget::Budget;

/// What is compared, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Experiments and runs; none: the experiment that was run last.
    pub(super) subjects: &'a [String],
    /// After so many steps.
    pub(super) at_step: Option<u64>,
    /// At an equal budget.
    pub(super) at: Option<&'a Budget>,
}

/// One row a cell, or a run that was named.
pub(super) fn gather(record: &mut Record, wanted: Wanted<'_>) -> Result<Vec<Row>, Failure> {
    let known = record.experiments().map_err(Failure::failed)?;
    let mut subjects = wanted.subjects.to_vec();
    if subjects.is_empty() {
        let latest = known.iter().max_by(|a, b| a.executed_at.cmp(&b.executed_at));
        let Some(latest) = latest else {
            return Err(Failure::bad_input("the record holds no run yet: `slhf-lab run FILE.toml` makes some"));
        };
        subjects.push(latest.experiment.clone());
    }
    let mut rows = Vec::new();
    for subject in &subjects {
        let (name, execution) = slhf_comparison::split_execution(subject);
        if known.iter().any(|known| known.experiment == name) {
            let comparison = record.comparison(name, execution).map_err(Failure::of_record)?;
            rows.extend(cells(comparison));
        } else {
            let names = known.iter().map(|known| known.experiment.as_str());
            rows.push(single(record, subject).map_err(|error| not_found(error, subject, names))?);
        }
    }
    if let Some(step) = wanted.at_step {
        return at::at_step(record, rows, step);
    }
    if let Some(budget) = wanted.at {
        return at::at_budget(record, rows, budget);
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

fn cells(comparison: Comparison) -> Vec<RowWithRuns> {
    let Comparison { experiment, execution, cells, .. } = comparison;
    let row = |cell: ComparedCell| {
        let (finished, unfinished): (Vec<ComparedRun>, Vec<ComparedRun>) =
            cell.runs.into_iter().partition(|run| run.summary.status == RunStatus::Finished);
        let runs = finished.iter().chain(&unfinished).map(|run| (run.summary.run, run.summary.seed)).collect();
        let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut seeds: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for run in &finished {
            for (key, (_, value)) in &run.metrics {
                metrics.entry(key.clone()).or_default().push(*value);
                seeds.entry(key.clone()).or_default().push(run.summary.seed);
            }
        }
        let prompts = metrics
            .keys()
            .filter_map(|key| Some((key.clone(), prompts_of(key, finished.iter(), &cell.parameters)?)))
            .collect();
        let row = Row {
            experiment: experiment.clone(),
            execution,
            label: cell.label,
            seeds: finished.len(),
            unfinished: unfinished.len(),
            parameters: cell.parameters,
            metrics,
            seeds_of: seeds,
            prompts,
        };
        (row, runs)
    };
    cells.into_iter().map(row).collect()
}

/// A run that was named is shown as far as it is, finished or not.
fn single(record: &mut Record, name: &str) -> Result<RowWithRuns, RecordError> {
    let run = record.resolve_run(name)?;
    let mut metrics: BTreeMap<String, Vec<f64>> =
        record.latest_metrics(run.run)?.into_iter().map(|metric| (metric.key, vec![metric.value])).collect();
    let mut prompts = BTreeMap::new();
    // Of a game's actions each has a probability: they are no measure of the run.
    for row in record.latest_evaluations(run.run)?.into_iter().filter(|row| row.name != EvaluationName::Probability) {
        let key = row.name.key(&row.subject);
        metrics.insert(key.clone(), vec![row.value]);
        if let Some(n) = usize::try_from(row.n).ok().filter(|n| *n > 0) {
            prompts.insert(key, n);
        }
    }
    let seeds_of = metrics.keys().map(|key| (key.clone(), vec![run.seed])).collect();
    let row = Row {
        experiment: run.experiment.clone(),
        execution: run.execution,
        label: format!("{}/{} (run {})", run.cell, run.seed, run.run),
        seeds: 1,
        unfinished: 0,
        parameters: record.parameters(run.run)?.into_iter().collect(),
        metrics,
        seeds_of,
        prompts,
    };
    Ok((row, vec![(run.run, run.seed)]))
}

fn not_found<'a>(error: RecordError, subject: &str, experiments: impl Iterator<Item = &'a str>) -> Failure {
    let RecordError::NoSuchRun { .. } = error else { return Failure::of_record(error) };
    let experiments: Vec<String> = experiments.map(output::visible).collect();
    let known = slhf_words::known(subject, experiments.iter().map(String::as_str));
    Failure::bad_input(format!(
        "no experiment and no run is named `{}`: the record holds {}",
        output::visible(subject),
        if experiments.is_empty() { "none yet" } else { &known }
    ))
}
