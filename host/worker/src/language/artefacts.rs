//! What a finished run leaves behind besides its checkpoints: its adapters in PEFT's format.

use std::fs;
use std::path::Path;

use slhf_files::{Digest, FolderDigest};
use slhf_plan::{AdapterPlan, ArtefactWritten, LanguagePlan};
use slhf_policy::{Engine, save_adapter};

use crate::error::WorkerError;

/// One folder an agent, beside the checkpoints. One that is there already holds the same: a run ends once, and a resumed
/// run ends with the same bits. Full training leaves its checkpoint, which `model merge` makes a model of.
pub(super) fn adapters(
    engine: &Engine,
    plan: &LanguagePlan,
    directory: &Path,
    step: u64,
) -> Result<Vec<ArtefactWritten>, WorkerError> {
    let (Some(parameters), AdapterPlan::Lora { .. }) = (engine.parameters(), &plan.model.adapter) else {
        return Ok(Vec::new());
    };
    let mut written = Vec::new();
    for agent in parameters.agents() {
        let folder = directory.join(format!("run-{}-step-{step}-{}-adapter", plan.run, agent.name()));
        if !folder.exists() {
            save_adapter(&folder, parameters, agent, &plan.model.name)?;
        }
        let Digest { sha256, size_bytes } = contents(&folder)?;
        let path = folder.display().to_string();
        let kind = format!("adapter/{}", agent.name());
        written.push(ArtefactWritten { run: plan.run, step, kind, path, sha256, size_bytes });
    }
    Ok(written)
}

/// See [`ArtefactWritten::sha256`].
pub(crate) fn contents(folder: &Path) -> Result<Digest, WorkerError> {
    let failed = |source| WorkerError::Artefact { path: folder.to_owned(), source };
    let mut names: Vec<_> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    let mut whole = FolderDigest::default();
    for name in names {
        whole.add(&name.to_string_lossy(), &slhf_files::digest_file(&folder.join(&name)).map_err(failed)?);
    }
    Ok(whole.finish())
}
