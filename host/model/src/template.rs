//! Chat templates: the model's own Jinja, rendered as transformers renders it, but repeatably.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};
use serde::Serialize;
use slhf_plan::Message;

use crate::ModelError;
use crate::tokenizer::TemplateTexts;

/// What a template inserts as today's date: a run must not depend on the day it is made. It is the date that Llama 3's
/// own template falls back to.
pub const FIXED_DATE: &str = "26 Jul 2024";

/// Fields of that date, as `strftime` names them.
const DATE_FIELDS: [(char, &str); 10] = [
    ('d', "26"),
    ('b', "Jul"),
    ('B', "July"),
    ('m', "07"),
    ('y', "24"),
    ('Y', "2024"),
    ('A', "Friday"),
    ('a', "Fri"),
    ('j', "208"),
    ('%', "%"),
];

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
    environment: Environment<'static>,
    texts: TemplateTexts,
    thinking: Thinking,
}

/// Everything that a template sees.
#[derive(Serialize)]
struct Context<'a> {
    messages: &'a [Message],
    add_generation_prompt: bool,
    enable_thinking: bool,
    tools: Option<()>,
    documents: Option<()>,
    #[serde(flatten)]
    texts: &'a TemplateTexts,
}

const NAME: &str = "chat_template";

/// Steps of one rendering. A real template needs a few hundred a message.
const FUEL: u64 = 4_000_000;
/// Macros and includes in each other.
const RECURSION_MAX: usize = 100;
/// A source that is longer is no template.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// What one conversation may become.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// A value may nest as deep as there is fuel for, and is printed and dropped by recursion: some hundred bytes for each of the
/// steps. What is not touched of it takes no memory.
const STACK_BYTES: usize = 2 << 30;

/// Runs what a template decides on, where no template can overflow the stack.
fn on_a_deep_stack<R>(work: impl FnOnce() -> R) -> R {
    stacker::grow(STACK_BYTES, work)
}

/// Text that does not grow beyond its limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > TEXT_BYTES_MAX - self.bytes.len() {
            self.is_full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ChatTemplate {
    pub(crate) fn compile(
        path: &Path,
        source: String,
        texts: TemplateTexts,
        thinking: Thinking,
    ) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        let refused = |error: &Error| ModelError::Template {
            path: path.to_owned(),
            problem: format!("does not compile: {error}; edit the template, or take another model"),
        };
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| refused(&error))?);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION_MAX);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", fixed_date);
        environment.add_filter("tojson", to_json);
        if source.len() > SOURCE_BYTES_MAX {
            let problem = format!(
                "has {} bytes; at most {SOURCE_BYTES_MAX} are compiled, a limit that nothing raises: shorten it",
                source.len()
            );
            return Err(ModelError::Template { path: path.to_owned(), problem });
        }
        let text = without_generation_marks(&source);
        on_a_deep_stack(|| environment.add_template_owned(NAME, text)).map_err(|error| refused(&error))?;
        Ok(Self { path: path.to_owned(), source, environment, texts, thinking })
    }

    pub(crate) fn render(&self, messages: &[Message], ending: Ending) -> Result<String, ModelError> {
        let context = Context {
            messages,
            add_generation_prompt: ending == Ending::GenerationPrompt,
            enable_thinking: self.thinking == Thinking::On,
            tools: None,
            documents: None,
            texts: &self.texts,
        };
        let failed = |source| ModelError::Render { path: self.path.clone(), source };
        // By way of text, because a template may print a message as JSON: keys keep their order.
        let context: Value = serde_json::to_string(&context)
            .and_then(|text| serde_json::from_str(&text))
            .map_err(|error| failed(Error::new(ErrorKind::BadSerialization, error.to_string())))?;
        let template = self.environment.get_template(NAME).map_err(failed)?;
        let mut text = Bounded::default();
        // All that the template made is dropped in there as well: values nest as deep as fuel lets them.
        on_a_deep_stack(|| template.render_captured_to(context, &mut text).map(drop)).map_err(|source| {
            if text.is_full {
                let problem =
                    format!("wrote more than {TEXT_BYTES_MAX} bytes for one conversation, a limit that nothing raises");
                return ModelError::Template { path: self.path.clone(), problem };
            }
            if source.kind() == ErrorKind::OutOfFuel {
                let problem = format!(
                    "ran out of fuel: one conversation may take {FUEL} steps, a limit that nothing raises; simplify it"
                );
                return ModelError::Template { path: self.path.clone(), problem };
            }
            failed(source)
        })?;
        String::from_utf8(text.bytes)
            .map_err(|error| failed(Error::new(ErrorKind::BadSerialization, error.to_string())))
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
                    "drops the thinking of earlier turns, but a Follower answers what the Leader said in full: set thinking = false"
                }
                Thinking::Off => {
                    "does not repeat an earlier answer as it was given, so that no follow-up can be formed"
                }
            }));
        };
        // With thinking off, Qwen3 opens an answer with an empty thought, which it leaves out of earlier turns. The ids
        // that were sampled from stay as they are, the empty thought included.
        if !opened.starts_with(&followed[..place]) {
            return Err(refused(
                "renders a prompt differently once an answer follows it (a date, or rewritten turns), so that an answer's own tokens cannot be continued",
            ));
        }
        let rest = &followed[place + answer.len()..];
        let trimmed = instruction.trim();
        let Some(start) = rest.find(trimmed).filter(|_| !trimmed.is_empty()) else {
            return Err(refused("does not contain the instruction that follows an answer; is the instruction empty?"));
        };
        Ok((rest[..start].to_owned(), rest[start..].to_owned()))
    }
}

