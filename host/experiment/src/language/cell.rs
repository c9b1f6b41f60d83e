//! A cell of an experiment on language models: defaults filled in, model, prompts and plugins found, and checked for what fits
//! together.

use std::path::Path;

use slhf_data::PlannedReading;
use slhf_data::prompts::{PromptRow, Prompts, Split};
use slhf_plan::settings::{Placeholders, Problems};
use slhf_plan::{
    AdapterPlan, AnswerSetsPlan, CheckpointKeep, DataLayout, DataPlan, LanguageCell, LanguagePlan, ModelDevicePlan,
    ModelPlan, OverLong, Responses,
};

use super::config::{DataConfig, DataLayoutConfig, LanguageExperimentConfig, ModelConfig};
use super::evaluated::EvaluatedBy;
use super::found_data::FoundData;
use super::resolved::ResolvedLanguage;
use super::{resolve, room, rules, sampler, stream};
use crate::error::ExperimentError;
use crate::models;
use crate::planner::Planner;
use crate::rules::check_cadence;

/// Held-out prompts where a file does not say.
const HELD_OUT: u32 = 128;
/// Characters of a token, for prices alone.
const TOKEN_CHARACTERS: f64 = 4.0;
/// Tokens of a chat template around a prompt, likewise.
const TEMPLATE_TOKENS: f64 = 20.0;

