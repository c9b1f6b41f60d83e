//! Points of curves: from what the record keeps of metrics to what a figure draws.

use std::collections::BTreeMap;

use slhf_record::{Curve, CurvePoint};
use slhf_report::Point;

/// Points of a metric that are read of a run: beyond, the record puts consecutive values together.
pub(super) const READ_MAX: usize = 2048;
/// Values that are read of all runs of a figure together, where each has at least [`READ_MIN`].
const READ_ALL_MAX: usize = 8192;
const READ_MIN: usize = 256;

/// Points that are read of each of so many runs, so that a figure of many is there as soon as one of few.
pub(super) fn read_max(runs: usize) -> usize {
    (READ_ALL_MAX / runs.max(1)).clamp(READ_MIN, READ_MAX)
}

/// Points of a curve that is drawn: more than a panel has pixels for.
const DRAWN_MAX: usize = 200;

/// What a curve over seeds shows, for captions.
pub(super) const BAND: &str = "Mean over seeds; the band is from the lowest to the highest seed.";
/// What more is to be said of a long one.
pub(super) const LONG: &str =
    "Each point stands for several steps: their mean, in a band from their lowest to their highest value.";

/// The caption of a figure of these curves.
pub(super) fn caption<'a>(curves: impl Iterator<Item = &'a Curve>) -> String {
    let is_long = curves.flatten().any(|point| point.values > 1);
    if is_long { format!("{BAND} {LONG}") } else { BAND.to_owned() }
}

/// One curve over the runs of a cell: means over seeds, with a band from the lowest to the highest value of any.
pub(super) fn over_seeds<'a>(curves: impl Iterator<Item = &'a Curve>) -> Vec<Point> {
    let mut by_step: BTreeMap<i64, Vec<&CurvePoint>> = BTreeMap::new();
    for point in curves.flatten() {
        by_step.entry(point.step).or_default().push(point);
    }
    by_step.into_iter().map(|(step, points)| at_step(step as f64, &points)).collect()
}

/// What several runs have at one place of the horizontal axis.
pub(super) fn at_step(x: f64, points: &[&CurvePoint]) -> Point {
    let low = points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max);
    let mean = points.iter().map(|point| point.mean()).sum::<f64>() / points.len() as f64;
    Point { x, y: mean, range: Some((low, high)) }
}

/// Of a long curve the points with the lowest and the highest value of each stretch, with the band of the whole stretch, so that
/// no extreme is lost; the ends stay.
pub(super) fn thinned(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= DRAWN_MAX {
        return points;
    }
    let stretch = points.len().div_ceil(DRAWN_MAX / 2);
    let (first, last) = (points[0], points[points.len() - 1]);
    let mut kept = vec![first];
    for part in points.chunks(stretch) {
        let by_value = |one: &&Point, other: &&Point| one.y.total_cmp(&other.y);
        let (Some(low), Some(high)) = (part.iter().min_by(by_value), part.iter().max_by(by_value)) else { continue };
        let band =
            part.iter().filter_map(|point| point.range).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        let [one, other] = if low.x <= high.x { [*low, *high] } else { [*high, *low] };
        kept.extend([Point { range: band, ..one }, Point { range: band, ..other }]);
    }
    kept.push(last);
    kept.dedup_by(|one, other| one.x.total_cmp(&other.x).is_eq());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_ends_and_every_extreme() {
        let value = |step: usize| if step == 4321 { 9.0 } else { (step as f64 / 50.0).sin() };
        let points = (0..10_000).map(|step| {
            let band = (value(step) - if step == 777 { 40.0 } else { 0.1 }, value(step) + 0.1);
            Point { x: step as f64, y: value(step), range: Some(band) }
        });
        let kept = thinned(points.collect());
        assert!(kept.len() <= DRAWN_MAX + 2, "{}", kept.len());
        assert!(kept.is_sorted_by(|one, other| one.x < other.x));
        assert_eq!((kept[0].x, kept[kept.len() - 1].x), (0.0, 9999.0));
        assert!(kept.iter().any(|point| point.x == 4321.0 && point.y == 9.0));
        let low = kept.iter().filter_map(|point| point.range).map(|(low, _)| low).fold(f64::INFINITY, f64::min);
        assert_eq!(low, value(777) - 40.0);
    }

    #[test]
    fn seeds_are_put_together_by_their_steps() {
        let point = |step, low, high, total, values| CurvePoint { step, values, low, high, total, last: high };
        let one = vec![point(15, 1.0, 3.0, 8.0, 4), point(31, 2.0, 2.0, 8.0, 4)];
        let other = vec![point(15, 0.5, 2.0, 4.0, 4)];
        let points = over_seeds([&one, &other].into_iter());
        let point = |x, y, range| Point { x, y, range: Some(range) };
        assert_eq!(points, [point(15.0, 1.5, (0.5, 3.0)), point(31.0, 2.0, (2.0, 2.0))]);
    }
}
