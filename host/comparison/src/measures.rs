//! What a `reward` plugin makes of every policy's answers: its score, and its attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use slhf_experiment::named_plugin;
use slhf_judge::{Candidate, Host, Response, Score};
use slhf_plan::{MeasurePlan, PluginPlan};
use slhf_random::{Purpose, Row, Stream};
use slhf_report::escape::line;
use slhf_statistics::{Estimate, crossed_ratio_of_sums};

use crate::error::ComparisonError;
use crate::field::Field;
use crate::plugins::{present, sha256};
use crate::policy::Policy;
use crate::say::Say;

/// What stands for the measures of the TOML on the command line.
const ALL: &str = "all";
/// The name of the score itself beside those of attributes.
const SCORE: &str = "score";

/// One number of one policy.
#[derive(Debug)]
pub struct Finding {
    /// The metric's name.
    pub measure: String,
    /// The policy's.
    pub policy: String,
    /// `score`, or an attribute of it.
    pub what: String,
    /// Its mean over seeds and prompts.
    pub estimate: Estimate,
    /// Answers that were measured.
    pub n: usize,
}

/// `[seed][prompt]` = (sum, count) of each quantity.
type Sums = BTreeMap<String, Vec<Vec<(f64, f64)>>>;

/// Measures every policy: a finding a policy and quantity.
pub fn measure(
    field: &Field,
    measures: &[(String, PluginPlan)],
    host: &Host,
    say: Say<'_>,
) -> Result<Vec<Finding>, ComparisonError> {
    let mut findings = Vec::new();
    for (name, plugin) in measures {
        let reward = host.reward(plugin).map_err(ComparisonError::Unusable)?;
        let mut failures = Vec::new();
        for policy in &field.policies {
            let batch = candidates(field, policy);
            let scores = reward.score(&batch.iter().map(|(_, one)| one.clone()).collect::<Vec<_>>());
            let scores = scores.map_err(ComparisonError::Asked)?;
            let mut measured = Vec::new();
            for ((place, _), score) in batch.iter().zip(scores) {
                match score {
                    Ok(score) => measured.push((*place, score)),
                    Err(failure) => failures.push(failure.reason),
                }
            }
            findings.extend(of_policy(field, name, policy, &measured));
        }
        if let Some(first) = failures.first() {
            let sentence = format!("{name}: {} responses could not be measured; the first: {first}", failures.len());
            say(line(&sentence).into_owned());
        }
    }
    Ok(findings)
}

/// The measures that were asked for, by their names.
pub fn named_measures(
    field: &Field,
    asked: &[String],
    say: Say<'_>,
) -> Result<Vec<(String, PluginPlan)>, ComparisonError> {
    let mut measures = Vec::new();
    for one in asked {
        if one == ALL {
            let of_toml = &field.plan.evaluation.measures;
            if of_toml.is_empty() {
                return Err(ComparisonError::NoMetrics { experiment: field.experiment.clone() });
            }
            for MeasurePlan { name, plugin, .. } in of_toml {
                measures.push((name.clone(), present(plugin, say)?));
            }
            continue;
        }
        let (name, parameters) = one.split_once('=').unwrap_or((one, "{}"));
        let mut plan = named_plugin::plan(name, parameters, None)?;
        plan.sha256 = sha256(&plan.path)?;
        measures.push((plan.name.clone(), plan));
    }
    Ok(measures)
}

/// Each answer with its (seed, prompt).
fn candidates(field: &Field, policy: &Policy) -> Vec<((usize, usize), Candidate)> {
    let mut found = Vec::new();
    for (seed, own) in field.seeds.iter().enumerate() {
        for (prompt, told) in field.prompts.iter().enumerate() {
            let Some(response) = &policy.answers[seed][prompt] else { continue };
            let row = Row {
                purpose: Purpose::Draw,
                prompt: prompt as u32,
                step: 0,
                stream: Stream::LaterEvaluation,
                round: 1,
                sample: 0,
            };
            let candidate = Candidate {
                prompt: Arc::clone(&told.text),
                messages: Arc::clone(&told.messages),
                metadata: Arc::clone(&told.metadata),
                response: Response::clone(response),
                draw: row.draw(*own as u64, 0),
            };
            found.push(((seed, prompt), candidate));
        }
    }
    found
}

/// The score, and the mean of every attribute over all of its occurrences.
fn of_policy(field: &Field, measure: &str, policy: &Policy, measured: &[((usize, usize), Score)]) -> Vec<Finding> {
    let mut sums = Sums::new();
    for ((seed, prompt), score) in measured {
        let own = std::iter::once((SCORE, score.value));
        let attributes = score.attributes.iter().map(|attribute| (attribute.name.as_str(), attribute.value));
        for (name, value) in own.chain(attributes) {
            let empty = || vec![vec![(0.0, 0.0); field.prompts.len()]; field.seeds.len()];
            let sum = &mut sums.entry(name.to_owned()).or_insert_with(empty)[*seed][*prompt];
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
    }
    let finding = |(what, sums): (String, Vec<Vec<(f64, f64)>>)| {
        let estimate = crossed_ratio_of_sums(&sums)?;
        let n = sums.iter().flatten().filter(|(_, count)| *count > 0.0).count();
        Some(Finding { measure: measure.to_owned(), policy: policy.name.clone(), what, estimate, n })
    };
    let mut findings: Vec<Finding> = sums.into_iter().filter_map(finding).collect();
    findings.sort_by_key(|finding| finding.what != SCORE);
    findings
}
