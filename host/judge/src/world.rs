//! What a plugin is for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The versions of the WIT package `slhf:lab` that this host speaks, for sentences.
pub const SPOKEN_VERSIONS: &str = "0.1.x";

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Judges pairs.
    Preference,
    /// Scores single responses.
    Reward,
    /// Gives control variates.
    Baseline,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Preference, Self::Reward, Self::Baseline];

    /// The interface's name, which is also the world's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preference => "preference",
            Self::Reward => "reward",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
