//! The judging: every pair of policies, on every prompt and seed, in both orders.

use std::sync::Arc;

use slhf_judge::{Comparison, Host, Preference};
use slhf_plan::ComparisonFamily;
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{
    AnswerTriples, Family, Over, PairCorrelation, Standings, Tournament, TournamentError, TournamentSettings,
};

use crate::error::ComparisonError;
use crate::field::Field;
use crate::judges::Named;
use crate::merging::{Merged, merged};
use crate::prompts::HeldOut;

/// What one judge made of the field.
#[derive(Debug)]
pub struct Evaluation {
    /// In the order of the field.
    pub policies: Vec<PolicyFacts>,
    /// Whose pairs were corrected for together.
    pub family: ComparisonFamily,
    /// Fewer policies than the field has, chosen on the command line.
    pub is_selection: bool,
    /// Of the field.
    pub seeds: Vec<i64>,
    /// How many there are.
    pub prompts: usize,
    /// Win rates, Elo points, cycles.
    pub standings: Standings,
    /// Cycles among the responses to one prompt.
    pub answer_triples: AnswerTriples,
    /// Verdicts that failed.
    pub failed: u64,
    /// The first of them.
    pub first_failure: Option<String>,
    /// Mean |p(a ≻ b) + p(b ≻ a) − 1|.
    pub order_bias: f64,
    /// Of a win less ½ and of the difference of the answers' lengths in characters; `None` where either is 0 everywhere.
    pub length_correlation: Option<f64>,
}

/// What is known of a policy besides its wins.
#[derive(Debug)]
pub struct PolicyFacts {
    /// As tables show it.
    pub name: String,
    /// Others that gave the same answers everywhere: they are this policy.
    pub also: Vec<String>,
    /// `None` for responses from a file.
    pub mean_tokens: Option<f64>,
    /// Share of responses that ended by themselves.
    pub eos_rate: f64,
}

impl Evaluation {
    /// Whom the intervals speak about: seeds, too, where any pair has two.
    pub fn over(&self) -> Over {
        self.standings.scale.over
    }
}

impl PolicyFacts {
    /// All of its names, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }

    /// As tables show it: `leader = copy` where both are one.
    pub fn label(&self) -> String {
        self.names().collect::<Vec<_>>().join(" = ")
    }
}

/// Asks the judge about every pair of policies, in both orders. Policies that gave the same answers everywhere are one.
pub fn evaluate(field: &Field, judge: &Named, host: &Host) -> Result<Evaluation, ComparisonError> {
    let preference = host.preference(&judge.plan).map_err(ComparisonError::Unusable)?;
    let policies = merged(&field.policies);
    let settings = TournamentSettings { family: family(field, &policies)?, ..TournamentSettings::default() };
    let mut asked = Asked { lengths: PairCorrelation::default(), bias: (0.0, 0), failed: 0, first_failure: None };
    let mut wins: Vec<Vec<Option<f64>>> = Vec::new();
    for i in 0..policies.len() {
        for j in i + 1..policies.len() {
            wins.push(asked.pair(field, &preference, [&policies[i], &policies[j]])?);
        }
    }
    let place = |i: usize, j: usize| i * (2 * policies.len() - i - 1) / 2 + j - i - 1;
    let prompts = field.prompts.len();
    let tournament = Tournament::new(policies.len(), field.seeds.len(), prompts, |i, j, seed, prompt| {
        wins[place(i, j)][seed * prompts + prompt]
    });
    let fixed: Vec<usize> = (0..policies.len()).filter(|policy| policies[*policy].is_fixed()).collect();
    let tournament = tournament
        .map(|tournament| tournament.with_fixed(&fixed))
        .map_err(|error| uncompared(&policies, &judge.name, &error, asked.first_failure.as_deref()))?;
    Ok(Evaluation {
        policies: policies.iter().map(facts).collect(),
        family: field.family.clone(),
        is_selection: field.is_selection,
        seeds: field.seeds.clone(),
        prompts,
        standings: tournament.standings(&settings),
        answer_triples: tournament.answer_triples(|policy, seed, prompt| {
            policies[policy].policy.answers[seed][prompt].as_ref().map(|answer| &answer.text)
        }),
        failed: asked.failed,
        first_failure: asked.first_failure,
        order_bias: asked.bias.0 / asked.bias.1.max(1) as f64,
        length_correlation: asked.lengths.around_a_tie(),
    })
}

