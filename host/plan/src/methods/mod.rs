//! The methods, each declared once: a file has its settings with their meaning, defaults and ranges, on games and on language
//! models.
//!
//! A method is a struct, generic over the settings that all methods share ([`GameTraining`] or [`LanguageTraining`]). It implements
//! [`OnGames`], [`OnLanguageModels`] or both; [`registry`] makes the enums [`Method`] and [`LanguageMethod`] of them.

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

pub use best_of_n::BestOfN;
pub use games::{GamePlace, GameTraining, GameUses, Gradient, InitialPolicy, OnGames, Optimizer, Preconditioner};
pub use grpo::{Grpo, GrpoKl, GrpoLossType, GrpoOn, GrpoOnGames, GrpoOnLanguageModels, ScaleRewards};
pub use inpo::Inpo;
pub use keys::Labels;
pub(crate) use language_models::ROWS_MAX;
pub use language_models::{LanguageTraining, LanguageUses, OnLanguageModels, UsualBeta};
pub use nash_md::NashMd;
pub use online_dpo::OnlineDpo;
pub use online_ipo::OnlineIpo;
pub use registry::{LanguageMethod, Method, MethodName};
pub use rewards::{GameReward, GameRewards, LanguageRewards, PairDistribution, RewardModelPlan};
pub use rlhf::Rlhf;
pub use rloo::Rloo;
pub use self_refinement::{Instruction, NoInstruction, Refined, SelfRefinement};
pub use sft::Sft;
pub use sppo::Sppo;
pub use stackelberg_gda::{NoPlayers, PlayedOn, Players, StackelbergGda};
pub use table::{GameMethodTable, LanguageMethodTable, MethodKeys};

use crate::control_variate::ControlVariate;

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
    type Rewards: Clone + std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned;
}

impl Shared for GameTraining {
    type Rewards = GameRewards;
}

impl Shared for LanguageTraining {
    type Rewards = LanguageRewards;
}
