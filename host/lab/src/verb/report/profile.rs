//! Final values along the last axis of an ablation, in groups by the others.

use slhf_plan::{EvaluationName, MetricKey};
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{Axis, Block, Curves, Dots, Figure, Group, Point, Row, Series, Spread};

use super::measured::Evaluations;
use crate::over_seeds::{OverSeeds, latest};
use crate::running::gap_metrics;

/// Rows beyond which a figure is closed until somebody opens it.
const OPEN_ROWS_MAX: usize = 60;
/// Of a numeric axis: from this ratio of its ends on, equal factors are equal distances.
const LOGARITHM_RATIO: f64 = 16.0;

/// What the cells are worth, and how far they end from their targets.
pub(super) fn of_metrics(comparison: &Comparison, stem: &str) -> Vec<Block> {
    let known = |key: &&str| comparison.metric_keys.iter().any(|known| known == key);
    let committed = MetricKey::ValueCommitted.name();
    let keys: Vec<&str> = [committed].into_iter().chain(gap_metrics()).filter(known).collect();
    let figures = keys.into_iter().filter_map(|key| {
        let axis = if key == committed { Axis::share(key) } else { Axis::logarithm(key) };
        let meaning = MetricKey::parse(key).map_or("", MetricKey::meaning);
        let profile = Profile { title: format!("{key} at the end"), axis, level: None };
        let caption = format!("{meaning} Mean over seeds with Student's 95 % interval.");
        figure(comparison, profile, &format!("{stem}-{}", file_part(key)), caption, &|cell| latest(cell, key))
    });
    figures.collect()
}

/// The win rates of language models.
pub(super) fn of_evaluations(comparison: &Comparison, evaluations: &Evaluations, stem: &str) -> Vec<Block> {
    let subjects = evaluations.subjects(&EvaluationName::WIN_RATE);
    let figures = subjects.into_iter().filter_map(|subject| {
        let profile =
            Profile { title: format!("Win rate, {subject}"), axis: Axis::share("win rate"), level: Some(0.5) };
        let caption = "Mean over seeds with the 95 % interval of a share; the line is ½.".to_owned();
        let name = format!("{stem}-win-rate-{}", file_part(&subject));
        let value = |cell: &ComparedCell| evaluations.over_seeds(cell, &EvaluationName::WIN_RATE, &subject);
        figure(comparison, profile, &name, caption, &value)
    });
    figures.collect()
}

/// How a quantity is shown.
struct Profile {
    title: String,
    axis: Axis,
    level: Option<f64>,
}

/// What a file's name may hold of a key.
pub(super) fn file_part(key: &str) -> String {
    let kept: String =
        key.chars().map(|letter| if letter.is_alphanumeric() || letter == '^' { letter } else { '-' }).collect();
    kept.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// A cell's value, by what its group and its row are called.
struct Placed<'a> {
    group: String,
    row: &'a str,
    found: OverSeeds,
}

/// `None` where fewer than two cells have a value.
fn figure(
    comparison: &Comparison,
    profile: Profile,
    name: &str,
    caption: String,
    value: &dyn Fn(&ComparedCell) -> Option<OverSeeds>,
) -> Option<Block> {
    let placed: Vec<Placed<'_>> = comparison
        .cells
        .iter()
        .filter_map(|cell| {
            let found = value(cell)?;
            let (row, groups) = cell.settings.split_last().map_or((&cell.label, &[][..]), |split| split);
            Some(Placed { group: groups.join(", "), row, found })
        })
        .collect();
    if placed.len() < 2 {
        return None;
    }
    let rows = placed.len();
    let figure = over_numbers(comparison, &profile, &placed).unwrap_or_else(|| in_rows(profile, &placed));
    let summary = figure.title().to_owned();
    let block = Block::Figure { name: name.to_owned(), caption, figure };
    if rows > OPEN_ROWS_MAX {
        return Some(Block::Folded { summary: format!("{summary} ({rows} cells)"), blocks: vec![block] });
    }
    Some(block)
}

/// Curves over the last axis, where its values are numbers.
fn over_numbers(comparison: &Comparison, profile: &Profile, placed: &[Placed<'_>]) -> Option<Figure> {
    let numbers: Vec<f64> = placed.iter().map(|placed| placed.row.parse().ok()).collect::<Option<_>>()?;
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return None;
    }
    let title = comparison.axes.last().cloned().unwrap_or_default();
    let x = if low > 0.0 && high / low >= LOGARITHM_RATIO { Axis::logarithm(title) } else { Axis::linear(title) };
    let mut series: Vec<Series> = Vec::new();
    for (placed, x) in placed.iter().zip(numbers) {
        let point = Point { x, y: placed.found.mean, range: placed.found.interval };
        match series.iter_mut().find(|known| known.name == placed.group) {
            Some(known) => known.points.push(point),
            None => series.push(Series { name: placed.group.clone(), points: vec![point] }),
        }
    }
    for one in &mut series {
        one.points.sort_by(|one, other| one.x.total_cmp(&other.x));
    }
    let (title, y, level) = (profile.title.clone(), profile.axis.clone(), profile.level);
    Some(Figure::Curves(Curves { title, x, y, level, spread: Spread::Bars, series }))
}

fn in_rows(profile: Profile, placed: &[Placed<'_>]) -> Figure {
    let mut groups: Vec<Group> = Vec::new();
    for placed in placed {
        let row = Row { name: placed.row.to_owned(), value: placed.found.mean, range: placed.found.interval };
        match groups.iter_mut().find(|known| known.name == placed.group) {
            Some(known) => known.rows.push(row),
            None => groups.push(Group { name: placed.group.clone(), rows: vec![row] }),
        }
    }
    Figure::Dots(Dots { title: profile.title, axis: profile.axis, level: profile.level, groups })
}
