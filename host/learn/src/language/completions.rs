//! Sampled answers as rows of the record.

use slhf_plan::{CompletionRow, VerdictAttribute};

use super::playing::Played;
use super::traits::{Answer, Prompt, Verdict};

/// Pairs of one step, and prompts of one evaluation on the way, whose completions are recorded. Of the last evaluation
/// all are: `slhf-lab evaluate` compares policies by them.
pub(crate) const RECORDED_MAX: usize = 16;

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPlace<'a> {
    pub(crate) run: i64,
    pub(crate) step: u64,
    pub(crate) role: &'a str,
    pub(crate) round: u32,
}

/// One row, its position still 0.
pub(crate) fn row(place: RowPlace<'_>, prompt: &Prompt, answer: &Answer, verdict: Option<Verdict>) -> CompletionRow {
    let (probability, attributes) = match verdict {
        Some(verdict) => (Some(verdict.probability), verdict.attributes),
        None => (None, Vec::new()),
    };
    CompletionRow {
        run: place.run,
        step: place.step,
        position: 0,
        role: place.role.to_owned(),
        round: place.round,
        prompt_id: prompt.identity,
        prompt: prompt.messages.last().map_or_else(String::new, |message| message.content.clone()),
        text: answer.text.to_string(),
        finished: answer.finished,
        tokens: answer.tokens.len() as u32,
        probability,
        attributes,
    }
}

/// Numbers rows from 0 in their order.
pub(crate) fn number(rows: &mut [CompletionRow]) {
    for (position, row) in (0..).zip(rows) {
        row.position = position;
    }
}

/// The verdict as the second response sees it.
pub(crate) fn turned(verdict: &Verdict) -> Verdict {
    let turn = |attribute: &VerdictAttribute| VerdictAttribute { value: 1.0 - attribute.value, ..attribute.clone() };
    Verdict { probability: 1.0 - verdict.probability, attributes: verdict.attributes.iter().map(turn).collect() }
}

/// The first pairs of a step: y, then y′.
pub(crate) fn training_rows(run: i64, step: u64, played: &[Played<'_>]) -> Vec<CompletionRow> {
    let mut rows = Vec::new();
    for one in played.iter().take(RECORDED_MAX) {
        let place = RowPlace { run, step, role: "leader", round: 0 };
        rows.push(row(place, one.prompt, &one.leader, one.verdict.clone()));
        let second = [("follower", 1, &one.follower), ("opponent", 0, &one.opponent)];
        for (role, round, answer) in second {
            if let Some(answer) = answer {
                let place = RowPlace { role, round, ..place };
                rows.push(row(place, one.prompt, answer, one.verdict.as_ref().map(turned)));
            }
        }
    }
    number(&mut rows);
    rows
}
