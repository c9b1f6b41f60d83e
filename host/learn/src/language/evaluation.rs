//! How good the policies are on held-out prompts: win rates with intervals over prompts, lengths, attributes.
//!
//! Every comparison is presented in both orders, and a prompt's win rate is `½ [p(a ≻ b) + 1 − p(b ≻ a)]`: a judge that
//! prefers a place prefers nobody by it. `order_bias`, the mean of |p(a ≻ b) + p(b ≻ a) − 1|, says how far the judge is
//! from complementary. Streams of tokens do not depend on the step, so that evaluations of one run are comparable.

use std::collections::BTreeMap;

use slhf_plan::{CompletionRow, EvaluationRow, LanguageEvaluationPlan};
use slhf_random::{Purpose, Row};
use slhf_statistics::{Level, Sample};

use super::completions::{RECORDED_MAX, RowPlace, number, row, turned};
use super::failure::StepError;
use super::playing::{check_answers, compare, draw};
use super::step::Players;
use super::traits::{Answer, Comparison, PolicyName, Prompt, Request, Verdict};

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
    name: &'static str,
    round: u32,
    given: Vec<Answer>,
}

/// Both presentations of one prompt's answers; `None` where either failed.
type Verdicts = Vec<Option<(Verdict, Verdict)>>;

/// A policy against another one.
struct Contest {
    subject: &'static str,
    verdicts: Verdicts,
}

const LEADER: usize = 0;
const REFERENCE: usize = 1;
const FOLLOWER_OF_REFERENCE: usize = 2;
const FOLLOWER_OF_LEADER: usize = 3;

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
        let everyone = self.answer_all(players, prompts)?;
        let mut found = Found::default();
        for who in &everyone {
            found.tokens += who.given.iter().map(|answer| answer.tokens.len() as u64).sum::<u64>();
            found.rows.extend(self.lengths(who));
        }
        let mut failures = Vec::new();
        let mut contests = Vec::new();
        for (number, (subject, first, second)) in self.contests().into_iter().enumerate() {
            let sides = (&everyone[first], &everyone[second]);
            let verdicts = self.compare(players, prompts, sides, number as u8, &mut failures)?;
            found.rows.extend(self.win_rates(subject, &verdicts));
            contests.push(Contest { subject, verdicts });
        }
        if let Some(first) = failures.first() {
            let (step, failed) = (self.step, failures.len());
            found.note = Some(format!(
                "evaluation at step {step}: {failed} verdicts failed and are left out; the first: {first}"
            ));
        }
        found.completions = self.completions(prompts, &everyone, &contests);
        Ok(found)
    }

    fn contests(&self) -> Vec<(&'static str, usize, usize)> {
        let mut contests = vec![("leader/reference", LEADER, REFERENCE)];
        if self.has_follower {
            contests.push(("follower(reference)/reference", FOLLOWER_OF_REFERENCE, REFERENCE));
            contests.push(("follower(leader)/leader", FOLLOWER_OF_LEADER, LEADER));
        }
        contests
    }

    /// In the order of the constants above.
    fn answer_all(&self, players: &mut Players<'_>, prompts: &[Prompt]) -> Result<Vec<Answers>, StepError> {
        let mut ask = |name, policy, previous: Option<&Answers>| {
            let round = previous.map_or(0, |previous| previous.round + 1);
            // A role of the stream: 0 Leader, 1 Follower of the Leader, 2 reference, 3 Follower of the reference.
            let role = match (policy, previous.map(|previous| previous.name)) {
                (PolicyName::Leader, _) => 0,
                (PolicyName::Reference, _) => 2,
                (PolicyName::Follower, Some("reference")) => 3,
                (PolicyName::Follower, _) => 1,
            };
            let answers = self.answer(players, prompts, policy, previous, (role, round as u8))?;
            Ok(Answers { name, round, given: answers })
        };
        let leader = ask("leader", PolicyName::Leader, None)?;
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
        Ok(everyone)
    }

    fn answer(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        policy: PolicyName,
        previous: Option<&Answers>,
        (role, round): (u8, u8),
    ) -> Result<Vec<Answer>, StepError> {
        let rows = |prompt: u32| Row { purpose: Purpose::EvaluationTokens, prompt, step: 0, role, round, sample: 0 };
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
            check_answers(batch, &some)?;
            answers.extend(some);
        }
        Ok(answers)
    }

    fn compare(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        (first, second): (&Answers, &Answers),
        number: u8,
        failures: &mut Vec<String>,
    ) -> Result<Verdicts, StepError> {
        let mut comparisons = Vec::with_capacity(2 * prompts.len());
        for (index, prompt) in prompts.iter().enumerate() {
            // Draws of evaluations stand apart from those of training, which have role 0.
            let row = Row { purpose: Purpose::Draw, prompt: prompt.id, step: 0, role: 8 + number, round: 0, sample: 0 };
            let (a, b) = (&first.given[index], &second.given[index]);
            comparisons.push(Comparison { prompt, first: a, second: b, draw: draw(self.seed, row, 0) });
            comparisons.push(Comparison { prompt, first: b, second: a, draw: draw(self.seed, row, 1) });
        }
        let mut verdicts = compare(players.judge, &comparisons)?.into_iter();
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
        let wins = pairs.iter().map(|(there, back)| 0.5 * (there.probability + (1.0 - back.probability)));
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
        let rows = [self.row("mean_length", who.name, lengths), self.row("eos_rate", who.name, finished)];
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

    /// The first prompts' answers. Each has the verdict of the first contest in which it stands first; the reference's is
    /// that of the Leader, turned.
    fn completions(&self, prompts: &[Prompt], everyone: &[Answers], contests: &[Contest]) -> Vec<CompletionRow> {
        let verdict = |who: &str, index: usize| {
            let (contest, turn) = match who {
                "reference" => ("leader/reference", true),
                "leader" => ("leader/reference", false),
                "follower(leader)" => ("follower(leader)/leader", false),
                _ => ("follower(reference)/reference", false),
            };
            let contest = contests.iter().find(|other| other.subject == contest)?;
            let (there, _) = contest.verdicts[index].as_ref()?;
            Some(if turn { turned(there) } else { there.clone() })
        };
        let mut rows = Vec::new();
        for (index, prompt) in prompts.iter().enumerate().take(RECORDED_MAX) {
            for who in everyone {
                let role = format!("held-out/{}", who.name);
                let place = RowPlace { run: self.run, step: self.step, role: &role, round: who.round };
                rows.push(row(place, prompt, &who.given[index], verdict(who.name, index)));
            }
        }
        number(&mut rows);
        rows
    }
}
