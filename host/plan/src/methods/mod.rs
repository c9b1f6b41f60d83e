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
mod named;
mod registered;
mod registry;
mod regularizer;
mod renewal;
mod renewal_check;
mod rewards;
mod shared;
mod table;

mod best_of_n;
mod dpo;
mod egpo;
mod grpo;
mod inpo;
mod ipo;
mod mirror;
mod mnpo;
mod nash_md;
mod offline;
mod omwu;
mod online_dpo;
mod online_ipo;
mod overlong;
mod rlhf;
mod rloo;
mod score;
mod self_refinement;
mod sft;
mod sft_chosen;
mod sppo;
mod stackelberg_gda;

pub use games::{GamePlace, GameTraining, GameUses, Gradient, InitialPolicy, OnGames, Optimizer, Preconditioner};
pub use grpo::{
    DynamicSampling, GrpoKl, GrpoLossType, GrpoOn, GrpoOnGames, GrpoOnLanguageModels, ImportanceSamplingLevel,
    ScaleRewards,
};
pub use keys::Labels;
pub(crate) use language_models::ROWS_MAX;
pub use language_models::{LanguageTraining, LanguageUses, OnLanguageModels, Responses, UsualBeta};
pub use mirror::{MirrorOn, MirrorRegression, NoRegression};
pub use mnpo::{MnpoOn, MnpoOnGames, MnpoOnLanguageModels, opponent_weights, opponents_kept};
pub use named::{Learned, Named};
pub use nash_md::{NashMdOn, NashMdOnGames, NashMdOnLanguageModels};
pub use offline::LogRatio;
pub use overlong::OverlongPenalty;
pub use regularizer::Regularizer;
pub use renewal::RenewedReference;
pub use rewards::{GameReward, GameRewards, LanguageRewards, PairDistribution, RewardModelPlan};
pub use score::TurnCredit;
pub use self_refinement::{Instruction, NoInstruction, Refined};
pub use shared::Shared;
pub use stackelberg_gda::{GamePlayers, PlayedOn, Players};
pub use table::{GameMethodTable, LanguageMethodTable, MethodKeys};

use serde::{Deserialize, Serialize};

use crate::PluginPlan;
use crate::game::Temperatures;
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
    dpo::Dpo = "dpo": language_models;
    ipo::Ipo = "ipo": language_models;
    online_dpo::OnlineDpo = "online-dpo": games, language_models;
    online_ipo::OnlineIpo = "online-ipo": games, language_models;
    sppo::Sppo = "sppo": games, language_models;
    inpo::Inpo = "inpo": games, language_models;
    mnpo::Mnpo = "mnpo": games, language_models;
    egpo::Egpo = "egpo": games, language_models;
    omwu::Omwu = "omwu": games, language_models;
    score::Score = "score": language_models;
    sft::Sft = "sft": games, language_models;
    sft_chosen::SftChosen = "sft-chosen": language_models;
    best_of_n::BestOfN = "best-of-n": games, language_models;
    self_refinement::SelfRefinement = "self-refinement": games, language_models;
}
