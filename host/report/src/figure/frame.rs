//! Where data is drawn: frames with their axes, one or many side by side.

use super::scale::Ranged;
use super::scene::{Anchor, At, Ink, Scene, Shape, Weight};
use super::text;

/// Of every figure.
pub(crate) const WIDTH: f64 = 760.0;
/// Around everything.
pub(crate) const MARGIN: f64 = 14.0;
/// Of titles, labels and ticks.
pub(crate) const TITLE_SIZE: f64 = 14.0;
pub(crate) const LABEL_SIZE: f64 = 12.0;
pub(crate) const TICK_SIZE: f64 = 11.0;
/// Series that one frame may hold: as many as there are colors.
pub(crate) const SERIES_MAX: usize = 5;
/// Panels in a row where there are more.
const PANELS_IN_A_ROW: usize = 3;

/// A rectangle that data is drawn in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// Where shares of the two axes lie.
    pub(crate) fn at(&self, x: f64, y: f64) -> At {
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }
}

/// Which axes of a frame say their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Both.
    Both,
    /// The lower one alone: the left one is that of the panel at its left.
    Lower,
}

/// Begins a figure with its title; says where the rest begins.
pub(crate) fn begin(title: &str) -> (Scene, f64) {
    let mut scene = Scene { size: (WIDTH, 0.0), title: title.to_owned(), shapes: Vec::new() };
    // Bold letters are wider.
    let lines = text::wrapped(title, TITLE_SIZE * 1.1, WIDTH - 2.0 * MARGIN);
    let end = scene.paragraph(&lines, (MARGIN, MARGIN - 4.0), TITLE_SIZE, Weight::Bold);
    (scene, end + 8.0)
}

/// Room for the numbers of the left axis.
pub(crate) fn left_room(y: &Ranged) -> f64 {
    y.ticks(5).iter().map(|(_, label)| text::width(label, TICK_SIZE)).fold(0.0, f64::max) + 10.0
}

/// The grid with its numbers.
pub(crate) fn axes(scene: &mut Scene, frame: &Frame, (x, y): (&Ranged, &Ranged), numbers: Numbers) {
    let (corner, size) = ((frame.left, frame.top), (frame.right - frame.left, frame.bottom - frame.top));
    scene.shapes.push(Shape::Plot { corner, size, x: x.clone(), y: y.clone() });
    for (place, label) in y.ticks(5) {
        let (left, at) = frame.at(0.0, place);
        scene.line((left, at), (frame.right, at), Ink::Grid);
        if numbers == Numbers::Both {
            scene.text(label, (left - 6.0, at + 0.35 * TICK_SIZE), Anchor::End, TICK_SIZE, Ink::Muted);
        }
    }
    lower_axis(scene, frame, x);
}

/// The lower one alone, whose numbers never touch each other; says where these stand, as shares of its length.
pub(crate) fn lower_axis(scene: &mut Scene, frame: &Frame, x: &Ranged) -> Vec<f64> {
    scene.line((frame.left, frame.bottom), (frame.right, frame.bottom), Ink::Muted);
    let wide = frame.right - frame.left;
    let many = (wide / 80.0).clamp(2.0, 7.0) as usize;
    let mut free = f64::NEG_INFINITY;
    let mut numbered = Vec::new();
    for (place, label) in x.ticks(many) {
        let (at, bottom) = frame.at(place, 0.0);
        let half = text::width(&label, TICK_SIZE) / 2.0;
        if at - half >= free {
            free = at + half + 6.0;
            scene.line((at, bottom), (at, bottom + 4.0), Ink::Muted);
            scene.text(label, (at, bottom + 6.0 + TICK_SIZE), Anchor::Middle, TICK_SIZE, Ink::Muted);
            numbered.push(place);
        }
    }
    numbered
}

/// Height below a frame for the numbers of its lower axis.
pub(crate) const NUMBERS_HEIGHT: f64 = 22.0;

/// A panel of several: where it is drawn, and whether its left axis says numbers.
pub(crate) struct Panel {
    pub(crate) frame: Frame,
    pub(crate) numbers: Numbers,
}

/// How panels look.
pub(crate) struct Panels {
    /// Room left of the first column.
    pub(crate) left: f64,
    /// Height of each frame.
    pub(crate) height: f64,
    /// Room below each frame.
    pub(crate) below: f64,
}

impl Panels {
    /// Places a panel for each heading from `top` down and writes the headings above them; says where they end.
    pub(crate) fn place(&self, scene: &mut Scene, headings: &[String], top: f64) -> (Vec<Panel>, f64) {
        let columns = PANELS_IN_A_ROW.min(headings.len()).max(1);
        let gap = 18.0;
        let free = WIDTH - 2.0 * MARGIN - self.left - gap * (columns as f64 - 1.0);
        let wide = free / columns as f64;
        let mut panels = Vec::with_capacity(headings.len());
        let mut top = top;
        for row in headings.chunks(columns) {
            let lines: Vec<Vec<String>> =
                row.iter().map(|heading| text::wrapped(heading, LABEL_SIZE, wide - 4.0)).collect();
            let most = lines.iter().map(Vec::len).max().unwrap_or(1) as f64;
            let heading_height = most * LABEL_SIZE * text::LINE_HEIGHT + 6.0;
            for (column, lines) in lines.iter().enumerate() {
                let left = MARGIN + self.left + column as f64 * (wide + gap);
                let frame = Frame {
                    left,
                    top: top + heading_height,
                    right: left + wide,
                    bottom: top + heading_height + self.height,
                };
                let lowest = lines.len() as f64 * LABEL_SIZE * text::LINE_HEIGHT;
                scene.paragraph(lines, (left, top + heading_height - 6.0 - lowest), LABEL_SIZE, Weight::Regular);
                panels.push(Panel { frame, numbers: if column == 0 { Numbers::Both } else { Numbers::Lower } });
            }
            top += heading_height + self.height + self.below;
        }
        (panels, top)
    }
}
