//! Asks a reward model for the values of conversations.

use slhf_plan::{Message, ModelAnswer, ModelSource, Truncation};
use slhf_policy::RewardHead;

use super::source::{self, Opened, Place};
use crate::error::WorkerError;
use crate::language::reading;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) conversations: &'a [Vec<Message>],
    /// Of these labels, in this order; empty: of all.
    pub(super) labels: &'a [String],
    pub(super) truncation: Option<Truncation>,
}

/// One answer a conversation, each from a pass of its own.
pub(super) fn score(
    model: &ModelSource,
    place: Place,
    asked: Asked<'_>,
    tell: &mut dyn FnMut(ModelAnswer) -> Result<(), WorkerError>,
) -> Result<(), WorkerError> {
    let Opened { mut engine, tokens, .. } = source::open(model, place)?;
    let path = || model.path.clone();
    let Some(head) = engine.config().reward.clone() else { return Err(WorkerError::NoRewardHead { path: path() }) };
    let RewardHead { labels: known } = &head;
    let places = head.places(asked.labels).map_err(|label| WorkerError::NoLabel {
        path: path(),
        label,
        known: known.join(", "),
    })?;
    for (index, messages) in (0..).zip(asked.conversations) {
        let mut token_count = 0;
        let text = reading::conversation(&tokens, messages, asked.truncation);
        let outcome = text.and_then(|text| {
            token_count = u32::try_from(text.len()).unwrap_or(u32::MAX);
            reading::values(&mut engine, &text)
        });
        let outcome = outcome.map(|values| match places.as_slice() {
            [] => values,
            places => places.iter().map(|place| values[*place].clone()).collect(),
        });
        tell(ModelAnswer::Scored { index, token_count, outcome })?;
    }
    Ok(())
}
