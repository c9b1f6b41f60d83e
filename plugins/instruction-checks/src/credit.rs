//! How far an answer follows an instruction.

use slhf_sdk::{Response, text};

use crate::instruction::Instruction;
use crate::kinds::look;

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

/// How far an answer follows an instruction, for a judge: a degenerate answer earns nothing.
pub fn credit(instruction: &Instruction, answer: &Response) -> Credit {
    if is_degenerate(&answer.text) {
        return nothing("empty or mere repetition");
    }
    graded(instruction, answer)
}

/// Whether an answer follows an instruction, with what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it does.
    pub followed: bool,
    /// What was found.
    pub reason: String,
}

/// Whether an answer follows an instruction as it is.
///
/// Degenerate answers follow none of the lab's own kinds; of `IFEval`'s instructions only empty answers follow none, as
/// `IFEval` counts. An answer that was cut off cannot have followed what its end decides, of either.
pub fn strictly(instruction: &Instruction, answer: &Response) -> Finding {
    let Credit { followed, reason, .. } = match instruction {
        Instruction::Ifeval(_) if answer.text.trim().is_empty() => nothing("empty"),
        Instruction::Ifeval(_) => graded(instruction, answer),
        _ => credit(instruction, answer),
    };
    Finding { followed, reason }
}

/// Whether an answer follows an instruction as it is, or without its first line, its last line, both, or the asterisks
/// of Markdown in any of these.
pub fn loosely(instruction: &Instruction, answer: &Response) -> Finding {
    let followed = variants(instruction, &answer.text).find_map(|(text, change)| {
        let finding = strictly(instruction, &Response { text, ..answer.clone() });
        finding.followed.then(|| Finding { reason: format!("{}{change}", finding.reason), ..finding })
    });
    followed.unwrap_or_else(|| strictly(instruction, answer))
}

/// [`strictly`], as `IFEval` (Zhou et al., arXiv 2311.07911) means it: the answer as it is.
pub fn follows(instruction: &Instruction, answer: &Response) -> bool {
    strictly(instruction, answer).followed
}

/// [`loosely`], likewise: also without its first line, its last line, both, and asterisks of Markdown.
pub fn follows_loosely(instruction: &Instruction, answer: &Response) -> bool {
    loosely(instruction, answer).followed
}

/// The eight texts that may follow loosely, each with what was done to it.
fn variants(instruction: &Instruction, answer: &str) -> impl Iterator<Item = (String, String)> {
    const CUTS: [(usize, usize, &str); 4] = [
        (0, 0, ""),
        (1, 0, ", without the first line"),
        (0, 1, ", without the last line"),
        (1, 1, ", without the first and the last line"),
    ];
    // An empty line at the end is a last line to IFEval, and none to the lab's own kinds.
    let (whole, lines): (&str, Vec<&str>) = match instruction {
        Instruction::Ifeval(_) => (answer, answer.split('\n').collect()),
        _ => (answer.trim(), answer.trim().lines().collect()),
    };
    CUTS.into_iter().flat_map(move |(first, last, change)| {
        let kept = lines.get(first..lines.len().saturating_sub(last)).unwrap_or_default();
        let text = if first + last == 0 { whole.to_owned() } else { kept.join("\n").trim().to_owned() };
        let plain = text.replace('*', "");
        [(text, change.to_owned()), (plain, format!("{change}, without asterisks"))]
    })
}

fn graded(instruction: &Instruction, answer: &Response) -> Credit {
    let found = look(instruction, &answer.text);
    let cut_off = !answer.finished && instruction.needs_the_end();
    let reason = if cut_off { format!("{}, cut off", found.reason) } else { found.reason };
    let followed = found.closeness >= 1.0 && !cut_off;
    Credit { followed, value: if followed { 1.0 } else { MISS_MAX * found.closeness.clamp(0.0, 1.0) }, reason }
}

fn nothing(reason: &str) -> Credit {
    Credit { followed: false, value: 0.0, reason: reason.to_owned() }
}
