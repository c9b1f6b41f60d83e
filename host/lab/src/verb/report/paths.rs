//! How policies over three actions moved while they were trained, in a triangle.

use std::collections::BTreeMap;

use slhf_game::Solutions;
use slhf_plan::{EvaluationName, MetricKey};
use slhf_record::ComparedCell;
use slhf_report::{Block, Figure, Path, Simplex};

use super::measured::{Evaluations, own_target};
use super::text::finished;

/// The Leader's path of one run of every cell; `None` where the game has another number of actions, and where the policies were
/// recorded at the end alone, as labs did before this figure was there.
pub(super) fn figure(
    actions: &[String],
    cells: &[&ComparedCell],
    evaluations: &Evaluations,
    solutions: &Solutions,
    (name, file): (&str, &str),
) -> Option<Block> {
    let actions: [String; 3] = actions.to_vec().try_into().ok()?;
    let path = |cell: &&ComparedCell| {
        let run = finished(cell).next()?;
        let points = points(evaluations, run.summary.run, &actions);
        let title = format!("{} (seed {})", cell.label, run.summary.seed);
        (points.len() > 1).then(|| Path { name: title, points, target: target(cell, solutions) })
    };
    let paths: Vec<Path> = cells.iter().filter_map(path).collect();
    if paths.is_empty() {
        return None;
    }
    let figure =
        Figure::Simplex(Simplex { title: format!("The Leader's policy while it was trained, {name}"), actions, paths });
    let caption = "One run of every cell, at every evaluated step.".to_owned();
    Some(Block::Figure { name: file.to_owned(), caption, figure })
}

/// At every step at which all three probabilities are known.
fn points(evaluations: &Evaluations, run: i64, actions: &[String; 3]) -> Vec<[f64; 3]> {
    let subjects = actions.each_ref().map(|action| format!("leader/{action}"));
    let mut steps: BTreeMap<i64, [Option<f64>; 3]> = BTreeMap::new();
    for row in evaluations.of(run).iter().filter(|row| row.name == EvaluationName::Probability) {
        if let Some(action) = subjects.iter().position(|subject| *subject == row.subject) {
            steps.entry(row.step).or_default()[action] = Some(row.value);
        }
    }
    steps.into_values().filter_map(|point| Some([point[0]?, point[1]?, point[2]?])).collect()
}

/// The exact solution that the cell's method is to find, where it is one of those that are solved for.
fn target(cell: &ComparedCell, solutions: &Solutions) -> Option<[f64; 3]> {
    let (key, _) = own_target(cell)?;
    let policy = match MetricKey::parse(key)? {
        MetricKey::StackelbergGap => solutions.stackelberg.leader().as_slice().to_vec(),
        MetricKey::DualityGap | MetricKey::DualityGapAverage => solutions.nash.policy.as_slice().to_vec(),
        MetricKey::TvRlhf => solutions.bradley_terry.policy.as_slice().to_vec(),
        _ => return None,
    };
    policy.try_into().ok()
}