impl Planner<'_> {
    /// Fills in defaults, finds model, prompts and plugins, and checks what fits together.
    pub(crate) fn resolve_language(
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
        let answers = resolve::answers(config);
        let sampler = sampler::of(config, &mut problems);
        if let Some(method) = &method {
            let evaluation =
                resolve::evaluation(&config.evaluation, method.training(), held_out, EvaluatedBy::default());
            let (checkpoint_every, _) = resolve::cadences(config, method.training().steps);
            problems.extend(slhf_plan::check_language(&LanguageCell {
                adapter: &adapter,
                method,
                schedule: &resolve::schedule(&config.schedule, method, &adapter),
                evaluation: &evaluation,
                answers: answers.as_ref(),
                data: if config.data.pairs.is_some() { Responses::OfAFile } else { Responses::Sampled },
                is_judged: config.judge.is_some(),
                sampler: sampler.as_ref(),
                processes: config.device.processes.unwrap_or(1),
            }));
            check_cadence("checkpoint.every", checkpoint_every, &mut problems);
        }
        self.document.refuse(label, problems)?;
        let FoundData { plan: data, named, sizes } = match (&config.data.prompts, &config.data.pairs) {
            (_, Some(pairs)) => self.preference_data(config, pairs, label)?,
            (Some(prompts), None) => self.data(&config.data, prompts, answers.as_ref(), label)?,
            (None, None) => return Err(self.invalid(label, "data.prompts", "missing; expected a file of prompts")),
        };
        let judge = config.judge.as_ref().map(|judge| self.plugins.judge("judge", judge)).transpose()?;
        let method = self.with_plugins(|plugins| config.method.read(plugins), label)?;
        let schedule = resolve::schedule(&config.schedule, &method, &adapter);
        let device = self
            .ask_device(|ask| resolve::device(&config.device, ask))
            .map_err(|problem| self.invalid(label, "device.name", &problem))?;
        let device = ModelDevicePlan { sampler, ..device };
        self.note_device(&device);
        let (checkpoint_every, log_completions_every) = resolve::cadences(config, method.training().steps);
        let (model, parameters) = self.model(&config.model, adapter, &device, label)?;
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
            answers,
        };
        if plan.device.processes > 1 && plan.device.name != "cpu" {
            let problem = format!(
                "{}; expected 1 on {}: several processes of a run exchange tensors on CPUs alone",
                plan.device.processes, plan.device.name
            );
            return Err(self.invalid(label, "device.processes", &problem));
        }
        plan.evaluation.stream = Some(stream::of(&plan));
        if !(self.lacks(&plan.model.path) || self.lacks(&plan.data.path)) {
            slhf_foreign::try_models_of(&plan).map_err(|problem| self.invalid(label, "model.path", &problem))?;
            room::check(&plan).map_err(|(key, problem)| self.invalid(label, key, &problem))?;
            if plan.answers.is_some() {
                slhf_foreign::try_answer_sets(&plan)
                    .map_err(|problem| self.invalid(label, "data.answers", &problem))?;
            }
        }
        Ok(ResolvedLanguage { plan, data_name: named, parameters, sizes })
    }

    /// The model that a cell trains.
    pub(crate) fn model(
        &mut self,
        config: &ModelConfig,
        adapter: AdapterPlan,
        device: &ModelDevicePlan,
        label: &str,
    ) -> Result<(ModelPlan, f64), ExperimentError> {
        let weights = resolve::weights(config.weights, &adapter, device);
        let weights = weights.map_err(|problem| self.invalid(label, "model.weights", &problem))?;
        if let Some((key, problem)) = config.shape.as_ref().and_then(|shape| shape.check().err()) {
            return Err(self.invalid(label, &format!("model.shape.{key}"), &problem));
        }
        let found = self.found(&config.path, config.shape.as_ref(), "model.path", label)?;
        let plan = ModelPlan {
            name: config.path.clone(),
            path: found.path.display().to_string(),
            sha256: found.sha256,
            adapter,
            weights,
            activation_checkpointing: config.activation_checkpointing.unwrap_or(false),
            thinking: config.thinking.unwrap_or(false),
            chat_template: self.chat_template(config.chat_template.as_deref(), "model.chat_template")?,
        };
        Ok((plan, found.parameters))
    }

    /// The prompts.
    fn data(
        &mut self,
        config: &DataConfig,
        prompts: &str,
        answers: Option<&AnswerSetsPlan>,
        label: &str,
    ) -> Result<FoundData, ExperimentError> {
        let key = "data.prompts";
        let file = self.path();
        let named = file.parent().unwrap_or(Path::new("")).join(prompts);
        let shape = config.shape.filter(|_| self.describes() && !named.exists());
        if let Some(id) = models::HubId::of(prompts).filter(|_| !named.exists() && shape.is_none()) {
            let problem = format!(
                "\"{}\" is no file here; a data set of the Hugging Face hub is downloaded first: run `{}`, and name one of its \
                 files",
                prompts,
                id.command(" --repo-type dataset")
            );
            return Err(self.invalid(label, key, &problem));
        }
        let given = config.layout.map(DataLayoutConfig::of_prompts);
        let Some(layout) = given.unwrap_or_else(|| slhf_data::prompts::layout_of(prompts)) else {
            if given.is_some() {
                let problem = "a layout of pairs of responses; expected jsonl, parquet, text, help_steer2 or ultra_feedback, or the file at \
                               data.pairs";
                return Err(self.invalid(label, "data.layout", problem));
            }
            let problem = format!(
                "\"{prompts}\" does not tell its layout by its name; set data.layout to jsonl, parquet, text, help_steer2 or \
                 ultra_feedback"
            );
            return Err(self.invalid(label, key, &problem));
        };
        let plan = DataPlan {
            path: prompts.to_owned(),
            sha256: String::new(),
            layout: DataLayout::Prompts(layout),
            held_out: config.held_out.unwrap_or(HELD_OUT),
            split_seed: config.split_seed.unwrap_or(0),
            max_prompt_tokens: config.max_prompt_tokens.unwrap_or(512),
            over_long: config.over_long.unwrap_or(OverLong::Drop),
            system: config.system.clone().unwrap_or_default(),
            on_bad_row: config.on_bad_row.unwrap_or_default(),
            skipped_rows: 0,
        };
        if let Some(shape) = shape {
            self.absent(prompts);
            return Ok(FoundData::of_prompts(plan, prompts, f64::from(shape.prompt_tokens)));
        }
        let unreadable = |cause| ExperimentError::Unreadable {
            file: file.clone(),
            key: key.to_owned(),
            named: prompts.to_owned(),
            cause,
        };
        let path = named.canonicalize().map_err(unreadable)?;
        // Nothing of the split is kept: that it exists is better known now than by every worker.
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        let found = self.prompts(&path, PlannedReading::of(&plan)).map_err(bad)?;
        Split::of(found, plan.held_out, plan.split_seed).map_err(bad)?;
        if let Some(answers) = answers {
            found.answer_sets(&answers.given).map_err(bad)?;
        }
        let (sha256, skipped) = (found.sha256.clone(), found.skipped.clone());
        let prompt_tokens = mean_characters(found, &plan.system) / TOKEN_CHARACTERS + TEMPLATE_TOKENS;
        if let Some(sentence) = skipped.sentence() {
            self.note(&sentence);
        }
        let plan = DataPlan { path: path.display().to_string(), sha256, skipped_rows: skipped.count, ..plan };
        Ok(FoundData::of_prompts(plan, prompts, prompt_tokens))
    }
}

fn mean_characters(prompts: &Prompts, system: &str) -> f64 {
    let of_row = |row: &PromptRow| {
        let has_system = row.messages.iter().any(|message| message.role == "system");
        let system = if has_system { 0 } else { system.len() };
        system + row.messages.iter().map(|message| message.content.len()).sum::<usize>()
    };
    prompts.rows.iter().map(of_row).sum::<usize>() as f64 / prompts.rows.len().max(1) as f64
}
