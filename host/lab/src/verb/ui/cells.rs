//! The cells of an experiment by their metrics: means over seeds with intervals.

use maud::{Markup, html};
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{ROUNDING, escape};
use slhf_ui::{Query, View, encoded};

use super::runs::heading;
use super::settings;
use crate::over_seeds::{OverSeeds, latest};

/// Metrics that are shown where nobody chose some.
const METRICS: usize = 6;

pub(super) fn view(comparison: &Comparison, name: &str, query: &Query) -> View {
    let experiment = &comparison.experiment;
    let wanted = query.get("metrics").unwrap_or_default();
    let prefixes: Vec<&str> = wanted.split(',').map(str::trim).filter(|prefix| !prefix.is_empty()).collect();
    let varies = |key: &&String| {
        let mut means = comparison.cells.iter().filter_map(|cell| latest(cell, key)).map(|found| found.mean);
        means.next().is_some_and(|first| means.any(|mean| (mean - first).abs() >= ROUNDING))
    };
    let matching = comparison
        .metric_keys
        .iter()
        .filter(|key| prefixes.is_empty() || prefixes.iter().any(|prefix| key.starts_with(prefix)));
    let is_changed_only = query.get("only") == Some("changed");
    let keys: Vec<&String> = matching
        .filter(|key| !is_changed_only || varies(key))
        .take(if prefixes.is_empty() { METRICS } else { usize::MAX })
        .collect();
    let mut cells: Vec<(&ComparedCell, Vec<Option<OverSeeds>>)> =
        comparison.cells.iter().map(|cell| (cell, keys.iter().map(|key| latest(cell, key)).collect())).collect();
    if let Some(text) = query.get("q") {
        let text = text.to_lowercase();
        cells.retain(|(cell, _)| cell.label.to_lowercase().contains(&text));
    }
    let by = query.get("sort").unwrap_or("cell");
    let (key, is_reversed) = by.strip_prefix('-').map_or((by, false), |key| (key, true));
    if let Some(at) = keys.iter().position(|known| *known == key) {
        // What has no number stands behind the others either way.
        let value = |found: &Vec<Option<OverSeeds>>| {
            let mean = found[at].as_ref().map(|found| settled(key, found.mean)).filter(|mean| mean.is_finite());
            (mean.is_none(), mean.map_or(0.0, |mean| if is_reversed { -mean } else { mean }))
        };
        cells.sort_by(|(_, one), (_, other)| {
            let (one, other) = (value(one), value(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
    } else if is_reversed {
        cells.reverse();
    }
    let pinned: Vec<&str> = query.all("pin").collect();
    let is_pinned = |cell: &ComparedCell| pinned.contains(&cell.label.as_str());
    cells.sort_by_key(|(cell, _)| !is_pinned(cell));
    let path = format!("/cells/{}", encoded(name));
    let body = html! {
        (settings::links(name))
        form class="filter" action=(path) method="get" {
            label for="q" { "Cell holds" input id="q" name="q" type="search" value=[query.get("q")]; }
            label for="metrics" { "Metrics that begin with (commas between)" input id="metrics" name="metrics" list="known" size="34" value=[query.get("metrics")]; }
            datalist id="known" { @for key in &comparison.metric_keys { option value=(key) {} } }
            label for="only" { "Columns"
                select id="only" name="only" { option value="" { "all" } option value="changed" selected[is_changed_only] { "only what differs" } }
            }
            @if let Some(sort) = query.get("sort") { input type="hidden" name="sort" value=(sort); }
            @for pinned in &pinned { input type="hidden" name="pin" value=(pinned); }
            button { "Show" }
        }
        p { (cells.len()) (if cells.len() == 1 { " cell; " } else { " cells; " }) (comparison.metric_keys.len()) " metrics are known. Means over seeds with 95 % intervals." }
        div class="table" tabindex="0" role="region" aria-label="Cells" {
            table {
                thead { tr { (heading(&path, query, "cell", "cell", "cell")) th scope="col" { "seeds" } @for key in &keys { (heading(&path, query, key, key, "cell")) } } }
                tbody {
                    @for (cell, found) in &cells {
                        tr data-row class=[is_pinned(cell).then_some("pinned")] {
                            td { (pin(&path, query, cell, is_pinned(cell))) "\u{a0}" a href={ "/runs?experiment=" (encoded(experiment)) "&q=" (encoded(&cell.label)) } { (escape::line(&cell.label)) } }
                            td class="number" { (cell.runs.len()) }
                            @for (key, value) in keys.iter().zip(found) { td class="number" { (settings::shown(cell, key, value.as_ref())) } }
                        }
                    }
                }
            }
        }
    };
    View { title: format!("{name}: cells"), body }
}

/// A link that keeps a cell above the others, or no longer.
fn pin(path: &str, query: &Query, cell: &ComparedCell, is_pinned: bool) -> Markup {
    let (said, address) = if is_pinned {
        ("Unpin", query.address_without(path, "pin", &cell.label))
    } else {
        ("Pin", query.address_and(path, "pin", &cell.label))
    };
    html! { a class="pin" href=(address) title=(said) aria-label={ (said) " " (escape::line(&cell.label)) } { (if is_pinned { "★" } else { "☆" }) } }
}

/// Rounding noise of a distance is no order.
fn settled(key: &str, value: f64) -> f64 {
    if slhf_plan::is_rounding_noise(key, value) { 0.0 } else { value }
}
