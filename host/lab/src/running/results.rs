//! What an execution found, one row a cell: the gaps over the seeds, and the policies where the game is small.

use slhf_record::{ComparedCell, Record, RecordError, RunStatus};
use slhf_statistics::{Level, Sample};

use crate::output::{Cell, Column, Table};

/// How far a run is from its closed form, best-known first.
pub(crate) const GAP_METRICS: [&str; 9] = [
    "stackelberg_gap",
    "leader_gap",
    "follower_gap",
    "tv_leader",
    "tv_follower",
    "duality_gap_average",
    "duality_gap",
    "tv_fixed_point",
    "tv_rlhf",
];

/// What the short table at the end of a run shows: the gap of each method, and the one figure that all methods share:
/// what their policy is worth to its owner once a Follower has seen the answer and gives the best rebuttal.
const SHORT: [&str; 6] =
    ["stackelberg_gap", "duality_gap_average", "duality_gap", "tv_fixed_point", "tv_rlhf", "value/committed"];

/// Who answers better than whom on held-out prompts, where language models were trained.
const CONTESTS: [&str; 3] = ["leader/reference", "follower(reference)/reference", "follower(leader)/leader"];

/// Actions that a policy may have and still be shown whole.
const ACTIONS_SHOWN_MAX: usize = 8;

/// The table at the end of an experiment: its cells over their finished runs, answered ones included.
pub(crate) fn results(record: &mut Record, experiment: &str, execution: i64) -> Result<Table, RecordError> {
    let comparison = record.comparison(experiment, Some(execution))?;
    let mut columns =
        vec![Column::text("experiment"), Column::text("cell"), Column::text("method"), Column::number("seeds")];
    columns.extend(SHORT.iter().map(|key| Column::estimate(*key)));
    columns.extend(CONTESTS.iter().map(|contest| Column::estimate(format!("win_rate {contest}"))));
    columns.push(Column::text("policy").titled("final policy (mean over seeds)"));
    let mut table = Table::new(columns);
    for mut cell in comparison.cells {
        cell.runs.retain(|run| run.summary.status == RunStatus::Finished);
        let method = cell.parameters.get("method.name").map(ToString::to_string);
        let mut row =
            vec![Cell::text(experiment), Cell::text(&cell.label), Cell::from(method), Cell::count(cell.runs.len())];
        row.extend(SHORT.iter().map(|key| estimate(cell.values(key))));
        for contest in CONTESTS {
            row.push(win_rate(record, &cell, contest)?);
        }
        row.push(policy(record, &cell)?);
        table.push(row);
    }
    Ok(table.without_empty_columns())
}

/// The last evaluation's win rate: of one run with its own interval over prompts, of several with that over seeds.
fn win_rate(record: &mut Record, cell: &ComparedCell, contest: &str) -> Result<Cell, RecordError> {
    let mut found = Vec::new();
    for run in &cell.runs {
        let rows = record.latest_evaluations(run.summary.run)?;
        found.extend(rows.into_iter().find(|row| row.name == "win_rate" && row.subject == contest));
    }
    Ok(match found.as_slice() {
        [one] => Cell::Estimate {
            mean: one.value,
            interval: one.low.zip(one.high),
            n: usize::try_from(one.n).unwrap_or_default(),
        },
        several => estimate(several.iter().map(|row| row.value).collect()),
    })
}

/// The Leader's probabilities at the last step, averaged over the seeds.
fn policy(record: &mut Record, cell: &ComparedCell) -> Result<Cell, RecordError> {
    let mut policy = Policy::default();
    for run in &cell.runs {
        for evaluation in record.latest_evaluations(run.summary.run)? {
            if evaluation.name == "probability"
                && let Some(action) = evaluation.subject.strip_prefix("leader/")
            {
                policy.add(action, evaluation.value);
            }
        }
    }
    Ok(policy.shown(cell.runs.len()))
}

/// The mean with its 95 % interval (Student's t over seeds). Values that are no numbers have no interval.
pub(crate) fn estimate(values: Vec<f64>) -> Cell {
    let n = values.len();
    if n == 0 {
        return Cell::Empty;
    }
    let plain_mean = values.iter().sum::<f64>() / n as f64;
    match Sample::new(values) {
        Ok(sample) => Cell::Estimate {
            mean: sample.mean(),
            interval: sample.mean_interval(Level::PERCENT_95).map(|interval| (interval.low, interval.high)),
            n,
        },
        Err(_) => Cell::Estimate { mean: plain_mean, interval: None, n },
    }
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
    fn a_mean_has_an_interval_where_there_are_seeds_enough() {
        let Cell::Estimate { mean, interval: Some((low, high)), n: 3 } = estimate(vec![1.0, 2.0, 3.0]) else {
            panic!("three values have an interval")
        };
        assert!((mean - 2.0).abs() < 1e-12 && low < 1.0 && high > 3.0);
        assert_eq!(estimate(vec![2.5]), Cell::Estimate { mean: 2.5, interval: None, n: 1 });
        assert_eq!(estimate(vec![]), Cell::Empty);
        assert!(matches!(estimate(vec![f64::INFINITY, 1.0]), Cell::Estimate { interval: None, n: 2, .. }));
    }

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
