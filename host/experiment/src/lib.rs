//! From TOML to a plan: read, override, expand the grid, fill in defaults, check the rules, group, hash.
//!
//! What leaves this crate is an [`Experiment`]: cells, runs, and a typed, valid, explicit [`slhf_plan::Work`] for each batch group
//! of them. Nothing is started and nothing is written. Files of others (prompts, models, plugins) are read by [`slhf_foreign`]'s
//! process. This crate knows neither the record nor the command line.
//!
//! Begin with `load.rs`: the way of one file. `config.rs`, `language/config.rs` and `reward_model/config.rs` are the TOML's keys, the `cell.rs`
//! beside each makes a cell of them, `grouping.rs` says which runs one worker computes.
//!
//! ```
//! use slhf_experiment::SetOverride;
//!
//! let given: SetOverride = "method.steps=200".parse()?;
//! assert_eq!(given.key, "method.steps");
//! # Ok::<(), String>(())
//! ```

mod absent;
mod alone;
mod cell;
mod config;
mod document;
mod error;
mod estimate;
mod finding;
mod game;
mod granting;
mod grid;
mod grouping;
mod json;
mod keys;
mod kinds;
mod language;
mod load;
mod model_parameters;
pub mod models;
pub mod named_plugin;
mod overriding;
mod parameters;
mod phase_guesser;
mod phases;
mod planned;
mod planner;
mod plugins;
mod pricing;
mod reading;
mod resolve;
mod reward_model;
mod rules;
mod shapes;
mod shipped;
pub mod table;

pub use absent::Absent;
pub use config::{ExperimentConfig, GameConfig, JudgeConfig};
pub use error::ExperimentError;
pub use finding::{FindRun, TrainedRewardModel};
pub use game::{GameInput, Place, from_data, read as read_game, read_data};
pub use granting::{CommandGrants, GrantError};
pub use language::{LanguageExperimentConfig, PROCESSES_MAX};
pub use load::load;
pub use overriding::SetOverride;
pub use phase_guesser::PhaseGuesser;
pub use phases::Phases;
pub use planned::{Cell, Experiment, Kind, PlannedGroup, PlannedRun, TextSizes, TypedValue};
pub use planner::LoadOptions;
pub use plugins::Plugins;
pub use pricing::{Price, PriceError, price};
pub use reading::{GameDocument, game_document};
pub use reward_model::RewardExperimentConfig;
pub use shipped::shipped_plugins;
