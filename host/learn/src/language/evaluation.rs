//! How good the policies are on held-out prompts: win rates with intervals over prompts, lengths, attributes.
//!
//! Every comparison is presented in both orders, and a prompt's win rate is `½ [p(a ≻ b) + 1 − p(b ≻ a)]`: a judge that
//! prefers a place prefers nobody by it. `order_bias`, the mean of |p(a ≻ b) + p(b ≻ a) − 1|, says how far the judge is
//! from complementary. Streams of tokens do not depend on the step, so that evaluations of one run are comparable.

use std::collections::BTreeMap;

use slhf_plan::{CompletionRow, EvaluationRow, LanguageEvaluationPlan};
use slhf_random::{Purpose, Row};
use slhf_statistics::{Level, Sample};

use super::answering::{ChosenBy, Standing, best};
use super::completions::{RECORDED_MAX, RowPlace, number, row, turned};
use super::failure::StepError;
use super::playing::{check_answers, compare, draw};
use super::step::Players;
use super::traits::{Answer, Comparison, PairJudge, PolicyName, Prompt, Request, Verdict};

/// Which prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluationScope {
    /// The first `evaluation.prompts` held-out ones.
    OnTheWay,
    /// All held-out ones.
    Last,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) plan: &'a LanguageEvaluationPlan,
    pub(crate) has_follower: bool,
    /// Who is called the Leader.
    pub(crate) standing: Standing,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<EvaluationRow>,
    pub(crate) completions: Vec<CompletionRow>,
    pub(crate) tokens: u64,
    pub(crate) note: Option<String>,
}

/// Who answered, one answer a prompt.
struct Answers {
    name: String,
    round: u32,
    given: Vec<Answer>,
}

/// Both presentations of one prompt's answers; `None` where either failed.
type Verdicts = Vec<Option<(Verdict, Verdict)>>;

/// A policy against another one.
struct Contest {
    subject: String,
    verdicts: Verdicts,
}

const LEADER: usize = 0;
const REFERENCE: usize = 1;
const FOLLOWER_OF_REFERENCE: usize = 2;
const FOLLOWER_OF_LEADER: usize = 3;

/// Streams of what a method makes of the reference: not those of the reference that it is compared with.
const OWN_REFERENCE: u8 = 4;
/// Its draws; those of the contests begin at 8.
const OWN_DRAWS: u8 = 7;

/// Where a row's stream of tokens stands.
#[derive(Clone, Copy, Debug)]
struct StreamPlace {
    role: u8,
    round: u8,
    sample: u16,
}

