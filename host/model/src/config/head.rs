//! The head of a reward model: what transformers' `…ForSequenceClassification` puts on a decoder in the place of its output matrix.

use serde::{Deserialize, Serialize};

/// The only tensor of a head; it has no bias in any of the families.
pub const HEAD_TENSOR: &str = "score.weight";

/// A matrix `[labels, hidden]` that the hidden state at one token of a text goes through: its values are named by the labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardHead {
    /// By row of the matrix; at least one, each once.
    pub labels: Vec<String>,
}

impl RewardHead {
    /// Labels of the largest head that is believed.
    pub const LABELS_MAX: usize = 1 << 16;

    /// A head whose file names no labels, as transformers names them.
    #[must_use]
    pub fn unnamed(labels: usize) -> Self {
        Self { labels: (0..labels).map(|index| format!("LABEL_{index}")).collect() }
    }

    /// Where labels stand in the head; the error is one that it does not have.
    pub fn places(&self, labels: &[String]) -> Result<Vec<usize>, String> {
        let place = |label: &String| self.labels.iter().position(|known| known == label).ok_or_else(|| label.clone());
        labels.iter().map(place).collect()
    }
}
