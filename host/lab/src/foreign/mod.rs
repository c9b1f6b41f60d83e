//! Files that strangers made are read in a process of their own.
//!
//! A compiler, a decompressor or a parser that is fed by a stranger may take minutes or gigabytes, overflow a stack or
//! panic. None of that happens in the lab: this program, started again with a hidden verb, reads the file under limits of
//! memory and time, and leaves a checked result in the cache or on its standard output. It may come to any end; the lab
//! says which, of which file, and how to raise the limit. One process serves all files of a command.

mod as_json;
mod child;
mod data;
mod limits;
mod process;
mod room;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slhf_data::DataError;
use slhf_data::prompts::{Prompts, Reading};
use slhf_data::responses::Responses;
use slhf_judge::{Compilation, DescribeRequest, Description, Elsewhere, Host, HostSettings, JudgeError};
use slhf_plan::{LanguagePlan, Message, ModelRequest, ModelSource, ModelTask, PluginPlan, PromptText, TransferSource};

use as_json::AsJson;
pub(crate) use child::{VERB, main};
pub(crate) use data::{annotation_tables, annotations, preference_data};
pub(crate) use limits::ForeignLimits;
use limits::MemoryLimit;
use process::Reader;
pub(crate) use room::Overflow;
use room::RoomQuestion;

/// What the process is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// To check and compile a component, and to ask it what it is; answered by [`DescriptionAnswer`].
    Description {
        /// The component.
        path: PathBuf,
        /// All that is to be known.
        request: AsJson<DescribeRequest>,
    },
    /// To read preference data; answered by [`data::DataAnswer`].
    Data {
        /// The file.
        path: PathBuf,
        /// As messages name it.
        shown: String,
    },
    /// To read annotations; answered by [`data::AnnotationsAnswer`].
    Annotations {
        /// The file.
        path: PathBuf,
    },
    /// To read the auxiliary tables of annotations; answered by [`data::TablesAnswer`].
    Tables {
        /// Their folder.
        folder: PathBuf,
    },
    /// To read a file of prompts; answered by [`PromptsAnswer`].
    Prompts {
        /// The file.
        path: PathBuf,
        /// How it is read.
        reading: Reading,
    },
    /// To read a file of responses; answered by [`ResponsesAnswer`].
    Responses {
        /// The file.
        path: PathBuf,
    },
    /// To try a model's files; answered by [`ModelAnswer`].
    Model(ModelQuestion),
    /// Whether prompts and answers fit a model; answered by [`RoomAnswer`].
    Room(Box<RoomQuestion>),
}

/// A model with everything that its chat template will be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelQuestion {
    /// A Hugging Face folder or a GGUF file.
    pub(crate) path: PathBuf,
    /// See [`slhf_plan::ModelPlan::thinking`].
    pub(crate) thinking: bool,
    /// In the place of the model's own.
    pub(crate) chat_template: Option<String>,
    /// The folder of an adapter over it.
    pub(crate) adapter: Option<PathBuf>,
    /// Files of prompts that are rendered, how they are read, and the system message before each.
    pub(crate) prompts: Vec<PromptFile>,
    /// Conversations that are rendered.
    pub(crate) conversations: Vec<Vec<Message>>,
}

/// A file of prompts, how it is read, and the system message before each.
type PromptFile = (PathBuf, Reading, String);

type PromptsAnswer = Result<Prompts, DataError>;
type ResponsesAnswer = Result<Responses, DataError>;
/// What the model is read without, or why it is not, in sentences that name the file.
type ModelAnswer = Result<Vec<String>, String>;
/// Nothing, or why not in a sentence that names the file.
type Tried = Result<(), String>;
/// What does not fit, if anything; or why that is not known.
type RoomAnswer = Result<Option<Overflow>, String>;

/// What a plugin says of itself, or why that is not known in a sentence that names the file.
pub(crate) type DescriptionAnswer = Result<AsJson<Description>, String>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignError {
    /// The program itself cannot be started again.
    #[error("the process that reads files of others cannot be started")]
    CannotStart(#[source] std::io::Error),
    /// A library panicked over the file.
    #[error("{file} cannot be read: {who} gave up ({words})")]
    GaveUp {
        /// The file.
        file: String,
        /// `the library tokenizers 0.22.2`, …
        who: String,
        /// Its last words.
        words: String,
    },
    /// It came to an end.
    #[error(
        "{file} cannot be read: the process that reads it ended ({how}); it may take {memory_mib} MiB, which {} raises",
        set_by.raised_by()
    )]
    Ended {
        /// The file.
        file: String,
        /// How, in words.
        how: String,
        /// The limit.
        memory_mib: u64,
        /// Who set it.
        set_by: MemoryLimit,
    },
    /// It took too long.
    #[error("{file} cannot be read within {seconds} s; {} raises that limit", limits::SECONDS_VARIABLE)]
    TooSlow {
        /// The file.
        file: String,
        /// The limit.
        seconds: f64,
    },
}

impl Question {
    /// The file in question.
    fn file(&self) -> String {
        let file: &Path = match self {
            Self::Description { path, .. }
            | Self::Prompts { path, .. }
            | Self::Responses { path }
            | Self::Data { path, .. }
            | Self::Annotations { path } => path,
            Self::Tables { folder } => folder,
            Self::Model(question) => &question.path,
            Self::Room(question) => question.file(),
        };
        file.display().to_string()
    }
}

