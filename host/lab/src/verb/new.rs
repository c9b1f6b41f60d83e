//! `slhf-lab new`: a commented experiment to begin with.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::failure::Failure;
use crate::output;

const GAME: &str = include_str!("new/game.toml");
const LANGUAGE_MODEL: &str = include_str!("new/language-model.toml");
const REWARD_MODEL: &str = include_str!("new/reward-model.toml");
/// What the set-up fetches.
const MODEL: &str = "smollm2-135m-instruct";
const PROMPTS: &str = include_str!("new/prompts.jsonl");
const PAIRS: &str = include_str!("../../../../experiments/data/judge-pairs.jsonl");

/// Arguments of `new`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file to write, which must not be there yet; default: game.toml, language-model.toml or reward-model.toml
    file: Option<PathBuf>,
    /// What the experiment trains
    #[arg(long, value_enum)]
    kind: Kind,
    /// With --kind language-model or reward-model: a model that the set-up provides, a Hugging Face folder, or a GGUF file
    /// [default: smollm2-135m-instruct]
    #[arg(long)]
    model: Option<String>,
    /// With --kind language-model: a file of prompts; default: 24 of our own, written beside the experiment
    #[arg(long)]
    prompts: Option<PathBuf>,
    /// With --kind game: a CSV of comparisons, counts or probabilities, or a PrefLib file; default: a cycle of three actions. With --kind
    /// reward-model: a file of pairs; default: 24 prompts with labeled responses, written beside the experiment
    #[arg(long)]
    data: Option<PathBuf>,
}

/// What an experiment trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Policies on a finite game
    Game,
    /// A language model as Leader and Follower
    LanguageModel,
    /// A reward model, on pairs of responses
    RewardModel,
}

/// Why nothing was written.
#[derive(Debug, Error)]
enum NewError {
    #[error("{} is there already: name another file, nothing is overwritten", .0.display())]
    IsThere(PathBuf),
    #[error("{} cannot be the name of an experiment: expected a file that ends with .toml", .0.display())]
    NoToml(PathBuf),
    #[error("{} is not there: expected a file for {option}, or leave {option} out", path.display())]
    NoFile { path: PathBuf, option: &'static str },
    #[error("{option} is for --kind {kind}: remove one of the two")]
    OtherKind { option: &'static str, kind: &'static str },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Writes the file, and says what to do next.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = arguments.file.clone().unwrap_or_else(|| PathBuf::from(arguments.kind.file_name()));
    if file.extension().is_none_or(|ending| ending != "toml") {
        return Err(Failure::bad_input(NewError::NoToml(file)));
    }
    for (path, content) in files(arguments, &file).map_err(Failure::bad_input)? {
        write(&path, &content)?;
        output::print_text(&format!("wrote {}\n", path.display()))?;
    }
    let file = file.display();
    output::print_text(&format!("\nnext:\n    slhf-lab check {file}\n    slhf-lab run {file}\n"))
}

impl Kind {
    fn file_name(self) -> &'static str {
        match self {
            Self::Game => "game.toml",
            Self::LanguageModel => "language-model.toml",
            Self::RewardModel => "reward-model.toml",
        }
    }
}

/// What is written, the experiment last: one that is there names files that are.
fn files(arguments: &Arguments, file: &Path) -> Result<Vec<(PathBuf, String)>, NewError> {
    if file.exists() {
        return Err(NewError::IsThere(file.to_path_buf()));
    }
    refuse_others(arguments)?;
    let (template, data) = match arguments.kind {
        Kind::Game => return Ok(vec![(file.to_path_buf(), game(arguments, file)?)]),
        Kind::LanguageModel => {
            let own = Own { content: PROMPTS, name: "prompts", placeholder: "\"PROMPTS\"" };
            (LANGUAGE_MODEL, data(file, (arguments.prompts.as_deref(), "--prompts"), own)?)
        }
        Kind::RewardModel => {
            let own = Own { content: PAIRS, name: "pairs", placeholder: "\"PAIRS\"" };
            (REWARD_MODEL, data(file, (arguments.data.as_deref(), "--data"), own)?)
        }
    };
    let Data { named, placeholder, written } = data;
    let model = from(file, arguments.model.as_deref().unwrap_or(MODEL));
    let text = template.replace("\"MODEL\"", &quoted(model)).replace(placeholder, &quoted(named));
    Ok(written.into_iter().chain([(file.to_path_buf(), text)]).collect())
}

/// An option of another kind is a slip.
fn refuse_others(arguments: &Arguments) -> Result<(), NewError> {
    let is = |kind| arguments.kind == kind;
    let refused = [
        (arguments.model.is_some() && is(Kind::Game), "--model", "language-model or reward-model"),
        (arguments.prompts.is_some() && !is(Kind::LanguageModel), "--prompts", "language-model"),
        (arguments.data.is_some() && is(Kind::LanguageModel), "--data", "game or reward-model"),
    ];
    match refused.into_iter().find(|(is_refused, ..)| *is_refused) {
        Some((_, option, kind)) => Err(NewError::OtherKind { option, kind }),
        None => Ok(()),
    }
}

/// Data that come with the lab.
struct Own {
    content: &'static str,
    /// As the file is called behind the experiment's name.
    name: &'static str,
    /// What stands for it in the template.
    placeholder: &'static str,
}

/// Data as the experiment names them, with the file that is written beside it, if one is.
struct Data {
    named: String,
    placeholder: &'static str,
    written: Option<(PathBuf, String)>,
}

fn data(file: &Path, (given, option): (Option<&Path>, &'static str), own: Own) -> Result<Data, NewError> {
    let Own { content, name, placeholder } = own;
    if let Some(given) = given {
        return Ok(Data { named: file_from(file, given, option)?, placeholder, written: None });
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let named = format!("{stem}-{name}.jsonl");
    let path = file.with_file_name(&named);
    if path.exists() {
        return Err(NewError::IsThere(path));
    }
    Ok(Data { named, placeholder, written: Some((path, content.to_owned())) })
}

/// A finite game: a matrix written out, or a file of comparisons.
fn game(arguments: &Arguments, file: &Path) -> Result<String, NewError> {
    let Some(data) = &arguments.data else { return Ok(GAME.to_owned()) };
    let line = format!("file = {}\n", quoted(file_from(file, data, "--data")?));
    let (before, rest) = GAME.split_once("[game]\n").unwrap_or((GAME, ""));
    // The matrix ends where the temperatures begin.
    let after = rest.find("tau_leader").map_or(rest, |at| &rest[at..]);
    Ok(format!("{before}[game]\n{line}{after}"))
}

fn quoted(text: String) -> String {
    toml::Value::String(text).to_string()
}

/// A file that must be there, as the experiment names it.
fn file_from(file: &Path, given: &Path, option: &'static str) -> Result<String, NewError> {
    if !given.is_file() {
        return Err(NewError::NoFile { path: given.to_path_buf(), option });
    }
    Ok(from(file, &given.display().to_string()))
}

/// A path that was given from here, as the experiment names it: paths of a TOML are relative to its folder.
fn from(file: &Path, given: &str) -> String {
    let is_here = file.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    match Path::new(given).canonicalize() {
        Ok(whole) if !is_here => whole.display().to_string(),
        // A file here, or the name of a model that the set-up provides.
        _ => given.to_owned(),
    }
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    slhf_files::create_new(path, content.as_bytes()).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Failure::bad_input(NewError::IsThere(path.to_path_buf())),
        _ => Failure::bad_input(NewError::Write { path: path.to_path_buf(), source }),
    })
}
