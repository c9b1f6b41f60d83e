//! What further answers are worth: rounds of refinement beside the best of N, at equally many sampled answers.

use slhf_plan::{EvaluationName, Who};
use slhf_record::{ComparedCell, Comparison, ParameterValue};
use slhf_report::{Axis, Block, Curves, Figure, Point, Series, Spread};

use super::measured::Evaluations;
use crate::over_seeds::OverSeeds;

/// A curve a trained Follower, one of the best of N over all such cells, one of self-refinement; none without a second
/// round.
pub(super) fn curve(comparison: &Comparison, evaluations: &Evaluations, stem: &str) -> Vec<Block> {
    let rounds = (2..=64).take_while(|round| is_known(comparison, evaluations, &subject(*round))).last();
    let Some(rounds) = rounds else { return Vec::new() };
    let mut series = Vec::new();
    for cell in &comparison.cells {
        let points: Vec<Point> = (1..=rounds)
            .filter_map(|round| point(f64::from(round) + 1.0, of_cell(cell, evaluations, &subject(round))))
            .collect();
        if !points.is_empty() {
            series.push(Series { name: format!("{}, rounds", cell.label), points });
        }
    }
    for (method, count, further) in
        [("best-of-n", "method.num_generations", 0.0), ("self-refinement", "method.rounds", 1.0)]
    {
        let mut points: Vec<Point> = comparison
            .cells
            .iter()
            .filter(
                |cell| matches!(cell.parameters.get("method.name"), Some(ParameterValue::Text(name)) if name == method),
            )
            .filter_map(|cell| match cell.parameters.get(count) {
                Some(ParameterValue::Integer(count)) => {
                    point(*count as f64 + further, of_cell(cell, evaluations, "leader/reference"))
                }
                _ => None,
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        if !points.is_empty() {
            series.push(Series { name: method.to_owned(), points });
        }
    }
    let curves = Curves {
        title: "Win rate over the reference, by the responses sampled for one".to_owned(),
        x: Axis::linear("responses sampled for one"),
        y: Axis::share("win rate over the reference"),
        level: Some(0.5),
        spread: Spread::Bars,
        series,
    };
    vec![
        Block::Heading("Refinement against more samples".to_owned()),
        Block::Figure {
            name: format!("{stem}-refinement"),
            caption: "Over the reference's one response; k rounds of refinement of it are k + 1 responses. Mean over seeds with the 95 % \
                      interval of a share."
                .to_owned(),
            figure: Figure::Curves(curves),
        },
    ]
}

fn subject(round: u32) -> String {
    format!("{}/{}", Who::refined(Who::Reference, round), Who::Reference)
}

fn of_cell(cell: &ComparedCell, evaluations: &Evaluations, subject: &str) -> Option<OverSeeds> {
    evaluations.over_seeds(cell, &EvaluationName::WIN_RATE, subject)
}

fn is_known(comparison: &Comparison, evaluations: &Evaluations, subject: &str) -> bool {
    comparison.cells.iter().any(|cell| of_cell(cell, evaluations, subject).is_some())
}

fn point(x: f64, found: Option<OverSeeds>) -> Option<Point> {
    found.map(|found| Point { x, y: found.mean, range: found.interval })
}
