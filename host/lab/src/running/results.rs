//! What an execution found, one row a cell: the gaps over the seeds, and the policies where the game is small.

use slhf_plan::{EvaluationName, MetricKey, Shown};
use slhf_record::{ComparedCell, Record, RecordError, RunStatus};

use crate::output::{Cell, Column, Table};
use crate::over_seeds::latest;

/// How far a run is from its closed form, best-known first.
pub(crate) fn gap_metrics() -> impl Iterator<Item = &'static str> {
    MetricKey::shown(Shown::Long).filter(|key| *key != MetricKey::ValueCommitted).map(MetricKey::name)
}

/// What the short table at the end of a run shows: the gap of each method, and the one figure that all methods share.
fn short() -> impl Iterator<Item = &'static str> {
    MetricKey::shown(Shown::Short).map(MetricKey::name)
}

/// A metric of a step, and what evaluations of closed sets say in its place: of all prompts, after the last update, where the step's is
/// of its own few prompts before it.
fn placed(key: &str) -> [String; 3] {
    let evaluated = |prompts: &str| EvaluationName::Other(key.to_owned()).key(prompts);
    [key.to_owned(), evaluated("train"), evaluated("held_out")]
}

/// Who answers better than whom on held-out prompts, where language models were trained.
const CONTESTS: [&str; 3] = ["leader/reference", "follower(reference)/reference", "follower(leader)/leader"];

/// Actions that a policy may have and still be shown whole.
const ACTIONS_SHOWN_MAX: usize = 8;

/// The table at the end of an experiment: its cells over their finished runs, answered ones included.
pub(crate) fn results(record: &mut Record, experiment: &str, execution: i64) -> Result<Table, RecordError> {
    let comparison = record.comparison(experiment, Some(execution))?;
    let mut columns =
        vec![Column::text("experiment"), Column::labels("cell"), Column::text("method"), Column::number("seeds")];
    columns.extend(short().flat_map(placed).map(Column::estimate));
    columns.extend(CONTESTS.iter().map(|contest| Column::estimate(EvaluationName::WIN_RATE.key(contest))));
    columns.push(Column::text("policy").titled("final policy (mean over seeds)"));
    let mut table = Table::new(columns).captioned();
    for mut cell in comparison.cells {
        cell.runs.retain(|run| run.summary.status == RunStatus::Finished);
        let method = cell.parameters.get("method.name").map(ToString::to_string);
        let mut row =
            vec![Cell::text(experiment), Cell::text(&cell.label), Cell::from(method), Cell::count(cell.runs.len())];
        let contests = CONTESTS.iter().map(|contest| EvaluationName::WIN_RATE.key(contest));
        // A step's metric stands where no evaluation says the same of all prompts.
        let stands = |[of_step, train, held_out]: [String; 3]| {
            [latest(&cell, &train).is_none().then_some(of_step), Some(train), Some(held_out)]
        };
        let keys = short().map(placed).flat_map(stands).chain(contests.map(Some));
        let shown = |key: String| latest(&cell, &key).map_or(Cell::Empty, |found| Cell::measured(&key, found.cell()));
        row.extend(keys.map(|key| key.map_or(Cell::Empty, shown)));
        row.push(policy(record, &cell)?);
        table.push(row);
    }
    Ok(table.without_empty_columns())
}

/// The Leader's probabilities at the last step, averaged over the seeds.
fn policy(record: &mut Record, cell: &ComparedCell) -> Result<Cell, RecordError> {
    let mut policy = Policy::default();
    for run in &cell.runs {
        for evaluation in record.latest_evaluations(run.summary.run)? {
            if evaluation.name == EvaluationName::Probability
                && let Some(action) = evaluation.subject.strip_prefix("leader/")
            {
                policy.add(action, evaluation.value);
            }
        }
    }
    Ok(policy.shown(cell.runs.len()))
}

/// Probabilities summed over runs, in the order of the actions.
#[derive(Debug, Default)]
struct Policy {
    actions: Vec<(String, f64)>,
}

impl Policy {
    fn add(&mut self, action: &str, probability: f64) {
        match self.actions.iter_mut().find(|(name, _)| name == action) {
            Some((_, sum)) => *sum += probability,
            None => self.actions.push((action.to_owned(), probability)),
        }
    }

    /// Likeliest first.
    fn shown(mut self, runs: usize) -> Cell {
        if self.actions.is_empty() || runs == 0 {
            return Cell::Empty;
        }
        self.actions.sort_by(|a, b| b.1.total_cmp(&a.1));
        let more = self.actions.len().saturating_sub(ACTIONS_SHOWN_MAX);
        let shown: Vec<String> = self
            .actions
            .iter()
            .take(ACTIONS_SHOWN_MAX)
            .map(|(action, sum)| format!("{action} {:.3}", sum / runs as f64))
            .collect();
        let more = if more > 0 { format!(", {more} more") } else { String::new() };
        Cell::text(format!("{}{more}", shown.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_averaged_and_the_likeliest_comes_first() {
        let mut policy = Policy::default();
        for (a, b) in [(0.25, 0.75), (0.5, 0.5)] {
            policy.add("rock", a);
            policy.add("paper", b);
        }
        assert_eq!(policy.shown(2), Cell::text("paper 0.625, rock 0.375"));
    }
}
