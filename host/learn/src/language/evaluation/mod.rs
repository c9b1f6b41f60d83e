//! How good the policies are on held-out prompts: win rates with intervals over prompts, lengths, attributes.
//!
//! Every comparison is presented in both orders, and a prompt's win rate is `½ [p(a ≻ b) + 1 − p(b ≻ a)]`: a judge that
//! prefers a place prefers nobody by it. `order_bias`, the mean of |p(a ≻ b) + p(b ≻ a) − 1|, says how far the judge is
//! from complementary. Streams of tokens do not depend on the step, so that evaluations of one run are comparable; they depend
//! on the cell, so that those of two cells are independent, but for the reference's, which is one policy.

mod answers;
mod measured;
mod which;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use slhf_plan::{CompletionRow, EvaluationName, EvaluationRow, Role, Who};
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{Estimate, ratio_of_sums};

use self::answers::{Answers, Everyone, Origin, tokens};
use super::asking::{compare, draw};
use super::certificate::CertificatePlace;
use super::completions::{RECORDED_MAX, RowPlace, number, row, turned};
use super::failure::StepError;
use super::prompts::{GivenAnswers, PromptSource};
use super::traits::{Answer, Comparison, PairJudge, Players, Prompt, Verdict};

pub use answers::other_model_row;
pub(crate) use which::Evaluation;

/// Which prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluationScope {
    /// The first `evaluation.prompts` held-out ones.
    OnTheWay,
    /// All held-out ones.
    Last,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<EvaluationRow>,
    pub(crate) completions: Vec<CompletionRow>,
    pub(crate) tokens: u64,
    pub(crate) notes: Vec<String>,
    /// The Leader's responses to the prompts that were asked.
    pub(crate) leaders: Vec<Answer>,
}

/// Both presentations of one prompt's answers; `None` where either failed.
type Verdicts = Vec<Option<(Verdict, Verdict)>>;

/// Some answers against others, by their places among everyone's.
struct Contest {
    first: usize,
    second: usize,
    verdicts: Verdicts,
}

