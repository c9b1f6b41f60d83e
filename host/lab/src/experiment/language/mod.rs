//! Experiments on language models: from TOML to one [`LanguagePlan`] a run.

mod config;
mod estimate;
mod evaluated;
mod parameters;
mod resolve;
mod room;
mod rules;
mod stream;

pub(crate) use config::LanguageExperimentConfig;

use std::path::Path;

use serde_json::json;
use slhf_data::DataError;
use slhf_data::prompts::{Prompts, Reading, Split};
use slhf_plan::settings::{Placeholders, Problems};
use slhf_plan::{CheckpointKeep, DataPlan, LanguageCell, LanguagePlan, ModelPlan, ModelPrecision, OverLong, Work};

use super::grouping::forget_paths;
use super::planned::{Cell, PlannedGroup, PlannedRun};
use super::{ExperimentError, Planner};
use crate::models;
use config::{DataConfig, ModelConfig};
use evaluated::EvaluatedBy;

/// Raised when what the hash covers changes, or what it computes: docs/what-changed.md says what.
const HASH_VERSION: u32 = 2;

/// Held-out prompts where a file does not say.
const HELD_OUT: u32 = 128;

/// One cell with nothing left open but the run's number and seed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResolvedLanguage {
    plan: LanguagePlan,
    /// `data.prompts` as it was named.
    data_name: String,
    /// Parameters of the model, roughly.
    parameters: f64,
}

impl ResolvedLanguage {
    /// The cell as the record keeps it.
    pub(super) fn cell(&self, label: String, settings: Vec<(String, String)>) -> Cell {
        Cell { label, settings, parameters: parameters::parameters(self) }
    }
}

/// The runs, cell by cell: each is a group of its own, because each is one worker.
pub(super) fn plan(cells: &[ResolvedLanguage], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    let mut runs = Vec::with_capacity(cells.len() * seeds.len());
    let mut groups = Vec::with_capacity(cells.len() * seeds.len());
    for (index, cell) in cells.iter().enumerate() {
        for &seed in seeds {
            let mut plan = cell.plan.clone();
            plan.run = i64::try_from(runs.len()).unwrap_or(i64::MAX);
            plan.seed = seed;
            let content_hash = content_hash(&plan);
            let estimated_seconds = estimate::seconds(&plan, cell.parameters);
            groups.push(PlannedGroup {
                runs: vec![runs.len()],
                template: Work::LanguageModel(Box::new(plan)),
                estimated_seconds,
            });
            runs.push(PlannedRun { cell: index, seed, group: groups.len() - 1, content_hash });
        }
    }
    (runs, groups)
}

/// SHA-256 over everything that influences the run's numbers.
///
/// Paths are left out (the hashes of plugins, model and data are in), and so is how often checkpoints are written and kept and
/// completions recorded, and which comparisons are asked about: none changes bits.
fn content_hash(plan: &LanguagePlan) -> String {
    let mut content = json!({ "version": HASH_VERSION, "language_model": plan });
    if let Some(plan) = content["language_model"].as_object_mut() {
        for key in ["run", "checkpoint_every", "checkpoint_keep", "log_completions_every"] {
            plan.remove(key);
        }
    }
    if let Some(model) = content["language_model"]["model"].as_object_mut() {
        model.remove("name");
    }
    if let Some(evaluation) = content["language_model"]["evaluation"].as_object_mut() {
        evaluation.remove("family");
    }
    forget_paths(&mut content);
    slhf_files::sha256_hex(content.to_string().as_bytes())
}

