//! Which methods there are: one line each.

use serde::{Deserialize, Serialize};

use super::registered::Registered;
use super::{
    BestOfN, GamePlace, GameTraining, GameUses, Grpo, Inpo, LanguageRewards, LanguageTraining, LanguageUses, Learned,
    Named, NashMd, OnGames, OnLanguageModels, OnlineDpo, OnlineIpo, RewardModelPlan, Rlhf, Rloo, SelfRefinement, Sft,
    Sppo, StackelbergGda,
};
use crate::PluginPlan;
use crate::settings::{Problems, Reader};

/// Makes [`MethodName`], [`Method`] and [`LanguageMethod`] of one line a method: its type, its name, what it trains.
macro_rules! methods {
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*]) => {
        methods!(@names $($all)*);
        methods!(@games $($game)*);
        methods!(@models $($model)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*]
        $method:ident = $name:literal: games, language_models; $($rest:tt)*) => {
        methods!(@sort [$($all)* $method $name,] [$($game)* $method $name,] [$($model)* $method $name,] $($rest)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*] $method:ident = $name:literal: games; $($rest:tt)*) => {
        methods!(@sort [$($all)* $method $name,] [$($game)* $method $name,] [$($model)*] $($rest)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*] $method:ident = $name:literal: language_models; $($rest:tt)*) => {
        methods!(@sort [$($all)* $method $name,] [$($game)*] [$($model)* $method $name,] $($rest)*);
    };
    (@names $($method:ident $name:literal,)*) => {
        /// A method's name, for grouping and display.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum MethodName {
            $(#[doc = concat!("`", $name, "`")] $method,)*
        }

        impl MethodName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$method,)*];

            /// As it is written in a TOML.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$method => $name,)*
                }
            }
        }
    };
    (@games $($method:ident $name:literal,)*) => {
        /// A method on finite games with its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Method {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $method($method),)*
        }

        impl Registered for Method {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            fn read_named(name: &str, reader: &mut Reader<'_>) -> Option<Self> {
                match name {
                    $($name => Some(Self::$method(<$method as OnGames>::read(reader))),)*
                    _ => None,
                }
            }

            fn about(name: &str) -> &'static str {
                match name {
                    $($name => <$method as Named>::ABOUT,)*
                    _ => "",
                }
            }

            fn known_as(name: &str) -> &'static [(&'static [&'static str], &'static str)] {
                match name {
                    $($name => <$method as Named>::KNOWN_AS,)*
                    _ => &[],
                }
            }
        }

        impl Method {
            /// The method's name.
            #[must_use]
            pub fn name(&self) -> MethodName {
                match self {
                    $(Self::$method(_) => MethodName::$method,)*
                }
            }

            /// What the methods have in common.
            #[must_use]
            pub fn training(&self) -> &GameTraining {
                match self {
                    $(Self::$method(method) => OnGames::training(method),)*
                }
            }

            /// What it makes of the common settings.
            #[must_use]
            pub fn uses(&self) -> GameUses {
                match self {
                    $(Self::$method(_) => <$method as OnGames>::USES,)*
                }
            }

            /// Updates on the same samples.
            #[must_use]
            pub fn num_iterations(&self) -> u32 {
                match self {
                    $(Self::$method(method) => OnGames::num_iterations(method),)*
                }
            }

            /// Whether it plays against itself at `game.tau_nash`.
            #[must_use]
            pub fn plays_itself(&self) -> bool {
                match self {
                    $(Self::$method(method) => OnGames::plays_itself(method),)*
                }
            }

            fn check_own(&self, place: &GamePlace<'_>, problems: &mut Problems) {
                match self {
                    $(Self::$method(method) => OnGames::check(method, place, problems),)*
                }
            }

            fn own_learning_rate(&self, tau_rlhf: f64) -> Option<f64> {
                match self {
                    $(Self::$method(method) => OnGames::usual_learning_rate(method, tau_rlhf),)*
                }
            }
        }
    };
    (@models $($method:ident $name:literal,)*) => {
        /// A method on language models with its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum LanguageMethod {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $method($method<LanguageTraining>),)*
        }

        impl Registered for LanguageMethod {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            fn read_named(name: &str, reader: &mut Reader<'_>) -> Option<Self> {
                match name {
                    $($name => Some(Self::$method(<$method<LanguageTraining> as OnLanguageModels>::read(reader))),)*
                    _ => None,
                }
            }

            fn about(name: &str) -> &'static str {
                match name {
                    $($name => <$method<LanguageTraining> as Named>::ABOUT,)*
                    _ => "",
                }
            }

            fn known_as(name: &str) -> &'static [(&'static [&'static str], &'static str)] {
                match name {
                    $($name => <$method<LanguageTraining> as Named>::KNOWN_AS,)*
                    _ => &[],
                }
            }
        }

        impl LanguageMethod {
            /// The method's name.
            #[must_use]
            pub fn name(&self) -> MethodName {
                match self {
                    $(Self::$method(_) => MethodName::$method,)*
                }
            }

            /// What the methods have in common.
            #[must_use]
            pub fn training(&self) -> &LanguageTraining {
                match self {
                    $(Self::$method(method) => OnLanguageModels::training(method),)*
                }
            }

            /// What it makes of the common settings.
            #[must_use]
            pub fn uses(&self) -> LanguageUses {
                match self {
                    $(Self::$method(_) => <$method<LanguageTraining> as OnLanguageModels>::USES,)*
                }
            }

            /// Updates on the same samples.
            #[must_use]
            pub fn num_iterations(&self) -> u32 {
                match self {
                    $(Self::$method(method) => OnLanguageModels::num_iterations(method),)*
                }
            }

            /// The turn that asks for a better answer, of a method whose answers are improved.
            #[must_use]
            pub fn instruction(&self) -> Option<&str> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::instruction(method),)*
                }
            }

            /// The `reward` plugin, to be changed.
            pub fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::reward_mut(method),)*
                }
            }

            fn rewards(&self) -> Option<&LanguageRewards> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::rewards(method),)*
                }
            }

            fn whole_groups(&self) -> Option<&'static str> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::needs_whole_groups(method),)*
                }
            }

            fn check_own(&self, problems: &mut Problems) {
                match self {
                    $(Self::$method(method) => OnLanguageModels::check(method, problems),)*
                }
            }
        }
    };
    ($($lines:tt)*) => {
        methods!(@sort [] [] [] $($lines)*);
    };
}