impl Evaluation<'_> {
    pub(crate) fn of(
        &self,
        players: &mut Players<'_>,
        source: &PromptSource,
        scope: EvaluationScope,
    ) -> Result<Found, StepError> {
        let held_out = &source.held_out;
        let nobody: &[GivenAnswers] = &[];
        let (many, rounds, others) = match scope {
            EvaluationScope::OnTheWay => ((self.plan.prompts as usize).min(held_out.len()), 1, nobody),
            EvaluationScope::Last => (held_out.len(), self.plan.rounds, source.others.as_slice()),
        };
        let prompts = &held_out[..many];
        if prompts.is_empty() {
            return Ok(Found::default());
        }
        let mut failures = Vec::new();
        let Everyone { answers: everyone, further_tokens } =
            self.answer_all(players, prompts, (rounds, others), &mut failures)?;
        let mut found = Found { tokens: further_tokens, ..Found::default() };
        for who in &everyone {
            // Others' answers cost this run nothing.
            found.tokens += if who.origin == Origin::Others { 0 } else { tokens(&who.given) };
            found.rows.extend(self.lengths(who));
        }
        let mut contests = Vec::new();
        for (number, (first, second)) in contestants(&everyone).into_iter().enumerate() {
            let sides = (&everyone[first], &everyone[second]);
            let subject = format!("{}/{}", sides.0.who, sides.1.who);
            let verdicts = if self.is_judged {
                self.compare(players.judge, prompts, sides, number as u8, &mut failures)?
            } else {
                vec![None; prompts.len()]
            };
            found.rows.extend(self.win_rates(&subject, &verdicts));
            for (judge, plan) in players.evaluators.judges.iter_mut().zip(&self.plan.judges) {
                let verdicts = self.compare(judge.as_mut(), prompts, sides, number as u8, &mut failures)?;
                let wins: Vec<f64> = verdicts.iter().flatten().map(win).collect();
                let name = EvaluationName::WinRate { judge: Some(plan.name.clone()) };
                found.rows.extend(self.row(name, &subject, &wins));
            }
            contests.push(Contest { first, second, verdicts });
        }
        found.rows.extend(self.measures(players, prompts, &everyone, &mut failures)?);
        found.notes.extend(self.note(&failures));
        if let (EvaluationScope::Last, Some(game)) = (scope, self.certified) {
            let certificate = game.certify(players, prompts, self.certificate_place());
            found.rows.extend(certificate.rows);
            found.tokens += certificate.tokens;
            found.notes.extend(certificate.notes);
        }
        found.leaders = everyone.first().map(|leader| leader.given.clone()).unwrap_or_default();
        let recorded = match scope {
            EvaluationScope::OnTheWay => RECORDED_MAX,
            EvaluationScope::Last => many,
        };
        found.completions = self.completions(&prompts[..recorded.min(many)], &everyone, &contests);
        Ok(found)
    }

    /// Everybody's answers as in the last evaluation, without anybody's verdict.
    pub(crate) fn answers_alone(
        &self,
        players: &mut Players<'_>,
        source: &PromptSource,
    ) -> Result<(Vec<CompletionRow>, Option<String>), StepError> {
        let mut failures = Vec::new();
        let how = (self.plan.rounds, source.others.as_slice());
        let everyone = self.answer_all(players, &source.held_out, how, &mut failures)?;
        Ok((self.completions(&source.held_out, &everyone.answers, &[]), self.note(&failures)))
    }

    /// Stands where a training step's number does; 0 in plans of earlier versions.
    fn stream(&self) -> u32 {
        self.plan.stream.map_or(0, NonZeroU32::get)
    }

    pub(crate) fn certificate_place(&self) -> CertificatePlace {
        CertificatePlace {
            run: self.run,
            seed: self.seed,
            step: self.step,
            stream: self.stream(),
            batch_size: (self.plan.batch_size as usize).max(1),
        }
    }

    fn note(&self, failures: &[String]) -> Option<String> {
        let (first, step, failed) = (failures.first()?, self.step, failures.len());
        Some(format!("evaluation at step {step}: {failed} verdicts failed and are left out; the first: {first}"))
    }

    fn compare(
        &self,
        judge: &mut dyn PairJudge,
        prompts: &[Prompt],
        (first, second): (&Answers, &Answers),
        number: u8,
        failures: &mut Vec<String>,
    ) -> Result<Verdicts, StepError> {
        let mut comparisons = Vec::with_capacity(2 * prompts.len());
        for (index, prompt) in prompts.iter().enumerate() {
            let row = contest_row(prompt.id, self.stream(), number);
            let (a, b) = (&first.given[index], &second.given[index]);
            comparisons.push(Comparison { prompt, first: a, second: b, draw: draw(self.seed, row, 0) });
            comparisons.push(Comparison { prompt, first: b, second: a, draw: draw(self.seed, row, 1) });
        }
        let mut verdicts = compare(judge, &comparisons)?.into_iter();
        let mut pairs = Vec::with_capacity(prompts.len());
        while let (Some(there), Some(back)) = (verdicts.next(), verdicts.next()) {
            pairs.push(match (there, back) {
                (Ok(there), Ok(back)) => Some((there, back)),
                (there, back) => {
                    failures.extend([there.err(), back.err()].into_iter().flatten());
                    None
                }
            });
        }
        Ok(pairs)
    }

    fn win_rates(&self, subject: &str, verdicts: &Verdicts) -> Vec<EvaluationRow> {
        let pairs: Vec<&(Verdict, Verdict)> = verdicts.iter().flatten().collect();
        let wins: Vec<f64> = pairs.iter().copied().map(win).collect();
        let bias: Vec<f64> =
            pairs.iter().map(|(there, back)| (there.probability + back.probability - 1.0).abs()).collect();
        let mut rows: Vec<EvaluationRow> = Vec::new();
        rows.extend(self.row(EvaluationName::WIN_RATE, subject, &wins));
        rows.extend(self.row(EvaluationName::OrderBias, subject, &bias));
        let mut attributes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (there, back) in &pairs {
            for attribute in &there.attributes {
                let other = back.attributes.iter().find(|other| other.name == attribute.name);
                let value = other.map_or(attribute.value, |other| 0.5 * (attribute.value + (1.0 - other.value)));
                attributes.entry(attribute.name.clone()).or_default().push(value);
            }
        }
        for (name, values) in attributes {
            rows.extend(self.row(EvaluationName::Attribute(name), subject, &values));
        }
        rows
    }

    fn lengths(&self, who: &Answers) -> Vec<EvaluationRow> {
        let lengths: Vec<f64> = who.given.iter().map(|answer| answer.tokens.len() as f64).collect();
        let finished: Vec<f64> = who.given.iter().map(|answer| f64::from(u8::from(answer.finished))).collect();
        let rows = [
            self.row(EvaluationName::MeanLength, &who.who.to_string(), &lengths),
            self.row(EvaluationName::EosRate, &who.who.to_string(), &finished),
        ];
        rows.into_iter().flatten().collect()
    }

    /// The mean over prompts with its 95 % interval: Wilson's for values in [0, 1], Student's for others. None without a value, or
    /// with one that is not finite.
    fn row(&self, name: EvaluationName, subject: &str, values: &[f64]) -> Option<EvaluationRow> {
        let once: Vec<(f64, f64)> = values.iter().map(|value| (*value, 1.0)).collect();
        let Estimate { value, interval, .. } = ratio_of_sums(&once)?;
        Some(EvaluationRow {
            run: self.run,
            step: self.step,
            name,
            subject: subject.to_owned(),
            value,
            interval: interval.map(|interval| (interval.low, interval.high)),
            n: values.len() as u64,
        })
    }

    /// The prompts' answers. Each has the verdict of the first contest in which it stands first, else of the first in which
    /// it stands second, turned.
    fn completions(&self, prompts: &[Prompt], everyone: &[Answers], contests: &[Contest]) -> Vec<CompletionRow> {
        let verdict = |who: usize, index: usize| {
            let (contest, turn) = match contests.iter().find(|contest| contest.first == who) {
                Some(contest) => (contest, false),
                None => (contests.iter().find(|contest| contest.second == who)?, true),
            };
            let (there, _) = contest.verdicts[index].as_ref()?;
            Some(if turn { turned(there) } else { there.clone() })
        };
        let mut rows = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            for (at, who) in everyone.iter().enumerate() {
                let role = Role::held_out(who.who.clone());
                let place = RowPlace { run: self.run, step: self.step, role: &role, round: who.round };
                rows.push(row(place, prompt, &who.given[index], verdict(at, index)));
            }
        }
        number(&mut rows);
        rows
    }
}

