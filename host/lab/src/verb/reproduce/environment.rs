//! What is different from when the run was computed: programs, libraries, the machine.

use slhf_plan::Work;
use slhf_record::Record;

use crate::failure::Failure;
use crate::output::visible;
use crate::running::{self, WorkerProgram};
use crate::verb::resume::differing;

/// A sentence each.
pub(super) fn differences(
    record: &mut Record,
    run: i64,
    work: &Work,
    program: &WorkerProgram,
) -> Result<Vec<String>, Failure> {
    let before = record.execution_of(run).map_err(Failure::failed)?;
    let now = running::provenance(program)
        .map_err(|error| Failure::failed(format!("the program's own files cannot be read: {error}")))?;
    let mut found = Vec::new();
    let mut compare = |what: &str, before: &str, now: &str| {
        if before != now {
            found.push(format!("{what} was {}, now {}", visible(before), visible(now)));
        }
    };
    let unknown = || "unknown".to_owned();
    compare("slhf-lab", &before.lab_version, &now.lab_version);
    compare("its binary", short(&before.lab_sha256), short(&now.lab_sha256));
    compare(
        "the commit of its sources",
        &before.source_commit.unwrap_or_else(unknown),
        &now.source_commit.unwrap_or_else(unknown),
    );
    let software = record.software_of(run).map_err(Failure::failed)?;
    for (name, version) in &now.software {
        if let Some((_, before)) = software.iter().find(|(known, _)| known == name) {
            compare(name, before, version);
        }
    }
    if let Some(before) = record.environment(run).map_err(Failure::failed)? {
        let (device, threads) = work.device();
        let now = program.probe(device, threads).map_err(Failure::failed)?;
        found.extend(differing(&before, &now));
    }
    Ok(found)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
