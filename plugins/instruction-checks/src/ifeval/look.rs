//! What a look at an answer finds, for each of `IFEval`'s instructions.

use super::format::{bullets, has_postscript, has_title, highlights, is_json, placeholders, sections};
use super::sentences::{count_capital_words, count_sentences};
use super::text::{count_whole, count_words, fold, is_blank, trim};
use super::{Count, Ifeval};
use crate::found::{Found, at_least, common, either, exactly, few, less_than, words_with};
use crate::language;

/// Looks at a text as it is, white space around it included.
pub(crate) fn look(instruction: &Ifeval, answer: &str) -> Found {
    match instruction {
        Ifeval::Existence(keywords) => existence(answer, keywords),
        Ifeval::Frequency(keyword, count) => {
            let found = fold(answer).matches(&fold(keyword)).count();
            counted(found, *count, "times the keyword")
        }
        Ifeval::ForbiddenWords(words) => {
            let answer = fold(answer);
            few(words.iter().map(|word| count_whole(&answer, &fold(word))).sum(), "forbidden words")
        }
        Ifeval::LetterFrequency(letter, count) => {
            counted(answer.to_lowercase().matches(*letter).count(), *count, "times the letter")
        }
        Ifeval::ResponseLanguage(code) => response_language(answer, code),
        Ifeval::NumberSentences(count) => counted(count_sentences(answer), *count, "sentences"),
        Ifeval::NumberParagraphs(number) => paragraphs(answer, *number),
        Ifeval::NumberWords(count) => counted(count_words(answer), *count, "words"),
        Ifeval::NthParagraphFirstWord { word, nth, paragraphs } => first_word(answer, word, *nth, *paragraphs),
        Ifeval::NumberPlaceholders(number) => at_least(placeholders(answer), *number, "placeholders"),
        Ifeval::Postscript(mark) => either(has_postscript(answer, mark), "a postscript", "no postscript"),
        Ifeval::NumberBulletLists(number) => exactly(bullets(answer), *number, "bullets"),
        Ifeval::ConstrainedResponse => constrained(answer),
        Ifeval::NumberHighlightedSections(number) => at_least(highlights(answer), *number, "highlights"),
        Ifeval::MultipleSections(heading, number) => at_least(sections(answer, heading), *number, "sections"),
        Ifeval::JsonFormat => either(is_json(answer), "JSON", "not JSON"),
        Ifeval::Title => either(has_title(answer), "a title", "no title"),
        Ifeval::TwoResponses => two_responses(answer),
        Ifeval::RepeatPrompt(prompt) => {
            let (answer, prompt) = (trim(answer).to_lowercase(), trim(prompt).to_lowercase());
            same(common(answer.chars(), prompt.chars()), "start")
        }
        Ifeval::EndChecker(phrase) => {
            let (answer, phrase) = (trim(answer).trim_matches('"').to_lowercase(), trim(phrase).to_lowercase());
            same(common(answer.chars().rev(), phrase.chars().rev()), "end")
        }
        Ifeval::Quotation => quotation(trim(answer)),
        Ifeval::CapitalWordFrequency(count) => counted(count_capital_words(answer), *count, "capital words"),
        Ifeval::EnglishCapital => capital(answer),
        Ifeval::EnglishLowercase => lowercase(answer),
        Ifeval::NoComma => few(answer.matches(',').count(), "commas"),
    }
}

fn counted(found: usize, count: Count, what: &str) -> Found {
    match count {
        Count::LessThan(number) => less_than(found, number, what),
        Count::AtLeast(number) => at_least(found, number, what),
    }
}

fn existence(answer: &str, keywords: &[String]) -> Found {
    let answer = fold(answer);
    let found = keywords.iter().filter(|keyword| answer.contains(&fold(keyword))).count();
    let closeness = found as f64 / keywords.len().max(1) as f64;
    Found { closeness, reason: format!("{found} of {} keywords", keywords.len()) }
}

fn response_language(answer: &str, code: &str) -> Found {
    // Of a text without letters the reference's detector can tell nothing, and the reference counts that as following.
    if !answer.chars().any(char::is_alphabetic) {
        return either(true, "no letters to tell a language by", "");
    }
    let detected = language::detect(answer);
    let reason = detected.map_or("no language that is known".to_owned(), |detected| format!("language {detected}"));
    Found { closeness: f64::from(u8::from(detected == Some(code))), reason }
}

