//! A typed cell: what a verb has to say, before anybody decides how it looks.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use slhf_report::escape;

use slhf_words::{duration, half_width, non_finite_name, number};

use super::column::Column;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing is known.
    Empty,
    /// Text.
    Text(String),
    /// Text that may be long and is only one of many columns: people see its beginning, programs all of it.
    Brief(String),
    /// A moment, as the record writes it: people see it to the second, in UTC.
    Time(String),
    /// A gap or a distance that is nothing but rounding: people see that, programs the value. See [`Cell::measured`].
    Noise(Box<Cell>),
    /// One of a few states, coloured on a terminal: `finished`, `failed`, …
    State(String),
    /// A whole number.
    Integer(i64),
    /// A number, rounded for people.
    Number(f64),
    /// A number with all its digits, for people too.
    Exact(f64),
    /// Yes or no.
    Boolean(bool),
    /// A length of time; seconds in JSON and CSV.
    Duration(Duration),
    /// A mean over `n` runs with its 95 % interval.
    Estimate {
        /// The mean.
        mean: f64,
        /// The interval, where `n` allows one.
        interval: Option<(f64, f64)>,
        /// Runs behind it.
        n: usize,
    },
    /// A mean share over `n` runs with its 95 % interval, which lies within [0, 1].
    Share {
        /// The mean.
        share: f64,
        /// Around it, seldom evenly.
        interval: (f64, f64),
        /// Runs behind it.
        n: usize,
    },
}

impl Cell {
    /// Text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A moment that may not have come yet.
    pub(crate) fn time(moment: Option<String>) -> Self {
        moment.map_or(Self::Empty, Self::Time)
    }

    /// The value of a metric: gaps and distances below what their computation can tell from 0 are marked as such.
    pub(crate) fn measured(key: &str, cell: Self) -> Self {
        let value = match &cell {
            Self::Number(value) | Self::Estimate { mean: value, .. } => *value,
            _ => return cell,
        };
        if slhf_plan::is_rounding_noise(key, value) && value != 0.0 { Self::Noise(Box::new(cell)) } else { cell }
    }

    /// Whether it is NaN: what was to be measured could not be.
    pub(crate) fn is_no_number(&self) -> bool {
        matches!(self, Self::Number(value) | Self::Estimate { mean: value, .. } if value.is_nan())
    }

    /// As people read it.
    pub(crate) fn for_people(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::State(text) => super::words::visible(text),
            Self::Brief(text) => brief(&super::words::visible(text)),
            Self::Time(moment) => super::words::visible(&to_the_second(moment)),
            Self::Noise(_) => format!("< {}", number(slhf_plan::ROUNDING_FLOOR)),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => number(*value),
            Self::Exact(value) => full(*value).trim_end_matches(".0").to_owned(),
            Self::Boolean(value) => if *value { "yes" } else { "no" }.to_owned(),
            Self::Duration(time) => duration(*time),
            Self::Estimate { mean, interval: None, .. } => number(*mean),
            Self::Estimate { mean, interval: Some(interval), .. } if is_a_point(*mean, *interval) => number(*mean),
            Self::Estimate { mean, interval: Some((low, high)), .. } => {
                format!("{} ± {}", number(*mean), half_width((high - low) / 2.0))
            }
            Self::Share { share, interval, .. } => slhf_words::share(*share, *interval),
        }
    }

    /// As people read it in a table of Markdown.
    pub(crate) fn for_markdown(&self) -> String {
        match self {
            Self::Text(text) | Self::State(text) => escape::markdown(text),
            Self::Brief(text) => escape::markdown(&brief(text)),
            Self::Time(moment) => escape::markdown(&to_the_second(moment)),
            other => other.for_people(),
        }
    }

    /// As a CSV holds it: one field, or four in a column of estimates.
    pub(crate) fn csv_fields(&self, column: &Column, as_given: super::Text) -> Vec<String> {
        let field = match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Brief(text) | Self::Time(text) | Self::State(text) => as_given.csv(text),
            Self::Noise(cell) => return cell.csv_fields(column, as_given),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) | Self::Exact(value) => full(*value),
            Self::Boolean(value) => value.to_string(),
            Self::Duration(time) => full(time.as_secs_f64()),
            Self::Estimate { mean, interval, n } => {
                let (low, high) = interval.map_or_else(Default::default, |(low, high)| (full(low), full(high)));
                return vec![full(*mean), low, high, n.to_string()];
            }
            Self::Share { share, interval: (low, high), n } => {
                return vec![full(*share), full(*low), full(*high), n.to_string()];
            }
        };
        if column.holds_estimates { vec![field, String::new(), String::new(), String::new()] } else { vec![field] }
    }
}

/// Whether values agree but for their rounding: an interval of that width tells nothing.
fn is_a_point(mean: f64, (low, high): (f64, f64)) -> bool {
    let half = (high - low) / 2.0;
    half == 0.0 || (half < slhf_plan::ROUNDING_FLOOR && half < mean.abs() * 1e-12)
}

/// Characters of a [`Cell::Brief`] that people see.
const BRIEF_CHARACTERS_MAX: usize = 32;

fn brief(text: &str) -> String {
    match text.char_indices().nth(BRIEF_CHARACTERS_MAX) {
        Some(_) => text.chars().take(BRIEF_CHARACTERS_MAX - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// `2026-11-29T12:00:00.000Z` → `2026-11-29 12:00:00`; what is no such moment stays as it is.
fn to_the_second(moment: &str) -> String {
    match (moment.get(..19), moment.as_bytes().get(10), moment.ends_with('Z')) {
        (Some(seconds), Some(b'T'), true) => seconds.replacen('T', " ", 1),
        _ => moment.to_owned(),
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Number)
    }
}

impl From<Option<i64>> for Cell {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Empty, Self::Integer)
    }
}

impl From<Option<String>> for Cell {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Empty, Self::Text)
    }
}

/// All digits: what reads back as the same f64.
pub(crate) fn full(value: f64) -> String {
    non_finite_name(value).map_or_else(|| format!("{value:?}"), ToOwned::to_owned)
}

/// An f64 for JSON, which has no word for NaN and the infinities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonNumber(pub(crate) f64);

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match non_finite_name(self.0) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_none(),
            Self::Text(text) | Self::Brief(text) | Self::Time(text) | Self::State(text) => {
                serializer.serialize_str(text)
            }
            Self::Noise(cell) => cell.serialize(serializer),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Number(value) | Self::Exact(value) => JsonNumber(*value).serialize(serializer),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Duration(time) => serializer.serialize_f64(time.as_secs_f64()),
            Self::Estimate { mean, interval, n } => serialize_estimate(serializer, *mean, *interval, *n),
            Self::Share { share, interval, n } => serialize_estimate(serializer, *share, Some(*interval), *n),
        }
    }
}

fn serialize_estimate<S: Serializer>(
    serializer: S,
    mean: f64,
    interval: Option<(f64, f64)>,
    n: usize,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(4))?;
    map.serialize_entry("mean", &JsonNumber(mean))?;
    map.serialize_entry("low", &interval.map(|(low, _)| JsonNumber(low)))?;
    map.serialize_entry("high", &interval.map(|(_, high)| JsonNumber(high)))?;
    map.serialize_entry("n", &n)?;
    map.end()
}
