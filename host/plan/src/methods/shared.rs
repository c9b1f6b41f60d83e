//! The settings that the methods share, and what goes with them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{GameRewards, GameTraining, LanguageRewards, LanguageTraining};

/// The settings that the methods share: [`GameTraining`] or [`LanguageTraining`].
pub trait Shared: Sized {
    /// Where rewards come from.
    type Rewards: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned;
}

impl Shared for GameTraining {
    type Rewards = GameRewards;
}

impl Shared for LanguageTraining {
    type Rewards = LanguageRewards;
}