/// Whose pairs the experiment asks about, among those who are left.
fn family(field: &Field, policies: &[Merged<'_>]) -> Result<Family, ComparisonError> {
    let ComparisonFamily::Against(name) = &field.family else { return Ok(Family::All) };
    let found = policies.iter().position(|policy| policy.names().any(|known| known == name));
    found.map(Family::Against).ok_or_else(|| {
        let names = policies.iter().flat_map(Merged::names).map(str::to_owned).collect();
        ComparisonError::FamilyOfNobody { experiment: field.experiment.clone(), against: name.clone(), names }
    })
}

/// Of everybody's answers, also of those whose tokens nobody counted.
fn characters(response: &slhf_judge::Response) -> f64 {
    response.text.chars().count() as f64
}

/// By their names, and why.
fn uncompared(policies: &[Merged<'_>], judge: &str, error: &TournamentError, failure: Option<&str>) -> ComparisonError {
    let (first, second) = match error {
        TournamentError::NeverCompared { first, second } => (*first, *second),
        TournamentError::TooFew { .. } => {
            let names = policies.iter().flat_map(Merged::names).map(str::to_owned).collect();
            return ComparisonError::OnePolicy { names };
        }
        error => return ComparisonError::Tournament(error.clone()),
    };
    let why = failure.map_or_else(
        || {
            "they have no seed in common, or no prompt that both responded to under every one of these; leave one of them out with --only"
                .to_owned()
        },
        |failure| format!("verdicts failed on every prompt, the first: {failure}"),
    );
    let [first, second] = [first, second].map(|at| policies[at].policy.name.clone());
    ComparisonError::NoVerdict { judge: judge.to_owned(), first, second, why }
}

fn facts(merged: &Merged<'_>) -> PolicyFacts {
    let policy = merged.policy;
    let answers: Vec<&slhf_judge::Response> = policy.answers.iter().flatten().flatten().collect();
    let mean = |of: &dyn Fn(&slhf_judge::Response) -> f64| {
        answers.iter().map(|answer| of(answer)).sum::<f64>() / answers.len().max(1) as f64
    };
    PolicyFacts {
        name: policy.name.clone(),
        also: merged.also.iter().map(|&name| name.to_owned()).collect(),
        mean_tokens: answers
            .iter()
            .any(|answer| answer.token_count > 0)
            .then(|| mean(&|answer| f64::from(answer.token_count))),
        eos_rate: mean(&|answer| f64::from(u8::from(answer.finished))),
    }
}

/// Where the draws of two policies stand: by their answers, so that neither names, nor the order in which policies are listed, nor
/// who else is there changes what a judge says of them.
struct PairKey {
    pair: u32,
    /// Of the order in which the first of the two stands first.
    first: u32,
}

impl PairKey {
    fn of(pair: [&Merged<'_>; 2]) -> Self {
        let [first, second] = pair.map(Merged::answers_hash);
        let (low, high) = if first <= second { (&first, &second) } else { (&second, &first) };
        let hash = slhf_files::sha256_hex(format!("{low}{high}").as_bytes());
        // Eight hexadecimal digits are a u32.
        Self { pair: u32::from_str_radix(&hash[..8], 16).unwrap_or(0), first: u32::from(first > second) }
    }
}

/// What is counted while judging.
struct Asked {
    lengths: PairCorrelation,
    bias: (f64, u64),
    failed: u64,
    first_failure: Option<String>,
}

impl Asked {
    /// Wins of the first of two policies, one a seed and prompt.
    fn pair(
        &mut self,
        field: &Field,
        preference: &Preference,
        pair: [&Merged<'_>; 2],
    ) -> Result<Vec<Option<f64>>, ComparisonError> {
        let key = PairKey::of(pair);
        let [i, j] = pair.map(|merged| merged.policy);
        let mut places = Vec::new();
        let mut batch = Vec::new();
        for (seed, own) in field.seeds.iter().enumerate() {
            for (prompt, told) in field.prompts.iter().enumerate() {
                let (one, other) = (&i.answers[seed][prompt], &j.answers[seed][prompt]);
                let (Some(one), Some(other)) = (one, other) else { continue };
                places.push((seed * field.prompts.len() + prompt, characters(one) - characters(other)));
                let row = Row {
                    purpose: Purpose::Draw,
                    prompt: prompt as u32,
                    step: key.pair,
                    stream: Stream::LaterEvaluation,
                    round: 0,
                    sample: 0,
                };
                let draw = |order| row.draw(*own as u64, order);
                batch.push(comparison(told, one, other, draw(key.first)));
                batch.push(comparison(told, other, one, draw(1 - key.first)));
            }
        }
        let mut verdicts = preference.compare(&batch).map_err(ComparisonError::Asked)?.into_iter();
        let mut wins = vec![None; field.seeds.len() * field.prompts.len()];
        for (place, longer) in places {
            match (verdicts.next(), verdicts.next()) {
                (Some(Ok(there)), Some(Ok(back))) => {
                    let win = 0.5 * (there.probability + (1.0 - back.probability));
                    wins[place] = Some(win);
                    self.lengths.add(longer, win);
                    self.bias.0 += (there.probability + back.probability - 1.0).abs();
                    self.bias.1 += 1;
                }
                (there, back) => {
                    for failure in [there, back].into_iter().flatten().filter_map(Result::err) {
                        self.failed += 1;
                        self.first_failure.get_or_insert(failure.reason);
                    }
                }
            }
        }
        Ok(wins)
    }
}

fn comparison(told: &HeldOut, first: &slhf_judge::Response, second: &slhf_judge::Response, draw: u64) -> Comparison {
    Comparison {
        prompt: Arc::clone(&told.text),
        messages: Arc::clone(&told.messages),
        metadata: Arc::clone(&told.metadata),
        first: first.clone(),
        second: second.clone(),
        draw,
    }
}
