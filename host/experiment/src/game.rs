//! The game of an experiment, or of `solve`: from a `[game]` table or a data file to actions, a matrix and references.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_data::{Counted, CountedGroup, GroupWeights, PreferenceData, Tally, WeightsError};
use slhf_game::{Distribution, FollowerReference, Part, PreferenceMatrix};
use slhf_plan::ActionPlan;

use crate::config::{ActionConfig, GameConfig};
use crate::error::ExperimentError;
use crate::json::json_of;

/// A game as it was given, checked, before its judge was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct GameInput {
    /// The prompt of every comparison.
    pub prompt: String,
    /// At least two, with names of their own.
    pub actions: Vec<ActionPlan>,
    /// The matrix, where it was given.
    pub preferences: Option<Vec<Vec<f64>>>,
    /// How often each ordered pair was compared, where the matrix was counted.
    pub comparison_counts: Option<Vec<Vec<f64>>>,
    /// What the matrix was counted from.
    pub counted: Option<Counted>,
    /// By which the groups were mixed; without them every comparison counts once.
    pub weights: Option<GroupWeights>,
    /// `π_ref`, of full support.
    pub reference_leader: Vec<f64>,
    /// `ω_ref`, n × n, of full support.
    pub reference_follower: Vec<Vec<f64>>,
    /// SHA-256 of the data file.
    pub file_sha256: Option<String>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Where a `[game]` table stands, for messages and for relative paths.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The TOML.
    pub file: &'a Path,
    /// `game.`, or nothing where the game is the whole file.
    pub prefix: &'a str,
}

impl Place<'_> {
    fn invalid(self, key: &str, problem: impl Into<String>) -> ExperimentError {
        ExperimentError::invalid(self.file, format!("{}{key}", self.prefix), problem)
    }
}

/// Reads and checks the game. Temperatures are left to the caller, whose defaults differ.
pub fn read(config: &GameConfig, place: Place<'_>) -> Result<GameInput, ExperimentError> {
    let given = match (&config.file, &config.actions, &config.preferences) {
        (Some(_), Some(_), _) => {
            return Err(place.invalid("actions", "the data file names the actions already; remove one of the two"));
        }
        (Some(_), _, Some(_)) => {
            return Err(place.invalid("preferences", "the data file gives the matrix already; remove one of the two"));
        }
        (Some(file), None, None) => from_file(file, place)?,
        (None, Some(actions), preferences) => inline(actions, preferences.as_deref(), place)?,
        (None, None, _) => {
            let problem = "missing; expected file = \"….csv\", or actions and preferences";
            return Err(place.invalid("file", problem));
        }
    };
    let given = match &config.weights {
        Some(weights) => given.weighted(weights).map_err(|error| place.invalid("weights", error.to_string()))?,
        None => given,
    };
    with_references(given, config, place)
}

/// Reads a data file that stands for a whole game.
pub fn read_data(path: &Path, shown: &str) -> Result<(PreferenceData, String), DataFileError> {
    let read = slhf_foreign::preference_data(path, shown);
    read.map_err(|cause| DataFileError::Read(ExperimentError::read(path, cause)))?.map_err(DataFileError::Data)
}

/// Why a data file is no game.
#[derive(Debug, thiserror::Error)]
pub enum DataFileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(ExperimentError),
    /// What it says is wrong.
    #[error(transparent)]
    Data(slhf_data::DataError),
}

/// A data file as a game with uniform references.
pub fn from_data(data: PreferenceData, sha256: Option<String>) -> GameInput {
    let n = data.actions.len();
    GameInput {
        prompt: String::new(),
        actions: data.actions.into_iter().map(named).collect(),
        comparison_counts: data.tally.as_ref().map(Tally::comparisons_per_order),
        counted: data.tally.map(|tally| Counted { tally, ballots: data.ballots, groups: data.groups }),
        weights: None,
        preferences: Some(data.preferences),
        reference_leader: uniform(n),
        reference_follower: vec![uniform(n); n],
        file_sha256: sha256,
        notes: data.notes,
    }
}

impl GameInput {
    /// The groups behind the matrix, in the order of their weights.
    pub fn groups(&self) -> &[CountedGroup] {
        self.counted.as_ref().map_or(&[], |counted| &counted.groups)
    }

    /// The groups by name with their weights; none where the groups were not weighed.
    pub(crate) fn group_weights(&self) -> Vec<(String, f64)> {
        let weights = self.weights.as_ref().map_or(&[][..], GroupWeights::get);
        self.groups().iter().zip(weights).map(|(group, weight)| (group.name.clone(), *weight)).collect()
    }

    /// The same with the groups' matrices mixed by weights, `Σ_g w_g P_g`. How often each pair was compared stays as it is.
    pub fn weighted(mut self, weights: &BTreeMap<String, f64>) -> Result<Self, WeightsError> {
        let weights = GroupWeights::new(self.groups(), weights)?;
        let matrices: Vec<_> = self.groups().iter().map(|group| group.tally.preferences()).collect();
        self.preferences = Some(weights.mixed(&matrices));
        self.weights = Some(weights);
        Ok(self)
    }
}

