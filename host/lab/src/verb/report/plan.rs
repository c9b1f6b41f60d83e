//! What was planned, and where the numbers come from.

use slhf_record::{ComparedCell, ComparedRun, Comparison, ParameterValue, Record};
use slhf_report::Block;

use super::text::finished;
use crate::failure::Failure;

/// What the cells differ in, and the file as it was given.
pub(super) fn blocks(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut inner = Vec::new();
    if !comparison.differing_keys.is_empty() {
        inner.push(Block::Text("What each cell has of its own; what most cells have is left out:".to_owned()));
        let rows = comparison.cells.iter().map(|cell| vec![cell.label.clone(), own_settings(comparison, cell)]);
        inner.push(Block::Table { columns: vec!["cell".to_owned(), "settings".to_owned()], rows: rows.collect() });
    }
    // A run of an earlier execution may answer for one of this: its text was another then.
    let is_own = |run: &&ComparedRun| {
        (run.summary.experiment.as_str(), run.summary.execution)
            == (comparison.experiment.as_str(), comparison.execution)
    };
    let runs = || comparison.cells.iter().flat_map(finished);
    if let Some(run) = runs().find(is_own).or_else(|| runs().next()) {
        let execution = record.execution_of(run.summary.run).map_err(Failure::failed)?;
        inner.push(Block::Text("The experiment as it was given:".to_owned()));
        inner.push(Block::Verbatim(execution.toml.trim_end().to_owned()));
    }
    Ok(vec![Block::Folded { summary: "The plan".to_owned(), blocks: inner }])
}

/// The settings that a cell shares with fewer than half of the cells.
fn own_settings(comparison: &Comparison, cell: &ComparedCell) -> String {
    let settings = comparison.differing_keys.iter().filter_map(|key| {
        let own = cell.parameters.get(key)?;
        let shared = comparison.cells.iter().filter(|other| other.parameters.get(key) == Some(own)).count();
        (2 * shared <= comparison.cells.len()).then(|| format!("{key} = {}", shown(own)))
    });
    settings.collect::<Vec<_>>().join(", ")
}

fn shown(value: &ParameterValue) -> String {
    let text = match value {
        ParameterValue::Boolean(value) => value.to_string(),
        ParameterValue::Integer(value) => value.to_string(),
        ParameterValue::Float(value) => value.to_string(),
        ParameterValue::Text(value) | ParameterValue::Json(value) => value.clone(),
        ParameterValue::None => String::new(),
    };
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Versions, commits, hashes, device.
pub(super) fn provenance(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let Some(run) = comparison.cells.iter().flat_map(finished).next() else { return Ok(Vec::new()) };
    let run = run.summary.run;
    let execution = record.execution_of(run).map_err(Failure::failed)?;
    let mut rows = Vec::new();
    let mut push = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    push("execution", format!("{} of {}", execution.execution, execution.created_at));
    push("content hash", execution.content_hash.clone());
    push("slhf-lab", execution.lab_version.clone());
    if let Some(commit) = &execution.source_commit {
        let dirty = if execution.source_dirty == Some(true) { ", with changes" } else { "" };
        push("commit", format!("{commit}{dirty}"));
    }
    for plugin in record.plugins(run).map_err(Failure::failed)? {
        push(&format!("plugin {}", plugin.name), plugin.sha256.clone());
    }
    if let Some(environment) = record.environment(run).map_err(Failure::failed)? {
        push(
            "device",
            format!("{} ({}), {} threads", environment.device, environment.device_description, environment.threads),
        );
        push("libtorch", environment.libtorch_version.clone());
    }
    for (software, version) in record.software_of(run).map_err(Failure::failed)? {
        push(&software, version);
    }
    Ok(vec![
        Block::Heading("Provenance".to_owned()),
        Block::Table { columns: vec!["what".to_owned(), "value".to_owned()], rows },
    ])
}
