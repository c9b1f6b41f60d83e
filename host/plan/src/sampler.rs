//! A server that samples in the place of the run's own device, what it is asked, and what comes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model_settings::Sampling;
use crate::settings::Problems;
use crate::{ModelFault, ServedModelPlan};

/// A server with the run's model that samples its responses, its adapters given to it anew after every update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerPlan {
    /// The base of the interface: `http://127.0.0.1:8000/v1`.
    pub server: String,
    /// The model without an adapter, as the server names it: it stands for the reference.
    pub model: String,
    /// The *name* of the environment's variable that holds the key; in no content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Requests in flight; in no content hash.
    pub concurrency: u32,
    /// For one request, in milliseconds; in no content hash.
    pub timeout_ms: u64,
    /// How often a request is made again; in no content hash.
    pub retries: u32,
    /// Tokens that a run may spend; in no content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// Where the server sees the record's folder of checkpoints, if not where the lab does; in no content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_on_server: Option<String>,
    /// How samples are weighed by how much likelier they are under the trained policy. Absent: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<ImportancePlan>,
}

impl SamplerPlan {
    /// How its server is asked.
    #[must_use]
    pub fn served(&self) -> ServedModelPlan {
        ServedModelPlan {
            server: self.server.clone(),
            model: self.model.clone(),
            responds_as: None,
            key_env: self.key_env.clone(),
            concurrency: self.concurrency,
            timeout_ms: self.timeout_ms,
            retries: self.retries,
            budget_tokens: self.budget_tokens,
        }
    }
}

/// Truncated importance weights `min(π / μ, C)` of samples that μ drew and π learns from; π is what the training pass finds before the
/// first update on them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportancePlan {
    /// C, at least 1.
    pub truncate_at: f64,
    /// What has a weight of its own.
    pub level: ImportanceLevel,
}

impl ImportancePlan {
    /// C must leave samples that both policies draw alike as they are.
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.require(self.truncate_at >= 1.0 && self.truncate_at.is_finite(), "device.sampler.importance", || {
            format!("truncate_at = {}; expected a number of at least 1, such as 2", self.truncate_at)
        });
    }
}

/// What has an importance weight of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceLevel {
    /// Every token. Weights stay near 1, and what comes before a token is taken as it was sampled.
    #[default]
    Token,
    /// Everything that was sampled in one go: a response, with the Follower's response to it. Without truncation the gradient is unbiased.
    Sequence,
}

/// What a worker asks of a run's sampler, through the lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SamplerCall {
    /// Whether it has the model.
    Look,
    /// To take an adapter from a folder.
    Load {
        /// What it is called from here on; no other adapter was ever called so.
        adapter: String,
        /// In PEFT's format, as the server sees it.
        folder: String,
        /// Of its matrices.
        rank: u32,
    },
    /// To let an adapter go.
    Unload {
        /// Which.
        adapter: String,
    },
    /// For one response a row.
    Sample(Box<SampleCall>),
}

/// Responses that are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleCall {
    /// Who responds; `None`: the model without an adapter.
    pub adapter: Option<String>,
    /// What is continued.
    pub rows: Vec<SampleRow>,
    /// How.
    pub sampling: Sampling,
    /// Tokens that end a response.
    pub end_tokens: Vec<u32>,
    /// Tokens are below it.
    pub vocabulary: u32,
}

/// One row to be continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRow {
    /// Tokens before the response, at least one.
    pub context: Vec<u32>,
    /// What its randomness is seeded with, below 2⁵³.
    pub seed: u64,
}

/// A response as it was sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledResponse {
    /// At least one; the end token included.
    pub tokens: Vec<u32>,
    /// One a token, in nats: of the distribution that the server says it drew from.
    pub log_probabilities: Vec<f64>,
    /// Whether the last token is an end token.
    pub finished: bool,
}

/// What came of a [`SamplerCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SamplerReply {
    /// It was done.
    Done,
    /// One response a row, in their order.
    Sampled(Vec<SampledResponse>),
}

/// What the lab replies to a [`SamplerCall`].
pub type SamplerOutcome = Result<SamplerReply, ModelFault>;
