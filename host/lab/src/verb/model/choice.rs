//! Which model: by name or path, with an adapter, or as a run has left it.

use std::path::{Path, PathBuf};

use clap::Args;
use slhf_plan::{LanguagePlan, ModelSource, ResumePoint, RunSource, Work};
use slhf_record::{FoundCheckpoint, OpenMode, Record, RefusedCheckpoint, RunSummary};

use super::super::common::{RecordArgument, trained_reward_model, trains_reward_model};
use slhf_words::chain;

use crate::failure::Failure;
use crate::output;
use slhf_experiment::models;

/// Which model.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelArguments {
    /// A name that the set-up provides, a Hugging Face folder, or a GGUF file
    #[arg(value_name = "MODEL", required_unless_present_any = ["model", "run"], conflicts_with = "model")]
    named: Option<String>,
    /// Likewise; with --run: where the run's model lies, if not where the run found it
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// The model as this run's last checkpoint has it
    #[arg(long, value_name = "RUN")]
    pub(super) run: Option<String>,
    /// A PEFT adapter's folder, over --model
    #[arg(long, value_name = "FOLDER", conflicts_with = "run")]
    pub(super) adapter: Option<PathBuf>,
    /// Let the chat template think (Qwen3)
    #[arg(long, conflicts_with = "run")]
    pub(super) thinking: bool,
    /// A chat template (Jinja) in the place of the model's own; a base model has none
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(super) chat_template: Option<PathBuf>,
    #[command(flatten)]
    pub(super) record: RecordArgument,
}

/// A run's model, with what is known of the run.
pub(crate) struct OfRun {
    pub(crate) run: RunSource,
    pub(crate) plan: LanguagePlan,
}

impl OfRun {
    /// As any model is asked.
    pub(crate) fn source(self) -> ModelSource {
        ModelSource {
            path: self.run.model_path.clone(),
            adapter: None,
            run: Some(self.run),
            thinking: self.plan.model.thinking,
            chat_template: self.plan.model.chat_template,
        }
    }
}

impl ModelArguments {
    /// What the worker is told.
    pub(super) fn source(&self) -> Result<ModelSource, Failure> {
        let given = self.named.as_deref().or(self.model.as_deref());
        if let Some(run) = &self.run {
            let mut record = self.record.open(OpenMode::Read)?;
            let run = record.resolve_run(run).map_err(Failure::of_record)?;
            if trains_reward_model(&mut record, &run) {
                let found = trained_reward_model(&mut record, &run).map_err(Failure::bad_input)?;
                return plain(&found.path.display().to_string(), found.adapter.as_deref(), false);
            }
            return Ok(trained(&mut record, &run, given)?.source());
        }
        let chat_template = self.chat_template.as_deref().map(template).transpose()?;
        let source = plain(given.unwrap_or_default(), self.adapter.as_deref(), self.thinking)?;
        Ok(ModelSource { chat_template, ..source })
    }
}

/// A model by name or path.
pub(crate) fn plain(named: &str, adapter: Option<&Path>, thinking: bool) -> Result<ModelSource, Failure> {
    let path = models::find(named, Path::new("")).map_err(Failure::bad_input)?;
    let adapter = match adapter {
        None => None,
        Some(folder) if folder.join("adapter_config.json").is_file() => {
            Some(std::path::absolute(folder).map_err(Failure::bad_input)?.display().to_string())
        }
        Some(folder) => {
            let id = folder.to_str().filter(|_| !folder.exists()).and_then(models::HubId::of);
            if let Some(id) = id {
                return Err(Failure::bad_input(format!(
                    "there is no folder {}; an adapter of the Hugging Face hub is downloaded first: run `{}`",
                    folder.display(),
                    id.command("")
                )));
            }
            return Err(Failure::bad_input(format!(
                "{} has no adapter_config.json; expected a folder in PEFT's format",
                folder.display()
            )));
        }
    };
    Ok(ModelSource { path: path.display().to_string(), adapter, run: None, thinking, chat_template: None })
}

