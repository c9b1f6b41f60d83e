//! Which script a text is in.

/// A script of one or more of the languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Cyrillic,
    Arabic,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Thai,
    Hangul,
    Hebrew,
    /// Kana; Chinese characters count as Japanese where kana stand beside them.
    Japanese,
    /// Chinese characters.
    Han,
    Other,
}

const SCRIPTS: usize = Script::Other as usize + 1;

/// The script of most letters; `None` without letters.
pub(super) fn most_used(text: &str) -> Option<Script> {
    let mut counts = [(0_usize, Script::Other); SCRIPTS];
    for script in text.chars().filter(|character| character.is_alphabetic()).map(script_of) {
        counts[script as usize].1 = script;
        counts[script as usize].0 += 1;
    }
    if counts[Script::Japanese as usize].0 > 0 {
        counts[Script::Japanese as usize].0 += counts[Script::Han as usize].0;
    }
    let (count, script) = counts.into_iter().max_by_key(|(count, _)| *count)?;
    (count > 0).then_some(script)
}

fn script_of(letter: char) -> Script {
    match u32::from(letter) {
        0x0041..=0x024f | 0x1e00..=0x1eff => Script::Latin,
        0x0400..=0x052f => Script::Cyrillic,
        0x0590..=0x05ff => Script::Hebrew,
        0x0600..=0x06ff | 0x0750..=0x077f | 0xfb50..=0xfdff | 0xfe70..=0xfeff => Script::Arabic,
        0x0900..=0x097f => Script::Devanagari,
        0x0980..=0x09ff => Script::Bengali,
        0x0a00..=0x0a7f => Script::Gurmukhi,
        0x0a80..=0x0aff => Script::Gujarati,
        0x0b80..=0x0bff => Script::Tamil,
        0x0c00..=0x0c7f => Script::Telugu,
        0x0c80..=0x0cff => Script::Kannada,
        0x0d00..=0x0d7f => Script::Malayalam,
        0x0e00..=0x0e7f => Script::Thai,
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Script::Hangul,
        0x3040..=0x30ff => Script::Japanese,
        0x3400..=0x4dbf | 0x4e00..=0x9fff => Script::Han,
        _ => Script::Other,
    }
}
