//! Many settings beside what came of them: one upright axis a setting, one line a cell.
//!
//! Lines are drawn between the axes alone: within the band of an axis stand its labels, and nothing lies over them.

use slhf_words::number;

use super::frame::{LABEL_SIZE, MARGIN, TICK_SIZE, WIDTH, begin};
use super::scale::{Axis, Ranged, Scale};
use super::scene::{Anchor, At, Ink, Scene, Shape, Weight};
use super::text;

/// Settings of cells beside a number that came of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallel {
    /// Above the figure.
    pub title: String,
    /// From left to right; the last one is what came of the others.
    pub axes: Vec<ParallelAxis>,
}

/// One upright axis with the value of every cell, in the order of the cells.
#[derive(Clone, Debug, PartialEq)]
pub enum ParallelAxis {
    /// Measured.
    Numbers {
        /// What it shows, and how.
        axis: Axis,
        /// `None`: the cell has none.
        values: Vec<Option<f64>>,
    },
    /// Named, in the order in which names come first.
    Names {
        /// What it shows.
        title: String,
        /// `None`: the cell has none.
        values: Vec<Option<String>>,
    },
}

const HEIGHT: f64 = 320.0;
/// Names that one axis can show one below the other.
const NAMES_MAX: usize = 16;
/// Axes beyond which labels no longer have room.
const AXES_MAX: usize = 7;
const LABEL_WIDTH_MAX: f64 = 86.0;
/// Of the cells, those with the highest and those with the lowest values are colored.
const COLORED_SHARE: f64 = 0.25;

/// An axis with its labels and where the lines of the cells meet it, from 0 at the bottom to 1 at the top.
struct Placed {
    title: String,
    /// Names that have no room at the axis, by the number that stands for each there.
    legend: Vec<String>,
    labels: Vec<(f64, String)>,
    places: Vec<Option<f64>>,
}

impl ParallelAxis {
    fn placed(&self) -> Option<Placed> {
        match self {
            Self::Numbers { axis, values } => {
                let ranged = Ranged::around(axis.scale, values.iter().copied().flatten())?;
                let places = values.iter().map(|value| ranged.place((*value)?)).collect();
                Some(Placed { title: axis.title.clone(), legend: Vec::new(), labels: ranged.ticks(5), places })
            }
            Self::Names { title, values } => {
                let mut names: Vec<&String> = Vec::new();
                for name in values.iter().flatten() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let last = names.len().max(2) as f64 - 1.0;
                let place = |name: &String| Some(1.0 - names.iter().position(|known| *known == name)? as f64 / last);
                let has_room = |name: &&String| text::width(name, TICK_SIZE) <= LABEL_WIDTH_MAX - 8.0;
                let mut legend = Vec::new();
                let mut label = |name: &&String| {
                    if has_room(name) {
                        return (*name).clone();
                    }
                    legend.push(format!("{} = {name}", legend.len() + 1));
                    legend.len().to_string()
                };
                let shown = if names.len() <= NAMES_MAX { names.as_slice() } else { &[] };
                let labels = shown.iter().filter_map(|name| Some((place(name)?, label(name)))).collect();
                Some(Placed {
                    title: title.clone(),
                    labels,
                    legend,
                    places: values.iter().map(|name| place(name.as_ref()?)).collect(),
                })
            }
        }
    }
}

impl Parallel {
    /// Laid out; or the sentence that says all there is to see.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        if self.axes.len() > AXES_MAX {
            return Err(format!("{}: {} axes are more than {AXES_MAX}; choose fewer.", self.title, self.axes.len()));
        }
        let placed: Vec<Placed> = self.axes.iter().filter_map(ParallelAxis::placed).collect();
        let Some((result, settings)) = placed.split_last().filter(|_| placed.len() == self.axes.len()) else {
            return Err(format!("{}: there is no number to draw.", self.title));
        };
        let known = result.places.iter().flatten().count();
        if settings.is_empty() || known < 2 {
            return Err(format!("{}: no two cells with a number differ in a setting.", self.title));
        }
        let (mut scene, top) = begin(&self.title);
        let top = legend(&mut scene, top, result);
        let wide = WIDTH - 2.0 * MARGIN - LABEL_WIDTH_MAX;
        let gap = wide / (placed.len() - 1) as f64;
        let room = |axis: usize| if axis + 1 == placed.len() { LABEL_WIDTH_MAX } else { (gap - 12.0).min(150.0) };
        let heading = |(number, axis): (usize, &Placed)| text::wrapped(&axis.title, LABEL_SIZE, room(number));
        let headings: Vec<Vec<String>> = placed.iter().enumerate().map(heading).collect();
        let heading_lines = headings.iter().map(Vec::len).max().unwrap_or(1) as f64;
        let upper = top + heading_lines * LABEL_SIZE * text::LINE_HEIGHT + 12.0;
        let at = |axis: usize, place: f64| (MARGIN + axis as f64 * gap, upper + (1.0 - place) * HEIGHT);
        let widths: Vec<f64> = placed.iter().map(Placed::labels_width).collect();
        lines(&mut scene, &placed, &widths, &at);
        for (number, (axis, heading)) in placed.iter().zip(&headings).enumerate() {
            let (x, _) = at(number, 0.0);
            scene.line((x, upper), (x, upper + HEIGHT), Ink::Muted);
            let height = heading.len() as f64 * LABEL_SIZE * text::LINE_HEIGHT;
            scene.paragraph(heading, (x, upper - 8.0 - height), LABEL_SIZE, Weight::Regular);
            for (place, label) in &axis.labels {
                let (x, y) = at(number, *place);
                scene.text(&**label, (x + 6.0, y + 0.35 * TICK_SIZE), Anchor::Start, TICK_SIZE, Ink::Muted);
            }
        }
        let mut end = upper + HEIGHT + 10.0;
        for axis in placed.iter().filter(|axis| !axis.legend.is_empty()) {
            let said = format!("{}: {}", axis.title, axis.legend.join("; "));
            let lines = text::wrapped(&said, LABEL_SIZE, WIDTH - 2.0 * MARGIN);
            end = scene.paragraph(&lines, (MARGIN, end), LABEL_SIZE, Weight::Regular);
        }
        scene.size.1 = end + MARGIN / 2.0;
        Ok(scene)
    }
}