/// The text of a chat template.
pub(super) fn template(file: &Path) -> Result<String, Failure> {
    slhf_files::read_text(file, slhf_files::SETTINGS_BYTES_MAX)
        .map_err(|error| Failure::bad_input(format!("--chat-template {} cannot be read: {error}", file.display())))
}

/// A run's model as its last checkpoint has it. `given`: where its base lies, if not where the run found it.
pub(crate) fn of_run(record: &RecordArgument, named: &str, given: Option<&str>) -> Result<OfRun, Failure> {
    let mut record = record.open(OpenMode::Read)?;
    let run = record.resolve_run(named).map_err(Failure::of_record)?;
    trained(&mut record, &run, given)
}

/// Likewise, of a run that was found.
pub(crate) fn trained(record: &mut Record, run: &RunSummary, given: Option<&str>) -> Result<OfRun, Failure> {
    let name = format!("run {} ({})", run.run, output::visible(&run.name()));
    let frozen = frozen_of(record, run, &name)?;
    let plan = plan_of(&frozen, &name)?;
    let checkpoint = checkpoint_of(record, run, &name)?;
    let model_path = base(&plan, given, &name)?.display().to_string();
    Ok(OfRun { run: RunSource { frozen, model_path, checkpoint }, plan })
}

/// The last one that is what was written.
fn checkpoint_of(record: &mut Record, run: &RunSummary, name: &str) -> Result<ResumePoint, Failure> {
    let elsewhere = record.checkpoints_elsewhere().map_err(Failure::failed)?;
    let mut search = record.search_checkpoints().map_err(Failure::failed)?;
    let FoundCheckpoint { point, refused } = search.find(record, run.run).map_err(Failure::failed)?;
    if let Some(point) = point {
        if !refused.is_empty() {
            for RefusedCheckpoint { path, reason, .. } in &refused {
                output::say(format!(
                    "note: the checkpoint {} of {name} {}",
                    output::visible(path),
                    output::visible(reason)
                ));
            }
            output::say(format!("note: the weights are those after {} of {} steps", point.step, run.steps));
        }
        return Ok(point);
    }
    match refused.first() {
        Some(RefusedCheckpoint { path, reason, .. }) => Err(Failure::failed(match elsewhere {
            Some(sentence) => format!("{name} has no weights here: {sentence}"),
            None => format!("the checkpoint {path} of {name} {reason}"),
        })),
        None => Err(Failure::bad_input(format!("{name} has no checkpoint: it is {}", run.status))),
    }
}

fn frozen_of(record: &mut Record, run: &RunSummary, name: &str) -> Result<String, Failure> {
    let frozen = record.frozen_plan(run.run).map_err(Failure::failed)?;
    frozen.ok_or_else(|| Failure::bad_input(format!("{name} has no frozen plan in the record")))
}

fn plan_of(frozen: &str, name: &str) -> Result<LanguagePlan, Failure> {
    let work = Work::from_json(frozen).map_err(|error| {
        Failure::failed(format!("the frozen plan of {name} was written by another version of slhf-lab ({error})"))
    })?;
    match work {
        Work::LanguageModel(plan) => Ok(*plan),
        Work::RewardModel(_) => Err(Failure::bad_input(format!(
            "{name} trains a reward model, which generates no text: `slhf-lab model score` asks it"
        ))),
        Work::Game(_) => Err(Failure::bad_input(format!("{name} trains on a finite game: it has no language model"))),
    }
}

fn base(plan: &LanguagePlan, given: Option<&str>, name: &str) -> Result<PathBuf, Failure> {
    let path = match given {
        Some(given) => models::find(given, Path::new("")).map_err(Failure::bad_input)?,
        None if Path::new(&plan.model.path).exists() => return Ok(PathBuf::from(&plan.model.path)),
        None => models::find(&plan.model.name, Path::new("")).map_err(|error| {
            Failure::bad_input(format!(
                "the model of {name} is no longer at {} ({}): say where it is with --model",
                plan.model.path,
                chain(&error)
            ))
        })?,
    };
    let found = models::Found::read(&path).map_err(Failure::bad_input)?;
    if found.sha256 == plan.model.sha256 {
        Ok(path)
    } else {
        Err(Failure::bad_input(format!("{} is another model than the one that {name} was trained on", path.display())))
    }
}
