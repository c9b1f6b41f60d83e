//! What kinds of plugins there are to begin with, and in which languages.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What kind of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A judge: which of two responses is better
    Preference,
    /// A reward model: how good one response is
    Reward,
    /// A control variate: what reward to expect
    Baseline,
    /// A judge made of another judge
    Combinator,
    /// A judge that asks a model which the experiment grants
    Asking,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// The fastest: components of some 100 KB
    Rust,
    /// Components of 18 MB, which hold Python itself
    Python,
    /// Components of 2 MB, which hold an engine for it
    #[value(name = "javascript")]
    JavaScript,
}

impl Kind {
    /// As people call it.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Preference => "judge",
            Self::Reward => "reward model",
            Self::Baseline => "control variate",
            Self::Combinator => "judge over another judge",
            Self::Asking => "judge that asks a model",
        }
    }

    /// How an experiment names it.
    pub(crate) fn experiment(self, name: &str) -> String {
        match self {
            Self::Preference => {
                format!("    [judge]\n    plugin = \"{name}.wasm\"\n    parameters = {{ decisiveness = 0.8 }}\n")
            }
            Self::Reward => format!(
                "    [judge]\n    plugin = \"bradley-terry\"\n    [judge.upstream]\n    plugin = \"{name}.wasm\"\n    parameters = {{ per_word = 2.0 }}\n"
            ),
            Self::Baseline => {
                format!("    [method]\n    score_baseline = {{ kind = \"plugin\", plugin = \"{name}.wasm\" }}\n")
            }
            Self::Combinator => format!(
                "    [judge]\n    plugin = \"{name}.wasm\"\n    parameters = {{ guess_rate = 0.2 }}\n    [judge.upstream]\n    plugin = \"attributes\"\n"
            ),
            Self::Asking => format!(
                "    [judge]\n    plugin = \"{name}.wasm\"\n    [judge.models.critic]\n    path = \"smollm2-135m-instruct\"\n"
            ),
        }
    }

    /// What `plugin check` has to be given besides.
    pub(crate) fn check_arguments(self) -> &'static str {
        match self {
            Self::Combinator => " --parameters '{\"guess_rate\": 0.2}' --upstream JUDGE.wasm",
            Self::Asking => " --grant critic=MODEL",
            _ => "",
        }
    }

    /// One question to the new plugin; a control variate answers only a training run.
    pub(crate) fn try_command(self, name: &str) -> Option<String> {
        let arguments = match self {
            Self::Preference => "--first \"hello\" --second \"go away\"".to_owned(),
            Self::Reward => "--first \"hello\"".to_owned(),
            Self::Combinator | Self::Asking => {
                format!("--first \"hello\" --second \"go away\"{}", self.check_arguments())
            }
            Self::Baseline => return None,
        };
        Some(format!("slhf-lab plugin try {name}.wasm --prompt \"Say hello\" {arguments}"))
    }
}
