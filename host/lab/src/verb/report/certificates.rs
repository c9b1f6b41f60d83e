//! Tables of certificates: how far trained pairs may be from their equilibrium, run by run.

use slhf_plan::{CertificateFigure, EvaluationName};
use slhf_record::{ComparedCell, ComparedRun, Comparison, EvaluationValue};
use slhf_report::{Block, Table};

use super::measured::{Evaluations, opened};
use super::text::finished;
use crate::output::number;

/// Bounds that are farther apart say next to nothing: what the judge says ranges over 1.
const TRIVIAL_WIDTH: f64 = 0.5;

/// Nothing where no run was certified.
pub(super) fn blocks(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let row = |cell: &ComparedCell, run: &ComparedRun| {
        let of = |figure| certified(evaluations.of(run.summary.run), figure);
        let [follower, leader] = [CertificateFigure::FollowerGap, CertificateFigure::LeaderGap].map(of);
        let shown = follower.or(leader)?;
        let mut row = vec![cell.label.clone(), run.summary.seed.to_string()];
        let from_below = of(CertificateFigure::LeaderSamplesNeeded).is_some();
        row.extend([
            follower.map_or_else(none, estimate),
            follower.map_or_else(none, bounds),
            leader.map_or_else(none, estimate),
            leader.map_or_else(not_asked, |found| if from_below { low_end(found) } else { bounds(found) }),
        ]);
        row.push(shown.n.to_string());
        Some(row)
    };
    let rows: Vec<Vec<String>> =
        comparison.cells.iter().flat_map(|cell| finished(cell).filter_map(move |run| row(cell, run))).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let columns = ["cell", "seed", "Follower's gap", "lies in", "Leader's gap", "it lies in", "prompts"];
    let mut blocks = vec![
        Block::Heading("How far the policies may be from the equilibrium".to_owned()),
        Block::Text(format!(
            "Bounds of the gaps on the held-out prompts from samples, each right with the probability `evaluation.certificate.confidence`; \
             upper ends only asymptotically, because KL divergences are bounded by Student's t there. Read the bounds: estimates are too low, by much where \
             good responses are rarer than one in the number of samples. Bounds more than {TRIVIAL_WIDTH} apart say next to nothing, and are marked; \
             `from below only`: responses that nobody sampled could be better than all that were; `not bounded`: nobody asked for responses of the \
             Leader's reference (`evaluation.certificate.leader_samples`)."
        )),
    ];
    blocks.extend(opened(Table { columns: columns.map(str::to_owned).to_vec(), rows }, "All runs"));
    blocks
}

fn none() -> String {
    "–".to_owned()
}

/// No gap is below 0, and nothing else is known of one that was not asked for.
fn not_asked() -> String {
    "0 or more (not bounded)".to_owned()
}

/// The last one.
fn certified(rows: &[EvaluationValue], figure: CertificateFigure) -> Option<&EvaluationValue> {
    let name = EvaluationName::Certificate(figure);
    rows.iter().rev().find(|row| row.name == name)
}

fn estimate(found: &EvaluationValue) -> String {
    number(found.value)
}

fn low_end(found: &EvaluationValue) -> String {
    found.low.map_or_else(none, |low| format!("{} or more (from below only)", number(low)))
}

fn bounds(found: &EvaluationValue) -> String {
    let (Some(low), Some(high)) = (found.low, found.high) else { return none() };
    let mark = if high - low > TRIVIAL_WIDTH { " (says next to nothing)" } else { "" };
    format!("{} to {}{mark}", number(low), number(high))
}
