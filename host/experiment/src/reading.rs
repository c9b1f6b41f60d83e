//! An experiment's TOML: read, overridden, checked for unknown keys, spread into the documents of its cells.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use slhf_plan::settings::{Problem, Problems, in_words, place_of};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::config::{ExperimentConfig, GameConfig, JudgeConfig};
use crate::error::ExperimentError;
use crate::grid::{self, Axis, Point};
use crate::language::LanguageExperimentConfig;
use crate::overriding::SetOverride;
use crate::planned::Kind;
use crate::reward_model::RewardExperimentConfig;
use crate::{document, keys};

/// An experiment's TOML.
pub(crate) struct Document {
    /// As it was named.
    pub(crate) path: PathBuf,
    /// As it was read.
    pub(crate) text: String,
    /// What it trains.
    pub(crate) kind: Kind,
    table: Table,
    axes: Vec<Axis>,
    schema: Json,
    /// Keys whose values are not the file's.
    overridden: Vec<String>,
    /// Keys that there are not, whatever the cell.
    unknown: Vec<keys::UnknownKey>,
}

impl Document {
    /// Reads the file and applies overrides.
    pub(crate) fn read(path: &Path, overrides: &[SetOverride]) -> Result<Self, ExperimentError> {
        let (text, table) = read_toml(path)?;
        let kind =
            kind_of(&table).map_err(|problem| ExperimentError::invalid(path, with_line(&text, "kind"), problem))?;
        let schema = match kind {
            Kind::Game => schemars::schema_for!(ExperimentConfig).to_value(),
            Kind::LanguageModel => schemars::schema_for!(LanguageExperimentConfig).to_value(),
            Kind::RewardModel => schemars::schema_for!(RewardExperimentConfig).to_value(),
        };
        let mut document = Self {
            path: path.to_path_buf(),
            text,
            table,
            kind,
            axes: Vec::new(),
            schema,
            overridden: Vec::new(),
            unknown: Vec::new(),
        };
        document.check_keys()?;
        document.axes = grid::axes(&document.table).map_err(|(key, problem)| document.invalid(&key, &problem))?;
        document.check_axes()?;
        for entry in overrides {
            document.apply(entry)?;
        }
        Ok(document)
    }

    /// The grid's documents.
    pub(crate) fn points(&self) -> Result<Vec<Point>, ExperimentError> {
        grid::points(&self.table, &self.axes).map_err(|(key, problem)| self.invalid(&key, &problem))
    }

    /// One cell as types, with everything that is wrong with it so far: what can be read is read without that.
    pub(crate) fn config<T: DeserializeOwned>(&self, point: &Point) -> (Option<T>, Problems) {
        let mut table = point.document.clone();
        document::expand_shorthands(&mut table);
        let mut problems = Problems::default();
        for unknown in self.unknown.iter().cloned().chain(keys::unknown_keys(&self.schema, &table)) {
            document::remove(&mut table, &unknown.key);
            problems.push(unknown.key, unknown.problem);
        }
        (typed(table, &mut problems), problems)
    }

    /// Everything that is wrong with a cell, in the order of the file.
    pub(crate) fn refuse(&self, label: &str, problems: Problems) -> Result<(), ExperimentError> {
        let mut lines: Vec<(usize, ExperimentError)> = problems
            .into_iter()
            .map(|Problem { key, problem }| {
                let is_everywhere = self.unknown.iter().any(|unknown| unknown.key == key);
                let error =
                    if is_everywhere { self.invalid(&key, &problem) } else { self.invalid_in(label, &key, &problem) };
                (line_of(&self.text, &key).unwrap_or(usize::MAX), error)
            })
            .collect();
        lines.sort_by_key(|(line, _)| *line);
        ExperimentError::of(lines.into_iter().map(|(_, error)| error).collect())
    }

