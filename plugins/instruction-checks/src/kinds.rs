//! What a look at an answer finds, for each of the lab's own kinds of instructions.

use slhf_sdk::text;

use crate::found::{Found, at_least, common, exactly, few, words_with};
use crate::ifeval;
use crate::instruction::Instruction;

/// Looks at a text; white space around it is nothing to the lab's own kinds.
pub(crate) fn look(instruction: &Instruction, text: &str) -> Found {
    let answer = text.trim();
    match instruction {
        Instruction::Lowercase {} => few(words_with(answer, char::is_uppercase), "words with capitals"),
        Instruction::Uppercase {} => {
            let all = text::words(answer).count();
            let small = words_with(answer, char::is_lowercase);
            let closeness = 1.0 - small as f64 / all.max(1) as f64;
            Found { closeness, reason: format!("{small} of {all} words with small letters") }
        }
        Instruction::Mention { word } => mention(answer, std::slice::from_ref(word)),
        Instruction::Keywords { words } => mention(answer, words),
        Instruction::Avoid { word } => few(occurrences(answer, word), "times the word"),
        Instruction::Bullets { count } => {
            exactly(answer.lines().filter(|line| is_bullet(line)).count(), *count, "bullets")
        }
        Instruction::Sentences { count } => exactly(sentences(answer), *count, "sentences"),
        Instruction::MaxWords { count } => {
            let (words, most) = (text::words(answer).count(), f64::from(*count));
            let excess = (words as f64 - most).max(0.0) / most;
            Found { closeness: 1.0 / (1.0 + 2.0 * excess), reason: format!("{words} words") }
        }
        Instruction::MinWords { count } => at_least(text::words(answer).count(), *count, "words"),
        Instruction::StartsWith { text } => {
            let (same, all) = common(answer.chars(), text.trim().chars());
            Found { closeness: same as f64 / all as f64, reason: format!("{same} of {all} characters at the start") }
        }
        Instruction::EndsWith { text } => {
            let (same, all) = common(answer.chars().rev(), text.trim().chars().rev());
            Found { closeness: same as f64 / all as f64, reason: format!("{same} of {all} characters at the end") }
        }
        Instruction::NoCommas {} => few(answer.matches(',').count(), "commas"),
        Instruction::Numbers { count } => {
            let is_number = |word: &&str| word.chars().any(char::is_numeric);
            at_least(text::words(answer).filter(is_number).count(), *count, "numbers")
        }
        Instruction::QuestionMarkEnd {} => mark_at_end(answer, '?'),
        Instruction::ExclamationMarkEnd {} => mark_at_end(answer, '!'),
        Instruction::Quoted {} => quoted(answer),
        Instruction::Ifeval(instruction) => ifeval::look(instruction, text),
    }
}

fn occurrences(answer: &str, word: &str) -> usize {
    let word = word.to_lowercase();
    text::words(answer).filter(|found| found.to_lowercase() == word).count()
}

/// A word that occurs in another form only ("rivers" for "river") is half mentioned.
fn mention(answer: &str, words: &[String]) -> Found {
    let mut sum = 0.0;
    let mut missing = Vec::new();
    for word in words {
        if occurrences(answer, word) > 0 {
            sum += 1.0;
            continue;
        }
        let stem = text::stem(word);
        let has_form = text::words(answer).any(|found| text::stem(found) == stem);
        sum += if has_form { 0.5 } else { 0.0 };
        missing.push(word.as_str());
    }
    let reason = if missing.is_empty() { "mentioned".to_owned() } else { format!("no \"{}\"", missing.join("\", \"")) };
    Found { closeness: sum / words.len().max(1) as f64, reason }
}

fn is_bullet(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.strip_prefix(['-', '*', '•']);
    rest.is_some_and(|rest| rest.starts_with(char::is_whitespace) && !rest.trim().is_empty())
}

/// Runs of text that end in ".", "!" or "?" followed by a space or the end; an end without a mark is a sentence too.
fn sentences(answer: &str) -> usize {
    let mut count = 0;
    let mut has_words = false;
    let mut characters = answer.chars().peekable();
    while let Some(character) = characters.next() {
        has_words |= character.is_alphanumeric();
        let ends = matches!(character, '.' | '!' | '?' | '…')
            && characters.peek().is_none_or(|next| next.is_whitespace() || matches!(next, '"' | '”' | ')'));
        if ends && has_words {
            count += 1;
            has_words = false;
        }
    }
    count + usize::from(has_words)
}

fn mark_at_end(answer: &str, mark: char) -> Found {
    let bare = answer.trim_end_matches(['"', '”', ')', '*']);
    let closeness = match (bare.ends_with(mark), bare.contains(mark)) {
        (true, _) => 1.0,
        (false, true) => 0.5,
        (false, false) => 0.0,
    };
    let last: String = answer.chars().last().into_iter().collect();
    Found { closeness, reason: format!("ends with \"{last}\"") }
}

fn quoted(answer: &str) -> Found {
    let is_mark = |character: char| matches!(character, '"' | '“' | '”');
    let (starts, ends) = (answer.starts_with(is_mark), answer.chars().count() > 1 && answer.ends_with(is_mark));
    let closeness = f64::from(u8::from(starts)) / 2.0 + f64::from(u8::from(ends)) / 2.0;
    let reason = match (starts, ends) {
        (true, true) => "quoted",
        (true, false) => "the closing mark is missing",
        (false, true) => "the opening mark is missing",
        (false, false) => "not quoted",
    };
    Found { closeness, reason: reason.to_owned() }
}
