//! Characters and words as the reference checker's language means them, where Rust or the house means something else.

/// White space, the four separators of information (U+001C and on) included.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Without white space around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Letters, digits and underscores; vowel signs and other marks on letters are none.
pub(super) fn is_word_character(character: char) -> bool {
    character == '_' || (character.is_alphanumeric() && !is_mark(character))
}

/// Marks that Rust counts as alphabetic: those of Indic scripts (whose blocks are laid out alike), Thai, Hebrew, Arabic.
pub(crate) fn is_mark(character: char) -> bool {
    let code = u32::from(character);
    match code {
        0x0900..=0x0d7f => matches!(code % 0x80, 0x00..=0x03 | 0x3a..=0x3c | 0x3e..=0x4f | 0x51..=0x57 | 0x62..=0x63),
        0x0300..=0x036f
        | 0x05b0..=0x05bd
        | 0x05bf
        | 0x05c1..=0x05c2
        | 0x05c4..=0x05c5
        | 0x05c7
        | 0x0610..=0x061a
        | 0x064b..=0x065f
        | 0x0670
        | 0x06d6..=0x06dc
        | 0x0e31
        | 0x0e34..=0x0e3a
        | 0x0e47..=0x0e4e => true,
        _ => false,
    }
}

/// Decimal digits, of the scripts that instructions are written in.
pub(super) fn is_digit(character: char) -> bool {
    let code = u32::from(character);
    match code {
        0x0900..=0x0d7f => matches!(code % 0x80, 0x66..=0x6f),
        0x0660..=0x0669 | 0x06f0..=0x06f9 | 0x0e50..=0x0e59 | 0xff10..=0xff19 => true,
        _ => character.is_ascii_digit(),
    }
}

/// In small letters, character by character: for texts that are compared in whatever case.
pub(super) fn fold(text: &str) -> String {
    let small = |character: char| {
        let mut lower = character.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(small), None) => small,
            _ => character,
        }
    };
    text.chars().map(small).collect()
}

/// Runs of word characters.
pub(super) fn count_words(text: &str) -> usize {
    text.split(|character: char| !is_word_character(character)).filter(|run| !run.is_empty()).count()
}

/// How often a word stands in a text and is no part of a longer word there. Both are folded.
///
/// The reference wants a word's boundary at both ends, so that a word with a mark at its end ("hello!") is found only where a letter
/// follows the mark: "hello!x". Whoever forbids it means it wherever it stands.
pub(super) fn count_whole(text: &str, word: &str) -> usize {
    let is_word = |character: Option<char>| character.is_some_and(is_word_character);
    text.match_indices(word)
        .filter(|(start, _)| {
            let (before, after) = (text[..*start].chars().next_back(), text[start + word.len()..].chars().next());
            let goes_on = |outside, edge| is_word(outside) && is_word(edge);
            !goes_on(before, word.chars().next()) && !goes_on(after, word.chars().next_back())
        })
        .count()
}
