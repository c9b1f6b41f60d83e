//! Tables of what the runs measured at their ends.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, MetricKey, RewardModelFigure};
use slhf_record::{ComparedCell, Comparison, EvaluationValue, Record};
use slhf_report::{Block, escape};

use super::text::finished;
use crate::failure::Failure;
use crate::over_seeds::{OverSeeds, Quantity, latest};
use crate::running::gap_metrics;

/// Cells beyond which a table is folded.
const OPEN_ROWS_MAX: usize = 24;
/// Actions beyond which a policy is no row of a table.
const ACTIONS_MAX: usize = 8;

/// The evaluations of every finished run, by run.
pub(super) struct Evaluations {
    by_run: BTreeMap<i64, Vec<EvaluationValue>>,
}

impl Evaluations {
    pub(super) fn read(record: &mut Record, comparison: &Comparison) -> Result<Self, Failure> {
        let mut by_run = BTreeMap::new();
        for run in comparison.cells.iter().flat_map(finished) {
            by_run.insert(run.summary.run, record.evaluations(run.summary.run).map_err(Failure::failed)?);
        }
        Ok(Self { by_run })
    }

    /// Those of a run, by step.
    pub(super) fn of(&self, run: i64) -> &[EvaluationValue] {
        self.by_run.get(&run).map_or(&[], Vec::as_slice)
    }

    /// The last value of a quantity in a run.
    pub(super) fn last(&self, run: i64, name: &EvaluationName, subject: &str) -> Option<f64> {
        let rows = self.of(run);
        rows.iter().rev().find(|row| row.name == *name && row.subject == subject).map(|row| row.value)
    }

    /// On how many prompts the last values of a cell's runs rest, the least of them.
    fn prompts(&self, cell: &ComparedCell, name: &EvaluationName, subject: &str) -> Option<usize> {
        let of = |run: i64| self.of(run).iter().rev().find(|row| row.name == *name && row.subject == subject);
        let counts = finished(cell).filter_map(|run| of(run.summary.run)).map(|row| row.n);
        counts.min().and_then(|n| usize::try_from(n).ok())
    }

    /// The last value of a quantity over a cell's trainings. Probabilities of games are exact.
    pub(super) fn over_seeds(&self, cell: &ComparedCell, name: &EvaluationName, subject: &str) -> Option<OverSeeds> {
        let values: Vec<f64> = finished(cell).filter_map(|run| self.last(run.summary.run, name, subject)).collect();
        let quantity = match name {
            EvaluationName::Probability => Quantity::Probability,
            name => Quantity::of(&name.to_string(), &values, self.prompts(cell, name, subject)),
        };
        OverSeeds::new(&values, quantity)
    }

    /// What plugins measured of single responses, in the order of the alphabet.
    fn measures(&self) -> Vec<EvaluationName> {
        let rows = self.by_run.values().flatten();
        let measured = rows.filter(|row| matches!(row.name, EvaluationName::Measure { .. }));
        let by_text: BTreeMap<String, EvaluationName> =
            measured.map(|row| (row.name.to_string(), row.name.clone())).collect();
        by_text.into_values().collect()
    }

    /// Whose values of a quantity there are, the Leader's first.
    pub(super) fn subjects(&self, name: &EvaluationName) -> Vec<String> {
        let mut subjects: Vec<String> = Vec::new();
        for row in self.by_run.values().flatten().filter(|row| row.name == *name) {
            if !subjects.contains(&row.subject) {
                subjects.push(row.subject.clone());
            }
        }
        subjects.sort_by_key(|subject| (!subject.starts_with("leader"), subject.clone()));
        subjects
    }
}

/// The distances to the solutions, cell by cell.
pub(super) fn gaps(comparison: &Comparison) -> Vec<Block> {
    let keys: Vec<&str> = gap_metrics()
        .chain([MetricKey::WinRateReference.name()])
        .filter(|key| comparison.metric_keys.iter().any(|known| known == key))
        .collect();
    let columns = std::iter::once("cell").chain(keys.iter().copied()).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = comparison
        .cells
        .iter()
        .map(|cell| {
            let value = |key: &&str| latest(cell, key).map_or_else(String::new, |found| found.text());
            std::iter::once(cell.label.clone()).chain(keys.iter().map(value)).collect()
        })
        .collect();
    let table = Block::Table { columns, rows };
    let heading = Block::Heading("At the end".to_owned());
    if comparison.cells.len() > OPEN_ROWS_MAX {
        return vec![heading, Block::Folded { summary: "All cells".to_owned(), blocks: vec![table] }];
    }
    vec![heading, table]
}

