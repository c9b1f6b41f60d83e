//! How files of data are laid out: prompts, or preferences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a file of prompts is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptLayout {
    /// One JSON object a line, or a JSON list of objects: `prompt` (text) or `messages` (list of `{role, content}`), else `chosen` and `rejected`, which begin
    /// with the prompt; the rest is metadata.
    Jsonl,
    /// A Parquet table with the columns of `Jsonl`.
    Parquet,
    /// `HelpSteer2`: JSONL (or .jsonl.gz) with `prompt`, `response` and scores; consecutive rows share a prompt.
    HelpSteer2,
    /// `UltraFeedback`: JSONL with `instruction` and `completions`, or Parquet with `prompt`, `chosen`, `rejected`.
    UltraFeedback,
    /// Plain text, one prompt a line; empty lines and lines that start with `#` are skipped.
    Text,
}

/// How a file of preferences is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairLayout {
    /// JSON objects with `chosen` and `rejected` (texts or lists of messages), or `responses` with `p_second` or `label`; `prompt` or
    /// `messages`, or else what both responses begin with; `margin` and `attributes` where there are such.
    #[default]
    Pairs,
    /// `HelpSteer2`: two consecutive rows with `prompt`, `response` and ratings, each a number or a list of annotators' numbers.
    HelpSteer2,
    /// `UltraFeedback`: `instruction` and `completions`, each with `response` and ratings.
    UltraFeedback,
    /// `chosen` and `rejected` as transcripts with `\n\nHuman:` and `\n\nAssistant:` turns, whose common beginning is the prompt.
    Transcripts,
}

/// How a run's file is laid out. A plan of prompts has the layout's name, as it had before there were preferences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DataLayout {
    /// Prompts: the method samples the responses that it learns from.
    Prompts(PromptLayout),
    /// Pairs of responses, one better than the other: what the method learns from.
    Preferences(PreferenceData),
}

/// How pairs of responses are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceData {
    /// The layout of the file.
    pub pairs: PairLayout,
    /// See [`crate::PairDataPlan::attribute`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// See [`crate::PairDataPlan::training_pairs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_pairs: Option<u64>,
    /// Tokens of a response, the one that ends it included. Longer ones have `data.over_long`'s fate.
    pub max_response_tokens: u32,
}

impl DataLayout {
    /// The preferences, where there are any.
    #[must_use]
    pub fn preferences(&self) -> Option<&PreferenceData> {
        match self {
            Self::Prompts(_) => None,
            Self::Preferences(data) => Some(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_of_prompts_is_written_as_it_was_before_there_were_preferences() {
        let prompts = DataLayout::Prompts(PromptLayout::HelpSteer2);
        assert_eq!(serde_json::to_string(&prompts).expect("JSON"), "\"help_steer2\"");
        assert_eq!(serde_json::from_str::<DataLayout>("\"help_steer2\"").expect("a layout"), prompts);
        let pairs = PreferenceData {
            pairs: PairLayout::Transcripts,
            attribute: None,
            training_pairs: None,
            max_response_tokens: 9,
        };
        let json = serde_json::to_string(&DataLayout::Preferences(pairs.clone())).expect("JSON");
        assert_eq!(json, r#"{"pairs":"transcripts","max_response_tokens":9}"#);
        let read: DataLayout = serde_json::from_str(&json).expect("a layout");
        assert_eq!(read.preferences(), Some(&pairs));
    }
}
