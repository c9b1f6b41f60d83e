//! The judge of a language-model run, and its reward plugin where the method has one.

use std::collections::HashMap;
use std::sync::Arc;

use slhf_judge::{Attribute, Host, ItemFailure, Preference, Reward};
use slhf_learn::Cause;
use slhf_learn::language::{Answer, Candidate, Comparison, Measure, Measured, PairJudge, Prompt, Verdict};
use slhf_plan::{JudgePlan, MeasurePlan, OnFailure, PluginPlan, VerdictAttribute};

use super::outputs::Outputs;
use crate::error::WorkerError;
use crate::models::Models;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// What a plugin is told of a prompt; the same for every answer to it.
#[derive(Clone, Debug)]
struct Told {
    prompt: Arc<str>,
    messages: Arc<[slhf_judge::Message]>,
    metadata: Arc<str>,
}

/// What plugins were told of prompts so far: every step asks about the same ones again.
#[derive(Debug, Default)]
struct Memory(HashMap<u32, Told>);

impl Memory {
    fn told(&mut self, prompt: &Prompt) -> Told {
        let new = || Told {
            prompt: prompt.messages.last().map_or("", |message| message.content.as_str()).into(),
            messages: prompt.messages.iter().map(message).collect(),
            metadata: Arc::clone(&prompt.metadata),
        };
        self.0.entry(prompt.id).or_insert_with(new).clone()
    }

    fn candidates(&mut self, asked: &[Candidate<'_>]) -> Vec<slhf_judge::Candidate> {
        let candidate = |asked: &Candidate<'_>| {
            let Told { prompt, messages, metadata } = self.told(asked.prompt);
            slhf_judge::Candidate { prompt, messages, metadata, response: response(asked.answer), draw: asked.draw }
        };
        asked.iter().map(candidate).collect()
    }
}

/// A judge in its sandbox.
#[derive(Debug)]
pub(super) struct Judge {
    preference: Preference,
    reward: Option<Reward>,
    on_failure: OnFailure,
    memory: Memory,
    stop: Stop,
    deadline_ms: u64,
    /// Models on the device that its plugins ask, where they ask any.
    models: Option<Models>,
}

/// A measure in its sandbox.
#[derive(Debug)]
pub(super) struct PluginMeasure {
    reward: Reward,
    on_failure: OnFailure,
    memory: Memory,
    stop: Stop,
    deadline_ms: u64,
    /// Models on the device that its plugins ask, where they ask any.
    models: Option<Models>,
}

impl Judge {
    pub(super) fn load(
        host: &Host,
        judge: &JudgePlan,
        reward: Option<&PluginPlan>,
        (stop, models): (&Stop, Option<&Models>),
    ) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::Plugin { name: judge.plugin.name.clone(), source: Box::new(source) };
        let preference = host.preference(&judge.plugin).map_err(failed)?;
        let reward_plan = reward;
        let reward = reward_plan.map(|plan| reward_model(host, plan)).transpose()?;
        let deadline_ms = reward_plan.map_or(0, PluginPlan::deadline_ms).max(judge.plugin.deadline_ms());
        let (on_failure, memory) = (judge.on_failure, Memory::default());
        let plans = std::iter::once(&judge.plugin).chain(reward_plan);
        let models = asked_on_device(plans, models);
        Ok(Self { preference, reward, on_failure, memory, stop: stop.clone(), deadline_ms, models })
    }

    /// Adds what its plugins put into the record.
    pub(super) fn outputs(&self, part: &str, outputs: &mut Outputs) {
        outputs.add(part.to_owned(), self.preference.run_output());
        if let Some(reward) = &self.reward {
            outputs.add(format!("{part}'s reward"), reward.run_output());
        }
    }

    /// What the plugins used.
    pub(super) fn tell_usage(&self, run: i64, outgoing: &Outgoing) -> Result<(), WorkerError> {
        let rewards = self.reward.iter().flat_map(|reward| reward.usage("reward", &[run]));
        for usage in self.preference.usage("judge", &[run]).into_iter().chain(rewards) {
            outgoing.report(usage)?;
        }
        Ok(())
    }
}

impl PluginMeasure {
    pub(super) fn load(host: &Host, plan: &MeasurePlan, (stop, models): (&Stop, &Models)) -> Result<Self, WorkerError> {
        let reward = reward_model(host, &plan.plugin)?;
        let (stop, deadline_ms) = (stop.clone(), plan.plugin.deadline_ms());
        Ok(Self {
            reward,
            on_failure: plan.on_failure,
            memory: Memory::default(),
            stop,
            deadline_ms,
            models: asked_on_device(std::iter::once(&plan.plugin), Some(models)),
        })
    }

    /// Adds what it puts into the record.
    pub(super) fn outputs(&self, part: &str, outputs: &mut Outputs) {
        outputs.add(part.to_owned(), self.reward.run_output());
    }
}

/// Those who answer, where any of the plugins asks a model on the device.
fn asked_on_device<'a>(mut plans: impl Iterator<Item = &'a PluginPlan>, models: Option<&Models>) -> Option<Models> {
    plans.any(PluginPlan::asks_on_device).then(|| models.cloned()).flatten()
}

