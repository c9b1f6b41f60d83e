//! Upper and lower case, and what a text consists of, as Python's `str` has it.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::template::literal::is_space;

fn is_title_letter(letter: char) -> bool {
    letter.general_category() == GeneralCategory::TitlecaseLetter
}

fn is_cased(letter: char) -> bool {
    letter.is_lowercase() || letter.is_uppercase() || is_title_letter(letter)
}

/// The title case of a letter: what has several letters in upper case has only its first one in upper case.
fn push_title(letter: char, out: &mut String) {
    match letter {
        'Ǆ' | 'ǅ' | 'ǆ' => out.push('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => out.push('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => out.push('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => out.push('ǲ'),
        // Georgian has no title case.
        'ა'..='ჿ' => out.push(letter),
        _ => {
            let mut upper = letter.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        }
    }
}

/// As many bytes around a sigma decide whether it ends a word.
const SIGMA_WINDOW: usize = 64;

/// The lower case of the letter at this place: a sigma at the end of a word has a form of its own.
fn push_lower(text: &str, place: usize, letter: char, out: &mut String) {
    if letter != 'Σ' {
        out.extend(letter.to_lowercase());
        return;
    }
    let edge = |mut byte: usize| {
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let start = edge(place.saturating_sub(SIGMA_WINDOW));
    let end = edge((place + SIGMA_WINDOW).min(text.len()));
    let before = text[start..place].to_lowercase().len();
    out.extend(text[start..end].to_lowercase()[before..].chars().next());
}

/// `str.title`
pub(in crate::template) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut follows_cased = false;
    for (place, letter) in text.char_indices() {
        if follows_cased {
            push_lower(text, place, letter, &mut out);
        } else {
            push_title(letter, &mut out);
        }
        follows_cased = is_cased(letter);
    }
    out
}

/// `str.capitalize`
pub(in crate::template) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let mut out = String::with_capacity(text.len());
    if let Some(first) = letters.next() {
        push_title(first, &mut out);
        // Lowered as a whole, because a sigma at the end of a word has a form of its own.
        let lower = text.to_lowercase();
        let skipped: usize = first.to_lowercase().map(char::len_utf8).sum();
        out.push_str(lower.get(skipped..).unwrap_or_default());
    }
    out
}

/// `str.swapcase`
pub(in crate::template) fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, letter) in text.char_indices() {
        if letter.is_uppercase() {
            push_lower(text, place, letter, &mut out);
        } else if letter.is_lowercase() {
            out.extend(letter.to_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// `str.islower`
pub(in crate::template) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(|letter| letter.is_uppercase() || is_title_letter(letter))
}

/// `str.isupper`
pub(in crate::template) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(|letter| letter.is_lowercase() || is_title_letter(letter))
}

/// `str.istitle`
fn is_title(text: &str) -> bool {
    let mut follows_cased = false;
    let mut has_cased = false;
    for letter in text.chars() {
        let is_capital = letter.is_uppercase() || is_title_letter(letter);
        if is_capital && follows_cased || letter.is_lowercase() && !follows_cased {
            return false;
        }
        follows_cased = is_capital || letter.is_lowercase();
        has_cased |= follows_cased;
    }
    has_cased
}

fn is_letter(letter: char) -> bool {
    letter.general_category_group() == GeneralCategoryGroup::Letter
}

fn is_decimal(letter: char) -> bool {
    letter.general_category() == GeneralCategory::DecimalNumber
}

/// Decimals of every script as ASCII has them. They stand in runs that begin with a zero.
pub(in crate::template) fn with_ascii_digits(text: &str) -> String {
    let digit = |letter: char| {
        let mut run = (0..50).map_while(|back| char::from_u32(letter as u32 - back).filter(|other| is_decimal(*other)));
        run.next().and_then(|_| char::from_digit(run.count() as u32 % 10, 10)).unwrap_or(letter)
    };
    text.chars().map(|letter| if letter.is_ascii() { letter } else { digit(letter) }).collect()
}

/// Decimals, and digits that are raised, lowered or in a circle.
fn is_digit(letter: char) -> bool {
    is_decimal(letter)
        || matches!(letter, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '\u{1369}'..='\u{1371}' | '\u{19da}'
            | '①'..='⑨' | '⑴'..='⑼' | '⒈'..='⒐' | '⓪' | '⓵'..='⓽' | '⓿' | '❶'..='❾' | '➀'..='➈' | '➊'..='➒'
            | '\u{10a40}'..='\u{10a43}' | '\u{10e60}'..='\u{10e68}' | '\u{11052}'..='\u{1105a}' | '\u{1f100}'..='\u{1f10a}')
}

/// Ideographs that stand for numbers.
const IDEOGRAPHS: &str = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹奀廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零幺";

fn is_numeric(letter: char) -> bool {
    letter.general_category_group() == GeneralCategoryGroup::Number || is_digit(letter) || IDEOGRAPHS.contains(letter)
}

/// What a regular expression of Python takes for part of a word.
pub(in crate::template) fn is_word(letter: char) -> bool {
    letter == '_' || is_letter(letter) || is_numeric(letter)
}

/// `str.isalpha` and its like, by name.
pub(in crate::template) fn consists_of(name: &str, text: &str) -> Option<bool> {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    Some(match name {
        "isalpha" => all(is_letter),
        "isdecimal" => all(is_decimal),
        "isdigit" => all(is_digit),
        "isnumeric" => all(is_numeric),
        "isalnum" => all(|letter| is_letter(letter) || is_numeric(letter)),
        "isspace" => all(is_space),
        "isascii" => text.is_ascii(),
        "islower" => is_lower(text),
        "isupper" => is_upper(text),
        "istitle" => is_title(text),
        "isprintable" => text.chars().all(crate::template::value::is_printable),
        "isidentifier" => {
            let is_part = |letter: char| letter == '_' || letter.is_alphanumeric();
            text.chars().next().is_some_and(|first| first == '_' || first.is_alphabetic()) && text.chars().all(is_part)
        }
        _ => return None,
    })
}