/// `{% generation %}` marks which tokens transformers trains on; it prints nothing.
fn without_generation_marks(source: &str) -> String {
    let mut text = source.to_owned();
    for word in ["generation", "endgeneration"] {
        for (open, close) in [("{%", "%}"), ("{%-", "-%}"), ("{%-", "%}"), ("{%", "-%}")] {
            // A condition that always holds keeps the trimming of whitespace around the mark.
            let with = if word == "generation" { "if true" } else { "endif" };
            text = text.replace(&format!("{open} {word} {close}"), &format!("{open} {with} {close}"));
        }
    }
    text
}

fn fixed_date(format: String) -> Result<String, Error> {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let field = letters.next().unwrap_or('%');
        let Some((_, value)) = DATE_FIELDS.iter().find(|(name, _)| *name == field) else {
            let problem = format!(
                "strftime_now(\"{format}\") asks for %{field}; the date is always {FIXED_DATE}, without a time"
            );
            return Err(Error::new(ErrorKind::InvalidOperation, problem));
        };
        text.push_str(value);
    }
    Ok(text)
}

/// As Python's `json.dumps(ensure_ascii=False)` spaces it, and without escapes for HTML.
fn to_json(value: &Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut bytes = Vec::new();
    if let Some(indent) = indent {
        let indent = vec![b' '; indent.min(16)];
        let formatter = serde_json::ser::PrettyFormatter::with_indent(&indent);
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).map_err(failed)?;
    } else {
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)).map_err(failed)?;
    }
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// A space after every comma and colon.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String, String> {
        let template =
            ChatTemplate::compile(Path::new("t"), source.to_owned(), TemplateTexts::default(), Thinking::Off);
        template.and_then(|template| template.render(&[], Ending::Closed)).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error} {source}")
        })
    }

    #[test]
    fn a_template_ends_at_its_limits_with_a_sentence() {
        let check = |source: &str, expect: &str| {
            let said = rendered(source).expect_err("beyond a limit");
            assert!(said.contains(expect), "{source}: {said}");
        };
        assert_eq!(rendered("{% for i in range(1000) %}{% endfor %}fine"), Ok("fine".to_owned()));
        let loops = "{% for i in range(99999) %}".repeat(2) + &"{% endfor %}".repeat(2);
        check(&loops, "ran out of fuel: one conversation may take 4000000 steps");
        let calls = |depth: usize| {
            format!("{{% macro m(n) %}}{{% if n %}}{{{{ m(n - 1) }}}}{{% endif %}}{{% endmacro %}}{{{{ m({depth}) }}}}")
        };
        assert_eq!(rendered(&calls(10)), Ok(String::new()));
        check(&calls(RECURSION_MAX + 1), "recursion limit");
        check(&format!("{{#{}#}}", "x".repeat(SOURCE_BYTES_MAX)), "bytes; at most 1048576 are compiled");
    }

    #[test]
    fn values_may_nest_as_deep_as_fuel_lets_them() {
        let nested = "{% set ns = namespace(x=[]) %}{% for i in range(30000) %}{% set ns.x = [ns.x] %}{% endfor %}fine";
        assert_eq!(rendered(nested), Ok("fine".to_owned()));
    }
}
