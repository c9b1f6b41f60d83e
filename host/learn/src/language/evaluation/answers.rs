//! Who answers the held-out prompts in an evaluation, and in which streams of tokens.

use slhf_plan::Who;
use slhf_random::{Purpose, Row, Stream};

use super::super::answering::{ChosenBy, Draws, Standing, best};
use super::super::asking::{check_answers, draw};
use super::super::failure::StepError;
use super::super::prompts::GivenAnswers;
use super::super::traits::{Answer, Players, PolicyName, Prompt, Request};
use super::which::Evaluation;

/// Who answered, one answer a prompt.
pub(super) struct Answers {
    /// The Leader, the reference, others, or the Follower after rounds of refining one of these.
    pub(super) who: Who,
    pub(super) origin: Origin,
    pub(super) round: u32,
    /// Where the streams of these answers stand: none of the others' is the same.
    pub(super) place: StreamPlace,
    pub(super) given: Vec<Answer>,
}

/// Where answers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The Leader's or the reference's.
    Own,
    /// Others'.
    Others,
    /// Refinements of the answers of that one, once or more often.
    RefinedFrom(Who),
}

/// Everybody's answers, and the tokens of answers that are none of theirs.
#[derive(Default)]
pub(super) struct Everyone {
    pub(super) answers: Vec<Answers>,
    pub(super) further_tokens: u64,
}

/// The stream in which another model answers a held-out prompt; `other` is its place among the others.
#[must_use]
pub fn other_model_row(prompt: u32, other: u16) -> Row {
    Row { purpose: Purpose::EvaluationTokens, prompt, step: 0, stream: Stream::OtherModel, round: 0, sample: other }
}

/// Where a row's stream of tokens stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamPlace {
    stream: Stream,
    round: u8,
    sample: u16,
}

impl StreamPlace {
    /// Whether all cells have these answers.
    fn is_shared(self) -> bool {
        matches!(self.stream, Stream::SharedReference | Stream::OtherModel)
    }
}

/// Who improves answers, and in which streams.
#[derive(Clone, Copy)]
struct Refiner {
    policy: PolicyName,
    stream: Stream,
    sample: u16,
}

