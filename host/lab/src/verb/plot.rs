//! `slhf-lab plot`: curves in the terminal, or as a picture.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use slhf_record::{OpenMode, Record};
use slhf_report::{Drawing, Figure};

use super::budget::Currency;
use super::common::RecordArgument;
use super::curves::{AXES, Wanted, Within, YScale, curves, keys, usual_key};
use crate::failure::Failure;
use crate::output;
use crate::terminal_chart;

/// Arguments of `plot`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An experiment (name, or name#3 for its third execution)
    #[arg(value_name = "EXPERIMENT")]
    experiment: String,
    /// The metric [default: the first distance to a solution or reward that was recorded]
    #[arg(long, value_name = "METRIC")]
    key: Option<String>,
    /// What it is drawn over
    #[arg(long, value_enum, default_value_t = Over::Step)]
    x: Over,
    /// How values are placed [default: log for distances to a solution, else linear]
    #[arg(long, value_enum)]
    y: Option<Scale>,
    /// Smooths: each point keeps so much of the mean of those before it, from 0 to below 1
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = weight)]
    smooth: f64,
    /// Only cells whose label holds this
    #[arg(long, value_name = "TEXT", default_value = "")]
    cell: String,
    /// A picture (.svg or .png) instead of the terminal
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgument,
}

/// What curves are drawn over.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Over {
    /// Steps of training
    Step,
    /// Tokens, sampled and trained
    Tokens,
    /// Floating-point operations
    Flops,
    /// Seconds of training steps
    Seconds,
}

/// How values are placed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scale {
    /// Evenly
    Linear,
    /// By the logarithm
    Log,
}

fn weight(text: &str) -> Result<f64, String> {
    let expected = || "expected a number from 0 to below 1, such as 0.9".to_owned();
    text.parse().ok().filter(|weight| (0.0..1.0).contains(weight)).ok_or_else(expected)
}

impl Over {
    fn currency(self) -> Currency {
        match self {
            Self::Step => Currency::Steps,
            Self::Tokens => Currency::Tokens,
            Self::Flops => Currency::Flops,
            Self::Seconds => Currency::Seconds,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let figure = figure(&mut record, arguments)?;
    match &arguments.to {
        Some(path) => write(&figure, path),
        None => match &figure {
            Figure::Curves(curves) => output::print_text(&terminal_chart::drawn(curves, output::width())),
            _ => Ok(()),
        },
    }
}

fn figure(record: &mut Record, arguments: &Arguments) -> Result<Figure, Failure> {
    let (experiment, execution) = slhf_comparison::split_execution(&arguments.experiment);
    let comparison = record.comparison(experiment, execution).map_err(Failure::of_record)?;
    let known: Vec<&str> = keys(&comparison).map(String::as_str).collect();
    let key = match &arguments.key {
        Some(key) if known.contains(&key.as_str()) => key.clone(),
        Some(key) => {
            let nearest = slhf_words::nearest(key, known.iter().copied());
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(Failure::bad_input(format!("no run of {experiment} has recorded the metric `{key}`{hint}")));
        }
        None => usual_key(&comparison)
            .cloned()
            .ok_or_else(|| Failure::bad_input(format!("no run of {experiment} has recorded a metric of its steps")))?,
    };
    let currency = arguments.x.currency();
    let x_title = AXES.iter().find(|(.., known)| *known == currency).map_or("", |(_, title, _)| *title);
    let y = match arguments.y {
        Some(Scale::Linear) => YScale::Linear,
        Some(Scale::Log) => YScale::Logarithm,
        None => YScale::usual(&key),
    };
    let wanted =
        Wanted { key, currency, x_title, smoothing: arguments.smooth, y, cell: &arguments.cell, within: Within::ALL };
    Ok(Figure::Curves(curves(record, &comparison, &wanted)?))
}

fn write(figure: &Figure, path: &Path) -> Result<(), Failure> {
    let svg = match figure.draw() {
        Drawing::Svg(svg) => svg,
        Drawing::Sentence(sentence) => return Err(Failure::failed(format!("there is nothing to draw: {sentence}"))),
    };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
    let bytes = match extension.as_str() {
        "svg" => svg.into_bytes(),
        "png" => slhf_report::png(&svg).map_err(Failure::failed)?,
        _ => {
            return Err(Failure::bad_input(format!(
                "{}: a picture's name ends in .svg or .png",
                output::visible(&path.display().to_string())
            )));
        }
    };
    slhf_files::replace(path, &bytes)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
    output::print_text(&format!("{}\n", path.display()))
}
