//! `slhf-lab model import` and `slhf-lab model merge`: models as plain folders.

use std::path::{Path, PathBuf};

use clap::Args;
use slhf_plan::{ModelAnswer, ModelSource, ModelTask};

use super::super::common::FormatArgument;
use super::asking::{DeviceArguments, unexpected};
use super::choice::{ModelArguments, plain, template};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};

/// Arguments of `model import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// A GGUF file, a Hugging Face folder, or a name that the set-up provides
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The folder to write; it must not exist
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// A chat template (Jinja) in the place of the model's own; a base model has none
    #[arg(long, value_name = "FILE")]
    chat_template: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

/// Arguments of `model merge`.
#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The folder to write; it must not exist
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Only the adapter, in PEFT's format
    #[arg(long)]
    adapter_only: bool,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs `model import`.
pub(super) fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let folder = new_folder(&arguments.folder)?;
    let chat_template = arguments.chat_template.as_deref().map(template).transpose()?;
    let model = ModelSource { chat_template, ..plain(&arguments.source, None, false)? };
    export(&arguments.device, arguments.format, ModelTask::Export { model, folder, adapter_only: false })
}

/// Runs `model merge`.
pub(super) fn merge(arguments: &MergeArguments) -> Result<(), Failure> {
    let folder = new_folder(&arguments.out)?;
    let model: ModelSource = arguments.model.source()?;
    if model.adapter.is_none() && model.run.is_none() {
        return Err(Failure::bad_input(
            "there is nothing to merge: give an adapter with --adapter, or a run with --run (`slhf-lab model import` \
             writes a model as it is)",
        ));
    }
    let adapter_only = arguments.adapter_only;
    export(&arguments.device, arguments.format, ModelTask::Export { model, folder, adapter_only })
}

/// Nothing is ever written over.
fn new_folder(folder: &Path) -> Result<String, Failure> {
    if folder.exists() {
        return Err(Failure::bad_input(format!("{} exists already: give a folder that does not", folder.display())));
    }
    Ok(std::path::absolute(folder).map_err(Failure::bad_input)?.display().to_string())
}

fn export(device: &DeviceArguments, format: FormatArgument, task: ModelTask) -> Result<(), Failure> {
    device.ask(task, |answer| {
        let ModelAnswer::Written { folder, files } = answer else { return Err(unexpected()) };
        let mut table = Table::new(vec![Column::text("file"), Column::number("size_bytes")]);
        for (name, bytes) in files {
            table.push(vec![Cell::text(name), Cell::Integer(i64::try_from(bytes).unwrap_or(i64::MAX))]);
        }
        output::say(format!("written: {folder}"));
        output::print_table(&table, format.format)
    })
}