methods! {
    StackelbergGda = "stackelberg-gda": games, language_models;
    NashMd = "nash-md": games, language_models;
    Rlhf = "rlhf": games;
    Rloo = "rloo": games, language_models;
    Grpo = "grpo": games, language_models;
    OnlineDpo = "online-dpo": games, language_models;
    OnlineIpo = "online-ipo": games, language_models;
    Sppo = "sppo": games, language_models;
    Inpo = "inpo": games, language_models;
    Sft = "sft": games, language_models;
    BestOfN = "best-of-n": games, language_models;
    SelfRefinement = "self-refinement": games, language_models;
}

impl std::fmt::Display for MethodName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Method {
    /// Whether something is learned: best-of-N and self-refinement are what the references make of themselves.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.uses().learned != Learned::Nothing
    }

    /// Whether there is a Follower to be trained.
    #[must_use]
    pub fn has_follower(&self) -> bool {
        self.uses().learned == Learned::LeaderAndFollower
    }

    /// Keys of `[method]` that the record leaves out.
    #[must_use]
    pub fn unused_keys(&self) -> Vec<&'static str> {
        self.training().unused_keys(&self.uses())
    }

    /// What its settings must be, on such a game.
    pub fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let name = self.name().as_str();
        problems.require(!self.plays_itself() || place.temperatures.tau_nash > 0.0, "game.tau_nash", || {
            format!(
                "0 with {name}: without regularization self-play cycles around the equilibrium of a cyclic game instead of \
                 reaching it; expected a number above 0"
            )
        });
        self.training().check(&self.uses(), name, problems);
        self.check_own(place, problems);
    }

    /// `schedule.learning_rate` where a file does not say.
    #[must_use]
    pub fn usual_learning_rate(&self, tau_rlhf: f64) -> f64 {
        self.own_learning_rate(tau_rlhf).unwrap_or_else(|| self.training().usual_learning_rate())
    }
}

impl LanguageMethod {
    /// Whether there are weights to be learned: best-of-N and self-refinement are the reference's own answers.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.uses().learned != Learned::Nothing
    }

    /// Whether there is a Follower to be trained.
    #[must_use]
    pub fn has_follower(&self) -> bool {
        self.uses().learned == Learned::LeaderAndFollower
    }

    /// Keys of `[method]` that the record leaves out.
    #[must_use]
    pub fn unused_keys(&self) -> Vec<&'static str> {
        self.training().unused_keys(&self.uses())
    }

    /// The `reward` plugin, of a method that has one.
    #[must_use]
    pub fn reward(&self) -> Option<&PluginPlan> {
        self.rewards()?.reward.as_ref()
    }

    /// The reward model that is fit before the first step, of a method that has one.
    #[must_use]
    pub fn reward_model(&self) -> Option<&RewardModelPlan> {
        self.rewards()?.reward_model.as_ref()
    }

    /// What its settings must be.
    pub fn check(&self, problems: &mut Problems) {
        self.training().check(&self.uses(), self.name().as_str(), self.whole_groups(), problems);
        self.check_own(problems);
    }
}
