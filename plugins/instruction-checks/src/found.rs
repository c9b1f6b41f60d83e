//! What a look at a text finds, and how near that is to what was asked.

use slhf_sdk::text;

/// What a look at the text alone finds; a closeness of 1 is following.
pub(crate) struct Found {
    pub(crate) closeness: f64,
    pub(crate) reason: String,
}

/// Following or not, with nothing between.
pub(crate) fn either(followed: bool, yes: &str, no: &str) -> Found {
    Found { closeness: f64::from(u8::from(followed)), reason: (if followed { yes } else { no }).to_owned() }
}

/// None is right; every one costs.
pub(crate) fn few(count: usize, what: &str) -> Found {
    Found { closeness: 1.0 / (1.0 + count as f64), reason: format!("{count} {what}") }
}

pub(crate) fn exactly(found: usize, count: u32, what: &str) -> Found {
    let distance = (found as f64 - f64::from(count)).abs();
    let closeness = if found == 0 { 0.0 } else { 1.0 / (1.0 + distance) };
    Found { closeness, reason: format!("{found} {what}") }
}

pub(crate) fn at_least(found: usize, count: u32, what: &str) -> Found {
    Found { closeness: (found as f64 / f64::from(count)).min(1.0), reason: format!("{found} {what}") }
}

/// A count below another one (at least 1); the farther above, the less.
pub(crate) fn less_than(found: usize, count: u32, what: &str) -> Found {
    let most = f64::from(count) - 1.0;
    let excess = (found as f64 - most).max(0.0) / most.max(1.0);
    Found { closeness: 1.0 / (1.0 + 2.0 * excess), reason: format!("{found} {what}") }
}

/// Words of which a character has the property.
pub(crate) fn words_with(answer: &str, property: impl Fn(char) -> bool) -> usize {
    text::words(answer).filter(|word| word.chars().any(&property)).count()
}

/// Equal characters from the start, and how many were asked for (at least 1).
pub(crate) fn common(found: impl Iterator<Item = char>, wanted: impl Iterator<Item = char> + Clone) -> (usize, usize) {
    let same = found.zip(wanted.clone()).take_while(|(found, wanted)| found == wanted).count();
    (same, wanted.count().max(1))
}
