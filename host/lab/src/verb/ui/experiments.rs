//! All experiments.

use maud::html;
use slhf_record::{ExperimentSummary, Record};
use slhf_report::escape;
use slhf_ui::{View, ViewError, encoded};

use super::refusal::of_record;

pub(super) fn view(record: &mut Record) -> Result<View, ViewError> {
    let experiments = record.experiments().map_err(of_record)?;
    let body = html! {
        @if experiments.is_empty() { p { "The record holds no run yet: " code { "slhf-lab run FILE.toml" } " makes some." } }
        @else {
            div class="table" tabindex="0" role="region" aria-label="Experiments" {
                table {
                    thead { tr { th scope="col" { "experiment" } th scope="col" { "question" } th scope="col" { "runs" } th scope="col" { "planned at" } th scope="col" { "look at" } } }
                    tbody { @for experiment in &experiments { (row(experiment)) } }
                }
            }
        }
    };
    Ok(View { title: "Experiments".to_owned(), body })
}

fn row(experiment: &ExperimentSummary) -> maud::Markup {
    let name = encoded(&experiment.experiment);
    html! {
        tr data-row {
            td { a href={ "/experiment/" (name) } { (escape::line(&experiment.experiment)) } }
            td { (escape::line(experiment.question.as_deref().unwrap_or_default())) }
            td { (states(experiment)) }
            td { (experiment.executed_at.get(..16).unwrap_or_default().replace('T', " ")) }
            td { a href={ "/cells/" (name) } { "cells" } " · " a href={ "/runs?experiment=" (name) } { "runs" } " · " a href={ "/curves?experiment=" (name) } { "curves" } }
        }
    }
}

/// `9 finished, 1 running`
fn states(experiment: &ExperimentSummary) -> String {
    let counted = [
        (experiment.finished, "finished"),
        (experiment.running, "running"),
        (experiment.pending, "pending"),
        (experiment.failed, "failed"),
        (experiment.interrupted, "interrupted"),
        (experiment.superseded, "superseded"),
    ];
    let parts = counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
    parts.collect::<Vec<_>>().join(", ")
}