/// Who is compared with whom, by their places among everyone: refinements with what they began from, and the Leader with
/// everybody who is neither it nor a refinement.
fn contestants(everyone: &[Answers]) -> Vec<(usize, usize)> {
    let place = |one: &Who| everyone.iter().position(|answers| answers.who == *one);
    let contest = |(at, who): (usize, &Answers)| match &who.origin {
        Origin::RefinedFrom(start) => Some((at, place(start)?)),
        Origin::Own | Origin::Others => (at > 0).then_some((0, at)),
    };
    everyone.iter().enumerate().filter_map(contest).collect()
}

/// A prompt's win rate, of both orders.
fn win((there, back): &(Verdict, Verdict)) -> f64 {
    0.5 * (there.probability + (1.0 - back.probability))
}

/// Where the draws of a contest stand. A row tells eight contests apart: those beyond differ in their round.
fn contest_row(prompt: u32, stream: u32, number: u8) -> Row {
    Row { purpose: Purpose::Draw, prompt, step: stream, stream: Stream::Contest(number), round: number / 8, sample: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{contest_row, draw};

    #[test]
    fn every_contest_of_a_prompt_has_its_own_draws() {
        let draws: BTreeSet<u64> = [0, 1, u32::MAX]
            .into_iter()
            .flat_map(|stream| (0..=u8::MAX).map(move |number| draw(1, contest_row(3, stream, number), 0)))
            .collect();
        assert_eq!(draws.len(), 3 * 256);
    }
}
