//! Policies over three actions: paths in a triangle, with what is exact marked as a ring.

use super::frame::{Frame, LABEL_SIZE, MARGIN, Panels, TICK_SIZE, WIDTH, begin};
use super::scene::{Anchor, At, Ink, Scene, Shape, Weight};
use super::text;

/// Paths of policies over three actions.
#[derive(Clone, Debug, PartialEq)]
pub struct Simplex {
    /// Above the figure.
    pub title: String,
    /// The actions: lower left, lower right, top.
    pub actions: [String; 3],
    /// One panel each.
    pub paths: Vec<Path>,
}

/// How one policy moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Above its panel.
    pub name: String,
    /// Probabilities of the three actions, from the first to the last.
    pub points: Vec<[f64; 3]>,
    /// Where it should end.
    pub target: Option<[f64; 3]>,
}

const PANEL_HEIGHT: f64 = 170.0;
/// Two names stand side by side below a panel.
const NAME_WIDTH_MAX: f64 = 110.0;

impl Simplex {
    /// Laid out; or the sentence that says all there is to see.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let known = |path: &&Path| path.points.iter().flatten().all(|p| p.is_finite()) && !path.points.is_empty();
        let paths: Vec<&Path> = self.paths.iter().filter(known).collect();
        if paths.is_empty() {
            return Err(format!("{}: no policy is known.", self.title));
        }
        let (mut scene, top) = begin(&self.title);
        let mut said = "line: the policy from its start to its end (dot); ring: its target".to_owned();
        let corners = self.corners();
        if corners != self.actions {
            let names = corners.iter().zip(&self.actions).map(|(corner, name)| format!("{corner} = {name}"));
            said = format!("{said}; {}", names.collect::<Vec<_>>().join("; "));
        }
        let lines = text::wrapped(&said, LABEL_SIZE, WIDTH - 2.0 * MARGIN);
        let top = scene.paragraph(&lines, (MARGIN, top - 4.0), LABEL_SIZE, Weight::Regular);
        let headings: Vec<String> = paths.iter().map(|path| path.name.clone()).collect();
        let panels = Panels { left: 0.0, height: PANEL_HEIGHT, below: 14.0 };
        let (placed, end) = panels.place(&mut scene, &headings, top + 10.0);
        for (panel, path) in placed.iter().zip(paths) {
            self.panel(&mut scene, &panel.frame, path);
        }
        scene.size.1 = end + MARGIN / 2.0;
        Ok(scene)
    }

    fn panel(&self, scene: &mut Scene, frame: &Frame, path: &Path) {
        let label = TICK_SIZE * text::LINE_HEIGHT;
        let (top, bottom) = (frame.top + label, frame.bottom - label);
        let middle = f64::midpoint(frame.left, frame.right);
        let half = ((bottom - top) / 3.0_f64.sqrt()).min((frame.right - frame.left) / 2.0 - 8.0);
        let corners = [(middle - half, bottom), (middle + half, bottom), (middle, top)];
        let at = |p: &[f64; 3]| -> At {
            let total: f64 = p.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            let sum = |of: fn(&At) -> f64| corners.iter().zip(p).map(|(corner, p)| of(corner) * p / total).sum();
            (sum(|corner| corner.0), sum(|corner| corner.1))
        };
        let through = vec![corners[0], corners[1], corners[2], corners[0]];
        scene.shapes.push(Shape::Line { through, ink: Ink::Muted, width: 1.0 });
        self.names(scene, frame, &corners);
        let through: Vec<At> = path.points.iter().map(at).collect();
        let last = through.last().copied();
        if through.len() > 1 {
            scene.shapes.push(Shape::Line { through, ink: Ink::Series(0), width: 1.5 });
        }
        if let Some(at) = last {
            scene.shapes.push(Shape::Dot { at, radius: 3.5, ink: Ink::Series(0) });
        }
        if let Some(target) = &path.target {
            scene.shapes.push(Shape::Ring { at: at(target), radius: 6.0, ink: Ink::Series(1) });
        }
    }

    /// Of the actions, outside of the triangle.
    fn names(&self, scene: &mut Scene, frame: &Frame, corners: &[At; 3]) {
        let [left, right, top] = self.corners();
        let base = frame.bottom - 2.0;
        scene.text(left, (frame.left, base), Anchor::Start, TICK_SIZE, Ink::Muted);
        scene.text(right, (frame.right, base), Anchor::End, TICK_SIZE, Ink::Muted);
        let at = (corners[2].0, frame.top + TICK_SIZE - 3.0);
        scene.text(top, at, Anchor::Middle, TICK_SIZE, Ink::Muted);
    }

    /// What stands at the corners: the names, or numbers where a name is too long for a panel.
    fn corners(&self) -> [String; 3] {
        let has_room = self.actions.iter().all(|name| text::width(name, TICK_SIZE) <= NAME_WIDTH_MAX);
        if has_room { self.actions.clone() } else { ["1", "2", "3"].map(str::to_owned) }
    }
}
