//! What came of the settings of an experiment's cells: beside all of them at once, or as a table over two axes of its ablation.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use slhf_plan::{MetricKey, Unit};
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{Axis, Drawing, Figure, Parallel, ParallelAxis, escape};
use slhf_ui::{Query, View, encoded};

use crate::output::number;
use crate::over_seeds::{OverSeeds, latest};
use crate::verb::curves::most_telling;

/// Settings that stand beside each other where nobody chose some.
const AXES_SHOWN: usize = 5;

/// One line a cell across its settings, to the metric that came of them.
pub(super) fn parallel(comparison: &Comparison, name: &str, query: &Query) -> View {
    let metric = metric(comparison, query);
    let known = settings(comparison);
    let chosen: Vec<&str> = query.all("axis").filter(|axis| known.iter().any(|(known, _)| known == axis)).collect();
    // What an ablation varies says all; what follows from it would say it again.
    let usual = if comparison.axes.is_empty() { AXES_SHOWN } else { comparison.axes.len().min(AXES_SHOWN) };
    let is_shown = |place: usize, key: &str| if chosen.is_empty() { place < usual } else { chosen.contains(&key) };
    let shown: Vec<&(String, Vec<Option<String>>)> = known
        .iter()
        .enumerate()
        .filter(|(place, (key, _))| is_shown(*place, key))
        .map(|(_, setting)| setting)
        .collect();
    let mut axes: Vec<ParallelAxis> = shown.iter().map(|(key, values)| ParallelAxis::of_texts(key, values)).collect();
    let values = comparison.cells.iter().map(|cell| latest(cell, &metric).map(|found| found.mean));
    let axis = match MetricKey::parse(&metric).map(MetricKey::unit) {
        Some(Unit::Share) => Axis::share(&metric),
        _ => Axis::linear(&metric),
    };
    axes.push(ParallelAxis::Numbers { axis, values: values.collect() });
    let figure = Figure::Parallel(Parallel { title: format!("Settings beside {metric}"), axes });
    let body = html! {
        (links(name))
        form class="filter" action={ "/parallel/" (encoded(name)) } method="get" {
            (metric_choice(comparison, &metric))
            fieldset { legend { "Settings" }
                @for (key, _) in &known {
                    label { input type="checkbox" name="axis" value=(key) checked[shown.iter().any(|(known, _)| known == key)]; " " (escape::line(key)) }
                }
            }
            button { "Show" }
        }
        @match figure.draw_live() {
            Drawing::Svg(svg) => { figure { div class="drawing" tabindex="0" role="region" aria-label="Settings beside a metric" { (PreEscaped(svg)) } figcaption { "One line a cell; the metric is the mean over its seeds." } } }
            Drawing::Sentence(sentence) => { p { (escape::line(&sentence)) } }
        }
    };
    View { title: format!("{name}: settings and {metric}"), body }
}

/// Parameters that differ among cells, with the value of each cell.
fn settings(comparison: &Comparison) -> Vec<(String, Vec<Option<String>>)> {
    let by_axes = (0..comparison.axes.len()).map(|axis| {
        let values = comparison.cells.iter().map(|cell| cell.settings.get(axis).cloned());
        (comparison.axes[axis].clone(), values.collect())
    });
    let by_parameters = comparison.differing_keys.iter().filter(|key| !comparison.axes.contains(key)).map(|key| {
        let values = comparison.cells.iter().map(|cell| cell.parameters.get(key).map(ToString::to_string));
        (key.clone(), values.collect())
    });
    by_axes.chain(by_parameters).collect()
}

/// A metric over two axes of the ablation; over the others it is the mean of the cells.
pub(super) fn pivot(comparison: &Comparison, name: &str, query: &Query) -> View {
    let metric = metric(comparison, query);
    let axes = &comparison.axes;
    let axis = |key: &str, usual: usize| {
        let wanted = query.get(key).and_then(|wanted| axes.iter().position(|axis| axis == wanted));
        wanted.unwrap_or_else(|| usual.min(axes.len().saturating_sub(1)))
    };
    let (rows, columns) = (axis("rows", 0), axis("columns", 1));
    let body = html! {
        (links(name))
        @if axes.is_empty() { p { "The experiment has no ablation, so that there is nothing to put in rows." } }
        @else {
            form class="filter" action={ "/pivot/" (encoded(name)) } method="get" {
                (metric_choice(comparison, &metric))
                @for (key, title, chosen) in [("rows", "Rows", rows), ("columns", "Columns", columns)] {
                    label for=(key) { (title) select id=(key) name=(key) { @for (place, axis) in axes.iter().enumerate() { option value=(axis) selected[place == chosen] { (escape::line(axis)) } } } }
                }
                button { "Show" }
            }
            (table(comparison, &metric, (rows, columns)))
        }
    };
    View { title: format!("{name}: {metric} by settings"), body }
}

