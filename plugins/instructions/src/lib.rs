//! `instructions`: which answer follows the prompt's verifiable instructions, with partial credit.
//!
//! In the spirit of `IFEval` (Zhou et al., arXiv 2311.07911): instructions that a program can check, such as "all
//! lowercase" or "mention the word river". They come in the metadata of the data row, with their arguments:
//!
//! ```json
//! {"prompt": "…", "instructions": [{"kind": "lowercase"}, {"kind": "mention", "word": "river"}]}
//! ```
//!
//! or they are `IFEval`'s own (`instruction_id_list` and `kwargs`), which are read where both are there.
//!
//! An answer's score is its mean credit over them ([`credit`]), times words / `words_min` where it is shorter than that,
//! and p(a ≻ b) = σ((score(a) − score(b)) / scale): complementary, and transitive among the answers to one prompt. An
//! unknown kind or a bad argument is a failure of that comparison. The checks are those of the library
//! [`instruction_checks`]; the plugin `instruction-accuracy` counts strict and loose accuracy with them.

use instruction_checks::{Credit, Instruction, check_parameter, credit, instructions_of};
use serde::Deserialize;
use slhf_sdk::{
    Attribute, Comparison, Failure, JsonSchema, Manifest, Plugin, Preference, Response, Verdict, manifest, text,
};

/// Parameters of `instructions`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Difference of scores at which the better answer wins with probability 1/(1 + 1/e) ≈ 0.731; above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale: f64,
    /// Answers of fewer words lose credit in proportion; at least 1.
    #[schemars(range(min = 1))]
    pub words_min: u32,
    /// The instructions of prompts whose metadata has none.
    pub instructions: Vec<Instruction>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { scale: 0.15, words_min: 3, instructions: Vec::new() }
    }
}

/// The judge.
#[derive(Debug)]
pub struct Instructions {
    parameters: Parameters,
}

impl Plugin for Instructions {
    type Parameters = Parameters;

    fn manifest() -> Manifest {
        manifest!("which answer follows the prompt's verifiable instructions, with partial credit")
            .complementary()
            .length_sensitive()
    }

    fn new(parameters: Parameters) -> Result<Self, Failure> {
        let Parameters { scale, words_min, instructions } = &parameters;
        if !(scale.is_finite() && *scale > 0.0) {
            return Err(format!("parameter 'scale' is {scale}, it must be above 0").into());
        }
        if *words_min == 0 {
            return Err("parameter 'words_min' is 0, it must be at least 1".into());
        }
        check_parameter(instructions)?;
        Ok(Self { parameters })
    }
}

impl Preference for Instructions {
    fn compare(&self, comparison: &Comparison) -> Result<Verdict, Failure> {
        let instructions = instructions_of(&comparison.metadata, &self.parameters.instructions)?;
        let first = self.score(&instructions, &comparison.first);
        let second = self.score(&instructions, &comparison.second);
        let probability = sigmoid((first.value - second.value) / self.parameters.scale);
        let reason = format!("{:.3} against {:.3}", first.value, second.value);
        let mut verdict = Verdict::new(probability).with(Attribute::new("score", probability).because(reason));
        for ((instruction, mine), theirs) in instructions.iter().zip(&first.credits).zip(&second.credits) {
            let vote = 0.5 + 0.5 * (mine.value - theirs.value);
            let reason = format!("{:.2} ({}) against {:.2} ({})", mine.value, mine.reason, theirs.value, theirs.reason);
            verdict = verdict.with(Attribute::new(instruction.label(), vote).because(reason));
        }
        Ok(verdict)
    }
}

/// One answer's.
struct Score {
    /// In [0, 1].
    value: f64,
    credits: Vec<Credit>,
}

impl Instructions {
    fn score(&self, instructions: &[Instruction], answer: &Response) -> Score {
        let credits: Vec<Credit> = instructions.iter().map(|instruction| credit(instruction, answer)).collect();
        let mean = credits.iter().map(|credit| credit.value).sum::<f64>() / credits.len() as f64;
        let words = text::words(&answer.text).count() as f64;
        Score { value: mean * (words / f64::from(self.parameters.words_min)).min(1.0), credits }
    }
}

/// 1 / (1 + e^−x), without overflow, and with σ(x) + σ(−x) = 1 to the last bit.
fn sigmoid(x: f64) -> f64 {
    let upper = 1.0 / (1.0 + (-x.abs()).exp());
    if x >= 0.0 { upper } else { 1.0 - upper }
}

slhf_sdk::export_preference!(Instructions);

#[cfg(test)]
mod tests;
