//! Final values along the last axis of an ablation, a line for each combination of the others.

use slhf_plan::EvaluationName;
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{Axis, Block, Chart, LineChart, Point, Series};

use super::measured::{Evaluations, policy_subjects};
use crate::over_seeds::{OverSeeds, latest};
use crate::running::gap_metrics;

const SERIES_MAX: usize = 12;
/// Parameters that differ where the games do.
const GAMES: [&str; 3] = ["judge.parameters.preferences", "game.file", "game.actions"];

/// The gaps of games, on a logarithmic scale.
pub(super) fn of_metrics(comparison: &Comparison, stem: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for key in gap_metrics().filter(|key| comparison.metric_keys.iter().any(|known| known == key)) {
        let value = |cell: &ComparedCell| latest(cell, key);
        let chart = chart(comparison, Axis::Logarithm((*key).to_owned()), None, &value);
        let caption = format!("{key} at the end: mean over seeds with Student's 95 % interval (logarithmic scale)");
        blocks.extend(chart.map(|chart| figure(stem, key, caption, chart)));
    }
    blocks
}

/// The win rates of language models.
pub(super) fn of_evaluations(comparison: &Comparison, evaluations: &Evaluations, stem: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for subject in evaluations.subjects(&EvaluationName::WIN_RATE) {
        let value = |cell: &ComparedCell| evaluations.over_seeds(cell, &EvaluationName::WIN_RATE, &subject);
        let chart = chart(comparison, Axis::Number(format!("win rate, {subject}")), Some(0.5), &value);
        let caption = format!("Win rate of {subject}: mean over seeds with the 95 % interval of a share");
        let name = format!("win-rate-{}", subject.replace(['(', ')', '/'], "-").replace("--", "-"));
        blocks.extend(chart.map(|chart| figure(stem, &name, caption, chart)));
    }
    blocks
}

/// The final probabilities of a game's actions, where it is the judge that differs between the cells and not the
/// game.
pub(super) fn of_policies(comparison: &Comparison, evaluations: &Evaluations, stem: &str) -> Vec<Block> {
    let differing = &comparison.differing_keys;
    let is_judge = differing.iter().any(|key| key.starts_with("judge."));
    // A matrix that is given is a game of its own, although the judge `table` holds it.
    let is_game = differing.iter().any(|key| GAMES.contains(&key.as_str()));
    if !is_judge || is_game {
        return Vec::new();
    }
    let mut blocks = Vec::new();
    for subject in policy_subjects(evaluations) {
        let value = |cell: &ComparedCell| evaluations.over_seeds(cell, &EvaluationName::Probability, &subject);
        let chart = chart(comparison, Axis::Number(format!("probability of {subject}")), None, &value);
        let caption = format!("Final probability of {subject}: mean over seeds with Student's 95 % interval");
        let name = format!("probability-{}", subject.replace(['/', ' '], "-"));
        blocks.extend(chart.map(|chart| figure(stem, &name, caption, chart)));
    }
    blocks
}

fn figure(stem: &str, name: &str, caption: String, chart: Chart) -> Block {
    let name = format!("{stem}-{}", name.replace(['_', '/'], "-").trim_end_matches('-'));
    Block::Figure { name, caption, chart }
}

/// `None` with fewer than two places or more lines than can be told apart.
fn chart(
    comparison: &Comparison,
    y: Axis,
    level: Option<f64>,
    value: &dyn Fn(&ComparedCell) -> Option<OverSeeds>,
) -> Option<Chart> {
    let mut names: Vec<&str> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    for cell in &comparison.cells {
        let (others, own) = places(cell, comparison.axes.len());
        let at = names.iter().position(|name| *name == own).unwrap_or_else(|| {
            names.push(own);
            names.len() - 1
        });
        let Some(OverSeeds { mean, interval, .. }) = value(cell).filter(|found| found.mean.is_finite()) else {
            continue;
        };
        let range = interval.map(|(low, high)| match y {
            // What is below 0 cannot be shown on such a scale.
            Axis::Logarithm(_) => (low.max(mean / 10.0), high),
            Axis::Number(_) | Axis::Names(..) => (low, high),
        });
        let point = Point { x: at as f64, y: mean, range };
        match series.iter_mut().find(|known| known.name == others) {
            Some(known) => known.points.push(point),
            None => series.push(Series { name: others.to_owned(), points: vec![point] }),
        }
    }
    if names.len() < 2 || series.is_empty() || series.len() > SERIES_MAX {
        return None;
    }
    let x = comparison.axes.last().cloned().unwrap_or_else(|| "cell".to_owned());
    let names = names.into_iter().map(|name| name.rsplit('=').next().unwrap_or(name).to_owned()).collect();
    Some(Chart::Lines(LineChart { x: Axis::Names(x, names), y, level, series }))
}

/// A label's parts before the last one, and the last one. A label whose parts cannot be told apart is one.
fn places(cell: &ComparedCell, axes: usize) -> (&str, &str) {
    if axes < 2 || cell.label.matches(", ").count() + 1 != axes {
        return ("", &cell.label);
    }
    cell.label.rsplit_once(", ").unwrap_or(("", &cell.label))
}
