//! Text to tokens, as `jinja2.lexer` does it with `trim_blocks` and `lstrip_blocks`.

use super::fault::{Fault, Outcome, fail};
use super::literal::{self, is_space};
use super::token::{Symbol, Token};

/// The longest first.
const SYMBOLS: [(&str, Symbol); 26] = [
    ("//", Symbol::FloorDiv),
    ("**", Symbol::Pow),
    ("==", Symbol::Equal),
    ("!=", Symbol::NotEqual),
    (">=", Symbol::GreaterEqual),
    ("<=", Symbol::LessEqual),
    ("+", Symbol::Add),
    ("-", Symbol::Sub),
    ("/", Symbol::Div),
    ("*", Symbol::Mul),
    ("%", Symbol::Mod),
    ("~", Symbol::Tilde),
    ("[", Symbol::LeftBracket),
    ("]", Symbol::RightBracket),
    ("(", Symbol::LeftParenthesis),
    (")", Symbol::RightParenthesis),
    ("{", Symbol::LeftBrace),
    ("}", Symbol::RightBrace),
    (">", Symbol::Greater),
    ("<", Symbol::Less),
    ("=", Symbol::Assign),
    (".", Symbol::Dot),
    (":", Symbol::Colon),
    ("|", Symbol::Pipe),
    (",", Symbol::Comma),
    (";", Symbol::Semicolon),
];

impl Token {
    /// As a message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Data(_) => "template data / text".to_owned(),
            Self::VariableBegin => "begin of print statement".to_owned(),
            Self::VariableEnd => "end of print statement".to_owned(),
            Self::BlockBegin => "begin of statement block".to_owned(),
            Self::BlockEnd => "end of statement block".to_owned(),
            Self::Name(name) => name.to_string(),
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Symbol(symbol) => {
                SYMBOLS.iter().find(|(_, other)| other == symbol).map_or("", |(text, _)| text).to_owned()
            }
            Self::End => "end of template".to_owned(),
        }
    }
}

/// A line break is `\n`, however the file writes it, and the last one is dropped.
fn with_plain_line_breaks(source: &str) -> String {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

/// Tokens with their lines; the last one is [`Token::End`].
pub(super) fn tokens(source: &str) -> Outcome<Vec<(u32, Token)>> {
    let source = with_plain_line_breaks(source);
    let mut lexer = Lexer { source: &source, position: 0, line: 1, line_starts: true, found: Vec::new() };
    lexer.root().map_err(|fault| fault.at(lexer.line))?;
    lexer.found.push((lexer.line, Token::End));
    Ok(lexer.found)
}

struct Lexer<'a> {
    source: &'a str,
    position: usize,
    line: u32,
    line_starts: bool,
    found: Vec<(u32, Token)>,
}

/// The sign after an opening mark or before a closing one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Minus,
    Plus,
    None,
}

