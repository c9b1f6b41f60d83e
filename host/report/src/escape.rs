//! Text of strangers on its way out: one function for each place where it ends.
//!
//! Models, judges, data files and experiments say what they like. Whatever leaves the program goes through the function of
//! its target here, once: a terminal is not steered, a page shows no markup or picture of theirs, a spreadsheet computes nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What no reader sees as it is: control characters, what turns the direction of writing, what hides, breaks lines or tags.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_shown = |character: char| is_unseen(character) && !stays(character);
    if !text.contains(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_shown(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// For one line on a terminal: what cannot be seen is spelt out, line breaks too.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// For several lines on a terminal, or in a box of a page: line breaks and tabs stay.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    shown(text, |character| matches!(character, '\n' | '\t'))
}

/// For a line of Markdown: shown as it is, without markup, links, pictures and HTML. Line breaks become blanks.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let text = line(&text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '*' | '|' | '~' => out.extend(['\\', character]),
            // Brackets stand around every interval: only what could be a link, a picture or a note is none.
            ']' if matches!(next, '(' | '[' | ':') => out.push_str("\\]"),
            '[' if next == '^' => out.push_str("\\["),
            // An underscore within a word is no markup, and names are full of them.
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => out.push_str("\\_"),
            '#' | '>' | '[' if out.is_empty() => out.extend(['\\', character]),
            other => out.push(other),
        }
        before = character;
    }
    out
}

/// For a code span of Markdown, between single backticks, in which nothing can be escaped.
#[must_use]
pub fn code(text: &str) -> String {
    line(&text.replace(['\n', '\r'], " ")).replace('`', "'")
}

/// For HTML, between tags.
#[must_use]
pub fn html(text: &str) -> String {
    line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For a whole SVG whose texts are escaped as XML: characters that XML does not allow, or a reader does not see, are spelt out.
#[must_use]
pub fn svg(text: &str) -> String {
    lines(text).into_owned()
}

/// For a text field of a CSV, before quoting: a spreadsheet takes `=…` and its like for a formula, so that an apostrophe, which
/// spreadsheets do not show, goes before it. A text that is a number stays one.
#[must_use]
pub fn csv(text: &str) -> Cow<'_, str> {
    let text = lines(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if is_formula && text.parse::<f64>().is_err() { Cow::Owned(format!("'{text}")) } else { text }
}

/// For JSON that is written already: what JSON leaves as it is and a terminal would follow becomes `\u…`; it reads back the same.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let is_shown = |character: char| is_unseen(character) && !matches!(character, '\n' | '\t' | '\r');
    if !text.contains(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_shown(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody says, and how it leaves by each exit.
    struct Case {
        said: &'static str,
        line: &'static str,
        lines: &'static str,
        markdown: &'static str,
        code: &'static str,
        html: &'static str,
        svg: &'static str,
        csv: &'static str,
        json: &'static str,
    }

    /// The same at every exit.
    const fn plain(said: &'static str) -> Case {
        Case { said, line: said, lines: said, markdown: said, code: said, html: said, svg: said, csv: said, json: said }
    }

    const ESC: &str = "\\u{1b}[2Jgone";
    const BIDI: &str = "a\\u{202e}b\\u{2066}c\\u{2069}";
    const C1: &str = "\\u{9b}31m\\u{7f}";

    const CASES: &[Case] = &[
        plain("κ = 5, \"日本\" 👩\u{200d}🔬, leader_gap, -1.5, 1e-3"),
        plain("-1.5"),
        plain("+2"),
        Case { markdown: "esc\\\\u{1b}[2J", ..plain("esc\\u{1b}[2J") },
        Case {
            line: ESC,
            lines: ESC,
            markdown: "\\\\u{1b}[2Jgone",
            code: ESC,
            html: ESC,
            svg: ESC,
            csv: ESC,
            json: "\\u001b[2Jgone",
            ..plain("\u{1b}[2Jgone")
        },
        Case {
            line: BIDI,
            lines: BIDI,
            markdown: "a\\\\u{202e}b\\\\u{2066}c\\\\u{2069}",
            code: BIDI,
            html: BIDI,
            svg: BIDI,
            csv: BIDI,
            json: "a\\u202eb\\u2066c\\u2069",
            ..plain("a\u{202e}b\u{2066}c\u{2069}")
        },
        Case {
            line: C1,
            lines: C1,
            markdown: "\\\\u{9b}31m\\\\u{7f}",
            code: C1,
            html: C1,
            svg: C1,
            csv: C1,
            json: "\\u009b31m\\u007f",
            ..plain("\u{9b}31m\u{7f}")
        },
        Case { line: "a\\nb\\tc", markdown: "a b\\\\tc", code: "a b\\tc", html: "a\\nb\\tc", ..plain("a\nb\tc") },
        Case {
            markdown: "&lt;img src=x> &amp;amp; ![a\\](http://h) \\*\\*b\\*\\* \\`c\\` \\_d\\_ x_y \\| \\~",
            code: "<img src=x> &amp; ![a](http://h) **b** 'c' _d_ x_y | ~",
            html: "&lt;img src=x&gt; &amp;amp; ![a](http://h) **b** `c` _d_ x_y | ~",
            ..plain("<img src=x> &amp; ![a](http://h) **b** `c` _d_ x_y | ~")
        },
        Case { markdown: "\\# heading", ..plain("# heading") },
        Case { markdown: "0.5 [0.1, 0.9] a[0\\][1\\]: b\\[^1] \\_", ..plain("0.5 [0.1, 0.9] a[0][1]: b[^1] _") },
        Case { markdown: "\\[x\\]: http://h", ..plain("[x]: http://h") },
        Case { csv: "'=1+1", ..plain("=1+1") },
        Case { csv: "'@SUM(A1)", ..plain("@SUM(A1)") },
        Case { csv: "' +1 or so", ..plain(" +1 or so") },
        Case { csv: "'-a", ..plain("-a") },
    ];

    #[test]
    fn every_exit_has_its_escaping() {
        for case in CASES {
            let said = case.said;
            assert_eq!(line(said), case.line, "line: {said:?}");
            assert_eq!(lines(said), case.lines, "lines: {said:?}");
            assert_eq!(markdown(said), case.markdown, "markdown: {said:?}");
            assert_eq!(code(said), case.code, "code: {said:?}");
            assert_eq!(html(said), case.html, "html: {said:?}");
            assert_eq!(svg(said), case.svg, "svg: {said:?}");
            assert_eq!(csv(said), case.csv, "csv: {said:?}");
            assert_eq!(json(said), case.json, "json: {said:?}");
        }
    }
}
