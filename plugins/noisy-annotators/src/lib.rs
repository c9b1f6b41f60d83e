//! `noisy-annotators`: a judge seen through annotators who err.
//!
//! The judge under it prefers the first response with probability p. Each of `annotators` people follows that
//! preference and errs with probability ε = `error_rate`, so each votes for the first response with probability
//! q = p · (1 − ε) + (1 − p) · ε. The panel's verdict is the share of votes, or with `aggregate = "majority"` whom the
//! majority favours (half of the votes: 0.5).
//!
//! `mode = "expected"` answers the mean over all possible panels: q for the share, the binomial probability of a
//! majority (ties half) for the majority.
//!
//! `mode = "sampled"` answers what one panel says. Its luck is a pure function of the comparison's `draw`, of `seed` and
//! of the *unordered* pair (prompt and responses): asked the other way round, the same people say the same. So where
//! the upstream is complementary, a sampled panel is too; a response against itself gets q. With language models every
//! comparison has a draw of its own, and the mean over draws is the expected answer. On a finite game `draw` is 0 for
//! every pair: the panel is then *one* fixed sample of annotators for each pair, the same at every step. That is a game
//! counted from noisy data, and another `seed` is another sample; for the game that annotators play on average use
//! `expected`.
//!
//! ```toml
//! [judge]
//! plugin = "noisy-annotators"
//! parameters = { error_rate = 0.2, annotators = 5, mode = "expected" }
//! [judge.upstream]
//! plugin = "attributes"
//! parameters = { … }
//! ```

mod panel;

use std::cmp::Ordering;

use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Outcomes, Plugin, PreferenceOver, UpstreamPreference,
    Verdict, manifest,
};

/// Parameters of `noisy-annotators`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// ε: how often an annotator votes against what they think; within [0, 1], 0.5 is pure noise.
    #[schemars(range(min = 0, max = 1))]
    pub error_rate: f64,
    /// How many annotators; 1 to 1000.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub annotators: u32,
    /// What becomes of the votes.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// What one panel says, or the mean over all panels.
    #[serde(default)]
    pub mode: Mode,
    /// Another seed is another sample of annotators; only `mode = "sampled"` looks at it.
    #[serde(default)]
    pub seed: u64,
}

/// What becomes of the votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The share of votes for the first response.
    #[default]
    Share,
    /// 1 where more than half vote for the first response, 0 where less, 0.5 where exactly half.
    Majority,
}

/// What one panel says, or the mean over all panels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What one panel says.
    #[default]
    Sampled,
    /// The mean over all panels.
    Expected,
}

const fn one() -> u32 {
    1
}

/// The combinator.
#[derive(Debug)]
pub struct NoisyAnnotators {
    parameters: Parameters,
}

impl Plugin for NoisyAnnotators {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("what annotators who err say of the preferences of the judge under it")
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { error_rate, annotators, .. } = parameters;
        if !(0.0..=1.0).contains(&error_rate) {
            return Err(format!("parameter 'error_rate' is {error_rate}, it must be within [0, 1]").into());
        }
        // A larger panel says what `expected` says, and every vote of a sampled one is drawn.
        if !(1..=1000).contains(&annotators) {
            return Err(format!("parameter 'annotators' is {annotators}, it must be from 1 to 1000").into());
        }
        Ok(Self { parameters })
    }
}

impl PreferenceOver<dyn UpstreamPreference> for NoisyAnnotators {
    fn compare_over(&self, batch: &[Comparison], upstream: &(dyn UpstreamPreference + 'static)) -> Outcomes<Verdict> {
        let verdicts = upstream.compare(batch.to_vec())?;
        if verdicts.len() != batch.len() {
            let (got, asked) = (verdicts.len(), batch.len());
            return Err(format!("the judge under noisy-annotators gave {got} verdicts to {asked} comparisons").into());
        }
        Ok(batch.iter().zip(verdicts).map(|(comparison, verdict)| Ok(self.vote(comparison, &verdict?))).collect())
    }
}

impl NoisyAnnotators {
    fn vote(&self, comparison: &Comparison, upstream: &Verdict) -> Verdict {
        let Parameters { error_rate, annotators, aggregate, mode, seed } = self.parameters;
        let p = upstream.probability;
        // Written about ½, so that q(1 − p) = 1 − q(p) in floating point too.
        let q = (0.5 + (1.0 - 2.0 * error_rate) * (p - 0.5)).clamp(0.0, 1.0);
        let probability = match (mode, aggregate) {
            (Mode::Expected, Aggregate::Share) => q,
            (Mode::Expected, Aggregate::Majority) => panel::majority_probability(q, annotators),
            (Mode::Sampled, _) if comparison.first == comparison.second => q,
            (Mode::Sampled, aggregate) => {
                counted(panel::votes_for_first(comparison, q, annotators, seed), annotators, aggregate)
            }
        };
        let asked = Attribute::new("without_error", p).because("the verdict of the judge under the annotators");
        Verdict::new(probability).with(asked)
    }
}

/// The verdict of a panel that was counted.
fn counted(votes: u32, annotators: u32, aggregate: Aggregate) -> f64 {
    match (aggregate, (2 * votes).cmp(&annotators)) {
        (Aggregate::Share, _) => f64::from(votes) / f64::from(annotators),
        (Aggregate::Majority, Ordering::Greater) => 1.0,
        (Aggregate::Majority, Ordering::Equal) => 0.5,
        (Aggregate::Majority, Ordering::Less) => 0.0,
    }
}

slhf_sdk::export_preference!(NoisyAnnotators, over preference);

#[cfg(test)]
mod tests;
