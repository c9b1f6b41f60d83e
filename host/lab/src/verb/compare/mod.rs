//! `slhf-lab compare`: cells side by side: what differs between them, and what came of it, over the seeds.

mod at;
mod row;

use row::{Row, RowWithRuns};

use std::cmp::Ordering;
use std::collections::BTreeMap;

use clap::Args;
use slhf_plan::EvaluationName;
use slhf_record::{ComparedCell, ComparedRun, Comparison, OpenMode, ParameterValue, Record, RecordError, RunStatus};

use super::budget::Budget;
use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};
use crate::over_seeds::prompts_of;
use crate::running::gap_metrics;

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments (name, or name#3 for its third execution) or runs [default: the experiment that was run last]
    #[arg(value_name = "EXPERIMENT|RUN")]
    subjects: Vec<String>,
    /// Leave out columns that are the same in all rows
    #[arg(long)]
    only_changed: bool,
    /// Sort by a metric (smallest first) or a parameter
    #[arg(long, value_name = "KEY")]
    sort: Option<String>,
    /// Largest first
    #[arg(long, requires = "sort")]
    descending: bool,
    /// Only the first N rows
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Metrics to show, separated by commas [default: the gaps, or the win rates on held-out prompts; all where there are none]
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Values after so many steps instead of the last ones
    #[arg(long, value_name = "STEP")]
    at_step: Option<u64>,
    /// Values at an equal budget, interpolated between steps, as in `tokens=2e6`: `tokens`, `tokens_generated`, `tokens_trained`,
    /// `flops`, `seconds` or `step`
    #[arg(long, value_name = "BUDGET", conflicts_with = "at_step")]
    at: Option<Budget>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let mut rows = gather(&mut record, arguments)?;
    let keys = metric_keys(&rows, &arguments.metrics)?;
    if let Some(key) = &arguments.sort {
        sort(&mut rows, key, arguments.descending)?;
    }
    let mut table = table(&rows, &keys);
    if arguments.only_changed {
        table = only_changed(&table);
    }
    // After the columns were chosen: what differs is what differs between all rows.
    table.rows.truncate(arguments.top.unwrap_or(usize::MAX));
    output::print_table(&table, arguments.format.format)?;
    let unfinished: usize = rows.iter().map(|row| row.unfinished).sum();
    if unfinished > 0 {
        output::say(format!("note: {unfinished} runs are not finished and left out"));
    }
    Ok(())
}

fn gather(record: &mut Record, arguments: &Arguments) -> Result<Vec<Row>, Failure> {
    let known = record.experiments().map_err(Failure::failed)?;
    let mut subjects = arguments.subjects.clone();
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
    if let Some(step) = arguments.at_step {
        return at::at_step(record, rows, step);
    }
    if let Some(budget) = &arguments.at {
        return at::at_budget(record, rows, budget);
    }
    Ok(rows.into_iter().map(|(row, _)| row).collect())
}

fn cells(comparison: Comparison) -> Vec<RowWithRuns> {
    let Comparison { experiment, execution, cells, .. } = comparison;
    let row = |cell: ComparedCell| {
        let (finished, unfinished): (Vec<ComparedRun>, Vec<ComparedRun>) =
            cell.runs.into_iter().partition(|run| run.summary.status == RunStatus::Finished);
        let runs = finished.iter().chain(&unfinished).map(|run| run.summary.run).collect();
        let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (key, (_, value)) in finished.iter().flat_map(|run| &run.metrics) {
            metrics.entry(key.clone()).or_default().push(*value);
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
            prompts,
        };
        (row, runs)
    };
    cells.into_iter().map(row).collect()
}

/// A run that was named is shown as far as it is, finished or not.
fn single(record: &mut Record, name: &str) -> Result<RowWithRuns, RecordError> {
    let run = record.resolve_run(name)?;
    let metrics = record.latest_metrics(run.run)?;
    let row = Row {
        experiment: run.experiment.clone(),
        execution: run.execution,
        label: format!("{}/{} (run {})", run.cell, run.seed, run.run),
        seeds: 1,
        unfinished: 0,
        parameters: record.parameters(run.run)?.into_iter().collect(),
        metrics: metrics.into_iter().map(|metric| (metric.key, vec![metric.value])).collect(),
        prompts: BTreeMap::new(),
    };
    Ok((row, vec![run.run]))
}

fn not_found<'a>(error: RecordError, subject: &str, experiments: impl Iterator<Item = &'a str>) -> Failure {
    let RecordError::NoSuchRun { .. } = error else { return Failure::of_record(error) };
    let experiments: Vec<String> = experiments.map(output::visible).collect();
    Failure::bad_input(format!(
        "no experiment and no run is named `{}`: the record holds {}",
        output::visible(subject),
        if experiments.is_empty() { "none yet".to_owned() } else { experiments.join(", ") }
    ))
}

