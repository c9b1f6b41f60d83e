//! `slhf-lab plugin try --pairs`: how far a judge agrees with labels.

use std::path::Path;

use serde_json::json;
use slhf_plan::PluginPlan;
use slhf_statistics::{Agreement, Audit, AuditSettings, Estimate};
use thiserror::Error;

use super::asked;
use crate::failure::Failure;
use crate::granted::GrantArguments;
use crate::output::{self, Cell, Column, Format, Table};
use crate::trial::{self, Asked, Asking, Plan, Subject};

#[derive(Debug, Error)]
enum PairsError {
    #[error(
        "{file} has no labels to agree with: expected \"chosen\" and \"rejected\", or \"responses\" with \"p_second\" or \"label\"; \
         `slhf-lab judge audit` needs none"
    )]
    NoLabels { file: String },
}

/// Asks the judge about every labeled pair, once in each order, and prints how far it agrees.
pub(super) fn run(
    mut plan: PluginPlan,
    models: &GrantArguments,
    (file, draw): (&Path, u64),
    format: Format,
) -> Result<(), Failure> {
    let subject = Subject::of_file(file)?;
    if !subject.is_labeled() {
        return Err(Failure::bad_input(PairsError::NoLabels { file: subject.name }));
    }
    let host = asked::host(models, None, &mut plan)?;
    let judge = host.host().preference(&plan).map_err(Failure::bad_input)?;
    let asked = trial::ask(&judge, &subject, Asking { draws: Some(1), seed: draw, pairs: Plan::Labeled })?;
    host.remark();
    let audit = Audit::of(&asked.prompts, AuditSettings { simulations: 1, ..AuditSettings::default() });
    if format == Format::Json {
        return output::print_json(&document(&subject, &asked, audit.agreement.as_ref()));
    }
    output::print_table(&table(&asked, audit.agreement.as_ref()), format)
}

fn document(subject: &Subject, asked: &Asked, agreement: Option<&Agreement>) -> serde_json::Value {
    let estimate = |estimate: Estimate| {
        json!({
            "value": estimate.value,
            "low": estimate.interval.map(|interval| interval.low),
            "high": estimate.interval.map(|interval| interval.high),
        })
    };
    json!({
        "pairs": subject.name,
        "sha256": subject.sha256,
        "labeled": asked.pairs,
        "judged": agreement.map(|agreement| agreement.labeled),
        "tied_labels": agreement.map(|agreement| agreement.tied_labels),
        "accuracy": agreement.and_then(|agreement| agreement.accuracy).map(estimate),
        "kappa": agreement.and_then(|agreement| agreement.kappa).map(estimate),
        "failures": asked.failures.iter().map(|(kind, n)| json!({ "kind": kind, "n": n })).collect::<Vec<_>>(),
    })
}

fn table(asked: &Asked, agreement: Option<&Agreement>) -> Table {
    let mut table = Table::new(vec![
        Column::text("what"),
        Column::number("value"),
        Column::number("low"),
        Column::number("high"),
        Column::number("n"),
    ]);
    if let Some(agreement) = agreement {
        let decided = agreement.labeled - agreement.tied_labels;
        for (what, found, n) in
            [("accuracy", agreement.accuracy, decided), ("Cohen's kappa", agreement.kappa, agreement.labeled)]
        {
            let Some(found) = found else { continue };
            let end = |of: fn(slhf_statistics::Interval) -> f64| found.interval.map(of).into();
            let (low, high) = (end(|interval| interval.low), end(|interval| interval.high));
            table.push(vec![Cell::text(what), Cell::Number(found.value), low, high, Cell::count(n)]);
        }
    }
    let failed: usize = asked.failures.iter().map(|(_, many)| many).sum();
    let share = |many: usize| Cell::Number(many as f64 / asked.verdicts.max(1) as f64);
    let row =
        |what: String, many: usize| vec![Cell::text(what), share(many), Cell::Empty, Cell::Empty, Cell::count(many)];
    table.push(row("failed verdicts".to_owned(), failed));
    for (kind, many) in &asked.failures {
        table.push(row(format!("  {kind}"), *many));
    }
    table
}
