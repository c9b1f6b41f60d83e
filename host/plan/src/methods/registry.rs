//! What is made of the list of methods.

/// Makes `MethodName`, `Method` and `LanguageMethod` of one line a method: its file and type, its name, what it trains.
macro_rules! methods {
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*]) => {
        methods!(@names $($all)*);
        methods!(@games $($game)*);
        methods!(@models $($model)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*]
        $file:ident::$method:ident = $name:literal: games, language_models; $($rest:tt)*) => {
        methods!(@sort [$($all)* $file $method $name,] [$($game)* $method $name,] [$($model)* $method $name,] $($rest)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*] $file:ident::$method:ident = $name:literal: games; $($rest:tt)*) => {
        methods!(@sort [$($all)* $file $method $name,] [$($game)* $method $name,] [$($model)*] $($rest)*);
    };
    (@sort [$($all:tt)*] [$($game:tt)*] [$($model:tt)*] $file:ident::$method:ident = $name:literal: language_models; $($rest:tt)*) => {
        methods!(@sort [$($all)* $file $method $name,] [$($game)*] [$($model)* $method $name,] $($rest)*);
    };
    (@names $($file:ident $method:ident $name:literal,)*) => {
        $(pub use $file::$method;)*

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

            /// Whether a policy of it is held by another divergence than KL(π ‖ `π_ref`).
            #[must_use]
            pub fn is_held_otherwise(&self) -> bool {
                match self {
                    $(Self::$method(method) => OnGames::is_held_otherwise(method),)*
                }
            }

            /// Why its reference may not be renewed, with these settings.
            #[must_use]
            pub fn keeps_its_reference(&self) -> Option<&'static str> {
                match self {
                    $(Self::$method(method) => OnGames::keeps_its_reference(method),)*
                }
            }

            fn check_own(&self, place: &GamePlace<'_>, problems: &mut Problems) {
                match self {
                    $(Self::$method(method) => OnGames::check(method, place, problems),)*
                }
            }

            fn own_learning_rate(&self, temperatures: Temperatures) -> Option<f64> {
                match self {
                    $(Self::$method(method) => OnGames::usual_learning_rate(method, temperatures),)*
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

            /// How many steps ago the policies stood that read the responses of a step, each once.
            #[must_use]
            pub fn past_policies(&self) -> Vec<u64> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::past_policies(method),)*
                }
            }

            /// Pairs of a step, of a method that learns from the pairs of a file.
            #[must_use]
            pub fn pairs_per_step(&self) -> Option<u32> {
                match self {
                    $(Self::$method(method) => OnLanguageModels::pairs_per_step(method),)*
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

pub(super) use methods;
