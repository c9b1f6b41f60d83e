//! What a page says first: what was found, and how sure that is.

use slhf_plan::Work;
use slhf_record::{Comparison, Record};
use slhf_report::{Block, escape};

use super::matrix;
use super::text::{finished, inline};
use crate::failure::Failure;
use crate::output::number;
use crate::running::gap_metrics;

/// Of policies of language models, judge by judge.
pub(super) fn of_policies(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut said = matrix::found(record, comparison)?;
    let outdated = matrix::outdated_judges(record, comparison)?;
    if outdated > 0 {
        said.push(format!(
            "What was concluded of {outdated} judges is of an earlier version of the statistics, and is not shown: the sections below say \
             how to make it anew."
        ));
    } else if said.is_empty() {
        said.push(format!(
            "Policies were not compared with each other yet: `slhf-lab evaluate {}` does so.",
            escape::code(&comparison.experiment)
        ));
    }
    said.extend(earlier_version(record, comparison)?);
    Ok(listed(&said))
}

/// Of finite games: how far from their targets the runs ended.
pub(super) fn of_games(comparison: &Comparison) -> Vec<Block> {
    let said: Vec<String> = gap_metrics().filter_map(|key| largest(comparison, key)).collect();
    listed(&said)
}

/// The cell that ended farthest away, by the mean over its seeds.
fn largest(comparison: &Comparison, key: &str) -> Option<String> {
    let mean = |cell: &slhf_record::ComparedCell| {
        let values: Vec<f64> = finished(cell).filter_map(|run| run.metrics.get(key).map(|(_, value)| *value)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let found: Vec<(f64, &str)> =
        comparison.cells.iter().filter_map(|cell| Some((mean(cell)?, cell.label.as_str()))).collect();
    let (largest, cell) = found.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (least, _) = found.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "`{key}` ends between {} and {} (mean over seeds; {} cells; the largest: {}).",
        number(least),
        number(largest),
        found.len(),
        inline(cell)
    ))
}

/// Runs whose frozen plan has no stream of its own were computed before version 2 of the content hash.
fn earlier_version(record: &mut Record, comparison: &Comparison) -> Result<Option<String>, Failure> {
    let mut is_earlier = false;
    for run in comparison.cells.iter().flat_map(finished) {
        let frozen = record.frozen_plan(run.summary.run).map_err(Failure::failed)?;
        if let Some(Ok(Work::LanguageModel(plan))) = frozen.as_deref().map(Work::from_json) {
            is_earlier |= plan.evaluation.stream.is_none();
        }
    }
    Ok(is_earlier.then(|| {
        "**Runs of this page were computed before version 2 of the content hash**: some methods compute other numbers today, and cells shared \
         the uniforms that their held-out responses were sampled with (docs/what-changed.md of slhf-lab)."
            .to_owned()
    }))
}

fn listed(said: &[String]) -> Vec<Block> {
    if said.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = said.iter().map(|sentence| format!("- {sentence}")).collect();
    vec![Block::Heading("What was found".to_owned()), Block::Text(list.join("\n"))]
}
