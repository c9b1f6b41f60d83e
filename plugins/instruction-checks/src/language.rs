//! Which language a text is in, of the 30 that `IFEval` asks for.
//!
//! Most of them have a script of their own: the script of most letters decides. Where several share one (Latin, Cyrillic,
//! Arabic, Devanagari), the commonest function words of each are counted, and the letters that only it has; the highest
//! count decides, and a tie decides nothing. A short text may have none of these words, and a language that is not among
//! the 30 passes for the nearest that is. The reference uses a statistical detector: the two agree, or they do not.

mod script;
mod table;

use script::Script;
use table::{LANGUAGES, Language};

use crate::ifeval;

/// So many words are enough to tell a language, and a long text takes no longer than them.
const WORDS_MAX: usize = 1000;

/// Whether a code is one of the 30.
pub(crate) fn is_known(code: &str) -> bool {
    LANGUAGES.iter().any(|language| language.code == code)
}

/// All 30, for a sentence.
pub(crate) fn codes() -> String {
    LANGUAGES.map(|language| language.code).join(", ")
}

/// The code of the language that a text is in, if it can be told.
pub(crate) fn detect(answer: &str) -> Option<&'static str> {
    let mut ranked = ranking(script::most_used(answer)?, answer);
    let (most, language) = ranked.next()?;
    let is_tied = ranked.next().is_some_and(|(second, _)| second == most);
    (most > 0 && !is_tied).then_some(language.code)
}

/// Why a text cannot be English: its script, or the language that it is in more plainly. A text of which nothing can be
/// told may be English.
pub(crate) fn other_than_english(answer: &str) -> Option<&'static str> {
    let script = script::most_used(answer)?;
    if script != Script::Latin {
        return Some(detect(answer).unwrap_or("another script"));
    }
    let ranked: Vec<(usize, &Language)> = ranking(script, answer).collect();
    let (most, first) = ranked.first()?;
    let english = ranked.iter().find(|(_, language)| language.code == "en").map_or(0, |(points, _)| *points);
    (english < *most).then_some(first.code)
}

/// The languages of a script, the likeliest first, with their points.
fn ranking(script: Script, answer: &str) -> impl Iterator<Item = (usize, &'static Language)> {
    let words: Vec<String> = words_of(answer).take(WORDS_MAX).collect();
    let candidates = LANGUAGES.iter().filter(|language| language.script == script);
    let mut ranked: Vec<(usize, &Language)> = candidates.map(|language| (points(language, &words), language)).collect();
    ranked.sort_by_key(|(points, _)| std::cmp::Reverse(*points));
    ranked.into_iter()
}

/// One for each word that is among the language's, and for each that has a letter of its own. The only language of its
/// script needs neither.
fn points(language: &Language, words: &[String]) -> usize {
    let is_typical = |word: &&String| {
        language.words.split(' ').any(|typical| typical == word.as_str())
            || word.chars().any(|character| language.letters.contains(character))
    };
    if language.words.is_empty() { 1 } else { words.iter().filter(is_typical).count() }
}

/// In small letters. Unlike the house's words, these keep the vowel signs of Indic scripts.
fn words_of(answer: &str) -> impl Iterator<Item = String> {
    let divides = |character: char| {
        !(character.is_alphanumeric() || ifeval::is_mark(character) || matches!(character, '\'' | '’' | '\u{200d}'))
    };
    answer.split(divides).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests;