fn table(comparison: &Comparison, metric: &str, (rows, columns): (usize, usize)) -> Markup {
    let setting = |cell: &ComparedCell, axis: usize| cell.settings.get(axis).cloned().unwrap_or_default();
    let values = |axis: usize| {
        let mut found: Vec<String> = Vec::new();
        for cell in &comparison.cells {
            let value = setting(cell, axis);
            if !found.contains(&value) {
                found.push(value);
            }
        }
        found
    };
    let mut cells: BTreeMap<(String, String), Vec<&ComparedCell>> = BTreeMap::new();
    for cell in &comparison.cells {
        cells.entry((setting(cell, rows), setting(cell, columns))).or_default().push(cell);
    }
    let one_axis = rows == columns;
    let heads = if one_axis { vec![String::new()] } else { values(columns) };
    let placed = |row: &String, head: &String| {
        let column = if one_axis { row } else { head };
        cells.get(&(row.clone(), column.clone())).map_or_else(|| "–".to_owned(), |cells| pooled(cells, metric))
    };
    html! {
        div class="table" tabindex="0" role="region" aria-label="A metric by two settings" {
            table {
                thead { tr { th scope="col" { (escape::line(&comparison.axes[rows])) } @for head in &heads { th scope="col" class="number" { (escape::line(if one_axis { metric } else { head })) } } } }
                tbody { @for row in values(rows) { tr data-row { th scope="row" { (escape::line(&row)) } @for head in &heads { td class="number" { (placed(&row, head)) } } } } }
            }
        }
        p class="muted" { "Means over seeds with 95 % intervals; where several cells share a place, the mean of theirs and how many they are." }
    }
}

/// The mean with its interval; where seeds have no finite number, how many.
pub(super) fn shown(cell: &ComparedCell, key: &str, value: Option<&OverSeeds>) -> String {
    let values = cell.values(key);
    let odd = values.iter().filter(|value| !value.is_finite()).count();
    match value {
        None => "–".to_owned(),
        Some(_) if odd > 0 => format!("not finite in {odd} of {}", values.len()),
        Some(value) => value.value_text(),
    }
}

/// Of one cell with its interval; of several their mean, as cells are no sample of anything.
fn pooled(cells: &[&ComparedCell], metric: &str) -> String {
    let found: Vec<_> = cells.iter().filter_map(|cell| latest(cell, metric)).collect();
    match (found.as_slice(), cells.len()) {
        ([], _) => "–".to_owned(),
        ([one], 1) => shown(cells[0], metric, Some(one)),
        (some, all) => {
            let mean = some.iter().map(|found| found.mean).sum::<f64>() / some.len() as f64;
            let of = if some.len() < all { format!("{} of {all}", some.len()) } else { all.to_string() };
            format!("{} ({of} cells)", number(mean))
        }
    }
}

/// The one that is asked for, else one that every cell has and that says most.
fn metric(comparison: &Comparison, query: &Query) -> String {
    let known: Vec<&str> = comparison.metric_keys.iter().map(String::as_str).collect();
    let asked = query.get("metric").filter(|metric| known.contains(metric));
    let is_everywhere = |key: &&str| comparison.cells.iter().all(|cell| latest(cell, key).is_some());
    let shared = || ["win_rate leader/reference", MetricKey::ValueCommitted.name()].into_iter().find(is_everywhere);
    let telling = || {
        let everywhere: Vec<&str> = known.iter().copied().filter(is_everywhere).collect();
        most_telling(if everywhere.is_empty() { &known } else { &everywhere })
    };
    asked.or_else(shared).or_else(telling).unwrap_or_default().to_owned()
}

fn metric_choice(comparison: &Comparison, metric: &str) -> Markup {
    html! {
        label for="metric" { "Metric" select id="metric" name="metric" { @for key in &comparison.metric_keys { option value=(key) selected[key == metric] { (escape::line(key)) } } } }
    }
}

/// Ways to look at the cells of an experiment.
pub(super) fn links(name: &str) -> Markup {
    let (all, own) = (encoded(slhf_comparison::split_execution(name).0), encoded(name));
    html! {
        p {
            a href={ "/experiment/" (own) } { "What was found" } " · " a href={ "/cells/" (own) } { "cells and metrics" } " · "
            a href={ "/pivot/" (own) } { "by settings" } " · " a href={ "/parallel/" (own) } { "all settings at once" } " · "
            a href={ "/curves?experiment=" (all) } { "curves" } " · " a href={ "/runs?experiment=" (all) } { "runs" }
        }
    }
}
