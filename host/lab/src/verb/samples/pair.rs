//! Two responses, and what was said of them.

use serde::{Serialize, Serializer};
use slhf_plan::{PromptId, Role};
use slhf_record::Completion;

/// An answer, its opponent, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Pair {
    pub(super) step: i64,
    pub(super) position: i64,
    /// `None`: an earlier version recorded it.
    pub(super) prompt_id: Option<PromptId>,
    pub(super) prompt: String,
    pub(super) y_role: Role,
    pub(super) y: String,
    pub(super) y_finished: bool,
    pub(super) y_tokens: i64,
    #[serde(serialize_with = "text_or_nothing")]
    pub(super) y_prime_role: Option<Role>,
    pub(super) y_prime: Option<String>,
    pub(super) y_prime_finished: Option<bool>,
    pub(super) y_prime_tokens: Option<i64>,
    /// p(y ≻ y′), y standing first where the judge was asked for both orders.
    pub(super) probability: Option<f64>,
    /// p(y′ ≻ y), y′ standing first; `None`: not asked, not recorded, or failed.
    pub(super) reverse_probability: Option<f64>,
    /// What y was rewarded with, where nobody was compared.
    pub(super) reward: Option<f64>,
    /// Why a verdict or a reward failed.
    pub(super) failures: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// One of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Y,
    YPrime,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// Its vote for y.
    pub(super) value: Option<f64>,
    /// Who stood first when the judge was asked: whom `reason` calls the first.
    pub(super) first: Side,
    pub(super) reason: String,
}

/// The verdict is the one of `judged`'s row: which side that is, and which side stood first.
pub(super) fn pair(
    y: &Completion,
    y_prime: Option<&Completion>,
    (judged, side, first): (&Completion, Side, Side),
) -> Pair {
    let for_y = |value: f64| if side == Side::Y { value } else { 1.0 - value };
    Pair {
        step: y.step,
        position: y.position,
        prompt_id: y.prompt_id,
        prompt: y.prompt.clone(),
        y_role: y.role.clone(),
        y: y.text.clone(),
        y_finished: y.finished,
        y_tokens: y.tokens,
        y_prime_role: y_prime.map(|row| row.role.clone()),
        y_prime: y_prime.map(|row| row.text.clone()),
        y_prime_finished: y_prime.map(|row| row.finished),
        y_prime_tokens: y_prime.map(|row| row.tokens),
        probability: judged.probability.map(for_y),
        reverse_probability: None,
        reward: y.reward,
        failures: y.reward_failure.iter().cloned().collect(),
        attributes: judged
            .attributes
            .iter()
            .map(|(name, value, reason)| Attribute {
                name: name.clone(),
                value: value.map(for_y),
                first,
                reason: reason.clone(),
            })
            .collect(),
    }
}

/// An empty text where y was compared with nobody.
#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn text_or_nothing<S: Serializer>(role: &Option<Role>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&role.as_ref().map_or_else(String::new, ToString::to_string))
}
