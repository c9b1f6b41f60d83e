//! The linear layers of a decoder layer.

use serde::{Deserialize, Serialize};

use crate::ModelConfig;

/// A linear layer that a low-rank adapter may sit on, in the order in which a decoder layer lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// Output of the attention.
    OProj,
    /// Gate of the feed-forward block.
    GateProj,
    /// What is gated.
    UpProj,
    /// Output of the feed-forward block.
    DownProj,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::QProj, Self::KProj, Self::VProj, Self::OProj, Self::GateProj, Self::UpProj, Self::DownProj];

    /// As Hugging Face names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// All names, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// `model.layers.3.self_attn.q_proj`
    #[must_use]
    pub fn path(self, layer: usize) -> String {
        let block = if self <= Self::OProj { "self_attn" } else { "mlp" };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }

    /// `[outputs, inputs]`
    #[must_use]
    pub fn shape(self, config: &ModelConfig) -> [i64; 2] {
        let hidden = config.hidden_size as i64;
        let intermediate = config.intermediate_size as i64;
        let queries = (config.heads * config.head_size) as i64;
        let keys = (config.key_value_heads * config.head_size) as i64;
        match self {
            Self::QProj => [queries, hidden],
            Self::KProj | Self::VProj => [keys, hidden],
            Self::OProj => [hidden, queries],
            Self::GateProj | Self::UpProj => [intermediate, hidden],
            Self::DownProj => [hidden, intermediate],
        }
    }
}
