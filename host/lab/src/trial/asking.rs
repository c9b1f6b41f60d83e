//! The questions: every pair in both orders, with several draws.

use std::collections::BTreeMap;

use slhf_judge::{Comparison, JudgeError, Preference};
use slhf_plan::PluginUse;
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{AuditedPair, AuditedPrompt, Repeats, StatisticsError};
use thiserror::Error;

use super::subject::{Prompt, Subject};
use crate::failure::Failure;
use crate::output::visible;

/// Draws of a judge whose verdicts change with them.
const DRAWS: u8 = 3;
/// Pairs that are asked twice to see whether they do.
const PROBED_PAIRS: usize = 32;
/// Questions that are put at once.
const BATCH: usize = 8192;
/// Kinds of failures that are told apart.
const KINDS_MAX: usize = 20;
/// Characters of a failure that tell its kind.
const KIND_CHARACTERS: usize = 120;

#[derive(Debug, Error)]
enum AskingError {
    #[error("the judge has no verdict on any of the {pairs} pairs: {reason}")]
    Nothing { pairs: usize, reason: String },
    #[error(transparent)]
    Verdicts(StatisticsError),
}

/// How it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// Draws of each pair; `None`: as many as its verdicts make sensible.
    pub(crate) draws: Option<u8>,
    /// Of the draws.
    pub(crate) seed: u64,
    /// Which pairs.
    pub(crate) pairs: Plan,
}

/// Which pairs are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Of each prompt all of them.
    All,
    /// Those that have a label.
    Labeled,
}

/// What the judge said.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Pairs with a verdict in both orders.
    pub(crate) prompts: Vec<AuditedPrompt>,
    /// Pairs that were asked about.
    pub(crate) pairs: usize,
    /// Verdicts that were asked for.
    pub(crate) verdicts: usize,
    /// Draws of each pair.
    pub(crate) draws: u8,
    /// What is known of them.
    pub(crate) repeats: Repeats,
    /// Verdicts that failed, by kind; numbers in their reasons read `#`.
    pub(crate) failures: Vec<(String, usize)>,
    /// Of the judge and of those it wraps.
    pub(crate) uses: Vec<PluginUse>,
}

/// One pair with what was said of it.
struct Question<'a> {
    prompt: usize,
    told: &'a Prompt,
    number: u32,
    sides: (usize, usize),
    draws: Vec<[f64; 2]>,
}

/// Puts the questions.
pub(crate) fn ask(judge: &Preference, subject: &Subject, asking: Asking) -> Result<Asked, Failure> {
    let mut questions = questions(subject, asking.pairs);
    let mut session = Session { judge, seed: asking.seed, verdicts: 0, failures: BTreeMap::new(), first_failure: None };
    let (draws, repeats) = match asking.draws {
        Some(draws) => {
            for draw in 0..draws {
                session.round(&mut questions, draw)?;
            }
            (draws, Repeats::Drawn)
        }
        None => session.as_sensible(&mut questions)?,
    };
    let pairs = questions.len();
    if questions.iter().all(|question| question.draws.is_empty()) {
        let reason = session.first_failure.unwrap_or_else(|| "there is no pair".to_owned());
        return Err(Failure::failed(AskingError::Nothing { pairs, reason: visible(&reason) }));
    }
    let mut failures: Vec<(String, usize)> = session.failures.into_iter().collect();
    failures.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let verdicts = session.verdicts;
    let prompts = audited(subject, questions).map_err(|error| Failure::failed(AskingError::Verdicts(error)))?;
    Ok(Asked { prompts, pairs, verdicts, draws, repeats, failures, uses: judge.usage("judge", &[]) })
}

fn questions(subject: &Subject, plan: Plan) -> Vec<Question<'_>> {
    let mut questions = Vec::new();
    for (prompt, told) in subject.prompts.iter().enumerate() {
        let mut number = 0;
        for first in 0..told.responses.len() {
            for second in first + 1..told.responses.len() {
                if plan == Plan::All || told.label(first, second).is_some() {
                    questions.push(Question { prompt, told, number, sides: (first, second), draws: Vec::new() });
                }
                // A pair has its draws whether others are asked about or not.
                number += 1;
            }
        }
    }
    questions
}

