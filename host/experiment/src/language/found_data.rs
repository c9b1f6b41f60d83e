//! The data of a cell, found.

use slhf_plan::DataPlan;

use crate::planned::TextSizes;

/// What is known of a cell's data once its file was read, or described.
#[derive(Debug)]
pub(super) struct FoundData {
    pub(super) plan: DataPlan,
    /// The file as it was named.
    pub(super) named: String,
    pub(super) sizes: TextSizes,
}

impl FoundData {
    /// Of a file of prompts of so many tokens.
    pub(super) fn of_prompts(plan: DataPlan, named: &str, prompt_tokens: f64) -> Self {
        let sizes = TextSizes { text_tokens: prompt_tokens, ..TextSizes::default() };
        Self { plan, named: named.to_owned(), sizes }
    }
}