    /// A cell that cannot be read as types at all.
    pub(crate) fn unreadable(&self, point: &Point, problems: Problems) -> ExperimentError {
        let nothing = || self.invalid_in(&point.label, "the file", "cannot be read");
        self.refuse(&point.label, problems).err().unwrap_or_else(nothing)
    }

    /// A value that breaks a rule, with its line where that is plain to see.
    pub(crate) fn invalid(&self, key: &str, problem: &str) -> ExperimentError {
        // The line would be that of a value which is not meant.
        let is_elsewhere = self.overridden.iter().any(|other| document::overlap(other, key))
            || self.axes.iter().any(|axis| axis.keys().any(|other| document::overlap(&other, key)));
        let key = if is_elsewhere { key.to_owned() } else { with_line(&self.text, key) };
        ExperimentError::invalid(&self.path, key, problem)
    }

    /// Likewise, in one cell of the grid.
    pub(crate) fn invalid_in(&self, label: &str, key: &str, problem: &str) -> ExperimentError {
        let problem =
            if self.axes.is_empty() { problem.to_owned() } else { format!("{problem} (in the cell \"{label}\")") };
        self.invalid(key, &problem)
    }

    /// Unknown keys of the axes are refused at once: there is no grid without them. The others are told with the rest of what is wrong.
    fn check_keys(&mut self) -> Result<(), ExperimentError> {
        let unknown = keys::unknown_keys(&self.schema, &self.table);
        let (axes, others) = unknown.into_iter().partition(|unknown| unknown.key.starts_with("ablation"));
        self.unknown = others;
        let axes: Vec<keys::UnknownKey> = axes;
        ExperimentError::of(axes.iter().map(|unknown| self.invalid(&unknown.key, &unknown.problem)).collect())
    }

    /// Every key that an axis varies must exist.
    fn check_axes(&self) -> Result<(), ExperimentError> {
        for (index, axis) in self.axes.iter().enumerate() {
            if let Some(unknown) = axis.keys().find_map(|key| keys::find(&self.schema, &key)) {
                let problem = format!("{}: {}", unknown.key, unknown.problem);
                return Err(self.invalid(&format!("ablation[{index}]"), &problem));
            }
            let unknown = axis.parts().find_map(|part| keys::unknown_keys(&self.schema, part).into_iter().next());
            if let Some(unknown) = unknown {
                let problem = format!("{}: {}", unknown.key, unknown.problem);
                return Err(self.invalid(&format!("ablation[{index}]"), &problem));
            }
        }
        Ok(())
    }

    /// Takes a file of data in the place of the one that the experiment names.
    pub(crate) fn use_data(&mut self, path: &Path) -> Result<(), ExperimentError> {
        let value = Value::String(path.display().to_string());
        let names_pairs = self.table.get("data").and_then(|data| data.get("pairs")).is_some();
        let key = if names_pairs { Kind::RewardModel.data_key() } else { self.kind.data_key() };
        self.apply(&SetOverride { key: key.to_owned(), value })
    }

    fn apply(&mut self, entry: &SetOverride) -> Result<(), ExperimentError> {
        let fail = |problem: String| Err(ExperimentError::invalid(&self.path, format!("--set {}", entry.key), problem));
        if ["kind", "ablation"].contains(&entry.key.as_str()) {
            return fail("cannot be overridden".to_owned());
        }
        if let Some(unknown) = keys::find(&self.schema, &entry.key) {
            return fail(unknown.problem);
        }
        let axis = self.axes.iter().find(|axis| axis.keys().any(|key| document::overlap(&key, &entry.key)));
        if let Some(axis) = axis {
            return fail(format!("the axis \"{}\" varies it; remove the axis, or leave it alone", axis.name));
        }
        document::expand_shorthands(&mut self.table);
        self.overridden.push(entry.key.clone());
        let value = entry.value.clone();
        document::set(&mut self.table, &entry.key, value)
            .map_err(|problem| ExperimentError::invalid(&self.path, format!("--set {}", entry.key), problem))
    }
}