/// Divided by `***`; one between two others may not be blank.
fn paragraphs(answer: &str, number: u32) -> Found {
    let all: Vec<&str> = answer.split("***").collect();
    let filled = all.iter().filter(|paragraph| !is_blank(paragraph)).count();
    let blank_inside = all.iter().skip(1).rev().skip(1).any(|paragraph| is_blank(paragraph));
    if blank_inside {
        return either(false, "", "a paragraph is blank");
    }
    exactly(filled, number, "paragraphs")
}

/// Divided by an empty line. Half is the number of paragraphs, half the word.
///
/// The reference counts paragraphs without the blank ones, and then takes the nth with them: an answer that begins with an empty
/// line has its first paragraph for its second. Here a blank paragraph is none in either.
fn first_word(answer: &str, word: &str, nth: u32, number: u32) -> Found {
    let all: Vec<&str> = answer.split("\n\n").filter(|paragraph| !is_blank(paragraph)).collect();
    let filled = all.len();
    let paragraph = all.get(nth as usize - 1);
    let first = trim(paragraph.map_or("", |paragraph| paragraph)).split(super::text::is_space).next().unwrap_or("");
    let bare = first.trim_start_matches('\'').trim_start_matches('"');
    let end = bare.find(['.', ',', '?', '!', '\'', '"']).unwrap_or(bare.len());
    let first = bare[..end].to_lowercase();
    let of_paragraphs = exactly(filled, number, "paragraphs");
    let of_word = f64::from(u8::from(first == word));
    Found {
        closeness: f64::midpoint(of_paragraphs.closeness, of_word),
        reason: format!("{}, paragraph {nth} begins with \"{}\"", of_paragraphs.reason, slhf_sdk::short(&first)),
    }
}

fn constrained(answer: &str) -> Found {
    let allowed = ["My answer is yes.", "My answer is no.", "My answer is maybe."];
    either(allowed.iter().any(|allowed| answer.contains(allowed)), "one of the three", "none of the three")
}

/// Divided by `******`; one between two others may not be blank.
fn two_responses(answer: &str) -> Found {
    let all: Vec<&str> = answer.split("******").collect();
    let blank_inside = all.iter().skip(1).rev().skip(1).any(|response| is_blank(response));
    let filled: Vec<&str> = all.into_iter().map(trim).filter(|response| !response.is_empty()).collect();
    let reason = match filled.as_slice() {
        _ if blank_inside => "a response is blank".to_owned(),
        [first, second] if first == second => "two equal responses".to_owned(),
        [_, _] => return either(true, "two responses", ""),
        others => format!("{} responses", others.len()),
    };
    either(false, "", &reason)
}

fn same((same, all): (usize, usize), place: &str) -> Found {
    Found { closeness: same as f64 / all as f64, reason: format!("{same} of {all} characters at the {place}") }
}

fn quotation(answer: &str) -> Found {
    let (starts, ends) = (answer.starts_with('"'), answer.len() > 1 && answer.ends_with('"'));
    let marks = u8::from(starts) + u8::from(ends);
    Found { closeness: f64::from(marks) / 2.0, reason: format!("{marks} of 2 quotation marks") }
}

fn capital(answer: &str) -> Found {
    let all = words_with(answer, char::is_alphabetic);
    let small = words_with(answer, char::is_lowercase);
    let closeness = 1.0 - small as f64 / all.max(1) as f64;
    in_english(answer, Found { closeness, reason: format!("{small} of {all} words with small letters") })
}

fn lowercase(answer: &str) -> Found {
    in_english(answer, few(words_with(answer, char::is_uppercase), "words with capitals"))
}

/// Case means nothing in a text without letters, and the instruction asks for English.
fn in_english(answer: &str, found: Found) -> Found {
    if !answer.chars().any(|character| character.is_lowercase() || character.is_uppercase()) {
        return either(false, "", "no letters with case");
    }
    match language::other_than_english(answer) {
        Some(other) => Found { closeness: 0.0, reason: format!("{}, not English but {other}", found.reason) },
        None => found,
    }
}
