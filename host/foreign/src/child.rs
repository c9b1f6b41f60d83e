//! The process that reads files of others: takes questions, answers them, and may die of any.

use std::any::Any;
use std::io::{self, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use slhf_data::DataError;
use slhf_judge::JudgeError;
use slhf_model::{Ending, ModelError, StoredModel, Thinking, Tokens};
use slhf_plan::{AsJson, Message, read_frame, write_frame};

use crate::limits::{self, ForeignLimits};
use crate::protocol::{ModelPurpose, ModelQuestion, OWN, Question, Said};
use crate::{reading, room};

/// A deep stack costs nothing that is not touched, and files nest.
const STACK_BYTES: usize = 256 << 20;
/// An answer comes in pieces of so many bytes.
const PIECE_BYTES: usize = 16 << 20;

/// Where the last panic was, for its catcher.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Answers until nobody asks any more.
pub fn main() -> ExitCode {
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    std::panic::set_hook(Box::new(|panic| {
        let file = panic.location().map(|location| location.file().to_owned());
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }));
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(serve);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Whether all went as it should.
fn serve() -> bool {
    if limits::limit_memory(ForeignLimits::of_process().memory_mib).is_err() {
        return false;
    }
    let (mut input, mut output) = (BufReader::new(io::stdin()), io::stdout().lock());
    while let Ok(Some(question)) = read_frame::<Question>(&mut input) {
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&question)));
        let written = match answered {
            Ok(Answered::Whole(bytes)) => {
                let mut pieces = bytes.chunks(PIECE_BYTES);
                pieces
                    .try_for_each(|piece| write_frame(&mut output, &Said::Piece(piece.to_vec())))
                    .and_then(|()| write_frame(&mut output, &Said::End))
            }
            Ok(Answered::Unspeakable) => return false,
            Ok(Answered::GaveUp(words)) => write_frame(&mut output, &Said::GaveUp { who: OWN.to_owned(), words }),
            Err(panic) => {
                let place = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
                let who = who(place.as_deref().unwrap_or_default());
                write_frame(&mut output, &Said::GaveUp { who, words: words(panic.as_ref()) })
            }
        };
        if written.is_err() {
            return false;
        }
    }
    true
}

/// What comes of a question.
enum Answered {
    /// The answer's bytes.
    Whole(Vec<u8>),
    /// An answer that no bytes can be made of.
    Unspeakable,
    /// This process has not what it takes to look for one: threads, memory.
    GaveUp(String),
}

fn answer(question: &Question) -> Answered {
    let bytes = match question {
        Question::Description { request, .. } => match slhf_judge::describe(&request.0) {
            Err(JudgeError::Engine(words)) => return Answered::GaveUp(words),
            described => encode(&described.map(AsJson).map_err(|error| sentence(&error))),
        },
        Question::Data { path, shown } => encode(&reading::read_data(path, shown).map_err(explained)),
        Question::Annotations { path } => encode(&reading::read_annotations(path).map_err(explained)),
        Question::Tables { folder } => encode(&slhf_data::read_annotation_tables(folder).map_err(explained)),
        Question::Prompts { path, reading } => encode(&slhf_data::read_planned(path, reading).map_err(explained)),
        Question::Responses { path } => encode(&slhf_data::responses::read_responses(path).map_err(explained)),
        Question::Pairs { path } => encode(&slhf_data::pairs::read_pairs(path).map_err(explained)),
        Question::Preferences { path, reading } => {
            encode(&slhf_data::preferences::read_preferences(path, reading).map_err(explained))
        }
        Question::Conversations { path } => encode(&slhf_data::read_conversations(path).map_err(explained)),
        Question::Model(question) => encode(&try_model(question).map_err(|error| sentence(&error))),
        Question::Shape { path } => {
            let shape = StoredModel::open(path).map(|model| model.config().shape());
            encode(&shape.map_err(|error| sentence(&error)))
        }
        Question::Sizes(question) => encode(&room::sizes(question).map_err(|error| sentence(&error))),
        Question::Room(question) => encode(&room::overflow(question).map_err(|error| sentence(&error))),
        Question::AnswerSets(question) => encode(&room::answer_sets(question).map_err(|error| sentence(&*error))),
    };
    bytes.map_or(Answered::Unspeakable, Answered::Whole)
}