/// Subjects of the final probabilities of a game's actions under the Leader, or under the only policy; none where there
/// are too many for a table.
pub(super) fn policy_subjects(evaluations: &Evaluations) -> Vec<String> {
    let mut subjects = evaluations.subjects(&EvaluationName::Probability);
    subjects.retain(|subject| subject.starts_with("leader/"));
    if subjects.len() > ACTIONS_MAX { Vec::new() } else { subjects }
}

/// What each cell's policy became.
pub(super) fn policies(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    if policy_subjects(evaluations).is_empty() {
        return Vec::new();
    }
    let table =
        table(comparison, evaluations, &[(EvaluationName::Probability, "")], &|subject| subject.starts_with("leader/"));
    let heading = Block::Heading("Final policies".to_owned());
    if comparison.cells.len() > OPEN_ROWS_MAX {
        return vec![heading, Block::Folded { summary: "All cells".to_owned(), blocks: vec![table] }];
    }
    vec![heading, table]
}

/// Win rates on held-out prompts, lengths, and what else was evaluated.
pub(super) fn win_rates(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let mut blocks = vec![
        Block::Heading("On held-out prompts".to_owned()),
        Block::Text(
            "`a/b` is how often a's response is preferred to b's by the training judge, both orders of presentation averaged. \
             An interval that contains ½ does not say who is better."
                .to_owned(),
        ),
        table(comparison, evaluations, &[(EvaluationName::WIN_RATE, "")], &|_| true),
    ];
    blocks.push(Block::Text("Lengths in tokens, and how many responses ended by themselves (a share):".to_owned()));
    let names = [(EvaluationName::MeanLength, "length of "), (EvaluationName::EosRate, "ended: ")];
    blocks.push(table(comparison, evaluations, &names, &|_| true));
    blocks
}

/// What `evaluation.measures` said of every policy's answers; nothing where there are none.
pub(super) fn measures(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let names = evaluations.measures();
    if names.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading("Metrics of single responses".to_owned()),
        Block::Text(
            "Means over the responses to held-out prompts, of held-out plugins (no policy was trained on them); an attribute's over all of its \
             occurrences."
                .to_owned(),
        ),
    ];
    for name in names {
        blocks.push(Block::Text(format!("`{}`:", escape::code(&name.to_string()))));
        blocks.push(table(comparison, evaluations, &[(name, "")], &|_| true));
    }
    blocks
}

/// How well the reward models that were fit before the first step predict the judge; nothing where none was fit.
pub(super) fn reward_models(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let names = [
        (RewardModelFigure::Accuracy, "accuracy of the "),
        (RewardModelFigure::LogLoss, "log loss of the "),
        (RewardModelFigure::Penalty, "penalty of the "),
    ];
    let names = names.map(|(figure, title)| (EvaluationName::RewardModel(figure), title));
    if names.iter().all(|(name, _)| evaluations.subjects(name).is_empty()) {
        return Vec::new();
    }
    vec![
        Block::Heading("Fitted rewards".to_owned()),
        Block::Text(
            "Of the Bradley–Terry models that were fit to the judge's verdicts before the first step, on pairs that they were not fit \
             to (five folds): the share of pairs whose preferred side they name, and the mean log loss in nats (0.693 says nothing)."
                .to_owned(),
        ),
        table(comparison, evaluations, &names, &|_| true),
    ]
}

fn table(
    comparison: &Comparison,
    evaluations: &Evaluations,
    names: &[(EvaluationName, &str)],
    wants: &dyn Fn(&str) -> bool,
) -> Block {
    let mut wanted: Vec<(&EvaluationName, &str, String)> = Vec::new();
    for (name, prefix) in names {
        let subjects = evaluations.subjects(name).into_iter().filter(|subject| wants(subject));
        wanted.extend(subjects.map(|subject| (name, *prefix, subject)));
    }
    let titles = wanted.iter().map(|(_, prefix, subject)| format!("{prefix}{subject}"));
    let columns = std::iter::once("cell".to_owned()).chain(titles).collect();
    let rows = comparison.cells.iter().map(|cell| {
        let value = |(name, _, subject): &(&EvaluationName, &str, String)| {
            evaluations.over_seeds(cell, name, subject).map_or_else(String::new, |found| found.text())
        };
        std::iter::once(cell.label.clone()).chain(wanted.iter().map(value)).collect()
    });
    Block::Table { columns, rows: rows.collect() }
}
