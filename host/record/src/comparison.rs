//! What `compare` shows: cells × the parameters that differ × the latest metrics, seed by seed.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::SqliteConnection;

use crate::detail::ParameterRow;
use crate::error::Doing as _;
use crate::list::runs;
use crate::value::number_from_columns;
use crate::{ExecutionChoice, ParameterValue, Record, RecordError, RunFilter, RunSummary};

/// One execution of an experiment, side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The experiment.
    pub experiment: String,
    /// Which execution.
    pub execution: i64,
    /// Its question.
    pub question: Option<String>,
    /// Keys of the parameters that are not the same in all cells, sorted.
    pub differing_keys: Vec<String>,
    /// Every metric that any run has, sorted.
    pub metric_keys: Vec<String>,
    /// Names of the ablation's axes, in the order of the plan; a cell's label has a part for each, with `, ` between.
    pub axes: Vec<String>,
    /// The cells, in the order of the plan.
    pub cells: Vec<ComparedCell>,
}

/// One cell.
#[derive(Clone, Debug)]
pub struct ComparedCell {
    /// Its label.
    pub label: String,
    /// Its value on each axis, as the label says it.
    pub settings: Vec<String>,
    /// Its runs by seed: those of this execution, and earlier ones that answer a seed (`--needed`).
    pub runs: Vec<ComparedRun>,
    /// All its parameters by key.
    pub parameters: BTreeMap<String, ParameterValue>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct ComparedRun {
    /// The run.
    pub summary: RunSummary,
    /// Whether it belongs to an earlier execution and answers this cell and seed.
    pub answered: bool,
    /// Latest metrics: key → (step, value); evaluations among them as `name subject`, but for the
    /// probabilities of a game's actions.
    pub metrics: BTreeMap<String, (i64, f64)>,
    /// On how many prompts (or pairs, for what is measured of them) the evaluations among them rest; exact ones are not here.
    pub prompts: BTreeMap<String, i64>,
}

impl ComparedCell {
    /// The values of a metric, seed by seed, where it has been recorded.
    #[must_use]
    pub fn values(&self, key: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.metrics.get(key).map(|(_, value)| *value)).collect()
    }
}

/// Bits of a packed place that hold the metric's key.
const KEY_BITS: u32 = 24;

impl Record {
    /// Compares the cells of an execution; `None`: the latest.
    pub fn comparison(&mut self, experiment: &str, execution: Option<i64>) -> Result<Comparison, RecordError> {
        let found = self.block(async |connection| find_execution(connection, experiment, execution).await)?;
        let Some((id, number, question)) = found else {
            let known: Vec<String> = self.experiments()?.into_iter().map(|known| known.experiment).collect();
            let name = match execution {
                Some(execution) => format!("{experiment}#{execution}"),
                None => experiment.to_owned(),
            };
            let names = slhf_words::known(experiment, known.iter().map(String::as_str));
            let hint = if known.is_empty() { String::new() } else { format!(": it has {names}") };
            return Err(RecordError::NoSuchExperiment { name, hint });
        };
        self.block(async |connection| compare(connection, experiment, id, number, question).await)
    }
}

async fn find_execution(
    connection: &mut SqliteConnection,
    experiment: &str,
    execution: Option<i64>,
) -> Result<Option<(i64, i64, Option<String>)>, RecordError> {
    sqlx::query_as(
        "SELECT x.id, x.number, x.question FROM execution x JOIN experiment e ON e.id = x.experiment \
         WHERE e.name = ?1 AND x.number = coalesce(?2, (SELECT max(number) FROM execution WHERE experiment = e.id))",
    )
    .bind(experiment)
    .bind(execution)
    .fetch_optional(connection)
    .await
    .doing("looking for an execution")
}