/// An error in one sentence, with the limit where that is what it is about.
fn sentence(error: &dyn std::error::Error) -> String {
    let said = slhf_words::chain(error);
    if limits::is_about_memory(&said) { said + &ForeignLimits::of_process().in_words() } else { said }
}

/// Likewise.
fn explained(error: DataError) -> DataError {
    DataError { problem: sentence(&Problem(error.problem)), ..error }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Problem(String);

/// Opens a model's files and renders all that its template will be given. What a template refuses is the worker's to say,
/// with the prompt; here it matters that it comes to an end.
fn try_model(question: &ModelQuestion) -> Result<Vec<String>, ModelError> {
    let thinking = if question.thinking { Thinking::On } else { Thinking::Off };
    let stored = StoredModel::open(&question.path)?;
    if question.purpose == ModelPurpose::Policy && stored.config().reward.is_some() {
        return Err(ModelError::Config {
            path: question.path.join("config.json"),
            key: "architectures".to_owned(),
            problem: "says that this is a reward model: it scores texts and generates none, so that it can be no policy; name the model \
                      that it was trained from"
                .to_owned(),
        });
    }
    if let Some(folder) = &question.adapter {
        slhf_model::open_adapter(folder)?;
    }
    let own_tokens = question.adapter.as_ref().filter(|folder| folder.join("tokenizer.json").is_file());
    let mut tokens = match own_tokens {
        Some(folder) => Tokens::from_folder(folder, stored.config(), thinking)?,
        None => stored.tokens(thinking)?,
    };
    if let Some(source) = &question.chat_template {
        tokens = tokens.with_template(source, thinking)?;
    }
    let notes = [stored.notes()?, tokens.notes().to_vec()].concat();
    if tokens.template().is_none() {
        return Ok(notes);
    }
    // What stands between an answer and the next question.
    let _ = tokens.turn("Again?");
    for messages in &question.conversations {
        let _ = tokens.prompt(messages);
        let _ = tokens.conversation(messages);
    }
    for (path, reading, system) in &question.prompts {
        let Ok(prompts) = slhf_data::read_planned(path, reading) else { continue };
        for row in prompts.rows {
            let _ = tokens.render(&row.with_system(system).messages, Ending::GenerationPrompt);
        }
    }
    for (path, reading, system) in &question.pairs {
        let Ok(found) = slhf_data::preferences::read_preferences(path, reading) else { continue };
        for pair in &found.pairs {
            for response in &pair.responses {
                let _ = tokens.render(&with_response(&found.prompts[pair.prompt], system, response), Ending::Closed);
            }
        }
    }
    Ok(notes)
}

/// A conversation as it is scored.
fn with_response(prompt: &[Message], system: &str, response: &str) -> Vec<Message> {
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let needs_system = !system.is_empty() && prompt.first().is_none_or(|first| first.role != "system");
    let before = needs_system.then(|| message("system", system));
    before.into_iter().chain(prompt.iter().cloned()).chain([message("assistant", response)]).collect()
}

fn encode(answer: &impl Serialize) -> Option<Vec<u8>> {
    slhf_plan::encode(answer).ok()
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word");
    slhf_report::escape::line(text.lines().next().unwrap_or_default()).into_owned()
}

/// Whose code a panic was in, by its source file: a library of the registry has its name and version there.
fn who(file: &str) -> String {
    let library = file
        .split_once("/registry/src/")
        .and_then(|(_, rest)| rest.split('/').nth(1))
        .and_then(|folder| folder.rsplit_once('-'));
    match library {
        // What makes room for deep stacks gives up where the system gives it none.
        Some((name, version)) if name != "stacker" => format!("the library {name} {version}"),
        _ => OWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_of_the_library_that_its_source_lies_in() {
        let check = |file: &str, expect: &str| assert_eq!(who(file), expect, "{file}");
        check("/h/.cargo/registry/src/one-19/tokenizers-0.22.2/src/lib.rs", "the library tokenizers 0.22.2");
        check("/h/.cargo/registry/src/index/serde_json-1.0.140/src/de.rs", "the library serde_json 1.0.140");
        check("host/data/src/lib.rs", "the reader");
        check("", "the reader");
    }
}
