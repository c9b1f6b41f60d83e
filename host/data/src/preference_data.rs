//! Preference data, whatever file it came from.

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::group::CountedGroup;
use crate::tally::Tally;

/// What a data file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceData {
    /// Unique names, at least two, in the file's order.
    pub actions: Vec<String>,
    /// `preferences[i][j]` = p(action i ≻ action j), in [0, 1]; of all groups together, each comparison counted once.
    pub preferences: Vec<Vec<f64>>,
    /// What the preferences were counted from, where they were.
    pub tally: Option<Tally>,
    /// The orders behind the tally, where the file holds orders.
    pub ballots: Vec<Ballot>,
    /// The groups of a column `group`, in the file's order; none where there is no such column.
    pub groups: Vec<CountedGroup>,
    /// Sentences: which pairs were never compared.
    pub notes: Vec<String>,
}

/// What was counted, without what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// See [`PreferenceData::tally`].
    pub tally: Tally,
    /// See [`PreferenceData::ballots`].
    pub ballots: Vec<Ballot>,
    /// See [`PreferenceData::groups`].
    pub groups: Vec<CountedGroup>,
}
