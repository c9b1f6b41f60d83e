//! The traits a plugin implements. They are plain Rust: a plugin is tested natively, with no WebAssembly involved.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Candidate, Comparison, Failure, Manifest, Sample, Score, Verdict};

/// One outcome per item, in order; the outer failure is of the batch as a whole.
pub type Outcomes<T> = Result<Vec<Result<T, Failure>>, Failure>;

/// Identity and parameters: what every plugin has.
pub trait Plugin: Sized {
    /// The parameters: a struct with `#[derive(Deserialize, JsonSchema)]` and `#[serde(deny_unknown_fields)]`, whose
    /// doc comments become the descriptions in the plugin's schema.
    type Parameters: DeserializeOwned + JsonSchema;

    /// Who this is, what it measures and what it claims.
    fn manifest() -> Manifest;

    /// Makes the plugin. Parameters have their types already; what types cannot say (a range, a sum) is checked here.
    fn new(parameters: Self::Parameters) -> Result<Self, Failure>;
}

/// A judge that looks at one comparison at a time.
pub trait Preference: Plugin {
    /// p(first ≻ second).
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure>;
}

/// A judge that looks at a whole batch. Every [`Preference`] is one.
///
/// A verdict must not depend on the other items: `slhf-lab plugin check` splits and permutes batches.
pub trait PreferenceBatch: Plugin {
    /// One outcome per comparison, in order.
    fn compare_batch(&self, batch: &[Comparison]) -> Outcomes<Verdict>;
}

impl<T: Preference> PreferenceBatch for T {
    fn compare_batch(&self, batch: &[Comparison]) -> Outcomes<Verdict> {
        Ok(batch.iter().map(|comparison| self.compare(comparison)).collect())
    }
}

/// A reward model that looks at one candidate at a time.
pub trait Reward: Plugin {
    /// r(prompt, response).
    fn score(&self, candidate: &Candidate) -> Result<Score, Failure>;
}

/// A reward model that looks at a whole batch. Every [`Reward`] is one.
pub trait RewardBatch: Plugin {
    /// One outcome per candidate, in order.
    fn score_batch(&self, batch: &[Candidate]) -> Outcomes<Score>;
}

impl<T: Reward> RewardBatch for T {
    fn score_batch(&self, batch: &[Candidate]) -> Outcomes<Score> {
        Ok(batch.iter().map(|candidate| self.score(candidate)).collect())
    }
}

/// The judge that a combinator wraps: the host's in a plugin, a closure in a test.
pub trait UpstreamPreference {
    /// One outcome per comparison, in order.
    fn compare(&self, batch: Vec<Comparison>) -> Outcomes<Verdict>;
}

impl<F: Fn(&Comparison) -> Result<Verdict, Failure>> UpstreamPreference for F {
    fn compare(&self, batch: Vec<Comparison>) -> Outcomes<Verdict> {
        Ok(batch.iter().map(self).collect())
    }
}

/// The reward model that a combinator wraps: the host's in a plugin, a closure in a test.
pub trait UpstreamReward {
    /// One outcome per candidate, in order.
    fn score(&self, batch: Vec<Candidate>) -> Outcomes<Score>;
}

impl<F: Fn(&Candidate) -> Result<Score, Failure>> UpstreamReward for F {
    fn score(&self, batch: Vec<Candidate>) -> Outcomes<Score> {
        Ok(batch.iter().map(self).collect())
    }
}

/// A judge made of another plugin: `U` is `dyn UpstreamPreference` or `dyn UpstreamReward`.
///
/// Ask the upstream once, for the whole batch: each question crosses the sandbox.
pub trait PreferenceOver<U: ?Sized>: Plugin {
    /// One outcome per comparison, in order.
    fn compare_over(&self, batch: &[Comparison], upstream: &U) -> Outcomes<Verdict>;
}

/// A reward model made of another plugin: `U` is `dyn UpstreamPreference` or `dyn UpstreamReward`.
pub trait RewardOver<U: ?Sized>: Plugin {
    /// One outcome per candidate, in order.
    fn score_over(&self, batch: &[Candidate], upstream: &U) -> Outcomes<Score>;
}

/// A judge that asks models which the experiment grants by name: `M` is [`dyn Models`](crate::models::Models).
pub trait PreferenceWith<M: ?Sized>: Plugin {
    /// One outcome per comparison, in order.
    fn compare_with(&self, batch: &[Comparison], models: &M) -> Outcomes<Verdict>;
}

/// A reward model that asks models which the experiment grants by name.
pub trait RewardWith<M: ?Sized>: Plugin {
    /// One outcome per candidate, in order.
    fn score_with(&self, batch: &[Candidate], models: &M) -> Outcomes<Score>;
}

/// A control variate. Alone among plugins it keeps state from batch to batch.
pub trait Baseline: Plugin {
    /// A finite baseline per sample, in order. A sample's baseline must not depend on its own reward (it would bias
    /// the gradient). The batch is then part of what was seen.
    fn estimate(&mut self, batch: &[Sample]) -> Result<Vec<f64>, Failure>;

    /// The whole state, for a checkpoint.
    fn save(&self) -> Vec<u8>;

    /// Takes up a saved state.
    fn restore(&mut self, state: &[u8]) -> Result<(), Failure>;
}
