//! Values over a number: learning curves, profiles of an ablation, frontiers.

use slhf_words::number;

use super::frame::{
    Frame, LABEL_SIZE, MARGIN, NUMBERS_HEIGHT, Numbers, Panels, SERIES_MAX, TICK_SIZE, WIDTH, axes, begin, left_room,
};
use super::scale::{Axis, ROUNDING, Ranged, Scale};
use super::scene::{Anchor, At, Ink, Scene, Shape, Weight};
use super::text;

/// Curves over a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// Above the figure.
    pub title: String,
    /// Along the bottom.
    pub x: Axis,
    /// Along the side.
    pub y: Axis,
    /// A level that is marked, as ½ of a win rate.
    pub level: Option<f64>,
    /// How the range of a point is drawn.
    pub spread: Spread,
    /// The curves.
    pub series: Vec<Series>,
}

/// How the ranges of points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// A band along the curve.
    Band,
    /// A bar at each point.
    Bars,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Beside its end.
    pub name: String,
    /// From left to right, or along a path.
    pub points: Vec<Point>,
}

/// One point with what is known of its scatter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Along the bottom.
    pub x: f64,
    /// Along the side.
    pub y: f64,
    /// Lower and upper end.
    pub range: Option<(f64, f64)>,
}

/// Curves that are one, to the last bit.
struct Curve<'a> {
    names: Vec<&'a str>,
    points: &'a [Point],
}

const FRAME_HEIGHT: f64 = 300.0;
const LABELS_WIDTH: f64 = 200.0;
const PANEL_HEIGHT: f64 = 110.0;

