//! How the training of language models went, what it cost, and what they say.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, MetricKey, PromptId, Who};
use slhf_record::{ComparedCell, Comparison, CurveQuery, Record};
use slhf_report::{Axis, Block, Curves, Figure, Point, Series, Spread, Table};

use super::super::curve_points::{READ_MAX, caption, over_seeds, thinned};

use super::measured::{Evaluations, opened};
use super::profile::file_part;
use super::text::{finished, inline};
use crate::failure::Failure;
use crate::over_seeds::{OverSeeds, Quantity};
use crate::running::gap_metrics;

/// Series beyond which figures are closed until somebody opens them.
const OPEN_SERIES_MAX: usize = 15;
const CURVES: [(&str, &str); 8] = [
    ("objective/kl_leader", "KL of the Leader from the reference (nats per response)"),
    ("objective/entropy_leader", "entropy of the Leader (nats per response)"),
    ("completions/mean_length_leader", "length of the Leader's responses (tokens)"),
    ("completions/eos_rate_leader", "share of the Leader's responses that end by themselves"),
    ("reward/loss", "loss of a step's pairs"),
    ("reward/accuracy", "share of a step's pairs on which the model agrees"),
    ("rewards/accuracies", "share of a step's pairs whose better response has the higher reward"),
    ("logps/chosen", "log-probability of a step's better responses (nats)"),
];
const SAMPLED_PROMPTS: usize = 2;

type ByStep = BTreeMap<i64, Vec<f64>>;

