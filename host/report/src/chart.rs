//! Figures, as SVG.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 420);
/// Room for the names of the series, right of a line chart.
const LEGEND_WIDTH: i32 = 220;
const FONT: &str = "sans-serif";

/// Okabe and Ito's colours, which colour-blind readers can tell apart; then the same, darker.
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(240, 228, 66),
    RGBColor(0, 60, 95),
    RGBColor(120, 80, 0),
    RGBColor(0, 80, 60),
    RGBColor(110, 50, 85),
];

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Chart {
    /// Lines over a number or over names.
    Lines(LineChart),
    /// Numbers from 0 to 1 in a square.
    Map(HeatMap),
}

/// What an axis counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// A quantity.
    Number(String),
    /// A quantity on a logarithmic scale; values that are not positive are left out.
    Logarithm(String),
    /// Names at 0, 1, 2, …
    Names(String, Vec<String>),
}

/// Lines with bands or bars.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// Along the bottom.
    pub x: Axis,
    /// Along the side.
    pub y: Axis,
    /// A level that is marked, as ½ of a win rate.
    pub level: Option<f64>,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// From left to right. A series of one point is a mark.
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

/// A square of numbers from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Of rows and columns.
    pub names: Vec<String>,
    /// `[row][column]`; `None` on the diagonal and where nothing is known.
    pub cells: Vec<Vec<Option<MapCell>>>,
}

/// One number of a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapCell {
    /// From 0 to 1.
    pub value: f64,
    /// Shown in bold.
    pub is_significant: bool,
}

