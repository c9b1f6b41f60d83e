//! `brevity`: prefers answers inside a word budget that keep the content words of the prompt.
//!
//! Each answer has a score in [0, 1], and p(a ≻ b) = σ((score(a) − score(b)) / scale): transitive by construction. The
//! score is smooth, so that two samples of one prompt hardly ever tie:
//!
//! score = substance · variety · (weights.length · length + weights.coverage · coverage + weights.finished · finished)
//!
//! with the weights brought to sum 1. What each term is stands in [`Measures`]. Without `substance` and `variety` the
//! best answers would be the prompt itself and one word over and over.
//!
//! ```toml
//! [judge]
//! plugin = "brevity"
//! parameters = { words_target = 12, words_max = 24 }
//! ```

mod measures;

use serde::Deserialize;
use slhf_sdk::{Attribute, Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Response, Verdict, manifest};

pub use measures::Measures;

/// Parameters of `brevity`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Answers of so many words or fewer are short enough; at least 1.
    #[schemars(range(min = 1))]
    pub words_target: u32,
    /// At so many words half of the length's credit is lost; above `words_target`.
    #[schemars(range(min = 2))]
    pub words_max: u32,
    /// Answers of fewer words lose credit in proportion: "No." answers little; at least 1.
    #[schemars(range(min = 1))]
    pub words_min: u32,
    /// What the terms count for.
    pub weights: Weights,
    /// Difference of scores at which the better answer wins with probability 1/(1 + 1/e) ≈ 0.731; above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { words_target: 12, words_max: 24, words_min: 4, weights: Weights::default(), scale: 0.1 }
    }
}

/// What the terms of the score count for, relative to each other.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Of the word budget; at least 0.
    #[schemars(range(min = 0))]
    pub length: f64,
    /// Of the prompt's content words; at least 0.
    #[schemars(range(min = 0))]
    pub coverage: f64,
    /// Of an answer that ended by itself; at least 0.
    #[schemars(range(min = 0))]
    pub finished: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { length: 0.5, coverage: 0.3, finished: 0.2 }
    }
}

impl Weights {
    fn check(self) -> Result<f64, Failure> {
        for (name, weight) in [("length", self.length), ("coverage", self.coverage), ("finished", self.finished)] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(format!("parameter 'weights.{name}' is {weight}, it must be at least 0").into());
            }
        }
        let sum = self.length + self.coverage + self.finished;
        if sum.is_finite() && sum > 0.0 {
            Ok(sum)
        } else {
            Err(format!("the sum of parameter 'weights' is {sum}, it must be finite and above 0").into())
        }
    }
}

/// The judge.
#[derive(Debug)]
pub struct Brevity {
    parameters: Parameters,
    weight_sum: f64,
}

impl Plugin for Brevity {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which answer stays inside a word budget and keeps the content words of the prompt")
            .complementary()
            .length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { words_target, words_max, words_min, weights, scale } = parameters;
        for (name, count) in [("words_target", words_target), ("words_min", words_min)] {
            if count == 0 {
                return Err(format!("parameter '{name}' is 0, it must be at least 1").into());
            }
        }
        if words_min > words_target {
            return Err(format!(
                "parameter 'words_min' is {words_min}, it must not exceed 'words_target', which is {words_target}"
            )
            .into());
        }
        if words_max <= words_target {
            return Err(format!(
                "parameter 'words_max' is {words_max}, it must be above 'words_target', which is {words_target}"
            )
            .into());
        }
        if !(scale.is_finite() && scale > 0.0) {
            return Err(format!("parameter 'scale' is {scale}, it must be above 0").into());
        }
        Ok(Self { parameters, weight_sum: weights.check()? })
    }
}

impl Preference for Brevity {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let prompt = slhf_sdk::text::content_stems(asked(comparison));
        let measure = |response: &Response| Measures::of(&self.parameters, &prompt, response);
        let (first, second) = (measure(&comparison.first), measure(&comparison.second));
        let (score, other) = (self.score(&first), self.score(&second));
        let probability = sigmoid((score - other) / self.parameters.scale);
        let mut verdict = Verdict::new(probability)
            .with(Attribute::new("score", probability).because(format!("{score:.3} against {other:.3}")));
        for (mine, theirs) in first.terms().into_iter().zip(second.terms()) {
            let vote = 0.5 + 0.5 * (mine.value - theirs.value);
            let reason = format!("{} against {}", mine.reason, theirs.reason);
            verdict = verdict.with(Attribute::new(mine.name, vote).because(reason));
        }
        Ok(verdict)
    }
}

impl Brevity {
    /// In [0, 1].
    fn score(&self, measures: &Measures) -> f64 {
        let weights = self.parameters.weights;
        let finished = if measures.finished { 1.0 } else { 0.0 };
        let sum = weights.length * measures.length + weights.coverage * measures.coverage + weights.finished * finished;
        measures.substance * measures.variety * sum / self.weight_sum
    }
}

/// What the answer answers: the last thing the user said.
fn asked(comparison: &Comparison) -> &str {
    let last = comparison.messages.iter().rev().find(|message| message.role == "user");
    last.map_or(&comparison.prompt, |message| &message.content)
}

/// 1 / (1 + e^−x), without overflow, and with σ(x) + σ(−x) = 1 to the last bit.
fn sigmoid(x: f64) -> f64 {
    let upper = 1.0 / (1.0 + (-x.abs()).exp());
    if x >= 0.0 { upper } else { 1.0 - upper }
}

slhf_sdk::export_preference!(Brevity);

#[cfg(test)]
mod tests;