fn history(record: &mut Record, cell: &ComparedCell, key: &str) -> Result<ByStep, Failure> {
    let mut by_step = ByStep::new();
    for run in finished(cell) {
        for value in record.metric_history(run.summary.run, key).map_err(Failure::failed)? {
            if value.value.is_finite() {
                by_step.entry(value.step).or_default().push(value.value);
            }
        }
    }
    Ok(by_step)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Learning curves of language models and reward models, with bands over seeds.
pub(super) fn curves(record: &mut Record, comparison: &Comparison, stem: &str) -> Result<Vec<Block>, Failure> {
    let axis = |(key, title): (&'static str, &str)| {
        let is_share = key.contains("eos_rate") || key.contains("accuracy") || key.contains("accuracies");
        (key, if is_share { Axis::share(title) } else { Axis::linear(title) })
    };
    figures(record, comparison, stem, &CURVES.map(axis))
}

/// Learning curves of games: how far a run is from its targets, and what its policy is worth.
pub(super) fn game_curves(record: &mut Record, comparison: &Comparison, stem: &str) -> Result<Vec<Block>, Failure> {
    let committed = MetricKey::ValueCommitted.name();
    let gaps = gap_metrics().map(|key| (key, Axis::logarithm(key)));
    let keys: Vec<(&'static str, Axis)> = gaps.chain([(committed, Axis::share(committed))]).collect();
    figures(record, comparison, stem, &keys)
}

fn figures(
    record: &mut Record,
    comparison: &Comparison,
    stem: &str,
    keys: &[(&'static str, Axis)],
) -> Result<Vec<Block>, Failure> {
    let mut open = Vec::new();
    let mut closed = Vec::new();
    let names: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let mut by_cell = Vec::with_capacity(comparison.cells.len());
    for cell in &comparison.cells {
        let runs: Vec<i64> = finished(cell).map(|run| run.summary.run).collect();
        by_cell.push((cell, record.curves(&runs, &CurveQuery::new(&names, READ_MAX)).map_err(Failure::failed)?));
    }
    for (key, axis) in keys {
        let mut series = Vec::new();
        for (cell, curves) in &by_cell {
            let of_key = curves.iter().filter(|((_, known), _)| known == key).map(|(_, curve)| curve);
            let points = thinned(over_seeds(of_key));
            if points.len() > 1 {
                series.push(Series { name: cell.label.clone(), points });
            }
        }
        if series.is_empty() {
            continue;
        }
        let many = series.len();
        let title = match MetricKey::parse(key) {
            Some(metric) if *key == axis.title => format!("{key}: {}", metric.meaning()),
            _ => axis.title.clone(),
        };
        let (x, y) = (Axis::linear("step"), axis.clone());
        let figure = Figure::Curves(Curves { title, x, y, level: None, spread: Spread::Band, series });
        let name = format!("{stem}-curve-{}", file_part(key));
        let of_key = by_cell.iter().flat_map(|(_, curves)| curves).filter(|((_, known), _)| known == key);
        let caption = caption(of_key.map(|(_, curve)| curve));
        let block = Block::Figure { name, caption, figure };
        if many > OPEN_SERIES_MAX { closed.push(block) } else { open.push(block) }
    }
    let mut blocks = Vec::new();
    if !(open.is_empty() && closed.is_empty()) {
        blocks.push(Block::Heading("Learning curves".to_owned()));
    }
    blocks.extend(open);
    if !closed.is_empty() {
        blocks.push(Block::Folded { summary: format!("Curves of more than {OPEN_SERIES_MAX} cells"), blocks: closed });
    }
    Ok(blocks)
}

/// The divergence of the policy after so many steps: the next step measures it on its samples before it updates. Of the
/// last policy there is none, and that of the one before its last update stands for it.
fn divergence_after(by_step: &ByStep, step: i64) -> Option<&Vec<f64>> {
    by_step.get(&(step + 1)).or_else(|| by_step.get(&step))
}

/// What a win rate cost in divergence: every evaluated step of every cell, mean over seeds.
pub(super) fn frontier(
    record: &mut Record,
    comparison: &Comparison,
    evaluations: &Evaluations,
    stem: &str,
) -> Result<Vec<Block>, Failure> {
    let (metric, subject) = ("objective/kl_leader", "leader/reference");
    let mut series = Vec::new();
    for cell in &comparison.cells {
        let divergence = history(record, cell, metric)?;
        let mut wins = ByStep::new();
        for run in finished(cell) {
            for row in evaluations.of(run.summary.run) {
                if row.name == EvaluationName::WIN_RATE && row.subject == subject {
                    wins.entry(row.step).or_default().push(row.value);
                }
            }
        }
        let points: Vec<Point> = wins
            .iter()
            .filter_map(|(step, rates)| {
                let at = divergence_after(&divergence, *step)?;
                Some(Point { x: mean(at), y: mean(rates), range: Some(spread(rates)) })
            })
            .collect();
        if !points.is_empty() {
            series.push(Series { name: cell.label.clone(), points });
        }
    }
    if series.is_empty() {
        return Ok(Vec::new());
    }
    let curves = Curves {
        title: "The Leader's win rate over the reference against its divergence from it".to_owned(),
        x: Axis::linear("KL of the Leader from the reference (nats per response)"),
        y: Axis::share("win rate over the reference"),
        level: Some(0.5),
        spread: Spread::Bars,
        series,
    };
    Ok(vec![
        Block::Heading("Win rate against divergence".to_owned()),
        Block::Figure {
            name: format!("{stem}-frontier"),
            caption: "At the evaluated steps; the divergence is measured on the samples of the step after, at the end on those of the last \
                      step. Mean over seeds, bars from the lowest to the highest seed."
                .to_owned(),
            figure: Figure::Curves(curves),
        },
    ])
}

/// What the schedule became.
pub(super) fn schedule(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut rows = Vec::new();
    for cell in &comparison.cells {
        let Some(run) = finished(cell).next() else { continue };
        let values = record.schedule(run.summary.run).map_err(Failure::failed)?;
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        let from_to = |first: Option<f64>, last: Option<f64>| match (first, last) {
            (Some(first), Some(last)) if first == last => crate::output::number(first),
            (Some(first), Some(last)) => format!("{} → {}", crate::output::number(first), crate::output::number(last)),
            _ => String::new(),
        };
        rows.push(vec![
            cell.label.clone(),
            last.step.to_string(),
            from_to(first.kappa, last.kappa),
            from_to(first.leader_learning_rate, last.leader_learning_rate),
            from_to(first.follower_learning_rate, last.follower_learning_rate),
            last.leader_updates.to_string(),
            last.follower_updates.to_string(),
        ]);
    }
    let columns = ["cell", "steps", "κ", "Leader's rate", "Follower's rate", "Leader updates", "Follower updates"];
    let mut blocks = vec![
        Block::Heading("The realized schedule".to_owned()),
        Block::Text("From the first step to the last, of the first seed.".to_owned()),
    ];
    blocks.extend(opened(Table { columns: columns.map(str::to_owned).to_vec(), rows }, "All cells"));
    Ok(blocks)
}

/// A quantity of a run's costs, as a page counts it.
fn counted(cost: &slhf_record::Cost) -> (String, f64) {
    let name = cost.quantity.replace('_', " ");
    match cost.unit.as_str() {
        "FLOP" => (format!("{name} (TFLOP)"), cost.value / 1e12),
        "bytes" | "B" => (format!("{} (GB)", name.trim_end_matches(" bytes")), cost.value / 1e9),
        unit if name.starts_with(unit) => (name, cost.value),
        unit => (format!("{name} ({unit})"), cost.value),
    }
}

/// Tokens, operations, seconds, memory: means over seeds, one row a cell and a quantity.
pub(super) fn costs(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut rows = Vec::new();
    for cell in &comparison.cells {
        let mut quantities: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for run in finished(cell) {
            let (mut seconds, mut all) = (0.0, record.costs(run.summary.run).map_err(Failure::failed)?);
            all.retain(|cost| cost.value != 0.0);
            for cost in &all {
                let (name, value) = counted(cost);
                seconds += if cost.unit == "s" { value } else { 0.0 };
                quantities.entry(name).or_default().push(value);
            }
            quantities.entry("seconds in all (s)".to_owned()).or_default().push(seconds);
        }
        rows.extend(quantities.iter().filter_map(|(name, values)| {
            let found = OverSeeds::new(values, Quantity::Number)?;
            Some(vec![cell.label.clone(), name.clone(), found.value_text(), found.trainings.to_string()])
        }));
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let columns = ["cell", "quantity", "a run", "n"].map(str::to_owned).to_vec();
    let mut blocks = vec![
        Block::Heading("Cost".to_owned()),
        Block::Text(
            "Per run. Seconds are those of this machine as busy as it was, and no benchmark: docs/benchmarks.md has those."
                .to_owned(),
        ),
    ];
    blocks.extend(opened(Table { columns, rows }, "Every quantity"));
    Ok(blocks)
}

/// A prompt's id, unknown where an earlier version recorded the answer, and its last message.
type AskedPrompt = (Option<PromptId>, String);

/// The first held-out prompts, answered by every cell's first seed.
pub(super) fn samples(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    // By prompt: who said what.
    let mut said: Vec<(AskedPrompt, Vec<Vec<String>>)> = Vec::new();
    for cell in &comparison.cells {
        let Some(run) = finished(cell).next() else { continue };
        let steps = record.completion_steps(run.summary.run).map_err(Failure::failed)?;
        let Some(step) = steps.last() else { continue };
        for answer in record.completions(run.summary.run, *step).map_err(Failure::failed)? {
            let role = answer.role;
            if !role.is_held_out {
                continue;
            }
            let asked = (answer.prompt_id, answer.prompt);
            let known = said.iter().position(|(known, _)| *known == asked);
            let at = match known {
                Some(at) => at,
                None if said.len() < SAMPLED_PROMPTS => {
                    said.push((asked, Vec::new()));
                    said.len() - 1
                }
                None => continue,
            };
            // Every cell's reference says the same.
            let row_of = |who: &Who| match who {
                Who::Reference => who.to_string(),
                _ => format!("{}/{who}", cell.label),
            };
            let end = if answer.finished { "" } else { " […cut]" };
            let row = vec![row_of(&role.who), format!("{}{end}", answer.text)];
            if !said[at].1.contains(&row) {
                said[at].1.push(row);
            }
        }
    }
    let mut blocks = Vec::new();
    for ((_, prompt), rows) in said {
        blocks.push(Block::Text(format!("**{}**", inline(&prompt))));
        blocks.push(Block::Table(Table { columns: vec!["policy".to_owned(), "response".to_owned()], rows }));
    }
    if blocks.is_empty() {
        return Ok(blocks);
    }
    Ok(vec![
        Block::Heading("Samples".to_owned()),
        Block::Folded {
            summary: "Responses of the first seed, side by side; chosen by position, not by hand".to_owned(),
            blocks,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_win_rate_stands_beside_the_divergence_of_the_same_policy() {
        // A step measures before it updates: the first one's samples are the reference's own.
        let by_step = ByStep::from([(1, vec![0.0]), (2, vec![0.3]), (3, vec![0.4])]);
        let after = |step| divergence_after(&by_step, step).map(|values| values[0]);
        assert_eq!([0, 1, 2, 3, 4].map(after), [Some(0.0), Some(0.3), Some(0.4), Some(0.4), None]);
    }
}
