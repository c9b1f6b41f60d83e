//! Write judges, reward models and baselines for slhf-lab in plain Rust.
//!
//! A judge is a type with parameters, a way to be made, and one method. One macro exports it; `slhf-lab plugin build`
//! makes it one `.wasm` file that an experiment names. Natively the macro expands to nothing, so that a judge is
//! tested like any other Rust:
//!
//! ```
//! use slhf_sdk::{Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Response, Verdict, manifest};
//! use serde::Deserialize;
//!
//! /// Parameters of `brevity`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Parameters {
//!     /// Characters by which a response must be longer to lose outright.
//!     scale_characters: f64,
//! }
//!
//! struct Brevity {
//!     scale_characters: f64,
//! }
//!
//! impl Plugin for Brevity {
//!     type Parameters = Parameters;
//!
//!     fn manifest() -> Manifest {
//!         manifest!("how much shorter the first response is").complementary().length_sensitive()
//!     }
//!
//!     fn new(parameters: Parameters) -> Result<Self, Failure> {
//!         if parameters.scale_characters > 0.0 {
//!             Ok(Self { scale_characters: parameters.scale_characters })
//!         } else {
//!             Err("parameter 'scale_characters' must be above 0".into())
//!         }
//!     }
//! }
//!
//! impl Preference for Brevity {
//!     fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
//!         let length = |text: &str| text.chars().count() as f64;
//!         let margin = length(&comparison.second.text) - length(&comparison.first.text);
//!         Ok(Verdict::new((0.5 + 0.5 * margin / self.scale_characters).clamp(0.0, 1.0)))
//!     }
//! }
//!
//! slhf_sdk::export_preference!(Brevity);
//!
//! let judge = Brevity::new(Parameters { scale_characters: 10.0 }).unwrap();
//! let verdict = judge.compare(&Comparison::new("Q", Response::new("short"), Response::new("much longer"))).unwrap();
//! assert_eq!(verdict.probability, 0.8);
//! ```
//!
//! | to write | implement | export with |
//! | --- | --- | --- |
//! | a judge, one comparison at a time | [`Preference`] | `export_preference!(T)` |
//! | a judge, a batch at a time | [`PreferenceBatch`] | `export_preference!(T)` |
//! | a judge over another judge | [`PreferenceOver<dyn UpstreamPreference>`](PreferenceOver) | `export_preference!(T, over preference)` |
//! | a judge over a reward model | [`PreferenceOver<dyn UpstreamReward>`](PreferenceOver) | `export_preference!(T, over reward)` |
//! | a reward model | [`Reward`] or [`RewardBatch`] | `export_reward!(T)` |
//! | a reward model over another plugin | [`RewardOver`] | `export_reward!(T, over preference)`, `export_reward!(T, over reward)` |
//! | a judge that asks models | [`PreferenceWith<dyn Models>`](PreferenceWith) | `export_preference!(T, with models)` |
//! | a reward model that asks models | [`RewardWith<dyn Models>`](RewardWith) | `export_reward!(T, with models)` |
//! | a control variate | [`Baseline`] | `export_baseline!(T)` |
//!
//! A plugin sees no files, network, environment, clock or randomness. The same parameters and the same batch must give
//! the same bits: use no `HashMap` whose order shows, and take randomness from [`Comparison::draw`] alone
//! ([`draw::uniform`]). A panic becomes a line in the run's log and ends the batch; return a [`Failure`] instead.
//!
//! The SDK never talks to a host natively, and never changes what a plugin returns. Begin with [`Plugin`] and [`Comparison`], then
//! `sdk/examples/`.

#[cfg(test)]
mod contract_tests;
mod export;
mod failure;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod manifest;
mod plugin;
mod types;

pub mod draw;
pub mod log;
pub mod models;
pub mod parameters;
pub mod text;

pub use failure::Failure;
pub use manifest::{Claims, Manifest};
pub use plugin::{
    Baseline, Outcomes, Plugin, Preference, PreferenceBatch, PreferenceOver, PreferenceWith, Reward, RewardBatch,
    RewardOver, RewardWith, UpstreamPreference, UpstreamReward,
};
pub use schemars::{self, JsonSchema};
pub use serde_json;
pub use types::{Attribute, Candidate, Comparison, Message, Response, Role, Sample, Score, Verdict, short};