impl Evaluation<'_> {
    /// A stream of an answer: the same in every evaluation of a run, and the cell's own where the answers are.
    pub(super) fn stream_row(&self, place: StreamPlace, purpose: Purpose, prompt: &Prompt) -> Row {
        let step = if place.is_shared() { 0 } else { self.stream() };
        let StreamPlace { stream, round, sample } = place;
        Row { purpose, prompt: prompt.id, step, stream, round, sample }
    }

    /// The Leader and the reference, then the Follower of the reference and of the Leader, round after round, then the
    /// `others` with their own refinements.
    pub(super) fn answer_all(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        (rounds, others): (u32, &[GivenAnswers]),
        failures: &mut Vec<String>,
    ) -> Result<Everyone, StepError> {
        let (leader, further_tokens) = self.leader(players, prompts, failures)?;
        let [of_leader, of_reference] = [Stream::Follower, Stream::FollowerOfReference].map(|stream| Refiner {
            policy: PolicyName::Follower,
            stream,
            sample: 0,
        });
        // Each is refined right after it was sampled: its key-value cache is still there to go on from.
        let mut refined = Vec::new();
        if self.has_follower {
            refined.push(self.refine(players, prompts, &leader, (of_leader, &Who::Leader, 1))?);
        }
        let place = StreamPlace { stream: Stream::SharedReference, round: 0, sample: 0 };
        let given = self.answer(players, prompts, PolicyName::Reference, None, place)?;
        let reference = Answers { who: Who::Reference, origin: Origin::Own, round: 0, place, given };
        if self.has_follower {
            refined.insert(0, self.refine(players, prompts, &reference, (of_reference, &Who::Reference, 1))?);
            for number in 2..=rounds {
                // The last two: of the reference, of the Leader.
                for (refiner, start) in [(of_reference, &Who::Reference), (of_leader, &Who::Leader)] {
                    let last = &refined[refined.len() - 2];
                    let next = self.refine(players, prompts, last, (refiner, start, number))?;
                    refined.push(next);
                }
            }
        }
        let mut answers = vec![leader, reference];
        answers.extend(refined);
        // Where nothing is trained the reference improves answers when it is told to.
        let refiner = match self.standing {
            Standing::SelfRefined { .. } => Some(PolicyName::Reference),
            _ => self.has_follower.then_some(PolicyName::Follower),
        };
        for (index, other) in others.iter().enumerate() {
            let given = other.answers[..prompts.len()].to_vec();
            let place = StreamPlace { stream: Stream::OtherModel, round: 0, sample: index as u16 };
            let other = Answers { who: Who::Other(other.name.clone()), origin: Origin::Others, round: 0, place, given };
            answers.push(other);
            for number in 1..=rounds {
                let Some(policy) = refiner else { break };
                let refiner = Refiner { policy, stream: Stream::FollowerOfOthers, sample: index as u16 };
                let last = &answers[answers.len() - 1];
                let next =
                    self.refine(players, prompts, last, (refiner, &Who::Other(others[index].name.clone()), number))?;
                answers.push(next);
            }
        }
        Ok(Everyone { answers, further_tokens })
    }

    /// Who stands as the Leader.
    fn leader(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        failures: &mut Vec<String>,
    ) -> Result<(Answers, u64), StepError> {
        let place = StreamPlace { stream: Stream::Leader, round: 0, sample: 0 };
        let (given, round, further) = match self.standing {
            Standing::Policy => (self.answer(players, prompts, PolicyName::Leader, None, place)?, 0, 0),
            Standing::BestOfN { answers, chosen_by } => {
                let (given, further) = self.best_of(players, prompts, (answers, chosen_by), failures)?;
                (given, 0, further)
            }
            Standing::SelfRefined { rounds } => {
                let (given, further) = self.self_refined(players, prompts, rounds)?;
                (given, rounds, further)
            }
        };
        Ok((Answers { who: Who::Leader, origin: Origin::Own, round, place, given }, further))
    }

    /// The next round of refinement of somebody's answers, its number counted from those of `start`.
    fn refine(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        previous: &Answers,
        (refiner, start, number): (Refiner, &Who, u32),
    ) -> Result<Answers, StepError> {
        let round = previous.round + 1;
        let place = StreamPlace { stream: refiner.stream, round: round as u8, sample: refiner.sample };
        let given = self.answer(players, prompts, refiner.policy, Some(previous), place)?;
        let origin = Origin::RefinedFrom(start.clone());
        Ok(Answers { who: Who::refined(start.clone(), number), origin, round, place, given })
    }

    /// The best of N answers of the reference, and the tokens of the others.
    fn best_of(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        (count, chosen_by): (u32, ChosenBy),
        failures: &mut Vec<String>,
    ) -> Result<(Vec<Answer>, u64), StepError> {
        let mut samples = Vec::with_capacity(count as usize);
        for sample in 0..count {
            let place = StreamPlace { stream: Stream::OwnReference, round: 0, sample: sample as u16 };
            samples.push(self.answer(players, prompts, PolicyName::Reference, None, place)?);
        }
        let row = |purpose: Purpose, prompt: &Prompt, sample: usize| {
            self.stream_row(StreamPlace { stream: Stream::BestOfN, round: 0, sample: sample as u16 }, purpose, prompt)
        };
        let draws = Draws {
            pair: &|prompt, i, j| draw(self.seed, row(Purpose::Draw, prompt, i), j as u32),
            reward: &|prompt, i| draw(self.seed, row(Purpose::RewardDraw, prompt, i), 0),
        };
        let given = best(players, prompts, &samples, (chosen_by, &draws), failures)?;
        let further = tokens(samples.iter().flatten()) - tokens(&given);
        Ok((given, further))
    }

    /// The reference's answers after so many rounds of its own refinement, and the tokens of the rounds before.
    fn self_refined(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        rounds: u32,
    ) -> Result<(Vec<Answer>, u64), StepError> {
        let place = |round| StreamPlace { stream: Stream::OwnReference, round, sample: 0 };
        let mut further = 0;
        let given = self.answer(players, prompts, PolicyName::Reference, None, place(0))?;
        let mut last = Answers { who: Who::Leader, origin: Origin::Own, round: 0, place: place(0), given };
        for round in 1..=rounds {
            further += tokens(&last.given);
            last.given = self.answer(players, prompts, PolicyName::Reference, Some(&last), place(round as u8))?;
        }
        Ok((last.given, further))
    }

    fn answer(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        policy: PolicyName,
        previous: Option<&Answers>,
        place: StreamPlace,
    ) -> Result<Vec<Answer>, StepError> {
        let requests: Vec<Request<'_>> = prompts
            .iter()
            .enumerate()
            .map(|(index, prompt)| Request {
                policy,
                prompt,
                previous: previous.map(|previous| &previous.given[index]),
                row: self.stream_row(place, Purpose::EvaluationTokens, prompt),
            })
            .collect();
        let mut answers = Vec::with_capacity(prompts.len());
        for batch in requests.chunks((self.plan.batch_size as usize).max(1)) {
            let some = players.policies.generate(batch, self.seed, &self.plan.sampling);
            let doing = "sampling responses to held-out prompts";
            let some = some.map_err(|source| StepError::Policies { doing, source })?;
            check_answers(batch, &some.answers)?;
            answers.extend(some.answers);
        }
        Ok(answers)
    }
}

pub(super) fn tokens<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> u64 {
    answers.into_iter().map(|answer| answer.tokens.len() as u64).sum()
}
