//! Models are tried in the other process: their files opened, their templates rendered, their positions counted.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use slhf_data::PlannedReading;
use slhf_data::preferences::PreferenceReading;
use slhf_plan::{
    LanguagePlan, Message, ModelRequest, ModelSource, ModelTask, PluginPlan, PromptText, RewardTrainingPlan,
    TransferSource, Work,
};

use crate::ask::ask;
use crate::plugins::try_plugins;
use crate::protocol::{
    ModelAnswer, ModelPurpose, ModelQuestion, PromptFile, Question, RoomAnswer, ShapeAnswer, SizesAnswer, Tried,
};
use crate::room::{Overflow, PromptSizes, RoomQuestion};

/// Tries a model's files and templates in the other process, each once a command: a worker, which has no such limits, loads
/// only what passed.
fn try_model(question: ModelQuestion) -> Tried {
    static PASSED: Mutex<Vec<ModelQuestion>> = Mutex::new(Vec::new());
    let passed = || PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed().contains(&question) {
        return Ok(());
    }
    let question = Question::Model(question);
    let notes = ask::<ModelAnswer>(&question).unwrap_or_else(|error| Err(slhf_words::chain(&error)))?;
    notes.into_iter().for_each(say_once);
    if let Question::Model(question) = question {
        passed().push(question);
    }
    Ok(())
}

/// One model is tried with several conversations.
fn say_once(note: String) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&note) {
        tracing::warn!("{}", slhf_report::escape::line(&note));
        said.push(note);
    }
}

/// All models of a run, with all that their templates will be given.
pub fn try_models_of(plan: &LanguagePlan) -> Tried {
    let prompts = vec![(PathBuf::from(&plan.data.path), PlannedReading::of(&plan.data), plan.data.system.clone())];
    try_models(plan, &prompts, &[])
}

/// The model of a run that trains a reward model, with all pairs that its template will be given.
pub fn try_models_of_reward(plan: &RewardTrainingPlan) -> Tried {
    let data = &plan.data;
    try_model(ModelQuestion {
        path: PathBuf::from(&plan.model.path),
        thinking: plan.model.thinking,
        chat_template: plan.model.chat_template.clone(),
        pairs: vec![(PathBuf::from(&data.path), PreferenceReading::of(data), data.system.clone())],
        ..ModelQuestion::default()
    })
}

/// A run's model, and those that its answers are compared with.
fn try_models(plan: &LanguagePlan, prompts: &[PromptFile], conversations: &[Vec<Message>]) -> Tried {
    let with = |path: &str, thinking: bool, chat_template: Option<&String>| {
        try_model(ModelQuestion {
            path: PathBuf::from(path),
            thinking,
            chat_template: chat_template.cloned(),
            adapter: None,
            prompts: prompts.to_vec(),
            pairs: Vec::new(),
            conversations: conversations.to_vec(),
            purpose: ModelPurpose::Policy,
        })
    };
    with(&plan.model.path, plan.model.thinking, plan.model.chat_template.as_ref())?;
    plan.evaluation.transfer.iter().try_for_each(|transfer| match &transfer.source {
        TransferSource::Model { path, thinking, chat_template, .. } => with(path, *thinking, chat_template.as_ref()),
        TransferSource::Responses { .. } => Ok(()),
    })
}

/// The shape of a model that lies here.
pub fn shape(path: &Path) -> ShapeAnswer {
    ask::<ShapeAnswer>(&Question::Shape { path: path.to_owned() })
        .unwrap_or_else(|error| Err(slhf_words::chain(&error)))
}

/// How long a run's prompts are; counted once for the runs that ask alike.
pub fn prompt_sizes(plan: &LanguagePlan) -> SizesAnswer {
    static COUNTED: Mutex<Vec<(RoomQuestion, Option<PromptSizes>)>> = Mutex::new(Vec::new());
    let counted = || COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let question = RoomQuestion::of(plan, 1);
    if let Some((_, known)) = counted().iter().find(|(known, _)| *known == question) {
        return Ok(*known);
    }
    let boxed = Question::Sizes(Box::new(question.clone()));
    let sizes = ask::<SizesAnswer>(&boxed).unwrap_or_else(|error| Err(slhf_words::chain(&error)))?;
    counted().push((question, sizes));
    Ok(sizes)
}

