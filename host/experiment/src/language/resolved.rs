//! A cell before it gets its seeds.

use slhf_plan::LanguagePlan;

use crate::planned::TextSizes;

/// One cell with nothing left open but the run's number and seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResolvedLanguage {
    pub(super) plan: LanguagePlan,
    /// `data.prompts` or `data.pairs` as it was named.
    pub(super) data_name: String,
    /// Parameters of the model, roughly.
    pub(super) parameters: f64,
    /// How long texts are, roughly.
    pub(super) sizes: TextSizes,
}