/// Of each prompt the pairs that have verdicts.
fn audited(subject: &Subject, questions: Vec<Question<'_>>) -> Result<Vec<AuditedPrompt>, StatisticsError> {
    let mut pairs: Vec<Vec<AuditedPair>> = vec![Vec::new(); subject.prompts.len()];
    for question in questions.into_iter().filter(|question| !question.draws.is_empty()) {
        let (first, second) = question.sides;
        let label = question.told.label(first, second);
        pairs[question.prompt].push(AuditedPair { first, second, draws: question.draws, label });
    }
    let lengths = |prompt: &Prompt| prompt.responses.iter().map(|one| one.text.chars().count() as f64).collect();
    subject.prompts.iter().zip(pairs).map(|(prompt, pairs)| AuditedPrompt::new(lengths(prompt), pairs)).collect()
}

/// The judge while it is asked.
struct Session<'a> {
    judge: &'a Preference,
    seed: u64,
    verdicts: usize,
    failures: BTreeMap<String, usize>,
    first_failure: Option<String>,
}

impl Session<'_> {
    /// One draw of each pair, and a second one of some; where that changes a verdict, three of all.
    fn as_sensible(&mut self, questions: &mut [Question<'_>]) -> Result<(u8, Repeats), Failure> {
        self.round(questions, 0)?;
        let probed = questions.len().min(PROBED_PAIRS);
        self.round(&mut questions[..probed], 1)?;
        let changes = |question: &Question<'_>| question.draws.windows(2).any(|draws| draws[0] != draws[1]);
        if questions[..probed].iter().any(changes) {
            self.round(&mut questions[probed..], 1)?;
            for draw in 2..DRAWS {
                self.round(questions, draw)?;
            }
            return Ok((DRAWS, Repeats::Drawn));
        }
        for question in &mut questions[..probed] {
            question.draws.truncate(1);
        }
        Ok((1, Repeats::Steady))
    }

    fn round(&mut self, questions: &mut [Question<'_>], draw: u8) -> Result<(), Failure> {
        for questions in questions.chunks_mut(BATCH / 2) {
            let both = |question: &Question<'_>| [0, 1].map(|order| question.comparison(self.seed, draw, order));
            let batch: Vec<Comparison> = questions.iter().flat_map(both).collect();
            let verdicts = self.judge.compare_alone(&batch).map_err(|error: JudgeError| Failure::failed(error))?;
            self.verdicts += batch.len();
            let mut probabilities = verdicts.into_iter().map(|verdict| match verdict {
                Ok(verdict) => Some(verdict.probability),
                Err(failure) => {
                    self.failed(failure.reason);
                    None
                }
            });
            let mut said = Vec::with_capacity(questions.len());
            while let Some(there) = probabilities.next() {
                said.push((there, probabilities.next().flatten()));
            }
            for (question, said) in questions.iter_mut().zip(said) {
                if let (Some(there), Some(back)) = said {
                    question.draws.push([there, back]);
                }
            }
        }
        Ok(())
    }

    fn failed(&mut self, reason: String) {
        let mut kind = kind(&reason);
        if self.failures.len() >= KINDS_MAX && !self.failures.contains_key(&kind) {
            "others".clone_into(&mut kind);
        }
        *self.failures.entry(kind).or_default() += 1;
        self.first_failure.get_or_insert(reason);
    }
}

impl Question<'_> {
    fn comparison(&self, seed: u64, draw: u8, order: u32) -> Comparison {
        let (first, second) = if order == 0 { self.sides } else { (self.sides.1, self.sides.0) };
        let row = Row {
            purpose: Purpose::Draw,
            prompt: self.prompt as u32,
            step: self.number,
            stream: Stream::LaterEvaluation,
            round: draw,
            sample: 0,
        };
        Comparison {
            prompt: self.told.text.clone(),
            messages: self.told.messages.clone(),
            metadata: self.told.metadata.clone(),
            first: self.told.responses[first].clone(),
            second: self.told.responses[second].clone(),
            draw: row.draw(seed, order),
        }
    }
}

/// A reason without its numbers: two that differ in those alone are of one kind.
fn kind(reason: &str) -> String {
    let mut kind = String::new();
    for character in reason.chars().take(KIND_CHARACTERS) {
        match character {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            other => kind.push(other),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn reasons_that_differ_in_numbers_are_of_one_kind() {
        assert_eq!(kind("row 17 has 3 words"), "row # has # words");
        assert_eq!(kind("row 4 has 120 words"), "row # has # words");
    }
}