fn legend(scene: &mut Scene, top: f64, result: &Placed) -> f64 {
    let mut top = top;
    for (series, said) in [(0, "highest quarter"), (1, "lowest quarter")] {
        let y = top + LABEL_SIZE * 0.9;
        let through = vec![(MARGIN, y), (MARGIN + 24.0, y)];
        scene.shapes.push(Shape::Curve { through, series, name: String::new(), values: Vec::new() });
        let lines = text::wrapped(&format!("{said} of {}", result.title), LABEL_SIZE, WIDTH - 2.0 * MARGIN - 34.0);
        top = scene.paragraph(&lines, (MARGIN + 32.0, top), LABEL_SIZE, Weight::Regular);
    }
    top + 10.0
}

/// One a cell, the colored ones above the others.
fn lines(scene: &mut Scene, placed: &[Placed], widths: &[f64], at: &impl Fn(usize, f64) -> At) {
    let result = &placed[placed.len() - 1].places;
    let mut order: Vec<usize> = (0..result.len()).filter(|cell| result[*cell].is_some()).collect();
    order.sort_by(|one, other| result[*one].unwrap_or_default().total_cmp(&result[*other].unwrap_or_default()));
    let colored = ((order.len() as f64 * COLORED_SHARE).round() as usize).max(1).min(order.len() / 2);
    let (low, rest) = order.split_at(colored);
    let (middle, high) = rest.split_at(rest.len() - colored);
    for (cells, series) in [(middle, None), (low, Some(1)), (high, Some(0))] {
        for cell in cells {
            for axis in 0..placed.len() - 1 {
                let Some((from, to)) = placed[axis].places[*cell].zip(placed[axis + 1].places[*cell]) else {
                    continue;
                };
                let ((x, y), end) = (at(axis, from), at(axis + 1, to));
                let through = vec![(x + widths[axis], y), (end.0 - 4.0, end.1)];
                scene.shapes.push(match series {
                    Some(series) => Shape::Curve { through, series, name: String::new(), values: Vec::new() },
                    None => Shape::Line { through, ink: Ink::Muted, width: 0.8 },
                });
            }
        }
    }
}

impl Placed {
    /// Of the band right of the axis in which its labels stand.
    fn labels_width(&self) -> f64 {
        let widest = self.labels.iter().map(|(_, label)| text::width(label, TICK_SIZE)).fold(0.0, f64::max);
        widest.min(LABEL_WIDTH_MAX - 8.0) + 12.0
    }
}

impl ParallelAxis {
    /// Of values as somebody wrote them: numbers where all of them are and not all are one.
    #[must_use]
    pub fn of_texts(title: &str, values: &[Option<String>]) -> Self {
        let numbers: Vec<Option<f64>> = values.iter().map(|value| value.as_ref()?.parse().ok()).collect();
        let are_numbers =
            numbers.iter().zip(values).all(|(number, value)| number.is_some_and(f64::is_finite) || value.is_none());
        let distinct = |numbers: &[Option<f64>]| {
            let mut found: Vec<String> = numbers.iter().flatten().map(|value| number(*value)).collect();
            found.sort();
            found.dedup();
            found.len()
        };
        if !are_numbers || distinct(&numbers) < 2 {
            return Self::Names { title: title.to_owned(), values: values.to_vec() };
        }
        let found: Vec<f64> = numbers.iter().copied().flatten().collect();
        let (low, high) =
            found.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        let scale = if low > 0.0 && high / low >= 50.0 { Scale::Logarithm } else { Scale::Linear };
        Self::Numbers { axis: Axis { title: title.to_owned(), scale }, values: numbers }
    }
}
