//! What a figure is once it is laid out: shapes at places, written as SVG.
//!
//! Colors are names of CSS classes with a value for whoever knows no style sheet: a file of its own is drawn on white, and a page that
//! embeds the figure has dark and light.

use std::fmt::Write as _;

use super::scale::Ranged;
use super::text;

/// A place in pixels, from the upper left corner.
pub(crate) type At = (f64, f64);

/// What a shape is drawn in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ink {
    /// Text and axes.
    Text,
    /// Titles of axes, ticks.
    Muted,
    /// Lines of the grid.
    Grid,
    /// The n-th color of series.
    Series(usize),
    /// From 0 (the second is preferred) over ½ to 1.
    Preference(f64),
    /// Text on such a color: dark on every page, as its cell keeps its color, too.
    OnCell,
}

/// Five colors that color-blind readers can tell apart (after Okabe and Ito), of enough contrast on white.
pub(crate) const SERIES_COLORS: [&str; 5] = ["#0072b2", "#c04a00", "#007a5a", "#a8447f", "#4d4d4d"];
/// Dashes of the five, for print and for who sees no colors.
const DASHES: [&str; 5] = ["", "7 3", "2 3", "9 3 2 3", "4 4"];

impl Ink {
    fn class(self) -> String {
        match self {
            Self::Text => "ink".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Series(number) => format!("s{}", number % SERIES_COLORS.len()),
            Self::Preference(_) => "cell".to_owned(),
            Self::OnCell => "on-cell".to_owned(),
        }
    }

    fn color(self) -> String {
        match self {
            Self::Text | Self::OnCell => "#1f1f1f".to_owned(),
            Self::Muted => "#5a5a5a".to_owned(),
            Self::Grid => "#dcdcdc".to_owned(),
            Self::Series(number) => SERIES_COLORS[number % SERIES_COLORS.len()].to_owned(),
            Self::Preference(value) => shade(value),
        }
    }
}

/// Blue above ½, orange below, white at it.
fn shade(value: f64) -> String {
    let strength = (2.0 * (value - 0.5)).clamp(-1.0, 1.0);
    let end = if strength > 0.0 { (86.0, 160.0, 213.0) } else { (240.0, 170.0, 60.0) };
    let mix = |end: f64| (255.0 + (end - 255.0) * strength.abs()).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(end.0), mix(end.1), mix(end.2))
}

/// Where a text stands of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// Right of it.
    Start,
    /// Around it.
    Middle,
    /// Left of it.
    End,
}

/// Where a drawing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// In a file, or on a page without a script.
    Still,
    /// On a page whose script says what lies below the pointer.
    Live,
}

/// One shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A line through places.
    Line { through: Vec<At>, ink: Ink, width: f64 },
    /// Where curves that follow are drawn, and what places there mean: to be read by scripts, not seen.
    Plot { corner: At, size: (f64, f64), x: Ranged, y: Ranged },
    /// A line of a series, with its dashes; its name and what is measured at each of its places, for scripts.
    Curve { through: Vec<At>, series: usize, name: String, values: Vec<(f64, f64)> },
    /// A pale area within places.
    Area { within: Vec<At>, ink: Ink },
    /// A filled rectangle.
    Box { corner: At, size: (f64, f64), ink: Ink },
    /// A filled dot.
    Dot { at: At, radius: f64, ink: Ink },
    /// A ring, for what is exact.
    Ring { at: At, radius: f64, ink: Ink },
    /// One line of text; the place is on its base line.
    Text(Label),
}

/// One line of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Label {
    /// What it says.
    pub(crate) text: String,
    /// On the base line.
    pub(crate) at: At,
    /// Where the text stands of it.
    pub(crate) anchor: Anchor,
    /// Pixels.
    pub(crate) size: f64,
    /// Its color.
    pub(crate) ink: Ink,
    /// How heavy it is.
    pub(crate) weight: Weight,
}

/// Of a font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// As running text.
    Regular,
    /// What stands out.
    Bold,
}