fn sign(text: &str) -> (Sign, usize) {
    match text.as_bytes().first() {
        Some(b'-') => (Sign::Minus, 1),
        Some(b'+') => (Sign::Plus, 1),
        _ => (Sign::None, 0),
    }
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

/// The length of what closes a block or comment here: `-%}` with the white space after it, `%}` with a line break.
fn closing(text: &str, mark: &str) -> Option<usize> {
    let (sign, length) = sign(text);
    let rest = text[length..].strip_prefix(mark)?;
    let end = text.len() - rest.len();
    Some(match sign {
        Sign::Minus => end + spaces(rest),
        Sign::Plus => end,
        Sign::None => end + usize::from(rest.starts_with('\n')),
    })
}

/// The length of `{% raw %}`'s rest after the sign.
fn raw_opening(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches(is_space).strip_prefix("raw")?.trim_start_matches(is_space);
    if let Some(rest) = rest.strip_prefix("-%}") {
        return Some(text.len() - rest.trim_start_matches(is_space).len());
    }
    rest.strip_prefix("%}").map(|rest| text.len() - rest.len())
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.position..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.source[self.position..self.position + bytes];
        self.line += passed.matches('\n').count() as u32;
        self.line_starts = passed.ends_with('\n');
        self.position += bytes;
    }

    fn push(&mut self, token: Token) {
        self.found.push((self.line, token));
    }

    /// Pushes the text before a mark, stripped as the mark asks for, and goes to the mark.
    fn data(&mut self, length: usize, sign: Sign, strips_line: bool) {
        let text = &self.source[self.position..self.position + length];
        let kept = match sign {
            Sign::Minus => text.trim_end_matches(is_space),
            Sign::Plus => text,
            Sign::None => {
                let start = text.rfind('\n').map_or(0, |place| place + 1);
                let indent = &text[start..];
                let strips = strips_line
                    && (start > 0 || self.line_starts)
                    && !indent.is_empty()
                    && indent.chars().all(is_space);
                if strips { &text[..start] } else { text }
            }
        };
        if !kept.is_empty() {
            let token = Token::Data(kept.to_owned());
            self.push(token);
        }
        self.advance(length);
    }

    fn root(&mut self) -> Outcome<()> {
        while self.position < self.source.len() {
            let rest = self.rest();
            let place = rest
                .match_indices('{')
                .map(|(place, _)| place)
                .find(|place| matches!(rest.as_bytes().get(place + 1), Some(b'{' | b'%' | b'#')));
            let Some(place) = place else {
                let length = rest.len();
                self.data(length, Sign::Plus, false);
                break;
            };
            let kind = rest.as_bytes()[place + 1];
            let (sign, sign_length) = sign(&rest[place + 2..]);
            let raw = (kind == b'%').then(|| raw_opening(&rest[place + 2 + sign_length..])).flatten();
            self.data(place, sign, kind != b'{');
            self.advance(2 + sign_length);
            match (kind, raw) {
                (_, Some(length)) => {
                    self.advance(length);
                    self.raw()?;
                }
                (b'#', None) => self.comment()?,
                (b'%', None) => self.tag("%}", Token::BlockBegin, Token::BlockEnd)?,
                _ => self.tag("}}", Token::VariableBegin, Token::VariableEnd)?,
            }
        }
        Ok(())
    }

    fn comment(&mut self) -> Outcome<()> {
        let rest = self.rest();
        // A sign before the mark belongs to the closing.
        let found = rest.match_indices("#}").map(|(place, _)| place).next();
        let Some(place) = found else {
            // As Jinja has it: a mark that ends the template opens nothing.
            if rest.is_empty() {
                return Ok(());
            }
            fail!("Missing end of comment tag")
        };
        let start = if rest[..place].ends_with(['-', '+']) { place - 1 } else { place };
        let length = start + closing(&rest[start..], "#}").unwrap_or(2);
        self.advance(length);
        Ok(())
    }

    fn raw(&mut self) -> Outcome<()> {
        let rest = self.rest();
        for (place, _) in rest.match_indices("{%") {
            let (sign, sign_length) = sign(&rest[place + 2..]);
            let after = &rest[place + 2 + sign_length..];
            let inner =
                after.trim_start_matches(is_space).strip_prefix("endraw").map(|rest| rest.trim_start_matches(is_space));
            let Some((inner, length)) = inner.and_then(|inner| closing(inner, "%}").map(|length| (inner, length)))
            else {
                continue;
            };
            let end = rest.len() - inner.len() + length;
            self.data(place, sign, true);
            self.advance(end - place);
            return Ok(());
        }
        if rest.is_empty() {
            return Ok(());
        }
        fail!("Missing end of raw directive")
    }

    /// Tokens up to the closing mark.
    fn tag(&mut self, mark: &'static str, begin: Token, end: Token) -> Outcome<()> {
        self.push(begin);
        let mut open = Vec::new();
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if open.is_empty() {
                let length = if mark == "%}" {
                    closing(rest, mark)
                } else if let Some(after) = rest.strip_prefix("-}}") {
                    Some(3 + spaces(after))
                } else {
                    rest.starts_with("}}").then_some(2)
                };
                if let Some(length) = length {
                    self.push(end);
                    self.advance(length);
                    return Ok(());
                }
            }
            let space = spaces(rest);
            if space > 0 {
                self.advance(space);
                continue;
            }
            let follows_dot = self.source[..self.position].ends_with('.');
            let (length, token) = if let Some(found) = literal::number(rest, follows_dot)? {
                found
            } else if first == '_' || first.is_alphanumeric() {
                name(rest)?
            } else if let Some(found) = literal::text(rest)? {
                found
            } else if let Some((text, symbol)) = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text)) {
                balance(&mut open, *symbol, text)?;
                (text.len(), Token::Symbol(*symbol))
            } else {
                fail!("unexpected char {first:?}");
            };
            self.push(token);
            self.advance(length);
        }
    }
}

fn name(rest: &str) -> Outcome<(usize, Token)> {
    let length = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
    let word = &rest[..length];
    if word.starts_with(char::is_numeric) {
        return Err(Fault::new("Invalid character in identifier"));
    }
    Ok((length, Token::Name(word.into())))
}

fn balance(open: &mut Vec<(Symbol, &'static str)>, symbol: Symbol, text: &str) -> Outcome<()> {
    match symbol {
        Symbol::LeftBrace => open.push((Symbol::RightBrace, "}")),
        Symbol::LeftParenthesis => open.push((Symbol::RightParenthesis, ")")),
        Symbol::LeftBracket => open.push((Symbol::RightBracket, "]")),
        Symbol::RightBrace | Symbol::RightParenthesis | Symbol::RightBracket => match open.pop() {
            None => fail!("unexpected '{text}'"),
            Some((expected, _)) if expected == symbol => {}
            Some((_, expected)) => fail!("unexpected '{text}', expected '{expected}'"),
        },
        _ => {}
    }
    Ok(())
}
