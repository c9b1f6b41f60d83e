//! What a trial found, before it becomes a table or a document.

use slhf_plan::ModelUsage;
use slhf_statistics::Audit;

use crate::granted;
use crate::trial::{Asked, Subject};

/// A judge with what was found about it.
pub(super) struct Trial {
    /// As people name it.
    pub(super) judge: String,
    pub(super) subject: Subject,
    /// Of the draws.
    pub(super) seed: u64,
    pub(super) asked: Asked,
    pub(super) audit: Audit,
    /// What it asked of models.
    pub(super) models: Vec<(granted::Asked, ModelUsage)>,
}
