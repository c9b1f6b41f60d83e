//! Chat templates: the model's own Jinja, rendered as transformers renders it, but repeatably.
//!
//! Jinja2 (3.1, Pallets, BSD-3-Clause) is Python's: what `==`, `~`, `in`, a float or a method means in a template is what it
//! means in Python. So this implements its language on Python's values, and is compared with it. A construct that is not
//! implemented is refused by name.
//!
//! minijinja, which this replaces, is a language of its own: of 4,000 small random templates it rendered 100 otherwise and 116 that
//! Jinja2 refuses, without a word. Most of these differences (`~`, names, ranges, comparisons, iteration over none) have no hook.

mod checks;
mod date;
mod expressions;
mod fault;
mod filters;
mod format;
mod json;
mod lexer;
mod literal;
mod markup;
mod methods;
mod parser;
mod postfix;
mod run;
mod statements;
mod symbols;
mod syntax;
#[cfg(test)]
mod tests;
mod token;
mod value;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use slhf_plan::Message;

pub use date::FIXED_DATE;
pub use fault::Fault;

use crate::ModelError;
use crate::tokenizer::TemplateTexts;
use syntax::{Body, Name};
use value::{Dict, Value};

/// How a rendering ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the last message.
    Closed,
    /// With the tokens that open the assistant's turn.
    GenerationPrompt,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// `enable_thinking` is false.
    #[default]
    Off,
    /// `enable_thinking` is true.
    On,
}

/// A compiled chat template.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    path: PathBuf,
    source: String,
    body: Body,
    texts: TemplateTexts,
    thinking: Thinking,
}

/// A source that is longer is no template.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// A value may nest as deep as there is fuel for, and is printed and dropped by recursion: some hundred bytes for each of the
/// steps. What is not touched of it takes no memory.
const STACK_BYTES: usize = 2 << 30;

/// Runs what a template decides on, where no template can overflow the stack.
fn on_a_deep_stack<R>(work: impl FnOnce() -> R) -> R {
    stacker::grow(STACK_BYTES, work)
}

impl ChatTemplate {
    pub(crate) fn compile(
        path: &Path,
        source: String,
        texts: TemplateTexts,
        thinking: Thinking,
    ) -> Result<Self, ModelError> {
        let refused = |problem: String| ModelError::Template { path: path.to_owned(), problem };
        if source.len() > SOURCE_BYTES_MAX {
            return Err(refused(format!(
                "has {} bytes; at most {SOURCE_BYTES_MAX} are compiled, a limit that nothing raises: shorten it",
                source.len()
            )));
        }
        let body = on_a_deep_stack(|| parser::parse(&source))
            .map_err(|fault| refused(format!("does not compile: {fault}; edit the template, or take another model")))?;
        Ok(Self { path: path.to_owned(), source, body, texts, thinking })
    }

    /// Everything that a template sees, as transformers passes it.
    fn context(&self, messages: &[Message], ending: Ending) -> Vec<(Name, Value)> {
        let message = |message: &Message| {
            let mut dict = Dict::default();
            dict.push("role", Value::from(&*message.role));
            dict.push("content", Value::from(&*message.content));
            Value::Dict(Rc::new(dict))
        };
        // Special tokens go by any name; what is fixed comes after them and counts.
        let mut values: Vec<(Name, Value)> =
            self.texts.iter().map(|(name, text)| (name.into(), Value::from(text))).collect();
        values.extend([
            ("messages".into(), Value::list(messages.iter().map(message).collect())),
            ("tools".into(), Value::None),
            ("documents".into(), Value::None),
            ("add_generation_prompt".into(), (ending == Ending::GenerationPrompt).into()),
            ("enable_thinking".into(), (self.thinking == Thinking::On).into()),
        ]);
        values
    }

    pub(crate) fn render(&self, messages: &[Message], ending: Ending) -> Result<String, ModelError> {
        // All that the template made is dropped in there as well: values nest as deep as fuel lets them.
        on_a_deep_stack(|| run::render(&self.body, self.context(messages, ending))).map_err(|fault| {
            let path = self.path.clone();
            if fault.is_limit() {
                return ModelError::Template { path, problem: fault.into_problem() };
            }
            ModelError::Render { path, source: fault }
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// What the template puts after an answer when a user turn with the instruction follows and the assistant is to
    /// speak again: (text from the end of the answer to the instruction, text from there to the end).
    pub(crate) fn turn(&self, instruction: &str) -> Result<(String, String), ModelError> {
        let refused = |problem: &str| ModelError::Template { path: self.path.clone(), problem: problem.to_owned() };
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        // An answer that no template says by itself.
        let sentinel = "answer-7c1d9f";
        let answer = match self.thinking {
            Thinking::Off => sentinel.to_owned(),
            Thinking::On => format!("<think>\nthought-7c1d9f\n</think>\n\n{sentinel}"),
        };
        let question = [message("user", "question")];
        let [user] = question.clone();
        let conversation = [user, message("assistant", &answer), message("user", instruction)];
        let opened = self.render(&question, Ending::GenerationPrompt)?;
        let followed = self.render(&conversation, Ending::GenerationPrompt)?;
        let Some(place) = followed.find(&answer) else {
            return Err(refused(match self.thinking {
                Thinking::On => {
                    "drops the thinking of earlier turns, but a Follower responds to what the Leader said in full: set thinking = false"
                }
                Thinking::Off => {
                    "does not repeat an earlier response as it was given, so that no follow-up can be formed"
                }
            }));
        };
        // With thinking off, Qwen3 opens an answer with an empty thought, which it leaves out of earlier turns. The ids
        // that were sampled from stay as they are, the empty thought included.
        if !opened.starts_with(&followed[..place]) {
            return Err(refused(
                "renders a prompt differently once a response follows it (a date, or rewritten turns), so that a response's own tokens cannot be continued",
            ));
        }
        let rest = &followed[place + answer.len()..];
        let trimmed = instruction.trim();
        let Some(start) = rest.find(trimmed).filter(|_| !trimmed.is_empty()) else {
            return Err(refused("does not contain the instruction that follows a response; is the instruction empty?"));
        };
        Ok((rest[..start].to_owned(), rest[start..].to_owned()))
    }
}