/// Whether a run's closed sets of answers are ones in its model's tokens; asked once for the cells that ask alike.
pub fn try_answer_sets(plan: &LanguagePlan) -> Tried {
    static PASSED: Mutex<Vec<RoomQuestion>> = Mutex::new(Vec::new());
    let passed = || PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let question = RoomQuestion::of(plan, plan.method.training().sampling.max_new_tokens);
    if passed().contains(&question) {
        return Ok(());
    }
    ask::<Tried>(&Question::AnswerSets(Box::new(question.clone())))
        .unwrap_or_else(|error| Err(slhf_words::chain(&error)))?;
    passed().push(question);
    Ok(())
}

/// Whether a run's prompts, and answers to them of so many tokens, are more than its model's positions; counted once for the
/// cells that ask alike.
pub fn overflow(plan: &LanguagePlan, max_new_tokens: u32) -> RoomAnswer {
    static COUNTED: Mutex<Vec<(RoomQuestion, Option<Overflow>)>> = Mutex::new(Vec::new());
    let counted = || COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let question = RoomQuestion::of(plan, max_new_tokens);
    if let Some((_, known)) = counted().iter().find(|(known, _)| *known == question) {
        return Ok(known.clone());
    }
    let boxed = Question::Room(Box::new(question.clone()));
    let overflow = ask::<RoomAnswer>(&boxed).unwrap_or_else(|error| Err(slhf_words::chain(&error)))?;
    counted().push((question, overflow.clone()));
    Ok(overflow)
}

/// All models of a task, likewise.
pub fn try_models_of_task(request: &ModelRequest) -> Tried {
    let texts = |prompts: &[PromptText]| -> Vec<Vec<Message>> {
        let conversation = |prompt: &PromptText| match prompt {
            PromptText::Messages(messages) => Some(messages.clone()),
            PromptText::Raw(_) => None,
        };
        prompts.iter().filter_map(conversation).collect()
    };
    match &request.task {
        ModelTask::Inspect { model } | ModelTask::Export { model, .. } => try_source(model, Vec::new()),
        ModelTask::LogProbabilities { model, prompt, .. } => try_source(model, texts(std::slice::from_ref(prompt))),
        ModelTask::Score { model, conversations, .. } => try_source(model, conversations.clone()),
        ModelTask::Generate { model, prompts, .. } => try_source(model, texts(prompts)),
        ModelTask::Refine { model, from, messages, .. } => {
            from.iter().try_for_each(|from| try_source(from, vec![messages.clone()]))?;
            try_source(model, vec![messages.clone()])
        }
        ModelTask::Start { frozen } => match Work::from_json(frozen).map_err(|error| error.to_string())? {
            Work::LanguageModel(plan) => {
                let plugins: Vec<&PluginPlan> =
                    plan.judge.iter().map(|judge| &judge.plugin).chain(plan.method.reward()).collect();
                try_plugins(&plugins)?;
                try_models_of(&plan)
            }
            _ => Err("expected the plan of a language model".to_owned()),
        },
        ModelTask::HeldOut { run, asked } => {
            let mut plan = run.plan().map_err(|error| error.to_string())?;
            asked.0.apply(&mut plan);
            let judge = plan.judge.as_ref().map(|judge| &judge.plugin);
            let plugins: Vec<&PluginPlan> = judge.into_iter().chain(plan.method.reward()).collect();
            try_plugins(&plugins)?;
            match &asked.0.prompts {
                Some(prompts) => {
                    let asked: Vec<_> = prompts.iter().map(|prompt| prompt.messages.clone()).collect();
                    try_models(&plan, &[], &asked)
                }
                None => try_models_of(&plan),
            }
        }
    }
}

fn try_source(model: &ModelSource, conversations: Vec<Vec<Message>>) -> Tried {
    try_model(ModelQuestion {
        path: PathBuf::from(&model.path),
        thinking: model.thinking,
        adapter: model.adapter.as_ref().map(PathBuf::from),
        chat_template: model.chat_template.clone(),
        prompts: Vec::new(),
        pairs: Vec::new(),
        conversations,
        purpose: ModelPurpose::Any,
    })
}