/// Has plugins work; this thread answers meanwhile, where they ask a model on the device.
fn serve<R: Send>(models: Option<&Models>, work: impl FnOnce() -> R + Send) -> R {
    match models {
        Some(models) => models.serve(work),
        None => work(),
    }
}

fn reward_model(host: &Host, plan: &PluginPlan) -> Result<Reward, WorkerError> {
    let name = plan.name.clone();
    host.reward(plan).map_err(|source| WorkerError::Plugin { name, source: Box::new(source) })
}

/// A failure that a plugin returned for an item: let pass, or the end.
fn outcome<T>(
    on_failure: OnFailure,
    prompt: &Prompt,
    answer: Result<T, ItemFailure>,
) -> Result<Result<T, String>, Cause> {
    match (answer, on_failure) {
        (Ok(value), _) => Ok(Ok(value)),
        (Err(failure), OnFailure::Skip) => Ok(Err(failure.reason)),
        (Err(failure), OnFailure::Abort) => {
            Err(WorkerError::ItemFailed { prompt: prompt.id, reason: failure.reason }.into())
        }
    }
}

impl PairJudge for Judge {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        let batch: Vec<slhf_judge::Comparison> = comparisons
            .iter()
            .map(|comparison| {
                let Told { prompt, messages, metadata } = self.memory.told(comparison.prompt);
                let (first, second) = (response(comparison.first), response(comparison.second));
                slhf_judge::Comparison { prompt, messages, metadata, first, second, draw: comparison.draw }
            })
            .collect();
        let working = self.stop.judge_works(self.deadline_ms);
        let verdicts = serve(self.models.as_ref(), || self.preference.compare(&batch))?;
        drop(working);
        let verdict = |verdict: slhf_judge::Verdict| Verdict {
            probability: verdict.probability,
            attributes: verdict.attributes.into_iter().map(attribute).collect(),
        };
        let outcomes = comparisons.iter().zip(verdicts);
        outcomes.map(|(asked, found)| outcome(self.on_failure, asked.prompt, found.map(verdict))).collect()
    }

    fn score(
        &mut self,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<Result<slhf_learn::language::Reward, String>>, Cause> {
        let batch = self.memory.candidates(candidates);
        let reward = self.reward.as_ref().ok_or(WorkerError::NoReward)?;
        let working = self.stop.judge_works(self.deadline_ms);
        let scores = serve(self.models.as_ref(), || reward.score(&batch))?;
        let told = |score: slhf_judge::Score| slhf_learn::language::Reward {
            value: score.value,
            attributes: score.attributes.into_iter().map(attribute).collect(),
        };
        drop(working);
        let outcomes = candidates.iter().zip(scores);
        outcomes.map(|(asked, found)| outcome(self.on_failure, asked.prompt, found.map(told))).collect()
    }
}

impl Measure for PluginMeasure {
    fn measure(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Measured, String>>, Cause> {
        let batch = self.memory.candidates(candidates);
        let working = self.stop.judge_works(self.deadline_ms);
        let scores = serve(self.models.as_ref(), || self.reward.score(&batch))?;
        drop(working);
        let measured = |score: slhf_judge::Score| Measured {
            value: score.value,
            attributes: score.attributes.into_iter().map(|attribute| (attribute.name, attribute.value)).collect(),
        };
        let outcomes = candidates.iter().zip(scores);
        let told = |(asked, found): (&Candidate<'_>, Result<slhf_judge::Score, ItemFailure>)| match found {
            Err(ItemFailure { reason }) if self.on_failure == OnFailure::Abort => {
                Err(WorkerError::MeasureFailed { prompt: asked.prompt.id, reason }.into())
            }
            found => Ok(found.map(measured).map_err(|failure| failure.reason)),
        };
        outcomes.map(told).collect()
    }
}

fn message(message: &slhf_plan::Message) -> slhf_judge::Message {
    slhf_judge::Message { role: message.role.as_str().into(), content: message.content.as_str().into() }
}

fn response(answer: &Answer) -> slhf_judge::Response {
    slhf_judge::Response {
        text: Arc::clone(&answer.text),
        finished: answer.finished,
        token_count: u32::try_from(answer.tokens.len()).unwrap_or(u32::MAX),
        metadata: slhf_judge::NO_METADATA.into(),
    }
}

fn attribute(attribute: Attribute) -> VerdictAttribute {
    VerdictAttribute { name: attribute.name, value: attribute.value, reason: attribute.reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_told_the_draw_of_each_answer() {
        let prompt = Prompt {
            id: 4,
            identity: slhf_plan::PromptId::new(&[], "{}", 0),
            messages: Arc::from([slhf_plan::Message { role: "user".to_owned(), content: "why?".to_owned() }]),
            metadata: "{}".into(),
        };
        let answer = Answer { tokens: [1, 2].into(), finished: true, text: "so".into(), draws: [].into() };
        let asked = [7, 1 << 52].map(|draw| Candidate { prompt: &prompt, answer: &answer, draw });
        let told = Memory::default().candidates(&asked);
        assert_eq!(told.iter().map(|candidate| candidate.draw).collect::<Vec<_>>(), [7, 1 << 52]);
        assert!(told.iter().all(|candidate| &*candidate.prompt == "why?" && candidate.response.token_count == 2));
    }
}