impl Evaluation<'_> {
    pub(crate) fn of(
        &self,
        players: &mut Players<'_>,
        held_out: &[Prompt],
        scope: EvaluationScope,
    ) -> Result<Found, StepError> {
        let many = match scope {
            EvaluationScope::OnTheWay => (self.plan.prompts as usize).min(held_out.len()),
            EvaluationScope::Last => held_out.len(),
        };
        let prompts = &held_out[..many];
        if prompts.is_empty() {
            return Ok(Found::default());
        }
        let mut failures = Vec::new();
        let rounds = match scope {
            EvaluationScope::OnTheWay => 1,
            EvaluationScope::Last => self.plan.rounds,
        };
        let (everyone, further_tokens) = self.answer_all(players, prompts, rounds, &mut failures)?;
        let mut found = Found { tokens: further_tokens, ..Found::default() };
        for who in &everyone {
            found.tokens += tokens(&who.given);
            found.rows.extend(self.lengths(who));
        }
        let mut contests = Vec::new();
        for (number, (subject, first, second)) in self.contests(rounds).into_iter().enumerate() {
            let sides = (&everyone[first], &everyone[second]);
            let verdicts = self.compare(players.judge, prompts, sides, number as u8, &mut failures)?;
            found.rows.extend(self.win_rates(&subject, &verdicts));
            for (judge, plan) in players.evaluation_judges.iter_mut().zip(&self.plan.judges) {
                let verdicts = self.compare(judge.as_mut(), prompts, sides, number as u8, &mut failures)?;
                let wins = verdicts.iter().flatten().map(win).collect();
                found.rows.extend(self.row(&format!("win_rate[{}]", plan.name), &subject, wins));
            }
            contests.push(Contest { subject, verdicts });
        }
        if let Some(first) = failures.first() {
            let (step, failed) = (self.step, failures.len());
            found.note = Some(format!(
                "evaluation at step {step}: {failed} verdicts failed and are left out; the first: {first}"
            ));
        }
        let recorded = match scope {
            EvaluationScope::OnTheWay => RECORDED_MAX,
            EvaluationScope::Last => many,
        };
        found.completions = self.completions(&prompts[..recorded.min(many)], &everyone, &contests);
        Ok(found)
    }

    /// Who is compared with whom, by their places in [`Self::answer_all`].
    fn contests(&self, rounds: u32) -> Vec<(String, usize, usize)> {
        let mut contests = vec![("leader/reference".to_owned(), LEADER, REFERENCE)];
        if self.has_follower {
            contests.push(("follower(reference)/reference".to_owned(), FOLLOWER_OF_REFERENCE, REFERENCE));
            contests.push(("follower(leader)/leader".to_owned(), FOLLOWER_OF_LEADER, LEADER));
            for (further, round) in (2..=rounds).enumerate() {
                let place = FOLLOWER_OF_LEADER + 1 + 2 * further;
                contests.push((format!("{}/reference", refined("reference", round)), place, REFERENCE));
                contests.push((format!("{}/leader", refined("leader", round)), place + 1, LEADER));
            }
        }
        contests
    }

    /// In the order of the constants above, then further rounds, of the reference and of the Leader in turn; and the tokens
    /// of answers that are none of theirs.
    fn answer_all(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        rounds: u32,
        failures: &mut Vec<String>,
    ) -> Result<(Vec<Answers>, u64), StepError> {
        let (made, further_tokens) = match self.standing {
            Standing::Policy => (None, 0),
            Standing::BestOfN { answers, chosen_by } => {
                self.best_of(players, prompts, (answers, chosen_by), failures)?
            }
            Standing::SelfRefined { rounds } => self.self_refined(players, prompts, rounds)?,
        };
        let mut ask = |name: &str, policy, previous: Option<&Answers>| {
            let round = previous.map_or(0, |previous| previous.round + 1);
            // A role of the stream: 0 Leader, 1 Follower of the Leader, 2 reference, 3 Follower of the reference.
            let role = match (policy, previous.map(|previous| previous.name.as_str())) {
                (PolicyName::Leader | PolicyName::Mixture { .. }, _) => 0,
                (PolicyName::Reference, _) => 2,
                (PolicyName::Follower, Some(name)) if name.contains("reference") => 3,
                (PolicyName::Follower, _) => 1,
            };
            let place = StreamPlace { role, round: round as u8, sample: 0 };
            let answers = self.answer(players, prompts, policy, previous, place)?;
            Ok(Answers { name: name.to_owned(), round, given: answers })
        };
        let leader = match made {
            Some(made) => made,
            None => ask("leader", PolicyName::Leader, None)?,
        };
        let refined_leader =
            if self.has_follower { Some(ask("follower(leader)", PolicyName::Follower, Some(&leader))?) } else { None };
        let reference = ask("reference", PolicyName::Reference, None)?;
        let refined_reference = if self.has_follower {
            Some(ask("follower(reference)", PolicyName::Follower, Some(&reference))?)
        } else {
            None
        };
        let mut everyone = vec![leader, reference];
        everyone.extend(refined_reference);
        everyone.extend(refined_leader);
        for round in 2..=rounds {
            // The last two: of the reference, of the Leader.
            if let [.., of_reference, of_leader] = everyone.as_slice()
                && self.has_follower
            {
                let next = [("reference", of_reference), ("leader", of_leader)]
                    .map(|(start, last)| ask(&refined(start, round), PolicyName::Follower, Some(last)));
                for answers in next {
                    everyone.push(answers?);
                }
            }
        }
        Ok((everyone, further_tokens))
    }

    /// The best of N answers of the reference, and the tokens of the others.
    fn best_of(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        (count, chosen_by): (u32, ChosenBy),
        failures: &mut Vec<String>,
    ) -> Result<(Option<Answers>, u64), StepError> {
        let mut samples = Vec::with_capacity(count as usize);
        for sample in 0..count {
            let place = StreamPlace { role: OWN_REFERENCE, round: 0, sample: sample as u16 };
            samples.push(self.answer(players, prompts, PolicyName::Reference, None, place)?);
        }
        let seed = self.seed;
        let draws = |prompt: &Prompt, i: usize, j: usize| {
            let row =
                Row { purpose: Purpose::Draw, prompt: prompt.id, step: 0, role: OWN_DRAWS, round: 0, sample: i as u16 };
            draw(seed, row, j as u32)
        };
        let given = best(players, prompts, &samples, (chosen_by, &draws), failures)?;
        let further = tokens(samples.iter().flatten()) - tokens(&given);
        Ok((Some(Answers { name: "leader".to_owned(), round: 0, given }), further))
    }

    /// The reference's answers after so many rounds of its own refinement, and the tokens of the rounds before.
    fn self_refined(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        rounds: u32,
    ) -> Result<(Option<Answers>, u64), StepError> {
        let place = |round| StreamPlace { role: OWN_REFERENCE, round, sample: 0 };
        let mut further = 0;
        let given = self.answer(players, prompts, PolicyName::Reference, None, place(0))?;
        let mut last = Answers { name: "leader".to_owned(), round: 0, given };
        for round in 1..=rounds {
            further += tokens(&last.given);
            let given = self.answer(players, prompts, PolicyName::Reference, Some(&last), place(round as u8))?;
            last = Answers { name: "leader".to_owned(), round, given };
        }
        Ok((Some(last), further))
    }

    fn answer(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        policy: PolicyName,
        previous: Option<&Answers>,
        StreamPlace { role, round, sample }: StreamPlace,
    ) -> Result<Vec<Answer>, StepError> {
        let rows = |prompt: u32| Row { purpose: Purpose::EvaluationTokens, prompt, step: 0, role, round, sample };
        let requests: Vec<Request<'_>> = prompts
            .iter()
            .enumerate()
            .map(|(index, prompt)| Request {
                policy,
                prompt,
                previous: previous.map(|previous| &previous.given[index]),
                row: rows(prompt.id),
            })
            .collect();
        let mut answers = Vec::with_capacity(prompts.len());
        for batch in requests.chunks((self.plan.batch_size as usize).max(1)) {
            let some = players.policies.generate(batch, self.seed, &self.plan.sampling);
            let doing = "sampling answers to held-out prompts";
            let some = some.map_err(|source| StepError::Policies { doing, source })?;
            check_answers(batch, &some.answers)?;
            answers.extend(some.answers);
        }
        Ok(answers)
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
            let row = contest_row(prompt.id, number);
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
        let wins = pairs.iter().copied().map(win);
        let bias = pairs.iter().map(|(there, back)| (there.probability + back.probability - 1.0).abs());
        let mut rows: Vec<EvaluationRow> = Vec::new();
        rows.extend(self.row("win_rate", subject, wins.collect()));
        rows.extend(self.row("order_bias", subject, bias.collect()));
        let mut attributes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (there, back) in &pairs {
            for attribute in &there.attributes {
                let other = back.attributes.iter().find(|other| other.name == attribute.name);
                let value = other.map_or(attribute.value, |other| 0.5 * (attribute.value + (1.0 - other.value)));
                attributes.entry(attribute.name.clone()).or_default().push(value);
            }
        }
        for (name, values) in attributes {
            rows.extend(self.row(&format!("attribute/{name}"), subject, values));
        }
        rows
    }

    fn lengths(&self, who: &Answers) -> Vec<EvaluationRow> {
        let lengths = who.given.iter().map(|answer| answer.tokens.len() as f64).collect();
        let finished = who.given.iter().map(|answer| f64::from(u8::from(answer.finished))).collect();
        let rows = [self.row("mean_length", &who.name, lengths), self.row("eos_rate", &who.name, finished)];
        rows.into_iter().flatten().collect()
    }

    /// The mean over prompts with Student's 95 % interval; none without a value, or with one that is not finite.
    fn row(&self, name: &str, subject: &str, values: Vec<f64>) -> Option<EvaluationRow> {
        let sample = Sample::new(values).ok()?;
        let interval = sample.mean_interval(Level::PERCENT_95);
        Some(EvaluationRow {
            run: self.run,
            step: self.step,
            name: name.to_owned(),
            subject: subject.to_owned(),
            value: sample.mean(),
            interval: interval.map(|interval| (interval.low, interval.high)),
            n: sample.n() as u64,
        })
    }

    /// The prompts' answers. Each has the verdict of the first contest in which it stands first; the reference's is
    /// that of the Leader, turned.
    fn completions(&self, prompts: &[Prompt], everyone: &[Answers], contests: &[Contest]) -> Vec<CompletionRow> {
        let verdict = |who: &str, index: usize| {
            let turn = who == "reference";
            let first = if turn { "leader" } else { who };
            let starts =
                |contest: &&Contest| contest.subject.strip_prefix(first).is_some_and(|rest| rest.starts_with('/'));
            let contest = contests.iter().find(starts)?;
            let (there, _) = contest.verdicts[index].as_ref()?;
            Some(if turn { turned(there) } else { there.clone() })
        };
        let mut rows = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            for who in everyone {
                let role = format!("held-out/{}", who.name);
                let place = RowPlace { run: self.run, step: self.step, role: &role, round: who.round };
                rows.push(row(place, prompt, &who.given[index], verdict(&who.name, index)));
            }
        }
        number(&mut rows);
        rows
    }
}

/// Who an answer is after rounds of refinement: `follower(leader)`, `follower^2(leader)`, …
fn refined(start: &str, round: u32) -> String {
    if round == 1 { format!("follower({start})") } else { format!("follower^{round}({start})") }
}

fn tokens<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> u64 {
    answers.into_iter().map(|answer| answer.tokens.len() as u64).sum()
}

/// A prompt's win rate, of both orders.
fn win((there, back): &(Verdict, Verdict)) -> f64 {
    0.5 * (there.probability + (1.0 - back.probability))
}

/// Where the draws of a contest stand: apart from those of training, which have role 0. A row tells sixteen roles apart, so
/// contests beyond the eighth differ in their round.
fn contest_row(prompt: u32, number: u8) -> Row {
    Row { purpose: Purpose::Draw, prompt, step: 0, role: 8 + number % 8, round: number / 8, sample: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{contest_row, draw};

    #[test]
    fn every_contest_of_a_prompt_has_its_own_draws() {
        let draws: BTreeSet<u64> = (0..=u8::MAX).map(|number| draw(1, contest_row(3, number), 0)).collect();
        assert_eq!(draws.len(), 256);
    }
}
