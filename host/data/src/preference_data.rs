//! Preference data, whatever file it came from.

use serde::{Deserialize, Serialize};

use crate::tally::Tally;

/// What a data file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceData {
    /// Unique names, at least two, in the file's order.
    pub actions: Vec<String>,
    /// `preferences[i][j]` = p(action i ≻ action j), in [0, 1].
    pub preferences: Vec<Vec<f64>>,
    /// What the preferences were counted from, where they were.
    pub tally: Option<Tally>,
    /// Sentences: which pairs were never compared.
    pub notes: Vec<String>,
}
