//! `table`: a preference matrix, given as parameters.
//!
//! `actions` names the actions, `preferences[i][j]` = p(action i ≻ action j). This is the judge of a finite game whose
//! matrix is known: the lab calls it with the matrix of the experiment's TOML, or with the one counted from a file.
//!
//! **Which action a response is.** Its text, which must equal one of `actions`; where the text is not found, the
//! `action` of its metadata (`{"action": "name"}`), so that a game may give its actions other texts than their names.
//! Anything else is a failure of that comparison.
//!
//! **Large matrices.** A judge is a fresh instance for every batch, so reading the parameters must be cheap. Besides
//! rows of numbers, `preferences` may be one text: the base64 (RFC 4648, padding optional) of the n² cells as
//! little-endian f64, row by row. Nothing of it is decoded before a cell is asked for, and a cell takes the same time
//! at any n; at 1,000 actions this is 10.7 MB that are copied, not parsed.
//!
//! **Kinds of prompts.** `kinds` names a matrix for each kind of prompt; a comparison is of the kind that the metadata of its
//! prompt names (`{"kind": "fruit"}`), and of `preferences` where it names none. So one judge is a game for each kind.
//!
//! ```toml
//! [judge]
//! plugin = "table"
//! [judge.parameters]
//! actions = ["red", "blue"]
//! kinds.fruit = [[0.5, 0.9], [0.1, 0.5]]
//! kinds.animal = [[0.5, 0.2], [0.8, 0.5]]
//! ```
//!
//! Whether the verdicts are complementary is up to the matrix, so it is not claimed.

mod cells;

use std::collections::BTreeMap;

use serde::Deserialize;
use slhf_sdk::{Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Response, Verdict, manifest, short};

use cells::Cells;
pub use cells::Preferences;

/// Parameters of `table`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The actions' names, all different.
    #[schemars(length(min = 1))]
    pub actions: Vec<String>,
    /// p(row ≻ column) in [0, 1], in the order of `actions`: n rows of n numbers, or the base64 of n² little-endian f64.
    /// Needed unless there are `kinds`.
    pub preferences: Option<Preferences>,
    /// A matrix for every kind of prompt, by its name.
    #[serde(default)]
    pub kinds: BTreeMap<String, Preferences>,
}

/// The judge.
#[derive(Debug)]
pub struct Table {
    indices: BTreeMap<String, usize>,
    /// Of prompts of no kind.
    cells: Option<Cells>,
    kinds: BTreeMap<String, Cells>,
}

impl Plugin for Table {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("the preference between two named actions, as a matrix gives it")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { actions, preferences, kinds } = parameters;
        if actions.is_empty() {
            return Err("parameter 'actions' is empty: name the actions of the matrix".into());
        }
        if preferences.is_none() && kinds.is_empty() {
            return Err(
                "parameter 'preferences' is missing: give the matrix, or one for each kind of prompt in 'kinds'".into(),
            );
        }
        let cells = preferences.map(|preferences| Cells::new(preferences, "preferences", &actions)).transpose()?;
        let named = |(kind, preferences): (String, Preferences)| {
            let cells = Cells::new(preferences, &format!("kinds.{}", short(&kind)), &actions)?;
            Ok((kind, cells))
        };
        let kinds = kinds.into_iter().map(named).collect::<Result<_, Failure>>()?;
        let mut indices = BTreeMap::new();
        for (index, action) in actions.into_iter().enumerate() {
            if let Some(earlier) = indices.insert(action.clone(), index) {
                return Err(
                    format!("parameter 'actions' names {action:?} twice, as entries {earlier} and {index}").into()
                );
            }
        }
        Ok(Self { indices, cells, kinds })
    }
}

impl Preference for Table {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let row = self.index(&comparison.first)?;
        let column = self.index(&comparison.second)?;
        Ok(Verdict::new(self.cells(comparison)?.get(row, column)?))
    }
}

/// What `table` looks for in metadata; other keys are the game's own.
#[derive(Deserialize)]
struct Metadata {
    action: Option<String>,
}

/// What `table` looks for in a prompt's metadata.
#[derive(Deserialize)]
struct PromptMetadata {
    kind: Option<String>,
}

impl Table {
    /// The matrix of the prompt's kind.
    fn cells(&self, comparison: &Comparison) -> Result<&Cells, Failure> {
        let kind = if self.kinds.is_empty() { None } else { comparison.read_metadata::<PromptMetadata>()?.kind };
        let of_kind = match &kind {
            Some(kind) => self.kinds.get(kind),
            None => self.cells.as_ref(),
        };
        of_kind.ok_or_else(|| {
            let known: Vec<&str> = self.kinds.keys().map(String::as_str).collect();
            let found = kind.map_or_else(|| "no kind".to_owned(), |kind| format!("the kind {:?}", short(&kind)));
            format!("the prompt's metadata name {found}, and the table has {}", known.join(", ")).into()
        })
    }

    fn index(&self, response: &Response) -> Result<usize, Failure> {
        if let Some(index) = self.indices.get(&response.text) {
            return Ok(*index);
        }
        let action = response.read_metadata::<Metadata>()?.action;
        if let Some(index) = action.as_ref().and_then(|action| self.indices.get(action)) {
            return Ok(*index);
        }
        let asked = action.unwrap_or_else(|| response.text.clone());
        Err(format!("{:?} is none of the table's {} actions", short(&asked), self.indices.len()).into())
    }
}

slhf_sdk::export_preference!(Table);

#[cfg(test)]
mod tests;
