//! Sampled answers as rows of the record.

use slhf_plan::{CompletionRow, PairVerdict, Role, TrainingVerdict, VerdictAttribute, Who};

use super::playing::Played;
use super::traits::{Answer, Prompt, Reward, Verdict};

/// Pairs of one step, and prompts of one evaluation on the way, whose completions are recorded. Of the last evaluation
/// all are: `slhf-lab evaluate` compares policies by them.
pub(crate) const RECORDED_MAX: usize = 16;

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPlace<'a> {
    pub(crate) run: i64,
    pub(crate) step: u64,
    pub(crate) role: &'a Role,
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
        role: place.role.clone(),
        round: place.round,
        prompt_id: prompt.identity,
        prompt: prompt.messages.last().map_or_else(String::new, |message| message.content.clone()),
        text: answer.text.to_string(),
        finished: answer.finished,
        tokens: answer.tokens.len() as u32,
        probability,
        attributes,
        reward: None,
        verdicts: Vec::new(),
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

/// Whose answers a training step records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Leader,
    Follower,
    Opponent,
}

impl From<Whose> for Who {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Leader => Self::Leader,
            Whose::Follower => Self::Follower,
            Whose::Opponent => Self::Opponent,
        }
    }
}

/// An answer of a training step that is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'a, 'p> {
    played: &'a Played<'p>,
    who: Whose,
    round: u32,
    pub(crate) answer: &'a Answer,
}

/// The answers of a step that are recorded, in the order of their rows: of the first pairs y, then y′.
pub(crate) fn recorded<'a, 'p>(played: &'a [Played<'p>]) -> impl Iterator<Item = Recorded<'a, 'p>> {
    played.iter().take(RECORDED_MAX).flat_map(|played| {
        let leader = Some(Recorded { played, who: Whose::Leader, round: 0, answer: &played.leader });
        let second = [(Whose::Follower, 1, &played.follower), (Whose::Opponent, 0, &played.opponent)];
        let second = second.map(|(who, round, answer)| Some(Recorded { played, who, round, answer: answer.as_ref()? }));
        std::iter::once(leader).chain(second).flatten()
    })
}

/// The rows of a step. A pair's verdict stands at both of its answers, but why it was given only at the one that stood first:
/// what a judge says in words it says of the place.
pub(crate) fn training_rows(
    run: i64,
    step: u64,
    played: &[Played<'_>],
    verdicts: Vec<RecordedVerdict>,
) -> Vec<CompletionRow> {
    let of = |recorded: Recorded<'_, '_>| {
        let Recorded { played, who, round, answer } = recorded;
        let verdict = match who {
            Whose::Leader => played.verdict.clone(),
            Whose::Follower | Whose::Opponent => {
                played.verdict.as_ref().map(|verdict| Verdict { attributes: Vec::new(), ..turned(verdict) })
            }
        };
        let mut row =
            row(RowPlace { run, step, role: &Role::of_training(who.into()), round }, played.prompt, answer, verdict);
        let reward = match who {
            Whose::Leader => &played.reward,
            Whose::Follower => &played.second_reward,
            Whose::Opponent => &None,
        };
        if let Some(reward) = reward.clone() {
            row.reward = Some(reward.map(|Reward { value, attributes }| {
                row.attributes.extend(attributes);
                value
            }));
        }
        row
    };
    let mut rows: Vec<CompletionRow> = recorded(played).map(of).collect();
    number(&mut rows);
    for RecordedVerdict { first, second, outcome } in verdicts {
        let said = |Verdict { probability, attributes }| PairVerdict { probability, attributes };
        rows[first as usize].verdicts.push(TrainingVerdict { second, outcome: outcome.map(said) });
    }
    rows
}

/// One question and its answer, by the positions of the answers' rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedVerdict {
    pub(crate) first: u32,
    pub(crate) second: u32,
    /// `Err`: the failure that was let pass.
    pub(crate) outcome: Result<Verdict, String>,
}