impl Planner<'_> {
    /// Fills in defaults, finds model, prompts and plugins, and checks what fits together.
    pub(super) fn resolve_language(
        &mut self,
        config: &LanguageExperimentConfig,
        mut problems: Problems,
        label: &str,
    ) -> Result<ResolvedLanguage, ExperimentError> {
        let (method, found) = config.method.read(&mut Placeholders);
        problems.extend(found);
        rules::check_settings(config, method.as_ref(), &mut problems);
        let adapter = resolve::adapter(&config.model.adapter);
        let held_out = config.data.held_out.unwrap_or(HELD_OUT);
        if let Some(method) = &method {
            let evaluation =
                resolve::evaluation(&config.evaluation, method.training(), held_out, EvaluatedBy::default());
            let (checkpoint_every, _) = resolve::cadences(config, method.training().steps);
            problems.extend(slhf_plan::check_language(&LanguageCell {
                adapter: &adapter,
                method,
                schedule: &resolve::schedule(&config.schedule, method, &adapter),
                evaluation: &evaluation,
            }));
            super::rules::check_cadence("checkpoint.every", checkpoint_every, &mut problems);
        }
        self.document.refuse(label, problems)?;
        let data = self.data(&config.data, label)?;
        let judge = self.plugins.judge("judge", &config.judge)?;
        let method = self.with_plugins(|plugins| config.method.read(plugins), label)?;
        let schedule = resolve::schedule(&config.schedule, &method, &adapter);
        let device = self
            .ask_device(|ask| resolve::device(&config.device, ask))
            .map_err(|problem| self.invalid(label, "device.name", &problem))?;
        if device.name == "cpu" && device.precision == ModelPrecision::Bf16 {
            self.note("bf16 on a CPU without AMX is 40 to 200 times slower than f32");
        }
        let (checkpoint_every, log_completions_every) = resolve::cadences(config, method.training().steps);
        let (model, parameters) = self.model(&config.model, adapter, label)?;
        let asked = self.evaluated_by(&config.evaluation, &data, label)?;
        let evaluation = resolve::evaluation(&config.evaluation, method.training(), data.held_out, asked);
        let mut plan = LanguagePlan {
            run: 0,
            seed: 0,
            device,
            model,
            data,
            judge,
            evaluation,
            method,
            schedule,
            checkpoint_every,
            checkpoint_keep: config.checkpoint.keep.map_or_else(CheckpointKeep::default, CheckpointKeep),
            log_completions_every,
        };
        plan.evaluation.stream = Some(stream::of(&plan));
        crate::foreign::try_models_of(&plan).map_err(|problem| self.invalid(label, "model.path", &problem))?;
        room::check(&plan).map_err(|(key, problem)| self.invalid(label, key, &problem))?;
        Ok(ResolvedLanguage { plan, data_name: config.data.prompts.clone(), parameters })
    }

    fn model(
        &mut self,
        config: &ModelConfig,
        adapter: slhf_plan::AdapterPlan,
        label: &str,
    ) -> Result<(ModelPlan, f64), ExperimentError> {
        let found = self.found(&config.path, "model.path", label)?;
        let plan = ModelPlan {
            name: config.path.clone(),
            path: found.path.display().to_string(),
            sha256: found.sha256,
            adapter,
            activation_checkpointing: config.activation_checkpointing.unwrap_or(false),
            thinking: config.thinking.unwrap_or(false),
            chat_template: self.chat_template(config.chat_template.as_deref(), "model.chat_template")?,
        };
        Ok((plan, found.parameters))
    }

    /// A model that is named at `key`, looked at once for all cells.
    fn found(&mut self, named: &str, key: &str, label: &str) -> Result<models::Found, ExperimentError> {
        if let Some(found) = self.models.get(named) {
            return Ok(found.clone());
        }
        let base = self.path().parent().map(Path::to_path_buf).unwrap_or_default();
        let found = models::find(named, &base)
            .and_then(|path| models::Found::read(&path))
            .map_err(|error| self.invalid(label, key, &crate::failure::chain(&error)))?;
        self.models.insert(named.to_owned(), found.clone());
        Ok(found)
    }

    /// The text of a chat template that is named at `key`.
    fn chat_template(&self, named: Option<&str>, key: &str) -> Result<Option<String>, ExperimentError> {
        let Some(named) = named else { return Ok(None) };
        let file = self.path();
        let path = file.parent().unwrap_or(Path::new("")).join(named);
        slhf_files::read_text(&path, slhf_files::SETTINGS_BYTES_MAX)
            .map(Some)
            .map_err(|cause| ExperimentError::Unreadable { file, key: key.to_owned(), named: named.to_owned(), cause })
    }

    fn data(&mut self, config: &DataConfig, label: &str) -> Result<DataPlan, ExperimentError> {
        let key = "data.prompts";
        let file = self.path();
        let named = file.parent().unwrap_or(Path::new("")).join(&config.prompts);
        if let Some(id) = models::HubId::of(&config.prompts).filter(|_| !named.exists()) {
            let problem = format!(
                "\"{}\" is no file here; a data set of the Hugging Face hub is downloaded first: run `{}`, and name one of its \
                 files",
                config.prompts,
                id.command(" --repo-type dataset")
            );
            return Err(self.invalid(label, key, &problem));
        }
        let Some(layout) = config.layout.or_else(|| slhf_data::prompts::layout_of(&config.prompts)) else {
            let problem = format!(
                "\"{}\" does not tell its layout by its name; set data.layout to jsonl, parquet, text, help_steer2 or \
                 ultra_feedback",
                config.prompts
            );
            return Err(self.invalid(label, key, &problem));
        };
        let unreadable = |cause| ExperimentError::Unreadable {
            file: file.clone(),
            key: key.to_owned(),
            named: config.prompts.clone(),
            cause,
        };
        let path = named.canonicalize().map_err(unreadable)?;
        let (held_out, split_seed) = (config.held_out.unwrap_or(HELD_OUT), config.split_seed.unwrap_or(0));
        // Nothing of the split is kept: that it exists is better known now than by every worker.
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        let on_bad_row = config.on_bad_row.unwrap_or_default();
        let prompts = self.prompts(&path, Reading { layout: Some(layout), on_bad_row }).map_err(bad)?;
        Split::of(prompts, held_out, split_seed).map_err(bad)?;
        let (sha256, skipped) = (prompts.sha256.clone(), prompts.skipped.clone());
        if let Some(sentence) = skipped.sentence() {
            self.note(&sentence);
        }
        Ok(DataPlan {
            path: path.display().to_string(),
            sha256,
            layout,
            held_out,
            split_seed,
            max_prompt_tokens: config.max_prompt_tokens.unwrap_or(512),
            over_long: config.over_long.unwrap_or(OverLong::Drop),
            system: config.system.clone().unwrap_or_default(),
            on_bad_row,
            skipped_rows: skipped.count,
        })
    }

    /// Read once for all cells that read it alike.
    fn prompts(&mut self, path: &Path, reading: Reading) -> Result<&Prompts, DataError> {
        let is_it = |(known, prompts): &(Reading, Prompts)| *known == reading && Path::new(&prompts.file) == path;
        let index = if let Some(index) = self.prompts.iter().position(is_it) {
            index
        } else {
            self.prompts.push((reading, crate::foreign::prompts(path, reading)?));
            self.prompts.len() - 1
        };
        Ok(&self.prompts[index].1)
    }
}
