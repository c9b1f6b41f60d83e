//! How the training of language models went, what it cost, and what they say.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, PromptId, Who};
use slhf_record::{ComparedCell, Comparison, Record};
use slhf_report::{Axis, Block, Chart, LineChart, Point, Series};

use super::measured::Evaluations;
use super::text::{finished, inline};
use crate::failure::Failure;
use crate::over_seeds::{OverSeeds, Quantity};

/// Lines that can still be told apart.
const SERIES_MAX: usize = 14;
const CURVES: [(&str, &str); 6] = [
    ("objective/kl_leader", "KL of the Leader from the reference (nats per response)"),
    ("objective/entropy_leader", "entropy of the Leader (nats per response)"),
    ("completions/mean_length_leader", "length of the Leader's responses (tokens)"),
    ("completions/eos_rate_leader", "share of the Leader's responses that end by themselves"),
    ("reward/loss", "loss of a step's pairs"),
    ("reward/accuracy", "share of a step's pairs on which the model agrees"),
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

/// Learning curves with bands over seeds.
pub(super) fn curves(record: &mut Record, comparison: &Comparison, stem: &str) -> Result<Vec<Block>, Failure> {
    let mut blocks = Vec::new();
    for (key, label) in CURVES {
        let mut series = Vec::new();
        for cell in &comparison.cells {
            let by_step = history(record, cell, key)?;
            let points: Vec<Point> = by_step
                .iter()
                .map(|(step, values)| Point { x: *step as f64, y: mean(values), range: Some(spread(values)) })
                .collect();
            if points.len() > 1 {
                series.push(Series { name: cell.label.clone(), points });
            }
        }
        if series.is_empty() || series.len() > SERIES_MAX {
            continue;
        }
        let x = Axis::Number("step".to_owned());
        let chart = Chart::Lines(LineChart { x, y: Axis::Number(label.to_owned()), level: None, series });
        let name = format!("{stem}-{}", key.replace(['/', '_'], "-"));
        let caption = format!("{label}: mean over seeds, the band from the lowest to the highest seed");
        blocks.push(Block::Figure { name, caption, chart });
    }
    if !blocks.is_empty() {
        blocks.insert(0, Block::Heading("Learning curves".to_owned()));
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
    if series.is_empty() || series.len() > SERIES_MAX {
        return Ok(Vec::new());
    }
    let chart = LineChart {
        x: Axis::Number("KL of the Leader from the reference (nats per response)".to_owned()),
        y: Axis::Number("win rate over the reference".to_owned()),
        level: Some(0.5),
        series,
    };
    Ok(vec![
        Block::Heading("Win rate against divergence".to_owned()),
        Block::Figure {
            name: format!("{stem}-frontier"),
            caption: "The Leader's win rate over the reference against its divergence from it at the evaluated steps (measured \
                      on the samples of the step after; at the end, on those of the last step): mean over seeds, bars from \
                      the lowest to the highest seed"
                .to_owned(),
            chart: Chart::Lines(chart),
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
    let table = Block::Table { columns: columns.map(str::to_owned).to_vec(), rows };
    Ok(vec![
        Block::Heading("The realized schedule".to_owned()),
        Block::Text("From the first step to the last, of the first seed.".to_owned()),
        table,
    ])
}

/// Tokens, operations, seconds, memory: means over seeds.
pub(super) fn costs(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut by_cell: Vec<(String, BTreeMap<String, Vec<f64>>)> = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for cell in &comparison.cells {
        let mut quantities: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for run in finished(cell) {
            for cost in record.costs(run.summary.run).map_err(Failure::failed)? {
                let (name, value) = match cost.unit.as_str() {
                    "FLOP" => (format!("{} (TFLOP)", cost.quantity), cost.value / 1e12),
                    "bytes" => (format!("{} (GB)", cost.quantity), cost.value / 1e9),
                    unit => (format!("{} ({unit})", cost.quantity), cost.value),
                };
                if !columns.contains(&name) {
                    columns.push(name.clone());
                }
                quantities.entry(name).or_default().push(value);
            }
        }
        by_cell.push((cell.label.clone(), quantities));
    }
    columns.retain(|name| {
        by_cell.iter().any(|(_, found)| found.get(name).is_some_and(|all| all.iter().any(|one| *one != 0.0)))
    });
    let rows = by_cell.iter().map(|(label, quantities)| {
        let value = |name: &String| {
            let found = quantities.get(name).and_then(|values| OverSeeds::new(values, Quantity::Number));
            found.map_or_else(String::new, |found| found.text())
        };
        std::iter::once(label.clone()).chain(columns.iter().map(value)).collect()
    });
    let rows = rows.collect();
    let columns = std::iter::once("cell".to_owned()).chain(columns.iter().map(|name| name.replace('_', " "))).collect();
    Ok(vec![
        Block::Heading("Cost".to_owned()),
        Block::Text(
            "Per run. Seconds are those of this machine as busy as it was, and no benchmark: docs/benchmarks.md has those."
                .to_owned(),
        ),
        Block::Table { columns, rows },
    ])
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
        blocks.push(Block::Table { columns: vec!["policy".to_owned(), "answer".to_owned()], rows });
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
