//! What a page says of language models that are restricted to closed sets of responses: exact gaps, on training and held-out prompts.

use slhf_plan::{EvaluationName, MetricKey};
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{Block, Table};

use super::measured::{Evaluations, opened};
use super::text::{finished, inline};
use crate::over_seeds::{OverSeeds, Quantity, latest};

/// The prompts that a figure is about.
const PROMPTS: [&str; 2] = ["train", "held_out"];
/// Cells whose ends stand in a sentence.
const SAID_MAX: usize = 6;
/// Distances to the policies of all concepts.
const CONCEPTS: [&str; 3] = ["tv_to_stackelberg", "tv_to_nash", "tv_to_rlhf"];

fn key(name: &str, prompts: &str) -> String {
    EvaluationName::Other(name.to_owned()).key(prompts)
}

/// The distance that a cell's method is to close, where it was measured on closed sets.
fn own_target(cell: &ComparedCell) -> Option<&'static str> {
    MetricKey::TO_OWN_TARGET
        .into_iter()
        .map(MetricKey::name)
        .find(|name| latest(cell, &key(name, PROMPTS[0])).is_some())
}

/// Whether any cell is restricted to closed sets.
pub(super) fn are_closed(comparison: &Comparison) -> bool {
    comparison.cells.iter().any(|cell| own_target(cell).is_some())
}

/// Over seeds, before the first step.
fn at_start(evaluations: &Evaluations, cell: &ComparedCell, name: &str, prompts: &str) -> Option<OverSeeds> {
    let wanted = EvaluationName::Other(name.to_owned());
    let first = |run: i64| {
        let rows = evaluations.of(run);
        rows.iter().find(|row| row.step == 0 && row.name == wanted && row.subject == prompts)
    };
    let values: Vec<f64> = finished(cell).filter_map(|run| first(run.summary.run)).map(|row| row.value).collect();
    OverSeeds::new(&values, Quantity::Number)
}

/// Where each cell began and ended, and which concept's policy its Leader is near on held-out prompts.
pub(super) fn blocks(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let shown = |found: Option<OverSeeds>| found.map_or_else(|| "–".to_owned(), |found| found.value_text());
    let row = |cell: &ComparedCell| {
        let name = own_target(cell)?;
        let mut row = vec![cell.label.clone(), name.to_owned()];
        for prompts in PROMPTS {
            row.push(shown(at_start(evaluations, cell, name, prompts)));
            row.push(shown(latest(cell, &key(name, prompts))));
        }
        row.extend(CONCEPTS.map(|concept| shown(latest(cell, &key(concept, PROMPTS[1])))));
        row.push(finished(cell).count().to_string());
        Some(row)
    };
    let columns = [
        "cell",
        "distance to its target",
        "train, at the start",
        "train, at the end",
        "held out, at the start",
        "held out, at the end",
        "held out: tv to Stackelberg",
        "tv to Nash",
        "tv to RLHF",
        "n",
    ];
    let table =
        Table { columns: columns.map(str::to_owned).to_vec(), rows: comparison.cells.iter().filter_map(row).collect() };
    let mut blocks = vec![
        Block::Heading("How far the policies are from the solution".to_owned()),
        Block::Text(
            "Each prompt's solution is known, and its distance is exact; shown are means over prompts. The last columns are total variations \
             of the Leader from the policy of each solution concept at the same β."
                .to_owned(),
        ),
    ];
    blocks.extend(opened(table, "All cells"));
    blocks
}

/// What was found, in a sentence: the cell that ends nearest to its target on training prompts, and what it is on those that it never saw.
pub(super) fn found(comparison: &Comparison) -> Option<String> {
    let of = |cell: &ComparedCell| {
        let name = own_target(cell)?;
        let [train, held_out] = PROMPTS.map(|prompts| latest(cell, &key(name, prompts)));
        Some((cell.label.clone(), name, train?, held_out?))
    };
    let cells: Vec<_> = comparison.cells.iter().filter_map(of).collect();
    let nearest = cells.iter().min_by(|one, other| one.2.mean.total_cmp(&other.2.mean))?;
    let farthest = cells.iter().max_by(|one, other| one.2.mean.total_cmp(&other.2.mean))?;
    let ends = |(_, name, train, held_out): &(String, &str, OverSeeds, OverSeeds)| {
        let [train, held_out] = [train, held_out].map(OverSeeds::value_text);
        format!("`{name}` {train} on training prompts and {held_out} on held-out ones")
    };
    let of = |cell: &(String, &str, OverSeeds, OverSeeds)| format!("{}: {}", inline(&cell.0), ends(cell));
    Some(if cells.len() == 1 {
        format!("at the end {}.", ends(nearest))
    } else if cells.iter().any(|cell| cell.1 != nearest.1) {
        // Distances of different kinds are on different scales: none is nearer than another.
        let mut said: Vec<String> = cells.iter().take(SAID_MAX).map(of).collect();
        said.extend((cells.len() > SAID_MAX).then(|| "the others are in the table".to_owned()));
        format!("every cell at its own distance: {}.", said.join("; "))
    } else {
        format!("nearest to its target ends {}; farthest {}.", of(nearest), of(farthest))
    })
}
