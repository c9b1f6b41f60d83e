//! `str.split` and its like.

use crate::template::fault::{Outcome, fail};
use crate::template::literal::is_space;
use crate::template::run::Budget;

/// From which end a text is split.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Start,
    End,
}

/// `str.split(sep, maxsplit)` and `str.rsplit`.
pub(super) fn split<'a>(
    text: &'a str,
    separator: Option<&str>,
    most: Option<usize>,
    from: From,
) -> Outcome<Vec<&'a str>> {
    let most = most.unwrap_or(usize::MAX);
    Ok(match (separator, from) {
        (Some(""), _) => fail!("empty separator"),
        (Some(separator), From::Start) => text.splitn(most.saturating_add(1), separator).collect(),
        (Some(separator), From::End) => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            parts
        }
        (None, From::Start) => words_from_start(text, most),
        (None, From::End) => words_from_end(text, most),
    })
}

fn words_from_start(text: &str, most: usize) -> Vec<&str> {
    let mut rest = text.trim_start_matches(is_space);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let end = if parts.len() < most { rest.find(is_space).unwrap_or(rest.len()) } else { rest.len() };
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn words_from_end(text: &str, most: usize) -> Vec<&str> {
    let mut rest = text.trim_end_matches(is_space);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let last = rest.char_indices().rev().find(|(_, letter)| is_space(*letter));
        let start = match last {
            Some((place, letter)) if parts.len() < most => place + letter.len_utf8(),
            _ => 0,
        };
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

/// `str.split()`
pub(in crate::template) fn words(text: &str) -> Vec<&str> {
    text.split(is_space).filter(|word| !word.is_empty()).collect()
}

/// `str.splitlines(keepends)`: each line, and with what it ends.
pub(in crate::template) fn lines<'a>(text: &'a str, budget: &Budget) -> Outcome<Vec<(&'a str, &'a str)>> {
    let is_break = |letter: char| {
        matches!(letter, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    budget.values(text.matches(is_break).count())?;
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find(is_break) {
        let length =
            if rest[place..].starts_with("\r\n") { 2 } else { rest[place..].chars().next().map_or(1, char::len_utf8) };
        found.push((&rest[..place], &rest[place..place + length]));
        rest = &rest[place + length..];
    }
    if !rest.is_empty() {
        found.push((rest, ""));
    }
    Ok(found)
}
