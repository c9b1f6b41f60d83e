//! The methods, each declared once: a file has its settings with their meaning, defaults and ranges, on games and on language
//! models.
//!
//! A method is a struct, generic over the settings that all methods share ([`GameTraining`] or [`LanguageTraining`]). It implements
//! [`OnGames`], [`OnLanguageModels`] or both. The list below makes the enums [`Method`] and [`LanguageMethod`] of them: a new method is
//! a file, its `mod`, and a line of the list.

mod any;
mod games;
mod keys;
mod language_models;
mod registered;
mod registry;
mod rewards;
mod table;

mod best_of_n;
mod grpo;
mod inpo;
mod nash_md;
mod online_dpo;
mod online_ipo;
mod rlhf;
mod rloo;
mod self_refinement;
mod sft;
mod sppo;
mod stackelberg_gda;

pub use games::{GamePlace, GameTraining, GameUses, Gradient, InitialPolicy, OnGames, Optimizer, Preconditioner};
pub use grpo::{GrpoKl, GrpoLossType, GrpoOn, GrpoOnGames, GrpoOnLanguageModels, ScaleRewards};
pub use keys::Labels;
pub(crate) use language_models::ROWS_MAX;
pub use language_models::{LanguageTraining, LanguageUses, OnLanguageModels, UsualBeta};
pub use rewards::{GameReward, GameRewards, LanguageRewards, PairDistribution, RewardModelPlan};
pub use self_refinement::{Instruction, NoInstruction, Refined};
pub use stackelberg_gda::{NoPlayers, PlayedOn, Players};
pub use table::{GameMethodTable, LanguageMethodTable, MethodKeys};

use serde::{Deserialize, Serialize};

use crate::PluginPlan;
use crate::settings::{Problems, Reader};
use registered::Registered;
use registry::methods;

use crate::control_variate::ControlVariate;

methods! {
    stackelberg_gda::StackelbergGda = "stackelberg-gda": games, language_models;
    nash_md::NashMd = "nash-md": games, language_models;
    rlhf::Rlhf = "rlhf": games;
    rloo::Rloo = "rloo": games, language_models;
    grpo::Grpo = "grpo": games, language_models;
    online_dpo::OnlineDpo = "online-dpo": games, language_models;
    online_ipo::OnlineIpo = "online-ipo": games, language_models;
    sppo::Sppo = "sppo": games, language_models;
    inpo::Inpo = "inpo": games, language_models;
    sft::Sft = "sft": games, language_models;
    best_of_n::BestOfN = "best-of-n": games, language_models;
    self_refinement::SelfRefinement = "self-refinement": games, language_models;
}

/// What a method learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing: the run is its evaluation.
    Nothing,
    /// One policy.
    OnePolicy,
    /// Leader and Follower.
    LeaderAndFollower,
}

/// What is the same wherever a method is used.
pub trait Named {
    /// What it does, in a sentence, with its paper.
    const ABOUT: &'static str;
    /// Names of other tools for it or for what is nearest to it, in lower case with hyphens, with how it differs.
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[];
}

/// The settings that the methods share: [`GameTraining`] or [`LanguageTraining`].
pub trait Shared: Sized {
    /// Where rewards come from.
    type Rewards: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

impl Shared for GameTraining {
    type Rewards = GameRewards;
}

impl Shared for LanguageTraining {
    type Rewards = LanguageRewards;
}