async fn compare(
    connection: &mut SqliteConnection,
    experiment: &str,
    id: i64,
    number: i64,
    question: Option<String>,
) -> Result<Comparison, RecordError> {
    let cells: Vec<(i64, i64, String)> =
        sqlx::query_as("SELECT id, number, label FROM cell WHERE execution = ? ORDER BY number")
            .bind(id)
            .fetch_all(&mut *connection)
            .await
            .doing("reading cells")?;
    let mut by_cell = runs_by_cell(connection, experiment, id, number).await?;
    let mut compared = Vec::with_capacity(cells.len());
    for (cell, position, label) in cells {
        let parameters = cell_parameters(connection, cell).await?;
        let settings = cell_settings(connection, cell).await?;
        compared.push(ComparedCell {
            label,
            settings,
            runs: by_cell.remove(&position).unwrap_or_default(),
            parameters,
        });
    }
    let metric_keys: BTreeSet<String> =
        compared.iter().flat_map(|cell| &cell.runs).flat_map(|run| run.metrics.keys().cloned()).collect();
    Ok(Comparison {
        experiment: experiment.to_owned(),
        execution: number,
        question,
        differing_keys: differing_keys(&compared),
        metric_keys: metric_keys.into_iter().collect(),
        axes: axes(connection, id).await?,
        cells: compared,
    })
}

async fn axes(connection: &mut SqliteConnection, execution: i64) -> Result<Vec<String>, RecordError> {
    sqlx::query_scalar(
        "SELECT s.axis_name FROM cell_setting s JOIN cell c ON c.id = s.cell WHERE c.execution = ? \
         GROUP BY s.axis ORDER BY s.axis",
    )
    .bind(execution)
    .fetch_all(connection)
    .await
    .doing("reading the axes of an ablation")
}

async fn cell_settings(connection: &mut SqliteConnection, cell: i64) -> Result<Vec<String>, RecordError> {
    sqlx::query_scalar("SELECT CAST(min(value) AS TEXT) FROM cell_setting WHERE cell = ? GROUP BY axis ORDER BY axis")
        .bind(cell)
        .fetch_all(connection)
        .await
        .doing("reading a cell's place on the axes")
}

/// A key differs where a cell lacks it or has another value.
fn differing_keys(cells: &[ComparedCell]) -> Vec<String> {
    let Some(first) = cells.first() else { return Vec::new() };
    let keys: BTreeSet<&String> = cells.iter().flat_map(|cell| cell.parameters.keys()).collect();
    keys.into_iter()
        .filter(|key| cells.iter().any(|cell| cell.parameters.get(*key) != first.parameters.get(*key)))
        .cloned()
        .collect()
}

async fn cell_parameters(
    connection: &mut SqliteConnection,
    cell: i64,
) -> Result<BTreeMap<String, ParameterValue>, RecordError> {
    let rows: Vec<ParameterRow> = sqlx::query_as(
        "SELECT k.name AS key, p.type, p.value, p.non_finite FROM parameter p JOIN parameter_key k ON k.id = p.key \
         WHERE p.cell = ?",
    )
    .bind(cell)
    .fetch_all(connection)
    .await
    .doing("reading parameters")?;
    Ok(rows.into_iter().map(|row| (row.key, row.value)).collect())
}

async fn runs_by_cell(
    connection: &mut SqliteConnection,
    experiment: &str,
    id: i64,
    number: i64,
) -> Result<BTreeMap<i64, Vec<ComparedRun>>, RecordError> {
    let own = RunFilter {
        experiment: Some(experiment.to_owned()),
        execution: ExecutionChoice::Number(number),
        ..RunFilter::default()
    };
    let mut latest = latest_of(connection, id).await?;
    let mut by_cell: BTreeMap<i64, Vec<ComparedRun>> = BTreeMap::new();
    let mut push = |cell: i64, summary: RunSummary, answered: bool| {
        let Latest { metrics, prompts } = latest.remove(&summary.run).unwrap_or_default();
        by_cell.entry(cell).or_default().push(ComparedRun { summary, answered, metrics, prompts });
    };
    for summary in runs(connection, &own).await? {
        push(summary.cell_number, summary, false);
    }
    let answers: Vec<(i64, i64)> =
        sqlx::query_as("SELECT c.number, a.run FROM answer a JOIN cell c ON c.id = a.cell WHERE c.execution = ?")
            .bind(id)
            .fetch_all(&mut *connection)
            .await
            .doing("reading the runs that cover a cell")?;
    if !answers.is_empty() {
        let filter = RunFilter { runs: answers.iter().map(|(_, run)| *run).collect(), ..RunFilter::default() };
        let earlier: BTreeMap<i64, RunSummary> =
            runs(connection, &filter).await?.into_iter().map(|summary| (summary.run, summary)).collect();
        for (cell, run) in answers {
            if let Some(summary) = earlier.get(&run) {
                push(cell, summary.clone(), true);
            }
        }
    }
    for runs in by_cell.values_mut() {
        runs.sort_by_key(|run| run.summary.seed);
    }
    Ok(by_cell)
}

