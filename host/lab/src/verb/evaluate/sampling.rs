//! Answers that are sampled now: of an experiment's policies from its runs' checkpoints, and of other models.

use slhf_comparison::{Field, HeldOutResponse, Policy, present, response};
use slhf_data::prompts::Prompts;
use slhf_judge::Response;
use slhf_plan::{
    AsJson, AskedPrompt, HeldOutSampling, LanguagePlan, ModelAnswer, ModelRequest, ModelSource, ModelTask, PluginPlan,
    PromptText,
};
use slhf_record::{Record, RunSummary};

use crate::failure::Failure;
use crate::output;
use crate::verb::model::asking::{ask, unexpected};
use crate::verb::model::choice::{OfRun, plain, trained};
use crate::verb::model::prompting::SamplingArguments;

/// How answers are sampled again; what is not given is as the runs have it.
pub(super) struct Resampling<'a> {
    pub(super) sampling: &'a SamplingArguments,
    pub(super) rounds: Option<u32>,
    /// In the place of the held-out ones.
    pub(super) prompts: Option<Prompts>,
    pub(super) device: Option<&'a str>,
}

impl Resampling<'_> {
    /// Everybody's answers at a run's last checkpoint.
    pub(super) fn responses(&self, record: &mut Record, run: &RunSummary) -> Result<Vec<HeldOutResponse>, Failure> {
        let OfRun { run: source, plan } = trained(record, run, None)?;
        let task = ModelTask::HeldOut { run: source, asked: AsJson(self.held_out(&plan)?) };
        output::say(format!("sampling the responses of run {} ({})", run.run, output::visible(&run.name())));
        let mut answers = Vec::new();
        ask(self.request(&plan, task), &mut |answer| {
            let ModelAnswer::HeldOut(row) = answer else { return Err(unexpected()) };
            let asked = (Some(row.prompt_id), row.prompt);
            answers.extend(HeldOutResponse::of(asked, &row.role, response(&row.text, row.finished, row.tokens)));
            Ok(())
        })?;
        Ok(answers)
    }

    /// What was asked for over what the plan says, with plugins where they are now.
    fn held_out(&self, plan: &LanguagePlan) -> Result<HeldOutSampling, Failure> {
        let again = |plugin: &PluginPlan| present(plugin, &mut output::say);
        Ok(HeldOutSampling {
            sampling: self.sampling.over(plan.evaluation.sampling)?,
            rounds: self.rounds.unwrap_or(plan.evaluation.rounds),
            judge: plan.judge.as_ref().map(|judge| again(&judge.plugin)).transpose()?,
            reward: plan.method.reward().map(again).transpose()?,
            prompts: self.prompts.as_ref().map(|prompts| asked(prompts, &plan.data.system)),
        })
    }

    /// A policy that is another model, sampled once a seed.
    pub(super) fn add_model(&self, field: &mut Field, given: &str) -> Result<(), Failure> {
        let Some((name, named)) = given.split_once('=') else {
            return Err(Failure::bad_input(format!(
                "--model {}: expected NAME=MODEL, as in --model small=smollm2-135m-instruct",
                output::visible(given)
            )));
        };
        field.check_new(&format!("--model {given}"), name)?;
        let model = plain(named, None, false)?;
        let mut answers = Vec::with_capacity(field.seeds.len());
        for &seed in &field.seeds {
            output::say(format!("sampling the responses of {} (seed {seed})", output::visible(name)));
            answers.push(self.answers_of(field, &model, seed)?);
        }
        field.policies.push(Policy { name: name.to_owned(), answers });
        Ok(())
    }

    fn answers_of(&self, field: &Field, model: &ModelSource, seed: i64) -> Result<Vec<Option<Response>>, Failure> {
        let prompts = field.prompts.iter().map(|prompt| PromptText::Messages(prompt.conversation()));
        let task = ModelTask::Generate {
            model: model.clone(),
            prompts: prompts.collect(),
            sampling: self.sampling.over(field.plan.evaluation.sampling)?,
            batch_size: field.plan.evaluation.batch_size,
            seed: seed as u64,
        };
        let mut answers: Vec<Option<Response>> = vec![None; field.prompts.len()];
        ask(self.request(&field.plan, task), &mut |answer| {
            let ModelAnswer::Generated { index, text, token_ids, finished } = answer else { return Err(unexpected()) };
            let tokens = u32::try_from(token_ids.len()).unwrap_or(u32::MAX);
            *answers.get_mut(index as usize).ok_or_else(unexpected)? = Some(response(&text, finished, tokens));
            Ok(())
        })?;
        Ok(answers)
    }

    /// On the run's own device, threads and precision: then the bits are the run's own.
    fn request(&self, plan: &LanguagePlan, task: ModelTask) -> ModelRequest {
        let own = &plan.device;
        match self.device {
            // Another device may be better at another precision.
            Some(device) => ModelRequest { device: device.to_owned(), threads: own.threads, precision: None, task },
            None => {
                ModelRequest { device: own.name.clone(), threads: own.threads, precision: Some(own.precision), task }
            }
        }
    }
}

fn asked(prompts: &Prompts, system: &str) -> Vec<AskedPrompt> {
    let rows = prompts.rows.iter().map(|row| row.clone().with_system(system));
    rows.map(|row| AskedPrompt { messages: row.messages, metadata: row.metadata }).collect()
}