/// What the experiment trains, which decides what else may stand in it.
fn kind_of(table: &Table) -> Result<Kind, String> {
    const EXPECTED: &str = "expected \"game\", \"language-model\" or \"reward-model\"";
    match table.get("kind") {
        Some(Value::String(kind)) if kind == "game" => Ok(Kind::Game),
        Some(Value::String(kind)) if kind == "language-model" => Ok(Kind::LanguageModel),
        Some(Value::String(kind)) if kind == "reward-model" => Ok(Kind::RewardModel),
        Some(other) => Err(format!("{other} is not known; {EXPECTED}")),
        None => Err(format!("missing; {EXPECTED}")),
    }
}

/// What a game TOML, or an experiment's, says of a game and its judge.
#[derive(Debug)]
pub struct GameDocument {
    /// Its game.
    pub game: GameConfig,
    /// Its judge.
    pub judge: Option<JudgeConfig>,
    /// `game.`, or nothing where the game is the whole file.
    pub prefix: &'static str,
}

/// Reads the game of a TOML for `solve`: `[game]` of an experiment (with its `[judge]`), or a game at top level.
pub fn game_document(path: &Path) -> Result<GameDocument, ExperimentError> {
    let (text, mut table) = read_toml(path)?;
    let invalid = |key: &str, problem: &str| ExperimentError::invalid(path, with_line(&text, key), problem);
    if table.contains_key("kind") {
        return experiment_game(path);
    }
    let (game, prefix) = match table.remove("game") {
        Some(Value::Table(game)) => (game, "game."),
        Some(_) => return Err(invalid("game", "expected a table")),
        None => (std::mem::take(&mut table), ""),
    };
    let judge = table.remove("judge");
    if let Some(key) = table.keys().next() {
        return Err(invalid(key, "unknown beside [game] and [judge]; an experiment also has a kind"));
    }
    let schema = schemars::schema_for!(GameConfig).to_value();
    let unknown = keys::unknown_keys(&schema, &game);
    let unknown = unknown.iter().map(|unknown| invalid(&format!("{prefix}{}", unknown.key), &unknown.problem));
    ExperimentError::of(unknown.collect())?;
    let game = all_of(game, &invalid, prefix)?;
    let judge = match judge {
        None => None,
        Some(Value::Table(judge)) => Some(all_of(judge, &invalid, "judge.")?),
        Some(_) => return Err(invalid("judge", "expected a table")),
    };
    Ok(GameDocument { game, judge, prefix })
}

/// The game of an experiment that has one: where an axis varies it there is no single game to solve.
fn experiment_game(path: &Path) -> Result<GameDocument, ExperimentError> {
    let document = Document::read(path, &[])?;
    for axis in &document.axes {
        if let Some(key) = axis.keys().find(|key| document::overlap(key, "game") || document::overlap(key, "judge")) {
            let problem = format!(
                "the axis \"{}\" varies {key}, so there is not one game to solve; solve a game file",
                axis.name
            );
            return Err(document.invalid("game", &problem));
        }
    }
    let mut points = document.points()?;
    if document.kind != Kind::Game {
        return Err(document.invalid(
            "kind",
            &format!("\"{}\" has no finite game to solve; expected kind = \"game\"", document.kind.as_str()),
        ));
    }
    let point = points.swap_remove(0);
    let (config, problems) = document.config::<ExperimentConfig>(&point);
    document.refuse(&point.label, problems)?;
    match config.and_then(|config| Some((config.game?, config.judge))) {
        Some((game, judge)) => Ok(GameDocument { game, judge, prefix: "game." }),
        None => Err(document.invalid("game", "missing; expected a [game] table")),
    }
}

fn read_toml(path: &Path) -> Result<(String, Table), ExperimentError> {
    let read = |cause| ExperimentError::read(path, cause);
    let text = String::from_utf8(slhf_files::read(path, slhf_files::TOML_BYTES_MAX).map_err(read)?)
        .map_err(|_| ExperimentError::invalid(path, "the file", "the text is not UTF-8; save it as UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
    match toml::from_str::<Table>(&text) {
        Ok(table) => Ok((text, table)),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..start].split(|byte| *byte == b'\n').count();
            let message = error.message().replace('\n', "; ");
            Err(ExperimentError::Syntax { file: path.to_path_buf(), line, message })
        }
    }
}