/// Of one run.
#[derive(Default)]
struct Latest {
    metrics: BTreeMap<String, (i64, f64)>,
    prompts: BTreeMap<String, i64>,
}

/// Latest metrics of the execution's runs and of those that answer for it.
async fn latest_of(connection: &mut SqliteConnection, id: i64) -> Result<BTreeMap<i64, Latest>, RecordError> {
    let doing = "reading the latest metrics";
    let names: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM metric_key").fetch_all(&mut *connection).await.doing(doing)?;
    let names: BTreeMap<i64, String> = names.into_iter().collect();
    let wanted = "WITH wanted AS (SELECT r.id FROM run r JOIN cell c ON c.id = r.cell WHERE c.execution = ?1 \
         UNION SELECT a.run FROM answer a JOIN cell c ON c.id = a.cell WHERE c.execution = ?1)";
    // A table of a thousand runs has tens of thousands of these rows, and each column of each costs as much as all the
    // rest: run and key come as one number, and what is not finite comes by itself.
    let values = format!(
        "{wanted} SELECT (l.run << {KEY_BITS}) | l.key, l.step, l.value \
         FROM wanted w CROSS JOIN latest_metric l ON l.run = w.id WHERE l.non_finite IS NULL"
    );
    let rest = format!(
        "{wanted} SELECT (l.run << {KEY_BITS}) | l.key, l.step, l.non_finite \
         FROM wanted w CROSS JOIN latest_metric l ON l.run = w.id WHERE l.non_finite IS NOT NULL"
    );
    let finite: Vec<(i64, i64, f64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(values)).bind(id).fetch_all(&mut *connection).await.doing(doing)?;
    let named: Vec<(i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(rest)).bind(id).fetch_all(&mut *connection).await.doing(doing)?;
    // The value is that of the row with the last step: SQLite's rule for max() alone.
    let evaluations = format!(
        "{wanted} SELECT v.run, n.name || ' ' || s.name, max(v.step), v.value, v.n FROM wanted w JOIN evaluation v ON v.run = w.id \
         JOIN evaluation_name n ON n.id = v.name JOIN evaluation_subject s ON s.id = v.subject \
         WHERE v.value IS NOT NULL AND n.name <> 'probability' GROUP BY v.run, v.name, v.subject"
    );
    let evaluated: Vec<(i64, String, i64, f64, i64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(evaluations)).bind(id).fetch_all(connection).await.doing(doing)?;
    let named = named
        .into_iter()
        .map(|(place, step, name)| (place, step, number_from_columns(None, Some(&name)).unwrap_or(f64::NAN)));
    let mut latest: BTreeMap<i64, Latest> = BTreeMap::new();
    for (run, key, step, value, prompts) in evaluated {
        let of_run = latest.entry(run).or_default();
        if prompts > 0 {
            of_run.prompts.insert(key.clone(), prompts);
        }
        of_run.metrics.insert(key, (step, value));
    }
    for (place, step, value) in finite.into_iter().chain(named) {
        let (run, key) = (place >> KEY_BITS, place & ((1 << KEY_BITS) - 1));
        if let Some(name) = names.get(&key) {
            latest.entry(run).or_default().metrics.insert(name.clone(), (step, value));
        }
    }
    Ok(latest)
}
