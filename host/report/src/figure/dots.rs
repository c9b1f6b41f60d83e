//! Values of named rows: dots with bars, names at their left, numbers at their right.

use slhf_words::number;

use super::curves::{constant, low_end};
use super::frame::{Frame, LABEL_SIZE, MARGIN, NUMBERS_HEIGHT, WIDTH, begin, lower_axis};
use super::scale::{Axis, ROUNDING, Ranged, Scale, is_rounding};
use super::scene::{Anchor, Ink, Label, Scene, Shape, Weight};
use super::text;

/// Dots in rows, in groups of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Dots {
    /// Above the figure.
    pub title: String,
    /// Along the bottom.
    pub axis: Axis,
    /// A level that is marked, as ½ of a win rate.
    pub level: Option<f64>,
    /// From the top.
    pub groups: Vec<Group>,
}

/// Rows under a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The heading; none where it is empty.
    pub name: String,
    /// From the top.
    pub rows: Vec<Row>,
}

/// One value with what is known of its scatter.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// At its left.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Lower and upper end.
    pub range: Option<(f64, f64)>,
}

const NAMES_WIDTH_MAX: f64 = 300.0;
const ROW_GAP: f64 = 5.0;
const INDENT: f64 = 10.0;

/// A row at its place.
struct Placed<'a> {
    row: &'a Row,
    middle: f64,
}

impl Dots {
    /// Laid out; or the sentence that says all there is to see.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        let ends = || rows().flat_map(ends).filter(|value| value.is_finite());
        if let Some(sentence) = constant(&self.axis, ends()) {
            return Err(sentence);
        }
        let x = Ranged::around(self.axis.scale, ends().chain(self.level));
        let x = x.ok_or_else(|| format!("{}: there is no number to draw.", self.axis.title))?;
        let (mut scene, top) = begin(&self.title);
        let widths = rows().map(|row| text::width(&row.name, LABEL_SIZE));
        // Bold letters are wider, and headings begin further left.
        let headings = self.groups.iter().map(|group| text::width(&group.name, LABEL_SIZE * 1.1) - INDENT);
        let names = widths.chain(headings).fold(0.0, f64::max).min(NAMES_WIDTH_MAX);
        let values = rows().map(|row| text::width(&self.shown(row.value), LABEL_SIZE)).fold(0.0, f64::max);
        let left = MARGIN + INDENT + names + 12.0;
        let right = WIDTH - MARGIN - values - 14.0;
        let (placed, bottom) = self.names(&mut scene, names, top);
        let frame = Frame { left, top, right, bottom };
        if let Some(place) = self.level.and_then(|level| x.place(level)) {
            let through = vec![frame.at(place, 1.0), frame.at(place, 0.0)];
            scene.shapes.push(Shape::Line { through, ink: Ink::Muted, width: 1.5 });
        }
        for place in lower_axis(&mut scene, &frame, &x) {
            scene.line(frame.at(place, 1.0), frame.at(place, 0.0), Ink::Grid);
        }
        for placed in &placed {
            self.mark(&mut scene, &frame, &x, placed);
        }
        let below = bottom + NUMBERS_HEIGHT + LABEL_SIZE;
        let lines = text::wrapped(&self.axis.title, LABEL_SIZE, WIDTH - 2.0 * MARGIN);
        let end = scene.paragraph(&lines, (MARGIN, below - LABEL_SIZE), LABEL_SIZE, Weight::Regular);
        scene.size.1 = end + MARGIN;
        Ok(scene)
    }

    /// Writes the names, and says where each row lies and where they end.
    fn names(&self, scene: &mut Scene, room: f64, top: f64) -> (Vec<Placed<'_>>, f64) {
        let mut placed = Vec::new();
        let mut y = top;
        for group in &self.groups {
            if !group.name.is_empty() {
                let lines = text::wrapped(&group.name, LABEL_SIZE * 1.1, room + INDENT);
                y = scene.paragraph(&lines, (MARGIN, y + ROW_GAP), LABEL_SIZE, Weight::Bold);
            }
            for row in &group.rows {
                let lines = text::wrapped(&row.name, LABEL_SIZE, room);
                let first = y + ROW_GAP / 2.0;
                let end = scene.paragraph(&lines, (MARGIN + INDENT, first), LABEL_SIZE, Weight::Regular);
                placed.push(Placed { row, middle: f64::midpoint(first, end) });
                y = end + ROW_GAP / 2.0;
            }
        }
        (placed, y + 4.0)
    }

    fn mark(&self, scene: &mut Scene, frame: &Frame, x: &Ranged, placed: &Placed<'_>) {
        let (row, y, ink) = (placed.row, placed.middle, Ink::Series(0));
        if let Some((low, high)) = row.range.and_then(|(low, high)| Some((low_end(x, low)?, x.place(high)?))) {
            let through = vec![(frame.at(low, 0.0).0, y), (frame.at(high, 0.0).0, y)];
            scene.shapes.push(Shape::Line { through, ink, width: 2.0 });
        }
        if let Some(place) = x.place(row.value) {
            scene.shapes.push(Shape::Dot { at: (frame.at(place, 0.0).0, y), radius: 4.0, ink });
        }
        scene.shapes.push(Shape::Text(Label {
            text: self.shown(row.value),
            at: (WIDTH - MARGIN, y + 0.35 * LABEL_SIZE),
            anchor: Anchor::End,
            size: LABEL_SIZE,
            ink: Ink::Text,
            weight: Weight::Regular,
        }));
    }

    fn shown(&self, value: f64) -> String {
        match self.axis.scale {
            Scale::Logarithm if is_rounding(value) => format!("< {}", number(ROUNDING)),
            Scale::Share if value.is_finite() => format!("{value:.3}"),
            _ => number(value),
        }
    }
}

fn ends(row: &Row) -> [f64; 3] {
    let (low, high) = row.range.unwrap_or((row.value, row.value));
    [row.value, low, high]
}
