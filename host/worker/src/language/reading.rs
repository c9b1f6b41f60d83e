//! Texts that a model reads as a whole: scored by its reward head, or made a vector.

use slhf_plan::{FaultKind, Message, ModelFault, NamedValue, Truncation, TruncationSide};
use slhf_policy::{Engine, Player, PolicyError, Pooling, Tokens};

use crate::error::chain;

/// A conversation that ends with a response as tokens, with no turn opened after it; cut where that is asked for.
pub(crate) fn conversation(
    tokens: &Tokens,
    messages: &[Message],
    truncation: Option<Truncation>,
) -> Result<Vec<u32>, ModelFault> {
    let mut text = tokens.conversation(messages).map_err(|error| malformed(&error))?;
    if let Some(Truncation { max_tokens, side }) = truncation {
        let surplus = text.len().saturating_sub(max_tokens as usize);
        match side {
            TruncationSide::Right => text.truncate(text.len() - surplus),
            TruncationSide::Left => drop(text.drain(..surplus)),
        }
    }
    Ok(text)
}

/// The values of the model's reward head.
pub(crate) fn values(engine: &mut Engine, text: &[u32]) -> Result<Vec<NamedValue>, ModelFault> {
    let Some(head) = engine.config().reward.clone() else {
        let reason = "the model has no reward head (`score.weight`), which `score` needs";
        return Err(ModelFault::new(FaultKind::NotSupported, reason));
    };
    check_length(engine, text)?;
    let values = engine.values(Player::Leader, text).map_err(|error| malformed(&error))?;
    Ok(head.labels.into_iter().zip(values).map(|(name, value)| NamedValue { name, value }).collect())
}

/// A text as a vector.
pub(crate) fn embedding(engine: &mut Engine, text: &[u32], pooling: Pooling) -> Result<Vec<f64>, ModelFault> {
    check_length(engine, text)?;
    engine.embedding(Player::Leader, text, pooling).map_err(|error: PolicyError| malformed(&error))
}

fn check_length(engine: &Engine, text: &[u32]) -> Result<(), ModelFault> {
    let positions = engine.config().positions_max();
    if text.len() <= positions {
        return Ok(());
    }
    let reason = format!("the text has {} tokens, and the model has {positions} positions", text.len());
    Err(ModelFault::new(FaultKind::TooLarge, reason))
}

pub(crate) fn malformed(error: &dyn std::error::Error) -> ModelFault {
    ModelFault::new(FaultKind::Malformed, chain(error))
}