/// A figure could not be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a figure cannot be drawn: {problem}")]
pub struct ChartError {
    /// What the plotting library says.
    pub problem: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn failed(error: impl std::fmt::Display) -> ChartError {
    ChartError { problem: error.to_string() }
}

impl Chart {
    /// As SVG.
    pub fn svg(&self) -> Result<String, ChartError> {
        let mut text = String::new();
        match self {
            Self::Lines(chart) => {
                let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
                chart.draw(&area)?;
                area.present().map_err(failed)?;
            }
            Self::Map(map) => {
                let area = SVGBackend::with_string(&mut text, map.size()).into_drawing_area();
                map.draw(&area)?;
                area.present().map_err(failed)?;
            }
        }
        // One line an element and no line with nothing on it.
        Ok(crate::escape::svg(&(text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n") + "\n")))
    }
}

impl Axis {
    fn label(&self) -> &str {
        match self {
            Self::Number(label) | Self::Logarithm(label) | Self::Names(label, _) => label,
        }
    }

    /// Whether a line from one place to the next means anything.
    fn is_ordered(&self) -> bool {
        !matches!(self, Self::Names(_, names) if names.iter().any(|name| name.parse::<f64>().is_err()))
    }

    /// Where a value stands on a plain scale.
    fn at(&self, value: f64) -> Option<f64> {
        let value = if matches!(self, Self::Logarithm(_)) { value.log10() } else { value };
        value.is_finite().then_some(value)
    }

    fn range(&self, values: impl Iterator<Item = f64>) -> Range<f64> {
        if let Self::Names(_, names) = self {
            return -0.5..names.len() as f64 - 0.5;
        }
        let (low, high) = values
            .filter_map(|value| self.at(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return 0.0..1.0;
        }
        let margin = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
        low - margin..high + margin
    }

    fn tick(&self, value: f64) -> String {
        match self {
            Self::Number(_) => plain(value),
            Self::Logarithm(_) => plain(10_f64.powf(value)),
            Self::Names(_, names) => {
                let nearest = value.round();
                let name = (nearest >= 0.0 && (value - nearest).abs() < 0.01).then(|| names.get(nearest as usize));
                name.flatten().cloned().unwrap_or_default()
            }
        }
    }
}

/// Three digits that matter.
fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.*}", (2.0 - magnitude).max(0.0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl LineChart {
    fn draw(&self, area: &Area<'_>) -> Result<(), ChartError> {
        area.fill(&WHITE).map_err(failed)?;
        let (left, right) = area.split_horizontally(SIZE.0 as i32 - LEGEND_WIDTH);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let xs = self.x.range(points().map(|point| point.x));
        let ends = points().flat_map(|point| {
            let (low, high) = point.range.unwrap_or((point.y, point.y));
            [point.y, low, high]
        });
        let ys = self.y.range(ends.chain(self.level));
        let mut chart = ChartBuilder::on(&left)
            .margin(12)
            .x_label_area_size(if self.has_long_names() { 150 } else { 44 })
            .y_label_area_size(66)
            .build_cartesian_2d(xs.clone(), ys)
            .map_err(failed)?;
        let ticks = if let Axis::Names(_, names) = &self.x { 2 * names.len() + 1 } else { 7 };
        chart
            .configure_mesh()
            .x_labels(ticks)
            .x_label_formatter(&|value| self.x.tick(*value))
            .y_label_formatter(&|value| self.y.tick(*value))
            .x_desc(self.x.label())
            .y_desc(self.y.label())
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .label_style((FONT, 12))
            .x_label_style(if self.has_long_names() {
                (FONT, 12).into_font().transform(FontTransform::Rotate90)
            } else {
                (FONT, 12).into_font()
            })
            .axis_desc_style((FONT, 13))
            .draw()
            .map_err(failed)?;
        if let Some(level) = self.level.and_then(|level| self.y.at(level)) {
            let line = [(xs.start, level), (xs.end, level)];
            chart.draw_series(LineSeries::new(line, BLACK.mix(0.4))).map_err(failed)?;
        }
        let many = self.series.len();
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let is_named = matches!(self.x, Axis::Names(..));
            // Side by side, so that bars of several series at one name can be told apart.
            let shift = if is_named { 0.5 * ((number as f64 + 0.5) / many as f64 - 0.5) } else { 0.0 };
            let placed: Vec<Point> = series.points.iter().filter_map(|point| self.placed(point, shift)).collect();
            let line = || placed.iter().map(|point| (point.x, point.y));
            if is_named || placed.len() == 1 {
                let bars = placed.iter().filter_map(|point| {
                    let (low, high) = point.range?;
                    Some(ErrorBar::new_vertical(point.x, low, point.y, high, colour.filled(), 5))
                });
                chart.draw_series(bars).map_err(failed)?;
                chart.draw_series(line().map(|place| Circle::new(place, 4, colour.filled()))).map_err(failed)?;
            } else {
                let upper = placed.iter().filter_map(|point| Some((point.x, point.range?.1)));
                let lower = placed.iter().rev().filter_map(|point| Some((point.x, point.range?.0)));
                let band: Vec<(f64, f64)> = upper.chain(lower).collect();
                if band.len() > 2 {
                    chart.draw_series([Polygon::new(band, colour.mix(0.15))]).map_err(failed)?;
                }
            }
            if self.x.is_ordered() {
                chart.draw_series(LineSeries::new(line(), colour.stroke_width(2))).map_err(failed)?;
            }
        }
        self.legend(&right)
    }

    /// Names that would overlap beside each other.
    fn has_long_names(&self) -> bool {
        matches!(&self.x, Axis::Names(_, names) if names.iter().map(|name| name.chars().count() + 2).sum::<usize>() > 64)
    }

    fn placed(&self, point: &Point, shift: f64) -> Option<Point> {
        let range = point.range.and_then(|(low, high)| Some((self.y.at(low)?, self.y.at(high)?)));
        Some(Point { x: self.x.at(point.x)? + shift, y: self.y.at(point.y)?, range })
    }

    fn legend(&self, area: &Area<'_>) -> Result<(), ChartError> {
        for (number, series) in self.series.iter().enumerate() {
            let (y, colour) = (22 + 18 * number as i32, COLOURS[number % COLOURS.len()]);
            area.draw(&Rectangle::new([(6, y), (20, y + 4)], colour.filled())).map_err(failed)?;
            area.draw(&Text::new(shortened(&series.name, 30), (26, y - 4), (FONT, 12))).map_err(failed)?;
        }
        Ok(())
    }
}

fn shortened(text: &str, many: usize) -> String {
    if text.chars().count() <= many {
        return text.to_owned();
    }
    text.chars().take(many - 1).chain(['…']).collect()
}

const CELL: i32 = 44;
const NAMES_WIDTH: i32 = 210;
const NUMBERS_HEIGHT: i32 = 26;

impl HeatMap {
    fn size(&self) -> (u32, u32) {
        let many = self.names.len() as i32;
        ((NAMES_WIDTH + CELL * many + 10) as u32, (NUMBERS_HEIGHT + 24 * many + 10) as u32)
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), ChartError> {
        area.fill(&WHITE).map_err(failed)?;
        for (row, name) in self.names.iter().enumerate() {
            let y = NUMBERS_HEIGHT + 24 * row as i32;
            let label = format!("{} {}", row + 1, shortened(name, 32));
            area.draw(&Text::new(label, (4, y + 6), (FONT, 12))).map_err(failed)?;
            let column = NAMES_WIDTH + CELL * row as i32 + 18;
            area.draw(&Text::new((row + 1).to_string(), (column, 6), (FONT, 12))).map_err(failed)?;
            for (at, cell) in self.cells[row].iter().enumerate() {
                let Some(cell) = cell else { continue };
                let x = NAMES_WIDTH + CELL * at as i32;
                let corners = [(x, y), (x + CELL - 2, y + 22)];
                area.draw(&Rectangle::new(corners, shade(cell.value).filled())).map_err(failed)?;
                let font = (FONT, 12).into_font();
                let font = if cell.is_significant { font.style(FontStyle::Bold) } else { font };
                let text = format!("{:.2}", cell.value);
                area.draw(&Text::new(text, (x + 8, y + 6), font)).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Blue above ½, orange below, white at it.
fn shade(value: f64) -> RGBColor {
    let strength = (2.0 * (value - 0.5)).clamp(-1.0, 1.0);
    let end = if strength > 0.0 { (86.0, 160.0, 213.0) } else { (240.0, 170.0, 60.0) };
    let mix = |end: f64| (255.0 + (end - 255.0) * strength.abs()) as u8;
    RGBColor(mix(end.0), mix(end.1), mix(end.2))
}
