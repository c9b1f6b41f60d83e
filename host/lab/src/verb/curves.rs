//! One metric of an experiment's cells over what was spent: for the browser, for files and for a terminal.

use std::collections::BTreeMap;

use slhf_plan::{MetricKey, Unit};
use slhf_record::{ComparedCell, Comparison, Record};
use slhf_report::{Axis, Curves, Point, Series, Spread};

use super::budget::{Currency, Spending, histories};
use super::report::thinned;
use crate::failure::Failure;
use crate::running::gap_metrics;

/// What a curve may be drawn over: as the command line names it, and as an axis does.
pub(super) const AXES: [(&str, &str, Currency); 4] = [
    ("step", "steps", Currency::Steps),
    ("tokens", "tokens, sampled and trained", Currency::Tokens),
    ("flops", "floating-point operations", Currency::Flops),
    ("seconds", "seconds of training steps", Currency::Seconds),
];

/// How values are placed on the axis at the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum YScale {
    Linear,
    Logarithm,
}

impl YScale {
    /// Of distances to a solution by the logarithm, of all else evenly.
    pub(super) fn usual(key: &str) -> Self {
        if gap_metrics().any(|gap| gap == key) { Self::Logarithm } else { Self::Linear }
    }
}

/// What is drawn.
pub(super) struct Wanted<'a> {
    pub(super) key: String,
    pub(super) currency: Currency,
    pub(super) x_title: &'static str,
    /// Of the mean of the points before, what each point keeps: from 0 to below 1.
    pub(super) smoothing: f64,
    pub(super) y: YScale,
    /// Cells whose label holds it.
    pub(super) cell: &'a str,
}

/// Metrics of steps, which have a curve; evaluations have a subject after a blank.
pub(super) fn keys(comparison: &Comparison) -> impl Iterator<Item = &String> {
    comparison.metric_keys.iter().filter(|key| !key.contains(' '))
}

/// The metric that is drawn where nobody chose one.
pub(super) fn usual_key(comparison: &Comparison) -> Option<&String> {
    let known: Vec<&str> = keys(comparison).map(String::as_str).collect();
    let matters = most_telling(&known)?;
    keys(comparison).find(|key| *key == matters)
}

/// Of these metrics the one that says most of how a run goes: a distance to a solution, else what is rewarded.
pub(super) fn most_telling<'a>(known: &[&'a str]) -> Option<&'a str> {
    let named = [MetricKey::RewardsProbabilities.name(), MetricKey::RewardsMean.name(), "reward/accuracy"];
    let gap = gap_metrics().find_map(|gap| known.iter().find(|key| **key == gap));
    let rewarded = || named.iter().find_map(|name| known.iter().find(|key| *key == name));
    gap.or_else(rewarded).or(known.first()).copied()
}

/// The curves of the cells.
pub(super) fn curves(record: &mut Record, comparison: &Comparison, wanted: &Wanted<'_>) -> Result<Curves, Failure> {
    let text = wanted.cell.to_lowercase();
    let mut series = Vec::new();
    for cell in comparison.cells.iter().filter(|cell| cell.label.to_lowercase().contains(&text)) {
        let points = points(record, cell, wanted)?;
        if !points.is_empty() {
            series.push(Series { name: cell.label.clone(), points });
        }
    }
    let y = match MetricKey::parse(&wanted.key).map(MetricKey::unit) {
        _ if wanted.y == YScale::Logarithm => Axis::logarithm(&wanted.key),
        Some(Unit::Share) => Axis::share(&wanted.key),
        _ => Axis::linear(&wanted.key),
    };
    let title = MetricKey::parse(&wanted.key).map_or_else(|| wanted.key.clone(), |key| key.meaning().to_owned());
    Ok(Curves { title, x: Axis::linear(wanted.x_title), y, level: None, spread: Spread::Band, series })
}

/// Of one step over the seeds: what was spent, and what was measured.
#[derive(Default)]
struct AtStep {
    spent: Vec<f64>,
    values: Vec<f64>,
}

fn points(record: &mut Record, cell: &ComparedCell, wanted: &Wanted<'_>) -> Result<Vec<Point>, Failure> {
    let mut steps: BTreeMap<i64, AtStep> = BTreeMap::new();
    for run in &cell.runs {
        let histories = histories(record, run.summary.run)?;
        let spending = Spending::of(wanted.currency, &histories);
        for (step, value) in histories.get(&wanted.key).into_iter().flatten().filter(|(_, value)| value.is_finite()) {
            let spent = if wanted.currency == Currency::Steps { Some(*step as f64) } else { spending.after(*step) };
            if let Some(spent) = spent {
                let at = steps.entry(*step).or_default();
                at.spent.push(spent);
                at.values.push(*value);
            }
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let ends = |values: &[f64]| {
        let fold = |(low, high): (f64, f64), value: &f64| (low.min(*value), high.max(*value));
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold)
    };
    let mut smooth: Option<f64> = None;
    let point = |at: &AtStep| {
        let own = mean(&at.values);
        let value = smooth.map_or(own, |before| wanted.smoothing * before + (1.0 - wanted.smoothing) * own);
        smooth = Some(value);
        let range = (wanted.smoothing == 0.0).then(|| ends(&at.values));
        Point { x: mean(&at.spent), y: value, range }
    };
    Ok(thinned(steps.values().map(point).collect()))
}
