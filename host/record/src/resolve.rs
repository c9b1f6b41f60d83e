//! What a person may write for a RUN.

use crate::error::Doing as _;
use crate::list::runs;
use crate::{ExecutionChoice, Record, RecordError, RunFilter, RunSummary};

/// How many examples an ambiguous name shows.
const EXAMPLES: usize = 4;

impl Record {
    /// The run that `name` means:
    ///
    /// - a number, as every verb shows it;
    /// - `latest`: the run that was planned last;
    /// - `experiment/cell/seed` in the experiment's latest execution, or in execution 3 as `experiment#3/cell/seed`;
    /// - any prefix of such a name that only one run has;
    /// - likewise with the keys of the cell as tables shorten them (`kappa=1` for `schedule.kappa.value=1`).
    pub fn resolve_run(&mut self, name: &str) -> Result<RunSummary, RecordError> {
        let name = name.trim();
        if let Ok(number) = name.parse::<i64>() {
            let filter = RunFilter { runs: vec![number], ..RunFilter::default() };
            return self.runs(&filter)?.pop().ok_or_else(|| not_found(name, self.last_run().unwrap_or(None)));
        }
        if name == "latest" {
            let Some(last) = self.last_run()? else { return Err(not_found(name, None)) };
            let filter = RunFilter { runs: vec![last], ..RunFilter::default() };
            return self.runs(&filter)?.pop().ok_or_else(|| not_found(name, None));
        }
        let (wanted, filter) = split_execution(name);
        let mut found: Vec<RunSummary> = self.block(async |connection| runs(connection, &filter).await)?;
        if let Some(exact) = found.iter().position(|run| run.name() == wanted) {
            return Ok(found.swap_remove(exact));
        }
        let names = names(&found);
        let is_meant = |index: usize| !wanted.is_empty() && names[index].iter().any(|name| name.starts_with(&wanted));
        let exact = |index: &usize| names[*index].contains(&wanted);
        let meant: Vec<usize> = (0..found.len()).filter(|index| is_meant(*index)).collect();
        let exact: Vec<usize> = meant.iter().copied().filter(exact).collect();
        let meant = if exact.len() == 1 { exact } else { meant };
        let mut found: Vec<RunSummary> = meant.into_iter().map(|index| found[index].clone()).collect();
        match found.len() {
            0 => Err(not_found(name, self.last_run()?)),
            1 => Ok(found.swap_remove(0)),
            count => {
                let examples: Vec<String> =
                    found.iter().take(EXAMPLES).map(|run| format!("{} (run {})", run.name(), run.run)).collect();
                Err(RecordError::AmbiguousRun { name: name.to_owned(), count, examples: examples.join(", ") })
            }
        }
    }

    fn last_run(&mut self) -> Result<Option<i64>, RecordError> {
        self.block(async |connection| {
            sqlx::query_scalar("SELECT max(id) FROM run").fetch_one(connection).await.doing("looking for the last run")
        })
    }
}

/// What each run may be called: its name, and its name with short keys.
fn names(runs: &[RunSummary]) -> Vec<[String; 2]> {
    let cells: Vec<&str> = runs.iter().map(|run| run.cell.as_str()).collect();
    let short = slhf_words::short_labels(&cells);
    let both = |(run, cell): (&RunSummary, String)| [run.name(), format!("{}/{cell}/{}", run.experiment, run.seed)];
    runs.iter().zip(short).map(both).collect()
}

/// `experiment#3/…` → (`experiment/…`, execution 3); everything else means latest executions.
fn split_execution(name: &str) -> (String, RunFilter) {
    let (experiment, rest) = name.split_once('/').unwrap_or((name, ""));
    if let Some((experiment, number)) = experiment.rsplit_once('#')
        && let Ok(number) = number.parse()
    {
        let filter = RunFilter {
            experiment: Some(experiment.to_owned()),
            execution: ExecutionChoice::Number(number),
            ..RunFilter::default()
        };
        return (format!("{experiment}/{rest}"), filter);
    }
    (name.to_owned(), RunFilter { execution: ExecutionChoice::Latest, ..RunFilter::default() })
}

fn not_found(name: &str, last: Option<i64>) -> RecordError {
    let hint = match last {
        None => ": the record holds no run yet".to_owned(),
        Some(last) => format!(
            ": give a number up to {last}, `latest`, or experiment/cell/seed or a unique beginning of it \
             (`slhf-lab ls` lists all)"
        ),
    };
    RecordError::NoSuchRun { name: name.to_owned(), hint }
}
