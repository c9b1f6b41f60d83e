//! What a run's policies said, pair by pair, and what the judge made of it.

use maud::{Markup, html};
use slhf_record::{Record, RunFilter, RunStatus};
use slhf_report::escape;
use slhf_ui::{Query, View, ViewError};

use super::refusal::of_record;
use crate::verb::samples::{Shown, shown_pairs};

/// Pairs of one page.
const PAIRS_MAX: usize = 50;
const SORTS: [(&str, &str); 4] = [
    ("position", "as recorded"),
    ("p", "verdict, best y first"),
    ("disagreement", "orders disagree most"),
    ("length", "lengths differ most"),
];

pub(super) fn view(record: &mut Record, query: &Query) -> Result<View, ViewError> {
    let run = match query.get("run") {
        Some(name) => record.resolve_run(name).map_err(of_record)?,
        None => latest_with_samples(record)?,
    };
    let steps = record.completion_steps(run.run).map_err(of_record)?;
    let title = format!("Samples of run {} ({})", run.run, run.name());
    let Some(last) = steps.last() else {
        return Ok(View { title, body: html! { p { "No completion of this run is recorded." } } });
    };
    let step = match query.get("step") {
        Some(step) => step
            .parse()
            .ok()
            .filter(|step| steps.contains(step))
            .ok_or_else(|| ViewError::BadRequest(format!("no completion of step {step} is recorded")))?,
        None => *last,
    };
    let mut pairs = shown_pairs(record, run.run, step).map_err(of_record)?;
    if let Some(text) = query.get("q") {
        let text = text.to_lowercase();
        let holds = |part: &str| part.to_lowercase().contains(&text);
        pairs.retain(|pair| holds(&pair.prompt) || pair.sides.iter().any(|side| holds(&side.text)));
    }
    sort(&mut pairs, query.get("sort").unwrap_or("position"));
    let all = pairs.len();
    pairs.truncate(PAIRS_MAX);
    let body = html! {
        form class="filter" action="/samples" method="get" {
            label for="run" { "Run" input id="run" name="run" size="8" value=(run.run); }
            label for="step" { "Step" select id="step" name="step" { @for known in &steps { option value=(known) selected[*known == step] { (known) } } } }
            label for="sort" { "Order" select id="sort" name="sort" { @for (key, title) in SORTS { option value=(key) selected[query.get("sort").unwrap_or("position") == key] { (title) } } } }
            label for="q" { "Text holds" input id="q" name="q" type="search" value=[query.get("q")]; }
            button { "Show" }
        }
        p { (all) " pairs" @if all > PAIRS_MAX { ", of which the first " (PAIRS_MAX) " are shown" } "." }
        @for pair in &pairs { (article(pair)) }
    };
    Ok(View { title, body })
}

/// The newest run that has some.
fn latest_with_samples(record: &mut Record) -> Result<slhf_record::RunSummary, ViewError> {
    let statuses = vec![RunStatus::Finished, RunStatus::Running, RunStatus::Interrupted];
    let runs = record.runs(&RunFilter { statuses, ..RunFilter::default() }).map_err(of_record)?;
    let newest = runs.into_iter().rev().find(|run| run.kind == "language-model");
    newest.ok_or_else(|| {
        ViewError::NotFound("no run of a language model has started yet, and games have no samples".to_owned())
    })
}

fn sort(pairs: &mut [Shown], by: &str) {
    let value = |pair: &Shown| match by {
        "p" => pair.win_rate.unwrap_or(f64::NEG_INFINITY),
        "disagreement" => pair.disagreement.unwrap_or(f64::NEG_INFINITY),
        "length" => match pair.sides.as_slice() {
            [one, other] => one.text.chars().count().abs_diff(other.text.chars().count()) as f64,
            _ => f64::NEG_INFINITY,
        },
        _ => 0.0,
    };
    pairs.sort_by(|one, other| value(other).total_cmp(&value(one)));
}

fn article(pair: &Shown) -> Markup {
    html! {
        article class="sample" {
            h3 { "prompt" }
            p class="text" { (escape::lines(&pair.prompt)) }
            @for side in &pair.sides {
                h3 { (side.name) ", " (side.role) }
                p class="text" { (escape::lines(&side.text)) }
            }
            h3 { "verdict" }
            p { (escape::line(&pair.verdict)) }
            @if !pair.reasons.is_empty() { details { summary { "why" } ul { @for reason in &pair.reasons { li { (escape::line(reason)) } } } } }
        }
    }
}
