//! One metric of an experiment's cells over what was spent: for the browser, for files and for a terminal.

use std::collections::BTreeMap;

use slhf_plan::{MetricKey, Unit};
use slhf_record::{ComparedCell, Comparison, CurvePoint, CurveQuery, Record};
use slhf_report::{Axis, Curves, Point, Series, Spread};

use super::budget::{Currency, spent_by_step};
use super::curve_points::{at_step, read_max, thinned};
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

/// A part of the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Within {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Within {
    pub(super) const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    fn holds(self, x: f64) -> bool {
        self.low <= x && x <= self.high
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
    /// Only this part of the horizontal axis.
    pub(super) within: Within,
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
    let named = [
        MetricKey::RewardsProbabilities,
        MetricKey::RewardsMean,
        MetricKey::RewardsAccuracies,
        MetricKey::RewardAccuracy,
    ];
    let gap = gap_metrics().find_map(|gap| known.iter().find(|key| **key == gap));
    let rewarded = || named.iter().find_map(|named| known.iter().find(|key| **key == named.name()));
    gap.or_else(rewarded).or(known.first()).copied()
}

/// The curves of the cells.
pub(super) fn curves(record: &mut Record, comparison: &Comparison, wanted: &Wanted<'_>) -> Result<Curves, Failure> {
    let text = wanted.cell.to_lowercase();
    let mut series = Vec::new();
    let shown = || comparison.cells.iter().filter(|cell| cell.label.to_lowercase().contains(&text));
    let points_max = read_max(shown().map(|cell| cell.runs.len()).sum());
    for cell in shown() {
        let points = points(record, cell, wanted, points_max)?;
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

fn points(
    record: &mut Record,
    cell: &ComparedCell,
    wanted: &Wanted<'_>,
    points_max: usize,
) -> Result<Vec<Point>, Failure> {
    let runs: Vec<i64> = cell.runs.iter().map(|run| run.summary.run).collect();
    let keys: Vec<&str> = wanted.currency.metrics().iter().copied().chain([wanted.key.as_str()]).collect();
    let mut query = CurveQuery::new(&keys, points_max);
    // What is summed or smoothed needs what came before.
    if wanted.currency == Currency::Steps && wanted.smoothing == 0.0 {
        query.steps = wanted.within.low.max(0.0).ceil() as i64..=wanted.within.high.floor() as i64;
    }
    let curves = record.curves(&runs, &query).map_err(Failure::failed)?;
    let mut steps: BTreeMap<i64, (Vec<f64>, Vec<&CurvePoint>)> = BTreeMap::new();
    for run in runs {
        let of = |key: &str| curves.get(&(run, key.to_owned())).map(Vec::as_slice).unwrap_or_default();
        let spent = spent_by_step(wanted.currency, of);
        for point in of(&wanted.key) {
            if let Some(spent) = spent.after(point.step) {
                let (all_spent, points) = steps.entry(point.step).or_default();
                all_spent.push(spent);
                points.push(point);
            }
        }
    }
    let mut smooth: Option<f64> = None;
    let drawn = steps.into_values().map(|(spent, points)| {
        let point = at_step(spent.iter().sum::<f64>() / spent.len() as f64, &points);
        if wanted.smoothing == 0.0 {
            return point;
        }
        // A point that stands for several values forgets as much as they would have one by one.
        let kept = wanted.smoothing.powi(points.iter().map(|point| point.values).max().unwrap_or(1) as i32);
        let value = smooth.map_or(point.y, |before| kept * before + (1.0 - kept) * point.y);
        smooth = Some(value);
        Point { y: value, range: None, ..point }
    });
    Ok(thinned(drawn.filter(|point| wanted.within.holds(point.x)).collect()))
}
