//! Curves of an experiment's cells: one metric over steps, tokens, operations or seconds.

use maud::{PreEscaped, html};
use slhf_record::Record;
use slhf_report::{Drawing, Figure, escape};
use slhf_ui::{Query, View, ViewError};

use super::comparisons::Compare;
use super::refusal::{failed, of_record};
use crate::verb::curve_points::BAND;
use crate::verb::curves::{AXES, Wanted, Within, YScale, curves, keys, usual_key};

/// An end of what is drawn of the horizontal axis.
fn end(query: &Query, key: &str, usual: f64) -> Result<f64, ViewError> {
    let Some(text) = query.get(key) else { return Ok(usual) };
    let refused = || ViewError::BadRequest(format!("{key} is {text}; expected a number, such as 100 or 2e6"));
    text.trim().parse().ok().filter(|value: &f64| !value.is_nan()).ok_or_else(refused)
}

const SMOOTHINGS: [&str; 4] = ["0", "0.6", "0.9", "0.97"];

pub(super) fn view(record: &mut Record, query: &Query, compare: Compare<'_>) -> Result<View, ViewError> {
    let experiments = record.experiments().map_err(of_record)?;
    let newest = experiments.iter().max_by(|one, other| one.executed_at.cmp(&other.executed_at));
    let Some(name) =
        query.get("experiment").map(str::to_owned).or_else(|| newest.map(|known| known.experiment.clone()))
    else {
        return Err(ViewError::NotFound("the record holds no run yet".to_owned()));
    };
    let comparison = compare(record, &name)?;
    let experiment = comparison.experiment.as_str();
    let keys: Vec<&String> = keys(&comparison).collect();
    let key = query.get("key").map(str::to_owned).or_else(|| usual_key(&comparison).cloned()).unwrap_or_default();
    let x = query.get("x").unwrap_or("step");
    let Some((_, x_title, currency)) = AXES.into_iter().find(|(known, ..)| *known == x) else {
        return Err(ViewError::BadRequest(format!("x is {x}; expected step, tokens, flops or seconds")));
    };
    let smoothing = query.get("smooth").unwrap_or("0").parse().ok().filter(|weight| (0.0..1.0).contains(weight));
    let Some(smoothing) = smoothing else {
        return Err(ViewError::BadRequest("smooth is a weight from 0 to below 1".to_owned()));
    };
    let y = match query.get("y") {
        Some("log") => YScale::Logarithm,
        Some("linear") => YScale::Linear,
        Some(other) => return Err(ViewError::BadRequest(format!("y is {other}; expected linear or log"))),
        None => YScale::usual(&key),
    };
    let cell = query.get("cell").unwrap_or_default();
    let within = Within { low: end(query, "from", f64::NEG_INFINITY)?, high: end(query, "to", f64::INFINITY)? };
    let wanted = Wanted { key, currency, x_title, smoothing, y, cell, within };
    let drawing = Figure::Curves(curves(record, &comparison, &wanted).map_err(failed)?).draw_live();
    let smooth = query.get("smooth").unwrap_or("0");
    let own_smoothing = (!SMOOTHINGS.contains(&smooth)).then_some(smooth);
    let y = if y == YScale::Logarithm { "log" } else { "linear" };
    let body = html! {
        form class="filter" action="/curves" method="get" {
            label for="experiment" { "Experiment" select id="experiment" name="experiment" { @for known in &experiments { option value=(known.experiment) selected[known.experiment == experiment] { (escape::line(&known.experiment)) } } } }
            label for="key" { "Metric" select id="key" name="key" { @for key in &keys { option value=(key) selected[**key == wanted.key] { (key) } } } }
            label for="x" { "Over" select id="x" name="x" { @for (known, ..) in AXES { option value=(known) selected[known == x] { (known) } } } }
            label for="y" { "Scale" select id="y" name="y" { @for known in ["linear", "log"] { option value=(known) selected[known == y] { (known) } } } }
            label for="smooth" { "Smoothing" select id="smooth" name="smooth" { @for known in SMOOTHINGS.into_iter().chain(own_smoothing) { option value=(known) selected[smooth == known] { (escape::line(known)) } } } }
            label for="q" { "Cell holds" input id="q" name="cell" type="search" value=[query.get("cell")]; }
            label for="from" { "From" input id="from" name="from" inputmode="decimal" size="8" value=[query.get("from")]; }
            label for="to" { "To" input id="to" name="to" inputmode="decimal" size="8" value=[query.get("to")]; }
            button { "Show" }
        }
        @match drawing {
            Drawing::Svg(svg) => { figure { div class="drawing" tabindex="0" role="region" aria-label="Curves" { (PreEscaped(svg)) } figcaption { (BAND) " Of a long curve, each point stands for several steps: their mean, in a band from their lowest to their highest value. Values that are not finite are left out." @if wanted.smoothing > 0.0 { " Smoothed: each point keeps " (wanted.smoothing) " of the mean of those before it." } } } }
            Drawing::Sentence(sentence) => { p { (escape::line(&sentence)) } }
        }
    };
    Ok(View { title: format!("{experiment}: {}", wanted.key), body })
}
