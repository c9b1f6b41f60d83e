//! What was planned, and where the numbers come from.

use slhf_record::{ComparedRun, Comparison, Record};
use slhf_report::{Block, Table};

use super::text::finished;
use crate::failure::Failure;

/// The file as it was given, which says what the cells differ in.
pub(super) fn blocks(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    // A run of an earlier execution may answer for one of this: its text was another then.
    let is_own = |run: &&ComparedRun| {
        (run.summary.experiment.as_str(), run.summary.execution)
            == (comparison.experiment.as_str(), comparison.execution)
    };
    let runs = || comparison.cells.iter().flat_map(finished);
    let Some(run) = runs().find(is_own).or_else(|| runs().next()) else { return Ok(Vec::new()) };
    let run = run.summary.run;
    let execution = record.execution_of(run).map_err(Failure::failed)?;
    let inner = vec![
        Block::Text("The experiment as it was given. Every resolved setting of a run is in the record:".to_owned()),
        Block::Verbatim(format!("slhf-lab show {run}")),
        Block::Verbatim(execution.toml.trim_end().to_owned()),
    ];
    Ok(vec![Block::Folded { summary: "The plan".to_owned(), blocks: inner }])
}

/// Versions, commits, hashes, device.
pub(super) fn provenance(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let Some(run) = comparison.cells.iter().flat_map(finished).next() else { return Ok(Vec::new()) };
    of_run(record, run.summary.run)
}

/// Likewise, of one run.
pub(super) fn of_run(record: &mut Record, run: i64) -> Result<Vec<Block>, Failure> {
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
        Block::Table(Table { columns: vec!["what".to_owned(), "value".to_owned()], rows }),
    ])
}
