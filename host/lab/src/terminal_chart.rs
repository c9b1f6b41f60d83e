//! Curves in a terminal, in braille: eight dots a character.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget as _};
use slhf_report::{Curves, ROUNDING, Scale};

use crate::output::{colours_wanted, number, visible};

/// In lines.
const HEIGHT: u16 = 20;
const WIDTH_MIN: usize = 40;
const WIDTH_USUAL: usize = 80;
const COLOURS: [Color; 6] = [Color::Blue, Color::Red, Color::Green, Color::Magenta, Color::Cyan, Color::Yellow];

/// One series, as places on the two axes.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) places: Vec<(f64, f64)>,
}

/// Lines with the ends of their axes.
pub(crate) struct Lines {
    pub(crate) series: Vec<Line>,
    x: [f64; 2],
    y: [f64; 2],
    y_scale: Scale,
    x_title: String,
}

impl Lines {
    /// `None` without two places that differ.
    pub(crate) fn of(curves: &Curves) -> Option<Self> {
        let y_scale = curves.y.scale;
        let place = |value: f64| match y_scale {
            Scale::Logarithm => value.abs().max(ROUNDING).log10(),
            Scale::Linear | Scale::Share => value,
        };
        let lines: Vec<Line> = curves
            .series
            .iter()
            .map(|series| {
                let finite = series.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
                Line { name: series.name.clone(), places: finite.map(|point| (point.x, place(point.y))).collect() }
            })
            .filter(|line| !line.places.is_empty())
            .collect();
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let all = lines.iter().flat_map(|line| &line.places).map(of);
            all.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)])
        };
        let (x, y) = (ends(|place| place.0), ends(|place| place.1));
        let differs = |[low, high]: [f64; 2]| low < high;
        (differs(x) && differs(y)).then(|| Self { series: lines, x, y, y_scale, x_title: curves.x.title.clone() })
    }

    fn y_label(&self, place: f64) -> String {
        match self.y_scale {
            Scale::Logarithm if place <= ROUNDING.log10() => format!("< {}", number(ROUNDING)),
            Scale::Logarithm => number(10_f64.powf(place)),
            Scale::Linear | Scale::Share => number(place),
        }
    }

    /// The chart as a widget; its datasets borrow the places.
    pub(crate) fn chart(&self) -> Chart<'_> {
        let datasets = self.series.iter().enumerate().map(|(at, line)| {
            let style = Style::default().fg(COLOURS[at % COLOURS.len()]);
            Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(style).data(&line.places)
        });
        let [low, high] = self.y;
        let labels = [low, f64::midpoint(low, high), high].map(|place| self.y_label(place));
        let x_labels = self.x.map(number);
        Chart::new(datasets.collect())
            .x_axis(Axis::default().bounds(self.x).labels(x_labels))
            .y_axis(Axis::default().bounds(self.y).labels(labels))
            .legend_position(None)
    }
}

/// Curves as text, with a line that names each.
pub(crate) fn drawn(curves: &Curves, width: Option<usize>) -> String {
    let mut text = format!("{}\n", visible(&curves.title));
    let Some(lines) = Lines::of(curves) else {
        text.push_str("there are no two values that differ\n");
        return text;
    };
    let width = width.unwrap_or(WIDTH_USUAL).max(WIDTH_MIN);
    let area = Rect::new(0, 0, u16::try_from(width).unwrap_or(u16::MAX), HEIGHT);
    let mut buffer = Buffer::empty(area);
    lines.chart().render(area, &mut buffer);
    let colours = colours_wanted() && width_is_of_terminal();
    for row in 0..HEIGHT {
        text.push_str(line_of(&buffer, row, colours).trim_end());
        text.push('\n');
    }
    let _ = writeln!(text, "{}", visible(&lines.x_title));
    for (at, line) in lines.series.iter().enumerate() {
        let last = line.places.last().map_or_else(String::new, |place| lines.y_label(place.1));
        let name = if line.name.is_empty() { "value" } else { &line.name };
        let mark = painted("──", COLOURS[at % COLOURS.len()], colours);
        let _ = writeln!(text, "{mark} {}: {last}", visible(name));
    }
    text
}

fn width_is_of_terminal() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal()
}

fn line_of(buffer: &Buffer, row: u16, colours: bool) -> String {
    let cells = (0..buffer.area.width).filter_map(|column| buffer.cell((column, row)));
    cells.map(|cell| painted(cell.symbol(), cell.fg, colours)).collect()
}

/// With the escape sequences of its color.
fn painted(symbol: &str, color: Color, colours: bool) -> String {
    let code = match color {
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        _ => return symbol.to_owned(),
    };
    if colours && symbol != " " { format!("\u{1b}[{code}m{symbol}\u{1b}[0m") } else { symbol.to_owned() }
}

#[cfg(test)]
mod tests {
    use slhf_report::{Axis, Point, Series, Spread};

    use super::*;

    fn curves(y: Axis, values: &[&[f64]]) -> Curves {
        let series = values.iter().enumerate().map(|(number, values)| Series {
            name: format!("cell {number}"),
            points: values.iter().enumerate().map(|(x, y)| Point { x: x as f64, y: *y, range: None }).collect(),
        });
        let x = Axis::linear("step");
        Curves { title: "gap".to_owned(), x, y, level: None, spread: Spread::Band, series: series.collect() }
    }

    #[test]
    fn curves_are_drawn_in_the_width_that_there_is() {
        for width in [40, 80, 120] {
            let text =
                drawn(&curves(Axis::logarithm("gap"), &[&[1.0, 0.1, 1e-3, 1e-20], &[1.0, 0.5, 0.2, 0.1]]), Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.contains("cell 0: < 1e-15\n") && text.contains("cell 1: 0.1\n"), "{text}");
            assert!(
                text.contains('⠤') || text.chars().any(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        for values in [&[][..], &[&[][..]], &[&[0.5][..]], &[&[0.5, 0.5][..]], &[&[f64::NAN, f64::NAN][..]]] {
            let text = drawn(&curves(Axis::share("rate"), values), None);
            assert_eq!(text, "gap\nthere are no two values that differ\n");
        }
    }
}
