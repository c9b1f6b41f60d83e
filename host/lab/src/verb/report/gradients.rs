//! Gradients that every method needed to come to its target, each with the best learning rate of a grid.

use slhf_plan::MetricKey;
use slhf_record::{ComparedCell, Comparison, ParameterValue};
use slhf_report::{Block, Table};

use super::text::finished;
use crate::output::number;

/// The axis that is searched.
const SEARCHED: &str = "schedule.learning_rate";
/// What stands in the table where no learning rate of the grid led to the target.
const NEVER: &str = "–";

/// A place on the other axes, with the learning rate that needed the fewest gradients there.
struct Best<'a> {
    /// Values on the axes that are not searched.
    settings: Vec<&'a str>,
    cell: &'a ComparedCell,
    /// Of the seed that needed the most; infinite where one never came there.
    gradients: f64,
    /// The value on the axis that is searched.
    rate: Option<&'a str>,
}

/// Gradients of the seed that needed the most.
fn worst(cell: &ComparedCell) -> Option<f64> {
    let key = MetricKey::GradientsToTarget.name();
    let counts = finished(cell).filter_map(|run| run.metrics.get(key).map(|(_, value)| *value));
    counts.map(|count| if count.is_nan() { f64::INFINITY } else { count }).reduce(f64::max)
}

fn best(comparison: &Comparison) -> Vec<Best<'_>> {
    let searched = comparison.axes.iter().position(|axis| axis == SEARCHED);
    let mut found: Vec<Best<'_>> = Vec::new();
    for cell in &comparison.cells {
        let Some(gradients) = worst(cell) else { continue };
        let rate = searched.and_then(|axis| cell.settings.get(axis)).map(String::as_str);
        let others = cell.settings.iter().enumerate().filter(|(axis, _)| Some(*axis) != searched);
        let settings: Vec<&str> = others.map(|(_, value)| value.as_str()).collect();
        match found.iter_mut().find(|known| known.settings == settings) {
            Some(known) if gradients < known.gradients => *known = Best { settings, cell, gradients, rate },
            Some(_) => {}
            None => found.push(Best { settings, cell, gradients, rate }),
        }
    }
    found
}

/// The cells that the rest of a page is about: of a grid of learning rates whose gradients were counted the best one of each place.
pub(super) fn narrowed(comparison: &Comparison) -> Option<Comparison> {
    let best = best(comparison);
    if best.is_empty() {
        return None;
    }
    let searched = comparison.axes.iter().position(|axis| axis == SEARCHED);
    let mut narrowed = comparison.clone();
    narrowed.cells = best.iter().map(|best| best.cell.clone()).collect();
    if let Some(axis) = searched {
        narrowed.axes.remove(axis);
        for cell in narrowed.cells.iter_mut().filter(|cell| axis < cell.settings.len()) {
            cell.settings.remove(axis);
        }
    }
    Some(narrowed)
}

/// What the page says first: who needed fewest, who most, who never came there; `None` where nothing was counted.
pub(super) fn found(comparison: &Comparison) -> Option<String> {
    let best = best(comparison);
    let (came, never): (Vec<&Best<'_>>, Vec<&Best<'_>>) = best.iter().partition(|best| best.gradients.is_finite());
    let name = |best: &Best<'_>| super::text::inline(&best.settings.join(", "));
    let by_count = |one: &&&Best<'_>, other: &&&Best<'_>| one.gradients.total_cmp(&other.gradients);
    if best.is_empty() {
        return None;
    }
    let mut parts = vec![format!("{} of {} come to their target with every seed", came.len(), best.len())];
    if let Some((fewest, most)) = came.iter().min_by(by_count).zip(came.iter().rev().max_by(by_count)) {
        parts.push(format!(
            "the fewest gradients are those of {} ({}), the most those of {} ({})",
            name(fewest),
            number(fewest.gradients),
            name(most),
            number(most.gradients)
        ));
    }
    if !never.is_empty() {
        let names: Vec<String> = never.iter().map(|best| name(best)).collect();
        parts.push(format!("{} not within the run: {}", never.len(), names.join("; ")));
    }
    Some(parts.join("; "))
}

/// The table: rows are the last axis, columns the one before it, and there is a table for every place on the others.
pub(super) fn blocks(comparison: &Comparison) -> Vec<Block> {
    let best = best(comparison);
    if best.is_empty() {
        return Vec::new();
    }
    let bound = comparison.cells.iter().find_map(|cell| cell.parameters.get("evaluation.target_distance"));
    let bound = match bound {
        Some(ParameterValue::Float(bound)) => format!(" of {}", number(*bound)),
        _ => String::new(),
    };
    let mut text = format!(
        "Gradients until a run was first within a distance{bound} of its method's own target, looked at after every step; of the seed that \
         needed the most. {NEVER}: a seed never was."
    );
    if comparison.axes.iter().any(|axis| axis == SEARCHED) {
        text.push_str(
            " After `at` the learning rate (η), of the same grid for all, that needed the fewest; the rest of the page is about these \
             cells alone, the record has them all.",
        );
    }
    let mut blocks = vec![Block::Heading("Gradients to the target".to_owned()), Block::Text(text)];
    let mut places: Vec<&[&str]> = Vec::new();
    for best in &best {
        let place = &best.settings[..best.settings.len().saturating_sub(2)];
        if !places.contains(&place) {
            places.push(place);
        }
    }
    for place in places {
        if !place.is_empty() {
            blocks.push(Block::Text(format!("### {}", super::text::inline(&place.join(", ")))));
        }
        let here: Vec<&Best<'_>> = best.iter().filter(|best| best.settings.starts_with(place)).collect();
        blocks.push(Block::Table(table(&here, place.len())));
    }
    blocks
}

fn table(here: &[&Best<'_>], depth: usize) -> Table {
    let column = |best: &Best<'_>| match best.settings.len() - depth {
        0 | 1 => "gradients".to_owned(),
        _ => best.settings[depth].to_owned(),
    };
    let row = |best: &Best<'_>| best.settings.last().map_or_else(String::new, |last| (*last).to_owned());
    let distinct = |of: &dyn Fn(&Best<'_>) -> String| {
        let mut all: Vec<String> = Vec::new();
        for name in here.iter().map(|best| of(best)) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    };
    let (columns, rows) = (distinct(&column), distinct(&row));
    let entry = |row_name: &String, column_name: &String| {
        let found = here.iter().find(|best| row(best) == *row_name && column(best) == *column_name);
        found.map_or_else(String::new, |best| match (best.gradients.is_finite(), best.rate) {
            (false, _) => NEVER.to_owned(),
            (true, None) => number(best.gradients),
            (true, Some(rate)) => format!("{} at {rate}", number(best.gradients)),
        })
    };
    let rows = rows.iter().map(|name| {
        let entries = columns.iter().map(|column| entry(name, column));
        std::iter::once(name.clone()).chain(entries).collect()
    });
    let rows = rows.collect();
    Table { columns: std::iter::once("method".to_owned()).chain(columns.iter().cloned()).collect(), rows }
}