/// A figure that is laid out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scene {
    /// Pixels.
    pub(crate) size: (f64, f64),
    /// What is to be seen, for who does not see it.
    pub(crate) title: String,
    /// From the lowest to the uppermost.
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    /// Adds a line of text.
    pub(crate) fn text(&mut self, text: impl Into<String>, at: At, anchor: Anchor, size: f64, ink: Ink) {
        let weight = Weight::Regular;
        self.shapes.push(Shape::Text(Label { text: text.into(), at, anchor, size, ink, weight }));
    }

    /// Adds lines of text from `top` down, and says where they end.
    pub(crate) fn paragraph(&mut self, lines: &[String], (x, top): At, size: f64, weight: Weight) -> f64 {
        let mut y = top;
        for line in lines {
            y += size * text::LINE_HEIGHT;
            let at = (x, y - 0.3 * size);
            let label = Label { text: line.clone(), at, anchor: Anchor::Start, size, ink: Ink::Text, weight };
            self.shapes.push(Shape::Text(label));
        }
        y
    }

    /// Adds a straight line.
    pub(crate) fn line(&mut self, from: At, to: At, ink: Ink) {
        self.shapes.push(Shape::Line { through: vec![from, to], ink, width: 1.0 });
    }

    /// As SVG, one element a line.
    pub(crate) fn svg(&self, medium: Medium) -> String {
        let (width, height) = self.size;
        let title = escaped(&self.title);
        let mut out = format!(
            "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" role=\"img\" \
             font-family=\"system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\">\n\
             <rect x=\"0\" y=\"0\" width=\"{0}\" height=\"{1}\" class=\"paper\" fill=\"#ffffff\"/>\n<title>{title}</title>\n",
            short(width),
            short(height)
        );
        for shape in &self.shapes {
            if medium == Medium::Still && matches!(shape, Shape::Plot { .. }) {
                continue;
            }
            shape.write(&mut out, medium);
            out.push('\n');
        }
        out.push_str("</svg>\n");
        crate::escape::svg(&out)
    }
}

impl Shape {
    fn write(&self, out: &mut String, medium: Medium) {
        let _ = match self {
            Self::Line { through, ink, width } => write!(
                out,
                "<polyline points=\"{}\" class=\"line {}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"/>",
                places(through),
                ink.class(),
                ink.color(),
                short(*width)
            ),
            Self::Plot { corner, size, x, y } => write!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" data-x=\"{}\" data-y=\"{}\"/>",
                short(corner.0),
                short(corner.1),
                short(size.0),
                short(size.1),
                x.described(),
                y.described()
            ),
            Self::Curve { through, series, name, values } => {
                let ink = Ink::Series(*series);
                let dash = match DASHES[series % DASHES.len()] {
                    "" => String::new(),
                    dash => format!(" stroke-dasharray=\"{dash}\""),
                };
                let (class, color) = (ink.class(), ink.color());
                let name = match medium {
                    Medium::Still => String::new(),
                    Medium::Live => {
                        let values: Vec<String> = values.iter().map(|(x, y)| format!("{x},{y}")).collect();
                        format!(" data-name=\"{}\" data-values=\"{}\"", escaped(name), values.join(" "))
                    }
                };
                write!(
                    out,
                    "<polyline points=\"{}\" class=\"line {class}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-linejoin=\"round\"{dash}{name}/>",
                    places(through)
                )
            }
            Self::Area { within, ink } => write!(
                out,
                "<polygon points=\"{}\" class=\"fill {}\" fill=\"{}\" fill-opacity=\"0.16\"/>",
                places(within),
                ink.class(),
                ink.color()
            ),
            Self::Box { corner, size, ink } => write!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"fill {}\" fill=\"{}\"/>",
                short(corner.0),
                short(corner.1),
                short(size.0),
                short(size.1),
                ink.class(),
                ink.color()
            ),
            Self::Dot { at, radius, ink } => {
                let (x, y, radius) = (short(at.0), short(at.1), short(*radius));
                let (class, color) = (ink.class(), ink.color());
                write!(
                    out,
                    "<ellipse cx=\"{x}\" cy=\"{y}\" rx=\"{radius}\" ry=\"{radius}\" class=\"fill {class}\" fill=\"{color}\"/>"
                )
            }
            Self::Ring { at, radius, ink } => {
                let (x, y, radius) = (short(at.0), short(at.1), short(*radius));
                let (class, color) = (ink.class(), ink.color());
                write!(
                    out,
                    "<ellipse cx=\"{x}\" cy=\"{y}\" rx=\"{radius}\" ry=\"{radius}\" class=\"line {class}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"
                )
            }
            Self::Text(label) => label.write(out),
        };
    }
}

impl Label {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let anchor = match self.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if self.weight == Weight::Bold { " font-weight=\"bold\"" } else { "" };
        let (x, y, size) = (short(self.at.0), short(self.at.1), short(self.size));
        let (class, color) = (self.ink.class(), self.ink.color());
        write!(
            out,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" class=\"fill {class}\" fill=\"{color}\"{anchor}{weight}>{}</text>",
            escaped(&self.text)
        )
    }
}

fn places(all: &[At]) -> String {
    all.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect::<Vec<_>>().join(" ")
}

/// A tenth of a pixel is finer than anybody sees.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
