//! The last value of the figure by which the person who waits sees whether a run learns.

use slhf_plan::{EvaluationName, EvaluationRow, MetricKey, MetricsBatch, Shown};

use crate::output::{Cell, number};

/// What is said of language models between evaluations, best-known first.
const OF_STEPS: [MetricKey; 3] = [MetricKey::RewardsProbabilities, MetricKey::RewardsMean, MetricKey::RewardLoss];

/// What was heard last of a batch group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// A metric's name, and its value.
    step: Option<(&'static str, f64)>,
    /// How often the Leader's answers beat the reference's, in the last evaluation.
    win_rate: Option<f64>,
    /// Of language models.
    tokens_per_second: Option<f64>,
}

impl Figures {
    /// Metrics came.
    pub(super) fn hear_metrics(&mut self, batch: &MetricsBatch) {
        let last_row = batch.steps.len().saturating_sub(1) * batch.keys.len();
        let value = |key: MetricKey| {
            let column = batch.keys.iter().position(|known| known == key.name())?;
            batch.values.get(last_row + column).copied().filter(|value| value.is_finite())
        };
        let known = || MetricKey::shown(Shown::Short).chain(OF_STEPS);
        if let Some(found) = known().find_map(|key| Some((key.name(), value(key)?))) {
            self.step = Some(found);
        }
        self.tokens_per_second = value(MetricKey::PerfTokensPerSecond).or(self.tokens_per_second);
    }

    /// Evaluations came.
    pub(super) fn hear_evaluations(&mut self, rows: &[EvaluationRow]) {
        let of_leader = |row: &&EvaluationRow| {
            matches!(row.name, EvaluationName::WinRate { judge: None }) && row.subject == "leader/reference"
        };
        if let Some(row) = rows.iter().rev().find(of_leader) {
            self.win_rate = Some(row.value);
        }
    }

    /// As a line shows them: `412 tokens/s, rewards/mean 0.61, win rate 0.55`.
    pub(super) fn shown(&self) -> Vec<String> {
        let tokens = self.tokens_per_second.map(|speed| format!("{} tokens/s", number(speed.round())));
        let step =
            self.step.map(|(key, value)| format!("{key} {}", Cell::measured(key, Cell::Number(value)).for_people()));
        let win_rate = self.win_rate.map(|rate| format!("win rate {rate:.3}"));
        tokens.into_iter().chain(step).chain(win_rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_counts_and_the_best_known_metric() {
        let batch = |keys: &[&str], values: &[f64]| MetricsBatch {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            runs: vec![1; values.len() / keys.len()],
            steps: vec![1; values.len() / keys.len()],
            values: values.to_vec(),
        };
        let mut figures = Figures::default();
        figures.hear_metrics(&batch(&["entropy_leader", "stackelberg_gap"], &[1.0, 0.5, 1.0, 0.25]));
        assert_eq!(figures.shown(), ["stackelberg_gap 0.25"]);
        figures.hear_metrics(&batch(&["rewards/mean", "perf/tokens_per_second"], &[0.5, 412.4]));
        assert_eq!(figures.shown(), ["412 tokens/s", "rewards/mean 0.5"]);
        figures.hear_metrics(&batch(&["rewards/mean"], &[f64::NAN]));
        assert_eq!(figures.shown(), ["412 tokens/s", "rewards/mean 0.5"]);
        figures.hear_metrics(&MetricsBatch::default());
    }
}
