//! What was found, as tables.

use serde_json::{Value as Json, json};
use slhf_comparison::{Evaluation, Finding, Named, StoppedPair, document};
use slhf_statistics::{Estimate, Matchup};

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Policies,
    Pairs,
}

/// Prints all judges' findings: a row a policy, or a row a pair.
pub(super) fn print(judges: &[Named], found: &[Evaluation], rows: Rows, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let documents: Vec<Json> = judges.iter().zip(found).map(|(judge, found)| document(judge, found)).collect();
        return output::print_json(&documents);
    }
    let table = match rows {
        Rows::Pairs => pairs_table(judges, found),
        Rows::Policies => policies_table(judges, found),
    };
    output::print_table(&table, format)
}

fn policies_table(judges: &[Named], found: &[Evaluation]) -> Table {
    let mut table = Table::new(vec![
        Column::text("judge"),
        Column::text("policy"),
        Column::number("elo"),
        Column::number("low"),
        Column::number("high"),
        Column::text("over"),
        Column::number("win_rate_over_reference"),
        Column::number("p_holm"),
        Column::number("mean_tokens"),
        Column::number("eos_rate"),
    ]);
    for (judge, found) in judges.iter().zip(found) {
        let scores = &found.standings.scale.scores;
        let mut order: Vec<usize> = (0..found.policies.len()).collect();
        order.sort_by(|&a, &b| scores[b].elo.total_cmp(&scores[a].elo));
        for at in order {
            let (policy, score) = (&found.policies[at], &scores[at]);
            let against = over_reference(found, at);
            let number = |value: Option<f64>| value.map_or(Cell::Empty, Cell::Number);
            table.push(vec![
                Cell::text(&judge.name),
                Cell::text(policy.label()),
                Cell::Number(score.elo),
                finite(score.interval.low),
                finite(score.interval.high),
                Cell::text(found.over().name()),
                number(against.map(|(rate, _)| rate)),
                number(against.and_then(|(_, matchup)| matchup.p_holm)),
                number(policy.mean_tokens),
                Cell::Number(policy.eos_rate),
            ]);
        }
    }
    table
}

/// Nothing where nothing is known: one prompt and one seed.
fn finite(end: f64) -> Cell {
    if end.is_finite() { Cell::Number(end) } else { Cell::Empty }
}

/// A policy's win rate over the one reference, if there is one.
fn over_reference(found: &Evaluation, at: usize) -> Option<(f64, &Matchup)> {
    let reference = found.policies.iter().position(|policy| policy.names().any(|name| name == "reference"))?;
    let pair = (at.min(reference), at.max(reference));
    let matchup = found.standings.matchups.iter().find(|matchup| (matchup.first, matchup.second) == pair)?;
    let rate = if matchup.first == at { matchup.win_rate } else { 1.0 - matchup.win_rate };
    Some((rate, matchup))
}

/// A row a pair; beside a rule to stop at also what is known of these trained policies on these prompts.
fn pairs_table(judges: &[Named], found: &[Evaluation]) -> Table {
    let mut columns = vec![
        Column::text("judge"),
        Column::text("first"),
        Column::text("second"),
        Column::number("win_rate"),
        Column::number("low"),
        Column::number("high"),
        Column::text("over"),
        Column::number("p_holm"),
        Column::text("is_significant"),
        Column::number("p_other_prompts"),
        Column::number("n"),
    ];
    if found.iter().any(|found| found.stopped.is_some()) {
        columns.extend(SEQUENTIAL.map(Column::number));
        columns.push(Column::text("differs"));
    }
    let mut table = Table::new(columns);
    for (judge, found) in judges.iter().zip(found) {
        for (at, matchup) in found.standings.matchups.iter().enumerate() {
            let mut row = vec![
                Cell::text(&judge.name),
                Cell::text(found.policies[matchup.first].label()),
                Cell::text(found.policies[matchup.second].label()),
                Cell::Number(matchup.win_rate),
                Cell::Number(matchup.interval.low),
                Cell::Number(matchup.interval.high),
                Cell::text(matchup.over.name()),
                matchup.p_holm.map_or(Cell::Empty, Cell::Number),
                if matchup.p_holm.is_some() { Cell::Boolean(matchup.is_significant()) } else { Cell::Empty },
                Cell::Number(matchup.p_other_prompts),
                Cell::count(matchup.n),
            ];
            row.extend(found.stopped.iter().flat_map(|stopped| sequential(&stopped.pairs[at])));
            table.push(row);
        }
    }
    table
}

/// Of these trained policies on these prompts.
const SEQUENTIAL: [&str; 5] = ["prompts_asked", "prompts", "these_low", "these_high", "e_value"];

fn sequential(pair: &StoppedPair) -> Vec<Cell> {
    vec![
        Cell::count(pair.asked),
        Cell::count(pair.prompts),
        Cell::Number(pair.interval.low),
        Cell::Number(pair.interval.high),
        finite(pair.e_value),
        pair.differs.map_or(Cell::Empty, Cell::Boolean),
    ]
}

/// Prints what metrics say of policies: a row a policy and quantity.
pub(super) fn print_metrics(findings: &[Finding], format: Format) -> Result<(), Failure> {
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
