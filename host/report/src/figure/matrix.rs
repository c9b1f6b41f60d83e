//! How often each of several is preferred to each other one, as a square.

use super::frame::{LABEL_SIZE, MARGIN, TICK_SIZE, WIDTH, begin};
use super::scene::{Anchor, Ink, Label, Scene, Shape, Weight};
use super::text;

/// A square of numbers from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Above the figure.
    pub title: String,
    /// Of rows and columns.
    pub names: Vec<String>,
    /// `[row][column]`; `None` on the diagonal and where nothing is known.
    pub cells: Vec<Vec<Option<MatrixCell>>>,
}

/// One number of a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatrixCell {
    /// From 0 to 1.
    pub value: f64,
    /// Shown in bold.
    pub is_significant: bool,
}

const NAMES_WIDTH_MAX: f64 = 280.0;
const CELL_WIDTH_MAX: f64 = 46.0;
/// A cell that is narrower holds no number.
const CELL_WIDTH_WITH_NUMBER: f64 = 30.0;
const ROW_HEIGHT: f64 = 24.0;

impl Matrix {
    /// Laid out; or the sentence that says all there is to see.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let mut values = self.cells.iter().flatten().flatten().map(|cell| cell.value).filter(|value| value.is_finite());
        let Some(first) = values.next() else { return Err(format!("{}: nothing is known.", self.title)) };
        if self.names.len() > 2 && values.all(|value| value == first) {
            return Err(format!("{}: {first:.2} everywhere.", self.title));
        }
        let (mut scene, top) = begin(&self.title);
        let many = self.names.len() as f64;
        let labels: Vec<String> =
            self.names.iter().enumerate().map(|(row, name)| format!("{} {name}", row + 1)).collect();
        let widest = labels.iter().map(|label| text::width(label, LABEL_SIZE)).fold(0.0, f64::max);
        let names = widest.min(NAMES_WIDTH_MAX);
        let left = MARGIN + names + 10.0;
        let cell = ((WIDTH - MARGIN - left) / many).min(CELL_WIDTH_MAX);
        for number in 0..self.names.len() {
            let size = TICK_SIZE.min(cell * 0.7);
            let at = (left + cell * (number as f64 + 0.5), top + TICK_SIZE);
            scene.text((number + 1).to_string(), at, Anchor::Middle, size, Ink::Muted);
        }
        let mut y = top + TICK_SIZE + 6.0;
        for (label, cells) in labels.iter().zip(&self.cells) {
            let lines = text::wrapped(label, LABEL_SIZE, names);
            let height = ROW_HEIGHT.max(lines.len() as f64 * LABEL_SIZE * text::LINE_HEIGHT + 4.0);
            let inner = lines.len() as f64 * LABEL_SIZE * text::LINE_HEIGHT;
            scene.paragraph(&lines, (MARGIN, y + (height - inner) / 2.0), LABEL_SIZE, Weight::Regular);
            for (column, found) in cells.iter().enumerate() {
                if let Some(found) = found {
                    found.draw(&mut scene, (left + cell * column as f64, y), (cell, height));
                }
            }
            y += height;
        }
        scene.size.1 = y + MARGIN;
        Ok(scene)
    }
}

impl MatrixCell {
    fn draw(&self, scene: &mut Scene, corner: (f64, f64), (width, height): (f64, f64)) {
        let gap = if width < CELL_WIDTH_WITH_NUMBER { 0.5 } else { 2.0 };
        let size = (width - gap, height - gap);
        scene.shapes.push(Shape::Box { corner, size, ink: Ink::Preference(self.value) });
        if width < CELL_WIDTH_WITH_NUMBER {
            return;
        }
        scene.shapes.push(Shape::Text(Label {
            text: format!("{:.2}", self.value),
            at: (corner.0 + size.0 / 2.0, corner.1 + height / 2.0 + 0.3 * TICK_SIZE),
            anchor: Anchor::Middle,
            size: TICK_SIZE,
            ink: Ink::OnCell,
            weight: if self.is_significant { Weight::Bold } else { Weight::Regular },
        }));
    }
}