impl Curves {
    /// Laid out; or the sentence that says all there is to see.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let curves = self.distinct();
        let points = || curves.iter().flat_map(|curve| curve.points).filter(|point| point.x.is_finite());
        let ends = || points().flat_map(ends).filter(|value| value.is_finite());
        if let Some(sentence) = constant(&self.y, ends()) {
            return Err(sentence);
        }
        let no_number = || format!("{}: there is no number to draw.", self.y.title);
        let x = Ranged::around(self.x.scale, points().map(|point| point.x)).ok_or_else(no_number)?;
        let y = Ranged::around(self.y.scale, ends().chain(self.level)).ok_or_else(no_number)?;
        let (mut scene, top) = begin(&self.title);
        scene.text(&*self.y.title, (MARGIN, top + LABEL_SIZE), Anchor::Start, LABEL_SIZE, Ink::Muted);
        let top = top + LABEL_SIZE + 10.0;
        let bottom = if curves.len() > SERIES_MAX {
            self.panels(&mut scene, &curves, (&x, &y), top)
        } else {
            self.one_frame(&mut scene, &curves, (&x, &y), top)
        };
        scene.size.1 = bottom + MARGIN;
        Ok(scene)
    }

    /// Equal curves as one.
    fn distinct(&self) -> Vec<Curve<'_>> {
        let mut found: Vec<Curve<'_>> = Vec::new();
        for series in self.series.iter().filter(|series| series.points.iter().any(|point| point.y.is_finite())) {
            match found.iter_mut().find(|curve| curve.points == series.points.as_slice()) {
                Some(curve) => curve.names.push(&series.name),
                None => found.push(Curve { names: vec![&series.name], points: &series.points }),
            }
        }
        found
    }

    fn one_frame(&self, scene: &mut Scene, curves: &[Curve<'_>], (x, y): (&Ranged, &Ranged), top: f64) -> f64 {
        let is_named = curves.len() > 1 || curves.iter().any(|curve| curve.names.iter().any(|name| !name.is_empty()));
        let room = if is_named { LABELS_WIDTH } else { 0.0 };
        let labels: Vec<Vec<String>> = curves.iter().map(|curve| lines_of(curve, room - 26.0)).collect();
        let line = LABEL_SIZE * text::LINE_HEIGHT;
        let needed: f64 = labels.iter().map(|lines| lines.len() as f64 * line + 4.0).sum();
        let left = MARGIN + left_room(y);
        let frame = Frame {
            left,
            top,
            right: WIDTH - MARGIN - room,
            bottom: top + FRAME_HEIGHT.max(if is_named { needed } else { 0.0 }),
        };
        axes(scene, &frame, (x, y), Numbers::Both);
        self.level(scene, &frame, y);
        for (number, curve) in curves.iter().enumerate() {
            self.curve(scene, &frame, (x, y), curve, number);
        }
        if is_named {
            labels_beside(scene, &frame, (x, y), curves, &labels);
        }
        let below = frame.bottom + NUMBERS_HEIGHT + LABEL_SIZE;
        let middle = f64::midpoint(frame.left, frame.right);
        scene.text(&*self.x.title, (middle, below + 4.0), Anchor::Middle, LABEL_SIZE, Ink::Muted);
        below + 6.0
    }

    fn panels(&self, scene: &mut Scene, curves: &[Curve<'_>], (x, y): (&Ranged, &Ranged), top: f64) -> f64 {
        let headings: Vec<String> = curves.iter().map(|curve| curve.names.join(" = ")).collect();
        let panels = Panels { left: left_room(y), height: PANEL_HEIGHT, below: NUMBERS_HEIGHT + 12.0 };
        let (placed, end) = panels.place(scene, &headings, top);
        for (panel, curve) in placed.iter().zip(curves) {
            axes(scene, &panel.frame, (x, y), panel.numbers);
            self.level(scene, &panel.frame, y);
            self.curve(scene, &panel.frame, (x, y), curve, 0);
        }
        let middle = WIDTH / 2.0;
        scene.text(&*self.x.title, (middle, end + LABEL_SIZE - 4.0), Anchor::Middle, LABEL_SIZE, Ink::Muted);
        end + LABEL_SIZE
    }

    fn level(&self, scene: &mut Scene, frame: &Frame, y: &Ranged) {
        if let Some(place) = self.level.and_then(|level| y.place(level)) {
            let through = vec![frame.at(0.0, place), frame.at(1.0, place)];
            scene.shapes.push(Shape::Line { through, ink: Ink::Muted, width: 1.5 });
        }
    }

    fn curve(&self, scene: &mut Scene, frame: &Frame, scales: (&Ranged, &Ranged), curve: &Curve<'_>, color: usize) {
        let ink = Ink::Series(color);
        for part in parts(curve.points, scales) {
            let values = part.iter().map(|(_, value)| *value).collect();
            let part: Vec<Point> = part.into_iter().map(|(placed, _)| placed).collect();
            let at = |(x, y): (f64, f64)| frame.at(x, y);
            let ranged: Vec<(f64, (f64, f64))> =
                part.iter().filter_map(|point| Some((point.x, point.range?))).collect();
            if self.spread == Spread::Band && part.len() > 1 {
                let upper = ranged.iter().map(|(x, (_, high))| at((*x, *high)));
                let lower = ranged.iter().rev().map(|(x, (low, _))| at((*x, *low)));
                let within: Vec<At> = upper.chain(lower).collect();
                if within.len() > 2 {
                    scene.shapes.push(Shape::Area { within, ink });
                }
            } else {
                for (x, (low, high)) in ranged {
                    let through = vec![at((x, low)), at((x, high))];
                    scene.shapes.push(Shape::Line { through, ink, width: 1.5 });
                }
            }
            let through: Vec<At> = part.iter().map(|point| at((point.x, point.y))).collect();
            if self.spread == Spread::Bars || through.len() == 1 {
                for at in &through {
                    scene.shapes.push(Shape::Dot { at: *at, radius: 3.5, ink });
                }
            }
            if through.len() > 1 {
                scene.shapes.push(Shape::Curve { through, series: color, name: curve.names.join(" = "), values });
            }
        }
    }
}

fn ends(point: &Point) -> [f64; 3] {
    let (low, high) = point.range.unwrap_or((point.y, point.y));
    [point.y, low, high]
}

/// What is to be said where all values are one.
pub(crate) fn constant(axis: &Axis, values: impl Iterator<Item = f64> + Clone) -> Option<String> {
    let title = &axis.title;
    let mut all = values.clone();
    let Some(first) = all.next() else { return Some(format!("{title}: there is no number to draw.")) };
    if axis.scale == Scale::Logarithm
        && let Some(below) =
            [ROUNDING, 10.0 * ROUNDING].into_iter().find(|below| values.clone().all(|value| value.abs() < *below))
    {
        return Some(format!("{title}: at rounding (< {}) everywhere.", number(below)));
    }
    all.all(|value| value == first).then(|| format!("{title}: {} everywhere.", number(first)))
}

/// Runs of points that the scales can show, as shares of them, each with its own values: a gap is where a value is none.
fn parts(points: &[Point], (x, y): (&Ranged, &Ranged)) -> Vec<Vec<(Point, (f64, f64))>> {
    let place = |point: &Point| {
        let range = point.range.and_then(|(low, high)| Some((low_end(y, low)?, y.place(high)?)));
        Some(Point { x: x.place(point.x)?, y: y.place(point.y)?, range })
    };
    let mut parts = vec![Vec::new()];
    for point in points {
        match (place(point), parts.last_mut()) {
            (Some(placed), Some(last)) => last.push((placed, (point.x, point.y))),
            (None, Some(last)) if !last.is_empty() => parts.push(Vec::new()),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A lower end that a logarithm cannot show stands at the lower end of the axis.
pub(crate) fn low_end(scale: &Ranged, low: f64) -> Option<f64> {
    scale.place(low).or(if low < 0.0 { Some(0.0) } else { None })
}

fn lines_of(curve: &Curve<'_>, room: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, name) in curve.names.iter().enumerate() {
        let name = if number > 0 { format!("= {name}") } else { (*name).to_owned() };
        lines.extend(text::wrapped(&name, LABEL_SIZE, room));
    }
    lines
}

/// Names right of the frame, each at the height where its curve ends, or as near to it as the others leave room.
fn labels_beside(
    scene: &mut Scene,
    frame: &Frame,
    (x, y): (&Ranged, &Ranged),
    curves: &[Curve<'_>],
    labels: &[Vec<String>],
) {
    let line = LABEL_SIZE * text::LINE_HEIGHT;
    let end = |curve: &Curve<'_>| {
        let last = curve.points.iter().rev().find_map(|point| Some((x.place(point.x)?, y.place(point.y)?)));
        last.map_or((frame.right, frame.bottom), |(x, y)| frame.at(x, y))
    };
    let heights: Vec<f64> = labels.iter().map(|lines| lines.len() as f64 * line).collect();
    let wanted: Vec<f64> = curves.iter().zip(&heights).map(|(curve, height)| end(curve).1 - height / 2.0).collect();
    let tops = spread(&wanted, &heights, (frame.top, frame.bottom));
    for (number, (curve, lines)) in curves.iter().zip(labels).enumerate() {
        let (from, ink) = (end(curve), Ink::Series(number));
        let (left, top) = (frame.right + 22.0, tops[number]);
        let through = vec![from, (frame.right + 4.0, from.1), (left - 4.0, top + heights[number] / 2.0)];
        scene.shapes.push(Shape::Line { through, ink, width: 0.8 });
        let first = scene.shapes.len();
        scene.paragraph(lines, (left, top), LABEL_SIZE, Weight::Regular);
        for shape in &mut scene.shapes[first..] {
            if let Shape::Text(label) = shape {
                label.ink = ink;
            }
        }
    }
}

/// Moves boxes apart: their tops, in the order in which they are given.
fn spread(wanted: &[f64], heights: &[f64], (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut tops = wanted.to_vec();
    let mut free = top - TICK_SIZE / 2.0;
    for &at in &order {
        tops[at] = tops[at].max(free);
        free = tops[at] + heights[at] + 2.0;
    }
    let mut end = bottom + TICK_SIZE;
    for &at in order.iter().rev() {
        tops[at] = tops[at].min(end - heights[at]);
        end = tops[at] - 2.0;
    }
    tops
}
