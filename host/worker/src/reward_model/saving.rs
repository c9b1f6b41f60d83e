//! What a finished run leaves behind: a folder that transformers reads as `AutoModelForSequenceClassification`, and adapters with
//! their head in PEFT's format.

use std::path::Path;

use slhf_files::Digest;
use slhf_plan::{AdapterPlan, ArtefactWritten, REWARD_MODEL_ARTEFACT, RewardTrainingPlan, SavedModel};
use slhf_policy::{Agent, Export, SHARD_BYTES_MAX, StoredModel, export_model, save_adapter};

use super::values::HeadedModel;
use crate::error::WorkerError;
use crate::language::artefacts::contents;

/// One that is there already holds the same: a run ends once, and a resumed run ends with the same bits.
pub(super) fn artefacts(
    model: &HeadedModel,
    plan: &RewardTrainingPlan,
    directory: &Path,
    step: u64,
) -> Result<Vec<ArtefactWritten>, WorkerError> {
    let parameters = model.engine.parameters().ok_or(WorkerError::NothingTrained)?;
    let mut written = Vec::new();
    let mut note = |kind: &str, folder: &Path| -> Result<(), WorkerError> {
        let Digest { sha256, size_bytes } = contents(folder)?;
        let path = folder.display().to_string();
        written.push(ArtefactWritten { run: plan.run, step, kind: kind.to_owned(), path, sha256, size_bytes });
        Ok(())
    };
    if matches!(plan.model.adapter, AdapterPlan::Lora { .. }) {
        let folder = directory.join(format!("run-{}-step-{step}-adapter", plan.run));
        if !folder.exists() {
            save_adapter(&folder, parameters, Agent::Shared, &plan.model.name)?;
        }
        note(&format!("adapter/{}", Agent::Shared.name()), &folder)?;
    }
    if plan.save == SavedModel::Merged {
        let folder = directory.join(format!("run-{}-step-{step}-reward-model", plan.run));
        if !folder.exists() {
            whole(model, plan, &folder)?;
        }
        note(REWARD_MODEL_ARTEFACT, &folder)?;
    }
    Ok(written)
}

fn whole(model: &HeadedModel, plan: &RewardTrainingPlan, folder: &Path) -> Result<(), WorkerError> {
    let mut stored = StoredModel::open(Path::new(&plan.model.path))?;
    let is_folder = stored.path().is_dir();
    let mut files = model.tokens.files()?;
    // A folder's own are copied, but for what is read otherwise here than it stands there.
    files.retain(|(name, _)| !is_folder || name == "tokenizer.json" && model.tokens.has_lost_dropout());
    let parameters = model.engine.parameters().ok_or(WorkerError::NothingTrained)?;
    let export = Export {
        model: &mut stored,
        edits: None,
        head: Some(&model.head),
        tokenizer_folder: None,
        trained: Some((parameters, Agent::Shared)),
        precision: plan.device.precision,
        tokenizer_files: &files,
        chat_template: plan.model.chat_template.as_deref(),
        shard_bytes_max: SHARD_BYTES_MAX,
    };
    export_model(export, folder)?;
    Ok(())
}