/// Asks the process of this command, which is started where there is none.
pub(crate) fn ask<A: DeserializeOwned>(question: &Question) -> Result<A, ForeignError> {
    Reader::of_this_command().ask(question)
}

/// A plugin host that compiles and describes in the other process.
pub(crate) fn host_settings() -> HostSettings {
    let ask = |request: &DescribeRequest| {
        let question = Question::Description { path: request.path.clone(), request: AsJson(request.clone()) };
        let answer = ask::<DescriptionAnswer>(&question).unwrap_or_else(|error| Err(crate::failure::chain(&error)));
        answer.map(|AsJson(description)| description)
    };
    HostSettings { compilation: Compilation::Elsewhere(Elsewhere::new(ask)), ..HostSettings::default() }
}

/// Reads a file of prompts in the other process.
pub(crate) fn prompts(path: &Path, reading: Reading) -> PromptsAnswer {
    ask::<PromptsAnswer>(&Question::Prompts { path: path.to_owned(), reading })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

/// Reads a file of responses in the other process.
pub(crate) fn responses(path: &Path) -> ResponsesAnswer {
    ask::<ResponsesAnswer>(&Question::Responses { path: path.to_owned() })
        .unwrap_or_else(|error| Err(data_error(path, &error)))
}

fn data_error(path: &Path, error: &ForeignError) -> DataError {
    let file = path.display().to_string();
    let sentence = crate::failure::chain(error);
    let problem = sentence.strip_prefix(&file).map_or(sentence.as_str(), str::trim_start).to_owned();
    DataError { file, place: slhf_data::Place::default(), problem }
}

/// Tries a model's files and templates in the other process, each once a command: a worker, which has no such limits, loads
/// only what passed.
pub(crate) fn try_model(question: ModelQuestion) -> Tried {
    static PASSED: Mutex<Vec<ModelQuestion>> = Mutex::new(Vec::new());
    let passed = || PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed().contains(&question) {
        return Ok(());
    }
    let question = Question::Model(question);
    let notes = ask::<ModelAnswer>(&question).unwrap_or_else(|error| Err(crate::failure::chain(&error)))?;
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
        tracing::warn!("{}", crate::output::visible(&note));
        said.push(note);
    }
}

/// Compiles and describes the plugins of a plan in the other process: a worker finds them in the cache.
pub(crate) fn try_plugins(plans: &[&PluginPlan]) -> Tried {
    static HOST: Mutex<Option<Host>> = Mutex::new(None);
    let sentence = |error: JudgeError| crate::failure::chain(&error);
    let mut known = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let host = match known.as_ref() {
        Some(host) => host,
        None => known.insert(Host::new(host_settings()).map_err(sentence)?),
    };
    for plan in plans {
        let mut next = Some(*plan);
        while let Some(plan) = next {
            host.describe(&plan.name, Path::new(&plan.path), &plan.limits).map_err(sentence)?;
            next = plan.upstream.as_deref();
        }
    }
    Ok(())
}

/// All models of a run, with all that their templates will be given.
pub(crate) fn try_models_of(plan: &LanguagePlan) -> Tried {
    let prompts = vec![(PathBuf::from(&plan.data.path), Reading::of(&plan.data), plan.data.system.clone())];
    try_models(plan, &prompts, &[])
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
            conversations: conversations.to_vec(),
        })
    };
    with(&plan.model.path, plan.model.thinking, plan.model.chat_template.as_ref())?;
    plan.evaluation.transfer.iter().try_for_each(|transfer| match &transfer.source {
        TransferSource::Model { path, thinking, chat_template, .. } => with(path, *thinking, chat_template.as_ref()),
        TransferSource::Responses { .. } => Ok(()),
    })
}

/// Whether a run's prompts, and answers to them of so many tokens, are more than its model's positions; counted once for the
/// cells that ask alike.
pub(crate) fn overflow(plan: &LanguagePlan, max_new_tokens: u32) -> RoomAnswer {
    static COUNTED: Mutex<Vec<(RoomQuestion, Option<Overflow>)>> = Mutex::new(Vec::new());
    let counted = || COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let question = RoomQuestion::of(plan, max_new_tokens);
    if let Some((_, known)) = counted().iter().find(|(known, _)| *known == question) {
        return Ok(known.clone());
    }
    let boxed = Question::Room(Box::new(question.clone()));
    let overflow = ask::<RoomAnswer>(&boxed).unwrap_or_else(|error| Err(crate::failure::chain(&error)))?;
    counted().push((question, overflow.clone()));
    Ok(overflow)
}

/// All models of a task, likewise.
pub(crate) fn try_models_of_task(request: &ModelRequest) -> Tried {
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
        ModelTask::Generate { model, prompts, .. } => try_source(model, texts(prompts)),
        ModelTask::Refine { model, from, messages, .. } => {
            from.iter().try_for_each(|from| try_source(from, vec![messages.clone()]))?;
            try_source(model, vec![messages.clone()])
        }
        ModelTask::HeldOut { run, prompts } => {
            let plan = serde_json::from_str::<LanguagePlan>(&run.plan_json).map_err(|error| error.to_string())?;
            let plugins: Vec<&PluginPlan> = std::iter::once(&plan.judge.plugin).chain(plan.method.reward()).collect();
            try_plugins(&plugins)?;
            let asked: Vec<_> = prompts.iter().flatten().map(|prompt| prompt.messages.clone()).collect();
            match prompts {
                Some(_) => try_models(&plan, &[], &asked),
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
        conversations,
    })
}
