//! How far an answer follows an instruction.

use slhf_sdk::{Response, text};

use crate::instruction::Instruction;

/// What the closest miss earns: following must always be worth more.
const MISS_MAX: f64 = 0.75;

/// Below this share of new neighbouring words a text is nothing but repetition.
const VARIETY_MIN: f64 = 0.5;

/// How far an answer follows an instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// Strictly.
    pub followed: bool,
    /// 1 when followed, else at most 0.75, the less the farther it missed; 0 for a degenerate answer.
    pub value: f64,
    /// What was found.
    pub reason: String,
}

/// Whether an answer is none: no word, or one word (or a few) over and over.
pub fn is_degenerate(answer: &str) -> bool {
    text::words(answer).next().is_none() || text::variety(answer) < VARIETY_MIN
}

/// How far an answer follows an instruction.
pub fn credit(instruction: &Instruction, answer: &Response) -> Credit {
    if is_degenerate(&answer.text) {
        let reason = "empty or mere repetition".to_owned();
        return Credit { followed: false, value: 0.0, reason };
    }
    let found = look(instruction, answer.text.trim());
    let cut_off = !answer.finished && instruction.needs_the_end();
    let reason = if cut_off { format!("{}, cut off", found.reason) } else { found.reason };
    let followed = found.closeness >= 1.0 && !cut_off;
    Credit { followed, value: if followed { 1.0 } else { MISS_MAX * found.closeness.clamp(0.0, 1.0) }, reason }
}

/// Strictly, as `IFEval` (Zhou et al., arXiv 2311.07911) means it: the answer as it is.
pub fn follows(instruction: &Instruction, answer: &Response) -> bool {
    credit(instruction, answer).followed
}

/// Loosely, likewise: also without its first line, its last line, both, and asterisks of Markdown.
pub fn follows_loosely(instruction: &Instruction, answer: &Response) -> bool {
    let lines: Vec<&str> = answer.text.trim().lines().collect();
    let all = lines.len();
    let without = |from: usize, to: usize| lines.get(from..to).unwrap_or_default().join("\n");
    let variants =
        [without(0, all), without(1, all), without(0, all.saturating_sub(1)), without(1, all.saturating_sub(1))];
    variants.into_iter().any(|variant| {
        let plain = variant.replace('*', "");
        [variant, plain].into_iter().any(|text| follows(instruction, &Response { text, ..answer.clone() }))
    })
}

/// What a look at the text alone finds; a closeness of 1 is following.
struct Found {
    closeness: f64,
    reason: String,
}

fn look(instruction: &Instruction, answer: &str) -> Found {
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
    }
}

/// None is right; every one costs.
fn few(count: usize, what: &str) -> Found {
    Found { closeness: 1.0 / (1.0 + count as f64), reason: format!("{count} {what}") }
}

fn exactly(found: usize, count: u32, what: &str) -> Found {
    let distance = (found as f64 - f64::from(count)).abs();
    let closeness = if found == 0 { 0.0 } else { 1.0 / (1.0 + distance) };
    Found { closeness, reason: format!("{found} {what}") }
}

fn at_least(found: usize, count: u32, what: &str) -> Found {
    Found { closeness: (found as f64 / f64::from(count)).min(1.0), reason: format!("{found} {what}") }
}

fn words_with(answer: &str, property: impl Fn(char) -> bool) -> usize {
    text::words(answer).filter(|word| word.chars().any(&property)).count()
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

/// Equal characters from the start, and how many were asked for (at least 1).
fn common(found: impl Iterator<Item = char>, wanted: impl Iterator<Item = char> + Clone) -> (usize, usize) {
    let same = found.zip(wanted.clone()).take_while(|(found, wanted)| found == wanted).count();
    (same, wanted.count().max(1))
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