/// A tree as a type. A value of the wrong type is a problem, and the rest is read without it, so that all are found.
fn typed<T: DeserializeOwned>(mut table: Table, problems: &mut Problems) -> Option<T> {
    loop {
        let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let message = in_words(error.inner().message());
        let removed = path != "." && document::remove(&mut table, &path);
        let (key, problem) = if path == "." { ("the file".to_owned(), message) } else { place_of(&path, message) };
        problems.push(key, problem);
        if !removed {
            return None;
        }
    }
}

/// A tree as a type, or everything that is wrong with it.
fn all_of<T: DeserializeOwned>(
    table: Table,
    invalid: &dyn Fn(&str, &str) -> ExperimentError,
    prefix: &str,
) -> Result<T, ExperimentError> {
    let mut problems = Problems::default();
    let found = typed(table, &mut problems);
    let errors = problems.into_iter().map(|Problem { key, problem }| invalid(&format!("{prefix}{key}"), &problem));
    ExperimentError::of(errors.collect())?;
    found.ok_or_else(|| invalid(prefix.trim_end_matches('.'), "cannot be read"))
}

/// The key with the line that sets it, where the text does.
fn with_line(text: &str, key: &str) -> String {
    match line_of(text, key) {
        Some(line) => format!("{key} (line {line})"),
        None => key.to_owned(),
    }
}

/// The line, from 1, of the value at a dotted key such as `method.steps` or `ablation[1].values`; of the value that stands for
/// it where it is a shorthand. Nothing where the text has no such value.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut parts = key.split('.').flat_map(|part| {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        let indices = indices.split('[').filter_map(|index| index.strip_suffix(']')?.parse::<usize>().ok());
        std::iter::once(Step::Key(name)).chain(indices.map(Step::Index))
    });
    let Some(Step::Key(first)) = parts.next() else { return None };
    let (mut start, mut value) = entry(document.get_ref(), first)?;
    for part in parts {
        (start, value) = match (part, value.get_ref()) {
            (Step::Key(name), DeValue::Table(table)) => entry(table, name)?,
            (Step::Index(index), DeValue::Array(array)) => {
                let item = array.get(index)?;
                (item.span().start, item)
            }
            // A shorthand: the value means more than it says.
            (Step::Key(_), DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Array(_)) => break,
            _ => return None,
        };
    }
    Some(text.as_bytes()[..start].split(|byte| *byte == b'\n').count())
}

/// A step into a document.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Where a table's key stands, and its value.
fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(usize, &'a Spanned<DeValue<'i>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_on_the_line_that_sets_it_in_its_own_table() {
        let text = "kind = \"game\"\n[one]\nname = 1\n[two]\ninner = { name = 2, more = [\n  1,\n  { name = 3 },\n] }\n\
                    three.name = 4\n[[four]]\nname = 5\n[[four]]\nname = 6\n\"q\" = 7\nshort = 8\n";
        for (key, line) in [
            ("kind", Some(1)),
            ("one.name", Some(3)),
            ("two.inner.name", Some(5)),
            ("two.inner.more[1].name", Some(7)),
            ("two.inner.more[0]", Some(6)),
            ("two.three.name", Some(9)),
            ("four[0].name", Some(11)),
            ("four[1].name", Some(13)),
            ("four[1].q", Some(14)),
            // A shorthand, as `schedule.kappa.value` where the file says `kappa = 5`.
            ("four[1].short.value", Some(15)),
            ("one.absent", None),
            ("name", None),
            ("four[2].name", None),
            ("", None),
        ] {
            assert_eq!(line_of(text, key), line, "{key}");
        }
    }
}
