//! Trained reward models on held-out pairs.

use slhf_plan::{EvaluationName, RewardModelFigure};
use slhf_record::{ComparedCell, Comparison, EvaluationValue, ParameterValue};
use slhf_report::{Block, Table};

use super::measured::Evaluations;
use super::text::{finished, inline};
use crate::output::number;

/// Figures beside the agreement, as their rows begin.
const OTHERS: [(RewardModelFigure, &str); 5] = [
    (RewardModelFigure::LogLoss, "log loss, nats"),
    (RewardModelFigure::CalibrationError, "expected calibration error"),
    (RewardModelFigure::SquaredError, "mean squared error"),
    (RewardModelFigure::Mean, "mean value"),
    (RewardModelFigure::Drift, "drift of the mean value"),
];

/// Agreement, calibration and values at the end.
pub(super) fn blocks(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let agreement = rows(comparison, evaluations, RewardModelFigure::Accuracy, "");
    let others: Vec<Vec<String>> = OTHERS
        .into_iter()
        .flat_map(|(figure, title)| rows(comparison, evaluations, figure, &format!("{title}: ")))
        .collect();
    vec![
        Block::Heading("Data".to_owned()),
        Block::Table(Table { columns: ["cell", "file", "SHA-256", "held-out prompts"].map(str::to_owned).to_vec(), rows: data(comparison) }),
        Block::Heading("Agreement on held-out pairs".to_owned()),
        Block::Text(
            "The share of pairs whose better response the model prefers, beside what the rule that the longer (or the shorter) response is \
             better reaches on the same pairs, and a coin. With one run a cell's interval is over prompts, as the run recorded it: pairs \
             of one prompt are no independent observations; with several it is over trainings."
                .to_owned(),
        ),
        table(comparison, "of", agreement),
        Block::Heading("Calibration and values".to_owned()),
        table(comparison, "figure", others),
        Block::Folded { summary: "Reliability".to_owned(), blocks: reliability(comparison, evaluations) },
    ]
}

/// Agreement with the labels beside that of length alone, in a sentence: of every cell, or of the first ones.
pub(super) fn agreement(comparison: &Comparison, evaluations: &Evaluations) -> Option<String> {
    let name = EvaluationName::RewardModel(RewardModelFigure::Accuracy);
    let is_whole = |subject: &&String| !is_part(subject) && !is_baseline(subject);
    let subjects = evaluations.subjects(&name);
    let (wholes, baseline) = (
        subjects.iter().filter(is_whole),
        subjects.iter().find(|subject| subject.contains("length only") && !is_part(subject)),
    );
    let cell = comparison.cells.first()?;
    let parts: Vec<String> = wholes
        .take(5)
        .filter_map(|subject| {
            Some(format!("{} {}", inline(subject), evaluations.over_seeds(cell, &name, subject)?.value_text()))
        })
        .collect();
    if parts.is_empty() {
        return None;
    }
    let beside = baseline.and_then(|subject| evaluations.over_seeds(cell, &name, subject));
    let beside =
        beside.map_or_else(String::new, |found| format!("; preferring length alone reaches {}", found.value_text()));
    let whose = if comparison.cells.len() > 1 { format!("{}: ", inline(&cell.label)) } else { String::new() };
    Some(format!(
        "{whose}the share of held-out pairs on which the model agrees with the labels is {}{beside}.",
        parts.join(", ")
    ))
}

fn is_part(subject: &str) -> bool {
    subject.contains("apart") || subject.contains("the better one")
}

fn is_baseline(subject: &str) -> bool {
    subject.contains("length only") || subject.contains("random")
}

/// What each cell was trained and measured on.
fn data(comparison: &Comparison) -> Vec<Vec<String>> {
    let row = |cell: &ComparedCell| {
        let of = |key: &str| match cell.parameters.get(key) {
            Some(ParameterValue::Text(text)) => inline(text),
            Some(ParameterValue::Integer(number)) => number.to_string(),
            _ => String::new(),
        };
        vec![inline(&cell.label), of("data.pairs"), of("data.sha256"), of("data.held_out")]
    };
    comparison.cells.iter().map(row).collect()
}

fn table(comparison: &Comparison, first: &str, rows: Vec<Vec<String>>) -> Block {
    let cells = comparison.cells.iter().map(|cell| inline(&cell.label));
    Block::Table(Table { columns: [first.to_owned(), "n".to_owned()].into_iter().chain(cells).collect(), rows })
}

/// One a subject, in the order in which runs recorded them.
fn rows(
    comparison: &Comparison,
    evaluations: &Evaluations,
    figure: RewardModelFigure,
    prefix: &str,
) -> Vec<Vec<String>> {
    let name = EvaluationName::RewardModel(figure);
    let mut subjects = evaluations.subjects(&name);
    subjects.sort_by_key(|subject| (is_part(subject), is_baseline(subject), subject.clone()));
    let row = |subject: String| {
        let last = |cell: &ComparedCell| {
            let runs: Vec<i64> = finished(cell).map(|run| run.summary.run).collect();
            match runs.as_slice() {
                [run] => last_of(evaluations, *run, &name, &subject).map(shown),
                _ => evaluations.over_seeds(cell, &name, &subject).map(|found| found.text()),
            }
        };
        let runs = comparison.cells.iter().flat_map(finished);
        let n = runs.filter_map(|run| last_of(evaluations, run.summary.run, &name, &subject)).map(|row| row.n).min();
        let values: Vec<String> = comparison.cells.iter().map(|cell| last(cell).unwrap_or_default()).collect();
        let n = n.map_or_else(String::new, |n| n.to_string());
        [vec![format!("{prefix}{}", inline(&subject)), n], values].concat()
    };
    subjects.into_iter().map(row).collect()
}

fn last_of<'a>(
    evaluations: &'a Evaluations,
    run: i64,
    name: &EvaluationName,
    subject: &str,
) -> Option<&'a EvaluationValue> {
    evaluations.of(run).iter().rev().find(|row| row.name == *name && row.subject == subject)
}

fn shown(row: &EvaluationValue) -> String {
    match (row.low, row.high) {
        (Some(low), Some(high)) => format!("{} [{}, {}]", number(row.value), number(low), number(high)),
        _ => number(row.value),
    }
}

/// The bins of each cell's first run.
fn reliability(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let (confidence, share) = (
        EvaluationName::RewardModel(RewardModelFigure::Confidence),
        EvaluationName::RewardModel(RewardModelFigure::Reliability),
    );
    let mut rows = Vec::new();
    for cell in &comparison.cells {
        let Some(run) = finished(cell).next().map(|run| run.summary.run) else { continue };
        let last = evaluations.of(run).iter().map(|row| row.step).max();
        let mut bins: Vec<&EvaluationValue> =
            evaluations.of(run).iter().filter(|row| row.name == share && Some(row.step) == last).collect();
        bins.sort_by(|one, other| one.subject.cmp(&other.subject));
        rows.extend(bins.into_iter().map(|bin| {
            let mean =
                last_of(evaluations, run, &confidence, &bin.subject).map_or_else(String::new, |row| number(row.value));
            vec![inline(&cell.label), inline(&bin.subject), bin.n.to_string(), mean, number(bin.value)]
        }));
    }
    let columns = ["cell", "bin", "pairs", "mean confidence", "share of labels that agree"].map(str::to_owned).to_vec();
    vec![Block::Table(Table { columns, rows })]
}