/// What was asked for; else the gaps that any row has; else everything.
fn metric_keys(rows: &[Row], asked: &[String]) -> Result<Vec<String>, Failure> {
    let recorded: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    for key in asked {
        if !recorded.contains(key) {
            return Err(unknown(key, "metric", recorded.iter().map(|key| key.as_str())));
        }
    }
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let gaps: Vec<String> = gap_metrics().map(str::to_owned).filter(|key| recorded.contains(key)).collect();
    if !gaps.is_empty() {
        return Ok(gaps);
    }
    let win_rates: Vec<String> =
        recorded.iter().filter(|key| is_trained_win_rate(key)).map(|key| (*key).clone()).collect();
    Ok(if win_rates.is_empty() { recorded.into_iter().cloned().collect() } else { win_rates })
}

/// How often somebody's responses win, by the judge of training.
fn is_trained_win_rate(key: &str) -> bool {
    EvaluationName::split_key(key).0 == EvaluationName::WIN_RATE
}

fn unknown<'a>(key: &str, noun: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let nearest = slhf_words::nearest(key, known.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
    let all =
        || if known.is_empty() { "; there is none".to_owned() } else { format!("; there are {}", known.join(", ")) };
    Failure::bad_input(format!("no row has a {noun} \"{key}\"{}", nearest.unwrap_or_else(all)))
}

fn sort(rows: &mut [Row], key: &str, descending: bool) -> Result<(), Failure> {
    let is_metric = rows.iter().any(|row| row.metrics.contains_key(key));
    let is_parameter = rows.iter().any(|row| row.parameters.contains_key(key));
    if !is_metric && !is_parameter {
        let known: std::collections::BTreeSet<&String> =
            rows.iter().flat_map(|row| row.metrics.keys().chain(row.parameters.keys())).collect();
        return Err(unknown(key, "metric or parameter", known.into_iter().map(String::as_str)));
    }
    let mean = |row: &Row| {
        row.metrics
            .get(key)
            .filter(|values| !values.is_empty())
            .map(|values| values.iter().sum::<f64>() / values.len() as f64)
            // Nothing is ranked by what is left of rounding: the order stays.
            .map(|mean| if slhf_plan::is_rounding_noise(key, mean) { 0.0 } else { mean })
    };
    rows.sort_by(
        |a, b| {
            if is_metric { by_number(mean(a), mean(b), descending) } else { by_parameter(a, b, key, descending) }
        },
    );
    Ok(())
}

/// Rows without a value come last, whatever the direction.
fn by_number(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn by_parameter(a: &Row, b: &Row, key: &str, descending: bool) -> Ordering {
    let number = |row: &Row| match row.parameters.get(key) {
        Some(ParameterValue::Integer(value)) => Some(*value as f64),
        Some(ParameterValue::Float(value)) => Some(*value),
        _ => None,
    };
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return by_number(Some(a), Some(b), descending);
    }
    let text = |row: &Row| row.parameters.get(key).map(ToString::to_string);
    match (text(a), text(b)) {
        (Some(a), Some(b)) if descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Parameters that differ between rows, in alphabetical order.
fn differing_keys(rows: &[Row]) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.parameters.keys()).collect();
    let Some(first) = rows.first() else { return Vec::new() };
    let differs = |key: &&String| rows.iter().any(|row| row.parameters.get(*key) != first.parameters.get(*key));
    let differing: Vec<String> = keys.into_iter().filter(differs).cloned().collect();
    differing.iter().filter(|key| !is_told_by_another(key, &differing)).cloned().collect()
}

/// A hash says nothing to people that a name of the same table (`game.file`, `judge.plugin`) does not say better; it is
/// shown where it alone tells two rows apart.
fn is_told_by_another(key: &str, differing: &[String]) -> bool {
    let is_hash = |key: &str| key.ends_with("sha256");
    let table = |key: &str| key.split('.').next().map(str::to_owned);
    is_hash(key) && differing.iter().any(|other| !is_hash(other) && table(other) == table(key))
}

fn table(rows: &[Row], metrics: &[String]) -> Table {
    let parameters = differing_keys(rows);
    let is_one = |of: &dyn Fn(&Row) -> String| rows.windows(2).all(|pair| of(&pair[0]) == of(&pair[1]));
    let experiment_is_one = is_one(&|row| format!("{}#{}", row.experiment, row.execution));
    let mut columns = Vec::new();
    if !experiment_is_one {
        columns.extend([Column::text("experiment"), Column::number("execution")]);
    }
    columns.extend([Column::labels("cell"), Column::number("seeds")]);
    let short = slhf_words::short_keys(parameters.iter().map(String::as_str));
    columns.extend(parameters.iter().map(|key| {
        let is_number = rows.iter().all(|row| {
            matches!(
                row.parameters.get(key),
                None | Some(ParameterValue::Integer(_) | ParameterValue::Float(_) | ParameterValue::None)
            )
        });
        if is_number { Column::number(key.clone()) } else { Column::text(key.clone()) }
            .titled(short[key.as_str()])
            .spare()
    }));
    columns.extend(metrics.iter().map(|key| Column::estimate(key.clone())));
    let mut table = Table::new(columns).captioned();
    for row in rows {
        let mut cells = Vec::new();
        if !experiment_is_one {
            cells.extend([Cell::text(&row.experiment), Cell::Integer(row.execution)]);
        }
        cells.extend([Cell::text(&row.label), Cell::count(row.seeds)]);
        cells.extend(parameters.iter().map(|key| row.parameters.get(key).map_or(Cell::Empty, brief_parameter)));
        cells.extend(metrics.iter().map(|key| row.over_seeds(key)));
        table.push(cells);
    }
    table
}