fn from_file(file: &str, place: Place<'_>) -> Result<GameInput, ExperimentError> {
    let path = place.file.parent().unwrap_or(Path::new("")).join(file);
    let key = || format!("{}file", place.prefix);
    let (data, sha256) = read_data(&path, file).map_err(|error| match error {
        DataFileError::Read(ExperimentError::Read { cause, .. }) => {
            ExperimentError::Unreadable { file: place.file.to_path_buf(), key: key(), named: file.to_owned(), cause }
        }
        DataFileError::Read(other) => other,
        DataFileError::Data(cause) => ExperimentError::Data { file: place.file.to_path_buf(), key: key(), cause },
    })?;
    Ok(from_data(data, Some(sha256)))
}

fn inline(
    actions: &[ActionConfig],
    preferences: Option<&[Vec<f64>]>,
    place: Place<'_>,
) -> Result<GameInput, ExperimentError> {
    let actions: Vec<ActionPlan> = actions.iter().map(action).collect();
    let n = actions.len();
    if n < 2 {
        return Err(place.invalid("actions", format!("{n} given; a game needs at least two")));
    }
    for (index, action) in actions.iter().enumerate() {
        if action.name.trim().is_empty() {
            return Err(place.invalid("actions", format!("action {} has no name", index + 1)));
        }
        if let Some(first) = actions[..index].iter().position(|earlier| earlier.name == action.name) {
            let problem = format!("\"{}\" is named twice, as actions {} and {}", action.name, first + 1, index + 1);
            return Err(place.invalid("actions", problem));
        }
    }
    if let Some(rows) = preferences {
        check_matrix(rows, &actions, place)?;
    }
    Ok(GameInput {
        prompt: String::new(),
        preferences: preferences.map(<[Vec<f64>]>::to_vec),
        comparison_counts: None,
        counted: None,
        weights: None,
        reference_leader: uniform(n),
        reference_follower: vec![uniform(n); n],
        actions,
        file_sha256: None,
        notes: Vec::new(),
    })
}

fn check_matrix(rows: &[Vec<f64>], actions: &[ActionPlan], place: Place<'_>) -> Result<(), ExperimentError> {
    let n = actions.len();
    let invalid = |problem: String| Err(place.invalid("preferences", problem));
    if rows.len() != n {
        return invalid(format!("{} rows; expected {n}, one for each action", rows.len()));
    }
    for (i, row) in rows.iter().enumerate() {
        if row.len() != n {
            let found = row.len();
            return invalid(format!("row {} has length {found}; expected {n}, one cell for each action", i + 1));
        }
        if let Some(j) = row.iter().position(|value| !(0.0..=1.0).contains(value)) {
            let (value, name) = (row[j], &actions[j].name);
            return invalid(format!(
                "row {}, column {} (\"{name}\") is {value}; expected a probability in [0, 1]",
                i + 1,
                j + 1
            ));
        }
    }
    PreferenceMatrix::from_rows(rows).map(|_| ()).map_err(|error| place.invalid("preferences", error.to_string()))
}

fn with_references(mut game: GameInput, config: &GameConfig, place: Place<'_>) -> Result<GameInput, ExperimentError> {
    let n = game.actions.len();
    if let Some(reference) = &config.reference_leader {
        Distribution::named(reference, Part::ReferenceLeader)
            .map_err(|error| place.invalid("reference_leader", error.to_string()))?;
        if reference.len() != n {
            let problem = format!("{} entries; expected {n}, one for each action", reference.len());
            return Err(place.invalid("reference_leader", problem));
        }
        game.reference_leader.clone_from(reference);
    }
    if let Some(reference) = &config.reference_follower {
        if reference.len() != n {
            let problem = format!("{} rows; expected {n}, one for each of the Leader's actions", reference.len());
            return Err(place.invalid("reference_follower", problem));
        }
        FollowerReference::from_rows(reference)
            .map_err(|error| place.invalid("reference_follower", error.to_string()))?;
        game.reference_follower.clone_from(reference);
    }
    game.prompt = config.prompt.clone().unwrap_or_default();
    Ok(game)
}

fn action(config: &ActionConfig) -> ActionPlan {
    match config {
        ActionConfig::Name(name) => named(name.clone()),
        ActionConfig::Table(table) => ActionPlan {
            name: table.name.clone(),
            text: table.text.clone().unwrap_or_else(|| table.name.clone()),
            metadata: table.attributes.as_ref().map_or_else(no_metadata, json_of),
        },
    }
}

fn named(name: String) -> ActionPlan {
    ActionPlan { text: name.clone(), name, metadata: no_metadata() }
}

fn no_metadata() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn uniform(n: usize) -> Vec<f64> {
    vec![1.0 / n as f64; n]
}
