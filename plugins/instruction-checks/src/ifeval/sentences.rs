//! Sentences and capital words, cut by rules. The reference cuts them with models of NLTK: where an abbreviation or a name
//! ends a sentence, and where a word ends, is only nearly the same.

use super::text::is_space;

/// What ends with a full stop in the middle of a sentence, without the stop.
const ABBREVIATIONS: [&str; 28] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "gen", "sen", "rep", "gov", "rev", "capt", "col", "lt", "e.g",
    "i.e", "vs", "inc", "ltd", "co", "corp", "u.s", "a.m", "p.m", "no", "fig",
];

/// Runs of text that end in ".", "!" or "?" with white space (after quotation marks and brackets) or the end behind them;
/// an end without a mark is a sentence too.
pub(super) fn count_sentences(answer: &str) -> usize {
    let mut count = 0;
    let mut is_open = false;
    let mut words = answer.split(is_space).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        is_open |= word.chars().any(char::is_alphanumeric);
        if is_open && ends_sentence(word, words.peek().copied()) {
            count += 1;
            is_open = false;
        }
    }
    count + usize::from(is_open)
}

fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let bare = word.trim_end_matches(['"', '\'', '”', '’', ')', ']', '*']);
    if bare.ends_with(['!', '?']) {
        return true;
    }
    let Some(stem) = bare.strip_suffix('.') else { return false };
    let Some(next) = next else { return true };
    let goes_on = next.starts_with(char::is_lowercase);
    let stem = stem.trim_start_matches(|character: char| !character.is_alphanumeric());
    let is_number = !stem.is_empty() && stem.chars().all(char::is_numeric);
    let is_initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase) && stem != "I";
    let is_abbreviation = ABBREVIATIONS.contains(&stem.to_lowercase().as_str());
    let is_ellipsis = bare.ends_with("..");
    !(is_abbreviation || is_initial || (goes_on && (is_number || is_ellipsis)))
}

/// Words that have a capital letter and no small one: divided by white space and by most marks, but not by the hyphens,
/// stops, slashes and underscores inside them. What follows an apostrophe is a word of its own.
pub(super) fn count_capital_words(answer: &str) -> usize {
    let divides = |character: char| {
        is_space(character)
            || matches!(character, ',' | ';' | ':' | '?' | '!' | '"' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>')
            || matches!(character, '\'' | '’' | '‘' | '“' | '”' | '«' | '»' | '@' | '#' | '$' | '%' | '&' | '—' | '…')
    };
    let is_capital = |word: &&str| word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase);
    answer.split(divides).flat_map(|word| word.split("--")).filter(is_capital).count()
}
