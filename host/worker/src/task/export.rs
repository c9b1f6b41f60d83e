//! Writes what a task names as a folder that other programs read.

use std::path::Path;

use slhf_plan::{ModelAnswer, ModelSource};
use slhf_policy::{Export, SHARD_BYTES_MAX, StoredAdapter, StoredModel, export_model, save_adapter};

use super::source::{self, Opened, Place};
use crate::error::WorkerError;
use crate::language::load;

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A whole model, adapters merged into it.
    Model,
    /// Only the adapter, in PEFT's format.
    Adapter,
}

impl What {
    pub(super) fn of(adapter_only: bool) -> Self {
        if adapter_only { Self::Adapter } else { Self::Model }
    }
}

/// With adapters of their own it is the Leader's that is written: it is the policy that stands for the run.
pub(super) fn write(model: &ModelSource, place: Place, folder: &str, what: What) -> Result<ModelAnswer, WorkerError> {
    let Opened { engine, tokens, .. } = source::open(model, place)?;
    let agent = engine.parameters().and_then(|parameters| parameters.agents().first().copied());
    let target = Path::new(folder);
    let mut stored = StoredModel::open(model.path.as_ref())?;
    let adapter = match &model.adapter {
        Some(adapter) => Some(StoredAdapter::open(adapter.as_ref(), stored.config())?),
        None => None,
    };
    let edits = adapter.as_ref().and_then(StoredAdapter::edits);
    let files = match (what, engine.parameters(), agent) {
        (What::Adapter, ..) if edits.is_some() => return Err(WorkerError::AdapterInWeights),
        (What::Adapter, Some(parameters), Some(agent)) => save_adapter(target, parameters, agent, &model.path)?,
        (What::Adapter, ..) => return Err(WorkerError::NothingTrained),
        (What::Model, parameters, agent) => {
            let mut files = tokens.files()?;
            let tokenizer_folder = model.adapter.as_deref().map(Path::new).filter(|folder| load::has_tokens(folder));
            if stored.path().is_dir() || tokenizer_folder.is_some() {
                // Its own are copied, but for what is read otherwise here than it stands there, and for what a GGUF says.
                let is_file = !stored.path().is_dir();
                files.retain(|(name, _)| match name.as_str() {
                    "tokenizer.json" => tokens.has_lost_dropout(),
                    "generation_config.json" => is_file,
                    _ => false,
                });
            }
            let export = Export {
                model: &mut stored,
                edits,
                head: None,
                tokenizer_folder,
                trained: parameters.zip(agent),
                precision: place.precision,
                tokenizer_files: &files,
                chat_template: model.chat_template.as_deref(),
                shard_bytes_max: SHARD_BYTES_MAX,
            };
            export_model(export, target)?
        }
    };
    Ok(ModelAnswer::Written { folder: folder.to_owned(), files })
}
