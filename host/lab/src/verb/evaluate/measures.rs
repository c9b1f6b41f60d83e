//! What a `reward` plugin makes of every policy's answers: its score, and its attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use slhf_judge::{Candidate, Response, Score};
use slhf_plan::{MeasurePlan, PluginPlan};
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{Estimate, crossed_ratio_of_sums};

use super::field::{Field, Policy};
use super::judges::{present, sha256};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};
use crate::plugin::asked;

/// What stands for the measures of the TOML on the command line.
const ALL: &str = "all";
/// The name of the score itself beside those of attributes.
const SCORE: &str = "score";

/// One number of one policy.
struct Finding {
    measure: String,
    policy: String,
    what: String,
    estimate: Estimate,
    /// Answers that were measured.
    n: usize,
}

/// `[seed][prompt]` = (sum, count) of each quantity.
type Sums = BTreeMap<String, Vec<Vec<(f64, f64)>>>;

/// Measures every policy and prints a row a policy and quantity.
pub(super) fn evaluate(field: &Field, asked: &[String], format: Format) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for (name, plugin) in named(field, asked)? {
        let reward = asked::host()?.reward(&plugin).map_err(Failure::bad_input)?;
        let mut failures = Vec::new();
        for policy in &field.policies {
            let batch = candidates(field, policy);
            let scores = reward.score(&batch.iter().map(|(_, one)| one.clone()).collect::<Vec<_>>());
            let scores = scores.map_err(Failure::failed)?;
            let mut measured = Vec::new();
            for ((place, _), score) in batch.iter().zip(scores) {
                match score {
                    Ok(score) => measured.push((*place, score)),
                    Err(failure) => failures.push(failure.reason),
                }
            }
            findings.extend(of_policy(field, &name, policy, &measured));
        }
        if let Some(first) = failures.first() {
            let sentence = format!("{name}: {} responses could not be measured; the first: {first}", failures.len());
            output::say(output::visible(&sentence));
        }
    }
    print(&findings, format)
}

/// The measures that were asked for.
fn named(field: &Field, asked: &[String]) -> Result<Vec<(String, PluginPlan)>, Failure> {
    let mut measures = Vec::new();
    for one in asked {
        if one == ALL {
            let of_toml = &field.plan.evaluation.measures;
            if of_toml.is_empty() {
                return Err(Failure::bad_input(format!(
                    "--measure {ALL}: '{}' has no evaluation.measures; name a reward plugin, such as instruction-accuracy",
                    output::visible(&field.experiment)
                )));
            }
            for MeasurePlan { name, plugin, .. } in of_toml {
                measures.push((name.clone(), present(plugin)?));
            }
            continue;
        }
        let (name, parameters) = one.split_once('=').unwrap_or((one, "{}"));
        let mut plan = asked::plan(name, parameters, None)?;
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

fn print(findings: &[Finding], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let documents: Vec<serde_json::Value> = findings
            .iter()
            .map(|finding| {
                json!({
                    "measure": finding.measure,
                    "policy": finding.policy,
                    "what": finding.what,
                    "value": finding.estimate.value,
                    "low": finding.estimate.interval.map(|interval| interval.low),
                    "high": finding.estimate.interval.map(|interval| interval.high),
                    "over": finding.estimate.over.name(),
                    "n": finding.n,
                })
            })
            .collect();
        return output::print_json(&documents);
    }
    let mut table = Table::new(vec![
        Column::text("measure"),
        Column::text("policy"),
        Column::text("what"),
        Column::number("value"),
        Column::number("low"),
        Column::number("high"),
        Column::text("over"),
        Column::number("n"),
    ]);
    let end = |end: Option<f64>| end.map_or(Cell::Empty, Cell::Number);
    for finding in findings {
        let Estimate { value, interval, over } = finding.estimate;
        table.push(vec![
            Cell::text(&finding.measure),
            Cell::text(&finding.policy),
            Cell::text(&finding.what),
            Cell::Number(value),
            end(interval.map(|interval| interval.low)),
            end(interval.map(|interval| interval.high)),
            Cell::text(over.name()),
            Cell::count(finding.n),
        ]);
    }
    output::print_table(&table, format)
}
