//! Writes what a task names as a folder that other programs read.

use std::path::Path;

use slhf_plan::{ModelAnswer, ModelSource};
use slhf_policy::{Export, SHARD_BYTES_MAX, StoredModel, export_model, save_adapter};

use super::source::{self, Opened, Place};
use crate::error::WorkerError;

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
    let files = match (what, engine.parameters(), agent) {
        (What::Adapter, Some(parameters), Some(agent)) => save_adapter(target, parameters, agent, &model.path)?,
        (What::Adapter, ..) => return Err(WorkerError::NothingTrained),
        (What::Model, parameters, agent) => {
            let mut stored = StoredModel::open(model.path.as_ref())?;
            let mut files = tokens.files()?;
            if stored.path().is_dir() {
                // Its own are copied, but for what is read otherwise here than it stands there.
                files.retain(|(name, _)| name == "tokenizer.json" && tokens.has_lost_dropout());
            }
            let export = Export {
                model: &mut stored,
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
