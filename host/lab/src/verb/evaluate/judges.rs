//! Who judges, and the judging.

use std::sync::Arc;

use slhf_judge::{Comparison, Preference};
use slhf_plan::{ComparisonFamily, EvaluationJudgePlan, PluginPlan};
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{
    AnswerTriples, Family, PairCorrelation, Standings, Tournament, TournamentError, TournamentSettings,
};

use super::field::Field;
use super::merging::{Merged, merged};
use super::prompts::HeldOut;
use crate::failure::Failure;
use crate::output;
use crate::plugin::asked;

/// What stands for the training judge on the command line.
const TRAINING: &str = "training";

/// A judge that was asked for.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) plan: PluginPlan,
    /// `outer over inner` where one wraps another.
    pub(super) name: String,
    /// The policies were trained on it.
    pub(super) is_training_judge: bool,
}

/// What one judge made of the field.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) policies: Vec<PolicyFacts>,
    /// Whose pairs were corrected for together.
    pub(super) family: ComparisonFamily,
    /// Fewer policies than the field has, chosen on the command line.
    pub(super) is_selection: bool,
    pub(super) seeds: Vec<i64>,
    pub(super) prompts: usize,
    pub(super) standings: Standings,
    /// Circles among the answers to one prompt.
    pub(super) answer_triples: AnswerTriples,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    /// Mean |p(a ≻ b) + p(b ≻ a) − 1|.
    pub(super) order_bias: f64,
    /// Of a win less ½ and of the difference of the answers' lengths in characters; `None` where either is 0 everywhere.
    pub(super) length_correlation: Option<f64>,
}

#[derive(Debug)]
pub(super) struct PolicyFacts {
    pub(super) name: String,
    /// Others that gave the same answers everywhere: they are this policy.
    pub(super) also: Vec<String>,
    /// `None` for responses from a file.
    pub(super) mean_tokens: Option<f64>,
    pub(super) eos_rate: f64,
}

impl PolicyFacts {
    /// All of its names, the first one first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }

    /// As tables show it: `leader = copy` where both are one.
    pub(super) fn label(&self) -> String {
        self.names().collect::<Vec<_>>().join(" = ")
    }
}

/// The judges of the command line; the training judge and those of `[evaluation]` without any.
pub(super) fn named(asked: &[String], field: &Field) -> Result<Vec<Named>, Failure> {
    let trained = present(&field.training_judge)?;
    if asked.is_empty() {
        let mut judges = vec![Named { name: chain(&trained), plan: trained.clone(), is_training_judge: true }];
        for EvaluationJudgePlan { name, judge } in &field.evaluation_judges {
            let plan = present(&judge.plugin)?;
            judges.push(Named { name: name.clone(), is_training_judge: is_same(&plan, &trained), plan });
        }
        return Ok(judges);
    }
    let mut judges = Vec::with_capacity(asked.len());
    for one in asked {
        if one == TRAINING {
            judges.push(Named { name: chain(&trained), plan: trained.clone(), is_training_judge: true });
            continue;
        }
        let mut plan = None;
        for part in one.rsplit(" over ") {
            let (name, parameters) = part.trim().split_once('=').unwrap_or((part.trim(), "{}"));
            let mut outer = asked::plan(name, parameters, plan.map(Box::new))?;
            outer.sha256 = sha256(&outer.path)?;
            plan = Some(outer);
        }
        let Some(plan) = plan else { continue };
        let is_training_judge = is_same(&plan, &trained);
        judges.push(Named { name: chain(&plan), plan, is_training_judge });
    }
    Ok(judges)
}

/// The plugin where the run found it, else the shipped one of its name; said where it is not the file of the runs.
pub(super) fn present(plan: &PluginPlan) -> Result<PluginPlan, Failure> {
    let mut plan = plan.clone();
    if !std::path::Path::new(&plan.path).is_file() {
        let path = asked::path(&plan.name).map_err(Failure::bad_input)?;
        plan.path = path.display().to_string();
    }
    let found = sha256(&plan.path)?;
    if found != plan.sha256 {
        output::say(format!(
            "note: the judge '{}' is not the file that the runs were judged by, but {}",
            output::visible(&plan.name),
            output::visible(&plan.path)
        ));
        plan.sha256 = found;
    }
    plan.upstream = plan.upstream.as_deref().map(present).transpose()?.map(Box::new);
    Ok(plan)
}

pub(super) fn sha256(path: &str) -> Result<String, Failure> {
    let found = slhf_files::digest_file(path.as_ref());
    Ok(found.map_err(|error| Failure::bad_input(format!("{path} cannot be read: {error}")))?.sha256)
}

fn chain(plan: &PluginPlan) -> String {
    match &plan.upstream {
        Some(inner) => format!("{} over {}", plan.name, chain(inner)),
        None => plan.name.clone(),
    }
}

/// The same file with the same parameters; limits decide nothing.
pub(super) fn is_same(asked: &PluginPlan, trained: &PluginPlan) -> bool {
    let upstream = match (&asked.upstream, &trained.upstream) {
        (Some(asked), Some(trained)) => is_same(asked, trained),
        (asked, trained) => asked.is_none() && trained.is_none(),
    };
    upstream && asked.parameters == trained.parameters && asked.sha256 == trained.sha256
}

/// Asks the judge about every pair of policies, in both orders. Policies that gave the same answers everywhere are one.
pub(super) fn evaluate(field: &Field, judge: &Named) -> Result<Evaluation, Failure> {
    let preference = asked::host()?.preference(&judge.plan).map_err(Failure::bad_input)?;
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
fn family(field: &Field, policies: &[Merged<'_>]) -> Result<Family, Failure> {
    let ComparisonFamily::Against(name) = &field.family else { return Ok(Family::All) };
    let found = policies.iter().position(|policy| policy.names().any(|known| known == name));
    found.map(Family::Against).ok_or_else(|| {
        let names: Vec<&str> = policies.iter().flat_map(Merged::names).collect();
        Failure::bad_input(format!(
            "evaluation.family of '{}' is \"against:{}\", who is not among those compared; expected one of {}",
            output::visible(&field.experiment),
            output::visible(name),
            output::visible(&names.join(", "))
        ))
    })
}

/// Of everybody's answers, also of those whose tokens nobody counted.
fn characters(response: &slhf_judge::Response) -> f64 {
    response.text.chars().count() as f64
}

/// By their names, and why.
fn uncompared(policies: &[Merged<'_>], judge: &str, error: &TournamentError, failure: Option<&str>) -> Failure {
    let (first, second) = match error {
        TournamentError::NeverCompared { first, second } => (*first, *second),
        TournamentError::TooFew { .. } => {
            let names: Vec<&str> = policies.iter().flat_map(Merged::names).collect();
            return Failure::bad_input(format!(
                "{} gave the same responses everywhere: they are one policy, and a comparison needs two",
                output::visible(&names.join(" and "))
            ));
        }
        error => return Failure::failed(error.to_string()),
    };
    let why = failure.map_or_else(
        || {
            "they have no seed in common, or no prompt that both responded to under every one of these; leave one of them out with --only"
                .to_owned()
        },
        |failure| format!("verdicts failed on every prompt, the first: {failure}"),
    );
    let names = [first, second].map(|at| output::visible(&policies[at].policy.name));
    Failure::failed(format!("'{judge}' has no verdict on {} against {}: {}", names[0], names[1], output::visible(&why)))
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
    ) -> Result<Vec<Option<f64>>, Failure> {
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
        let mut verdicts = preference.compare(&batch).map_err(Failure::failed)?.into_iter();
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
