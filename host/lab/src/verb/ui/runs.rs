//! A table of runs: sorted and filtered by its address.

use maud::{Markup, html};
use slhf_record::{Record, RunFilter, RunStatus, RunSummary};
use slhf_report::escape;
use slhf_ui::{Query, View, ViewError};

use super::refusal::of_record;

/// Rows of one page.
const ROWS_MAX: usize = 100;
/// Pages that are linked before and behind the one that is shown, with the first and the last.
const PAGES_BESIDE: usize = 4;
const COLUMNS: [&str; 7] = ["run", "experiment", "cell", "seed", "status", "steps", "started"];

pub(super) fn view(record: &mut Record, query: &Query) -> Result<View, ViewError> {
    let statuses = query.get("status").and_then(RunStatus::from_name).into_iter().collect();
    let experiment = query.get("experiment").map(str::to_owned);
    let tags = query.get("tag").map(str::to_owned).into_iter().collect();
    let known_tags = record.all_tags().map_err(of_record)?;
    let filter = RunFilter { experiment, statuses, tags, ..RunFilter::default() };
    let mut runs = record.runs(&filter).map_err(of_record)?;
    if let Some(wanted) = query.get("q") {
        let wanted = wanted.to_lowercase();
        runs.retain(|run| run.name().to_lowercase().contains(&wanted) || run.run.to_string() == wanted);
    }
    sort(&mut runs, query.get("sort").unwrap_or("-run"));
    let experiments = record.experiments().map_err(of_record)?;
    let all = runs.len();
    let pages = all.div_ceil(ROWS_MAX).max(1);
    let page = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1_usize).clamp(1, pages);
    let runs: Vec<RunSummary> = runs.into_iter().skip((page - 1) * ROWS_MAX).take(ROWS_MAX).collect();
    let body = html! {
        form class="filter" action="/runs" method="get" {
            label for="q" { "Name or number holds" input id="q" name="q" type="search" value=[query.get("q")]; }
            label for="experiment" { "Experiment"
                select id="experiment" name="experiment" {
                    option value="" { "all" }
                    @for known in &experiments { option value=(known.experiment) selected[query.get("experiment") == Some(&known.experiment)] { (escape::line(&known.experiment)) } }
                }
            }
            label for="status" { "Status"
                select id="status" name="status" {
                    option value="" { "all" }
                    @for state in RunStatus::ALL { option value=(state.as_str()) selected[query.get("status") == Some(state.as_str())] { (state.as_str()) } }
                }
            }
            @if !known_tags.is_empty() {
                label for="tag" { "Tag"
                    select id="tag" name="tag" {
                        option value="" { "all" }
                        @for (tag, runs) in &known_tags { option value=(tag) selected[query.get("tag") == Some(tag)] { (escape::line(tag)) " (" (runs) ")" } }
                    }
                }
            }
            @if let Some(sort) = query.get("sort") { input type="hidden" name="sort" value=(sort); }
            button { "Show" }
        }
        p { (all) (if all == 1 { " run" } else { " runs" }) @if pages > 1 { ", page " (page) " of " (pages) } "." }
        div class="table" tabindex="0" role="region" aria-label="Runs" {
            table {
                thead { tr { @for column in COLUMNS { (heading("/runs", query, column, column, "-run")) } } }
                tbody { @for run in &runs { (row(run)) } }
            }
        }
        @if pages > 1 { (other_pages(query, page, pages)) }
    };
    Ok(View { title: "Runs".to_owned(), body })
}

/// Links to the pages of a long table.
fn other_pages(query: &Query, page: usize, pages: usize) -> Markup {
    html! {
        nav class="pages" aria-label="Pages" {
            @for number in (1..=pages).filter(|number| *number == 1 || *number == pages || number.abs_diff(page) <= PAGES_BESIDE) {
                a href=(query.address_with("/runs", "page", Some(&number.to_string()))) aria-current=[(number == page).then_some("page")] { (number) } " "
            }
        }
    }
}

/// A heading that sorts by its column, the other way round where the table is sorted by it.
pub(super) fn heading(path: &str, query: &Query, key: &str, title: &str, usual: &str) -> Markup {
    let now = query.get("sort").unwrap_or(usual);
    let reversed = format!("-{key}");
    let (next, state) = if now == key {
        (reversed.as_str(), Some("ascending"))
    } else if now == reversed {
        (key, Some("descending"))
    } else {
        (key, None)
    };
    html! { th scope="col" aria-sort=[state] { a href=(query.address_with(path, "sort", Some(next))) { (escape::line(title)) } } }
}

fn sort(runs: &mut [RunSummary], by: &str) {
    let (key, is_reversed) = by.strip_prefix('-').map_or((by, false), |key| (key, true));
    runs.sort_by(|one, other| {
        let order = match key {
            "experiment" => one.experiment.cmp(&other.experiment),
            "cell" => (&one.experiment, one.cell_number).cmp(&(&other.experiment, other.cell_number)),
            "seed" => one.seed.cmp(&other.seed),
            "status" => one.status.as_str().cmp(other.status.as_str()),
            "steps" => one.steps_done.cmp(&other.steps_done),
            "started" => one.started_at.cmp(&other.started_at),
            _ => one.run.cmp(&other.run),
        };
        if is_reversed { order.reverse() } else { order }
    });
}

fn row(run: &RunSummary) -> Markup {
    let status = run.status.as_str();
    html! {
        tr data-row {
            td class="number" { a href={ "/run/" (run.run) } { (run.run) } }
            td { (escape::line(&run.experiment)) }
            td { (escape::line(&run.cell)) }
            td class="number" { (run.seed) }
            td class={ "status-" (status) } { (status) @if let Some(reason) = &run.reason { ": " (escape::line(reason)) } }
            td class="number" { (run.steps_done) " of " (run.steps) }
            td { (run.started_at.as_deref().and_then(|at| at.get(..19)).unwrap_or_default().replace('T', " ")) }
        }
    }
}
