//! The judging: every pair of policies, on every prompt and seed, in both orders.

use slhf_judge::Host;
use slhf_plan::ComparisonFamily;
use slhf_statistics::{AnswerTriples, Family, Over, Standings, Tournament, TournamentError, TournamentSettings};

use crate::asking::{AskedPair, Counted, Judge};
use crate::error::ComparisonError;
use crate::field::Field;
use crate::judges::Named;
use crate::merging::{Merged, merged};
use crate::stopping::{Stopped, ask_until};

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
    /// What is known of these policies on these prompts, where enough of it ended the asking.
    pub stopped: Option<Stopped>,
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

/// Asks the judge about every pair of policies, in both orders, on every prompt or until enough is known. Policies that gave the same
/// answers everywhere are one.
pub fn evaluate(field: &Field, judge: &Named, host: &Host) -> Result<Evaluation, ComparisonError> {
    let preference = host.preference(&judge.plan).map_err(ComparisonError::Unusable)?;
    let policies = merged(&field.policies);
    let settings = TournamentSettings { family: family(field, &policies)?, ..TournamentSettings::default() };
    let mut counted = Counted::default();
    let judge_of = Judge { field, preference: &preference };
    let (mut pairs, mut is_asked) = (Vec::new(), Vec::new());
    for i in 0..policies.len() {
        for j in i + 1..policies.len() {
            pairs.push(AskedPair::new(field, [&policies[i], &policies[j]]));
            is_asked.push(settings.family.has(i, j));
        }
    }
    let uncompared = |error: &TournamentError, counted: &Counted| {
        uncompared(&policies, &judge.name, error, counted.first_failure.as_deref())
    };
    let stopped = if let Some(rule) = field.stop_at {
        Some(ask_until(rule, &judge_of, &mut pairs, &is_asked, &mut counted)?)
    } else {
        let all: Vec<usize> = (0..field.prompts.len()).collect();
        pairs.iter_mut().try_for_each(|pair| pair.ask(&judge_of, &all, &mut counted))?;
        None
    };
    let place = |i: usize, j: usize| i * (2 * policies.len() - i - 1) / 2 + j - i - 1;
    let prompts = field.prompts.len();
    let tournament = Tournament::new(policies.len(), field.seeds.len(), prompts, |i, j, seed, prompt| {
        pairs[place(i, j)].wins[seed * prompts + prompt]
    });
    let fixed: Vec<usize> = (0..policies.len()).filter(|policy| policies[*policy].is_fixed()).collect();
    let tournament =
        tournament.map(|tournament| tournament.with_fixed(&fixed)).map_err(|error| uncompared(&error, &counted))?;
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
        stopped,
        failed: counted.failed,
        order_bias: counted.order_bias(),
        length_correlation: counted.lengths.around_a_tie(),
        first_failure: counted.first_failure,
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
