//! Text in a narrow place: broken at spaces, and cut with `…` where a word alone is too long. A number is never cut.

use tabled::grid::util::string::{get_char_width, get_line_width};

/// What stands for what was cut off.
const CUT: char = '…';

/// What becomes of a word that is longer than a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongWord {
    /// It is cut.
    Cut,
    /// It stays whole, and the line is longer.
    Whole,
}

/// Columns that a line of text takes.
pub(super) fn width(line: &str) -> usize {
    get_line_width(line)
}

/// The longest word that [`wrap`] leaves whole even where others are cut: a number has no short form.
pub(super) fn longest_number(text: &str) -> usize {
    text.split_whitespace().filter(|word| is_number(word)).map(width).max().unwrap_or(0)
}

/// The longest word.
pub(super) fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(width).max().unwrap_or(0)
}

/// A line as lines of at most `most` columns.
pub(super) fn wrap(line: &str, most: usize, long: LongWord) -> Vec<String> {
    if width(line) <= most {
        return vec![line.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let word = match long {
            LongWord::Cut => cut(word, most),
            LongWord::Whole => word.to_owned(),
        };
        match lines.last_mut() {
            Some(last) if width(last) + 1 + width(&word) <= most => {
                last.push(' ');
                last.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// The beginning of a word and `…`; a number within it is there whole or not at all.
pub(super) fn cut(word: &str, most: usize) -> String {
    if width(word) <= most || is_number(word) {
        return word.to_owned();
    }
    let mut room = most.saturating_sub(get_char_width(CUT));
    let mut end = 0;
    for (start, character) in word.char_indices() {
        let Some(left) = room.checked_sub(get_char_width(character)) else { break };
        room = left;
        end = start + character.len_utf8();
    }
    if let Some((start, _)) = numbers(word).into_iter().find(|(start, stop)| (start + 1..*stop).contains(&end)) {
        end = start;
    }
    format!("{}{CUT}", &word[..end])
}

/// Whether a word is a number and what stands around it, as in `(0.25,`.
fn is_number(word: &str) -> bool {
    let bare = word.trim_matches(|character: char| !character.is_alphanumeric() && !"+-.".contains(character));
    matches!(numbers(bare)[..], [(0, end)] if end == bare.len())
}

/// Where numbers stand in a word, in bytes: `12`, `0.5`, `-1e-15`, `2026-11-29T12:00:00.000Z`.
fn numbers(word: &str) -> Vec<(usize, usize)> {
    let bytes = word.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    // What may stand between two digits of one number.
    let joins = |at: usize| bytes.get(at).is_some_and(|byte| b".,:-+eET".contains(byte));
    let is_sign = |at: usize| bytes.get(at).is_some_and(|byte| b"+-.".contains(byte));
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begins = is_digit(at) || (is_sign(at) && is_digit(at + 1));
        if !begins {
            at += 1;
            continue;
        }
        let start = at;
        at += 1;
        while is_digit(at) || (joins(at) && (is_digit(at + 1) || (is_sign(at + 1) && is_digit(at + 2)))) {
            at += 1;
        }
        // The zone of a time.
        at += usize::from(bytes.get(at) == Some(&b'Z') && at + 1 == bytes.len());
        found.push((start, at));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("a bc def", 4, LongWord::Cut), ["a bc", "def"]);
        assert_eq!(wrap("a  b", 4, LongWord::Cut), ["a  b"]);
        assert_eq!(wrap("abcdefgh ij", 5, LongWord::Cut), ["abcd…", "ij"]);
        assert_eq!(wrap("abcdefgh ij", 5, LongWord::Whole), ["abcdefgh", "ij"]);
        assert_eq!(wrap("", 5, LongWord::Cut), [""]);
    }

    #[test]
    fn a_number_is_there_whole_or_not_at_all() {
        for (word, most, expected) in [
            ("kappa=1000", 8, "kappa=…"),
            ("kappa=1000", 9, "kappa=…"),
            ("kappa=1000,beta=0.1", 12, "kappa=1000,…"),
            ("x=1e-15yyy", 6, "x=…"),
            ("x=-0.25;y=3", 8, "x=-0.25…"),
            ("123456789", 4, "123456789"),
            ("(0.123456),", 4, "(0.123456),"),
            ("2026-11-29T12:00:00.000Z", 8, "2026-11-29T12:00:00.000Z"),
            ("日本語テキスト", 5, "日本…"),
        ] {
            assert_eq!(cut(word, most), expected, "{word} {most}");
        }
    }
}
