//! The prompt that two answers share, where a row of preferences names none: what `extract_prompt` of TRL 1.16 takes.

use serde_json::Value;

/// The conversation that both lists of messages begin with.
///
/// Where one list is the beginning of the other, its last message is no part of it.
pub(super) fn turns(chosen: &[Value], rejected: &[Value]) -> usize {
    shared(chosen, rejected)
}

/// The text that both texts begin with, by code points; without the space before the place where they part.
///
/// Where one text is the beginning of the other, its last code point is no part of it.
pub(super) fn text(chosen: &str, rejected: &str) -> String {
    let chosen: Vec<char> = chosen.chars().collect();
    let rejected: Vec<char> = rejected.chars().collect();
    let length = shared(&chosen, &rejected);
    let parted = chosen.get(length) != rejected.get(length);
    let end = if parted && length > 0 && chosen[length - 1] == ' ' { length - 1 } else { length };
    chosen[..end].iter().collect()
}

/// Likewise, of two answers that are texts.
pub(crate) fn shared_text(chosen: &Value, rejected: &Value) -> Option<String> {
    Some(text(chosen.as_str()?, rejected.as_str()?))
}

fn shared<T: PartialEq>(chosen: &[T], rejected: &[T]) -> usize {
    let parted = chosen.iter().zip(rejected).position(|(one, other)| one != other);
    parted.unwrap_or_else(|| chosen.len().min(rejected.len()).saturating_sub(1))
}