/// A parameter as a cell.
pub(super) fn parameter(value: &ParameterValue) -> Cell {
    match value {
        ParameterValue::Boolean(value) => Cell::Boolean(*value),
        ParameterValue::Integer(value) => Cell::Integer(*value),
        ParameterValue::Float(value) => Cell::Exact(*value),
        ParameterValue::Text(text) | ParameterValue::Json(text) => Cell::text(text),
        ParameterValue::None => Cell::Empty,
    }
}

/// A parameter as one of many columns.
fn brief_parameter(value: &ParameterValue) -> Cell {
    match parameter(value) {
        Cell::Text(text) => Cell::Brief(text),
        cell => cell,
    }
}

/// Takes away columns in which all rows agree; the label stays, so that a row has a name.
fn only_changed(table: &Table) -> Table {
    let changes = |column: usize| table.rows.windows(2).any(|pair| differ(&pair[0][column], &pair[1][column]));
    let kept: Vec<usize> =
        (0..table.columns.len()).filter(|index| table.columns[*index].key == "cell" || changes(*index)).collect();
    let mut narrow = Table::new(kept.iter().map(|index| table.columns[*index].clone()).collect());
    for row in &table.rows {
        narrow.push(kept.iter().map(|index| row[*index].clone()).collect());
    }
    narrow
}

/// Two means over different numbers of seeds are the same where their values are.
fn differ(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Noise(a), Cell::Noise(b)) => differ(a, b),
        (Cell::Estimate { mean: a, .. }, Cell::Estimate { mean: b, .. })
        | (Cell::Share { share: a, .. }, Cell::Share { share: b, .. }) => a.to_bits() != b.to_bits(),
        (a, b) => a != b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, kappa: f64, gaps: &[f64]) -> Row {
        Row {
            experiment: "e".into(),
            execution: 1,
            label: label.into(),
            seeds: gaps.len(),
            unfinished: 0,
            parameters: BTreeMap::from([
                ("schedule.kappa.value".to_owned(), ParameterValue::Float(kappa)),
                ("method.steps".to_owned(), ParameterValue::Integer(100)),
            ]),
            metrics: BTreeMap::from([
                ("stackelberg_gap".to_owned(), gaps.to_vec()),
                ("entropy".to_owned(), vec![1.0; gaps.len()]),
            ]),
            prompts: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_differs_is_a_column_and_gaps_come_first() {
        let rows = [row("a", 1.0, &[0.1, 0.2]), row("b", 5.0, &[0.3])];
        let keys = metric_keys(&rows, &[]).unwrap();
        let table = table(&rows, &keys);
        let columns: Vec<&str> = table.columns.iter().map(|column| column.key.as_str()).collect();
        assert_eq!(columns, ["cell", "seeds", "schedule.kappa.value", "stackelberg_gap"]);
    }

    #[test]
    fn sorting_takes_metrics_and_parameters_and_puts_the_empty_last() {
        let mut rows = vec![row("none", 9.0, &[]), row("high", 1.0, &[0.9]), row("low", 5.0, &[0.1])];
        let labels = |rows: &[Row]| rows.iter().map(|row| row.label.clone()).collect::<Vec<_>>();
        sort(&mut rows, "stackelberg_gap", false).unwrap();
        assert_eq!(labels(&rows), ["low", "high", "none"]);
        sort(&mut rows, "stackelberg_gap", true).unwrap();
        assert_eq!(labels(&rows), ["high", "low", "none"]);
        sort(&mut rows, "schedule.kappa.value", false).unwrap();
        assert_eq!(labels(&rows), ["high", "low", "none"]);
    }

    #[test]
    fn an_unknown_key_is_met_with_the_nearest() {
        let rows = [row("a", 1.0, &[0.1])];
        let failure = metric_keys(&rows, &["stackleberg_gap".to_owned()]).unwrap_err();
        let sentence = failure.sentences().remove(0);
        assert!(sentence.ends_with("did you mean \"stackelberg_gap\"?"), "{sentence}");
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn what_all_rows_share_goes_away_when_asked() {
        let rows = [row("a", 1.0, &[0.1]), row("b", 5.0, &[0.1])];
        let narrow = only_changed(&table(&rows, &["stackelberg_gap".to_owned()]));
        let columns: Vec<&str> = narrow.columns.iter().map(|column| column.key.as_str()).collect();
        assert_eq!(columns, ["cell", "schedule.kappa.value"]);
    }

    #[test]
    fn an_execution_is_named_behind_a_hash() {
        assert_eq!(slhf_comparison::split_execution("cycle#3"), ("cycle", Some(3)));
        assert_eq!(slhf_comparison::split_execution("cycle"), ("cycle", None));
        assert_eq!(slhf_comparison::split_execution("c#x"), ("c#x", None));
    }
}
