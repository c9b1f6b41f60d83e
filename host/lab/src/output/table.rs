//! A table of typed cells: what a verb has to say, before anybody decides how it looks.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use slhf_report::escape;

use slhf_words::{duration, half_width, non_finite_name, number};

/// Which edge the values of a column stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A column's names and its look.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The key in JSON, the header of a CSV.
    pub(crate) key: String,
    /// The header for people.
    pub(crate) title: String,
    /// Where values stand.
    pub(crate) alignment: Alignment,
    /// Holds [`Cell::Estimate`]s: a CSV gives such a column four (`key`, `key_low`, `key_high`, `key_n`).
    pub(crate) holds_estimates: bool,
}

impl Column {
    /// A column of text; the title is the key with spaces.
    pub(crate) fn text(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { title: key.replace('_', " "), key, alignment: Alignment::Left, holds_estimates: false }
    }

    /// A column of numbers.
    pub(crate) fn number(key: impl Into<String>) -> Self {
        Self { alignment: Alignment::Right, ..Self::text(key) }
    }

    /// A column of means with intervals. The title is the key as it is: the name of a recorded metric.
    pub(crate) fn estimate(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { title: key.clone(), key, alignment: Alignment::Right, holds_estimates: true }
    }

    /// Another title for people.
    pub(crate) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing is known.
    Empty,
    /// Text.
    Text(String),
    /// Text that may be long and is only one of many columns: people see its beginning, programs all of it.
    Brief(String),
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

    /// As people read it.
    pub(crate) fn for_people(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::State(text) => super::words::visible(text),
            Self::Brief(text) => brief(&super::words::visible(text)),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => number(*value),
            Self::Exact(value) => full(*value).trim_end_matches(".0").to_owned(),
            Self::Boolean(value) => if *value { "yes" } else { "no" }.to_owned(),
            Self::Duration(time) => duration(*time),
            Self::Estimate { mean, interval: None, .. } => number(*mean),
            Self::Estimate { mean, interval: Some((low, high)), .. } if low.to_bits() == high.to_bits() => {
                number(*mean)
            }
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
            other => other.for_people(),
        }
    }

    /// As a CSV holds it: one field, or four in a column of estimates.
    pub(crate) fn csv_fields(&self, column: &Column, as_given: super::Text) -> Vec<String> {
        let field = match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Brief(text) | Self::State(text) => as_given.csv(text),
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

/// Characters of a [`Cell::Brief`] that people see.
const BRIEF_CHARACTERS_MAX: usize = 32;

fn brief(text: &str) -> String {
    match text.char_indices().nth(BRIEF_CHARACTERS_MAX) {
        Some(_) => text.chars().take(BRIEF_CHARACTERS_MAX - 1).chain(['…']).collect(),
        None => text.to_owned(),
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
            Self::Text(text) | Self::Brief(text) | Self::State(text) => serializer.serialize_str(text),
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

/// Whether people see the titles of a table's columns; programs always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Header {
    /// They do.
    #[default]
    Shown,
    /// The first column says what each row is.
    Hidden,
}

/// Columns and rows of typed cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The columns.
    pub(crate) columns: Vec<Column>,
    /// The rows; each as long as `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Whether people see the columns' titles.
    pub(crate) header: Header,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new(), header: Header::Shown }
    }

    /// Adds a row; a short one is filled up with empty cells.
    pub(crate) fn push(&mut self, mut row: Vec<Cell>) {
        debug_assert!(row.len() <= self.columns.len(), "a row is longer than its header");
        row.resize(self.columns.len(), Cell::Empty);
        self.rows.push(row);
    }

    /// The only row of a table that describes one thing; `None` for an empty one.
    pub(crate) fn first_row(&self) -> Option<impl Serialize + '_> {
        self.rows.first().map(|cells| Row { columns: &self.columns, cells })
    }

    /// Takes away a column, if it is there.
    pub(crate) fn without(mut self, key: &str) -> Self {
        if let Some(index) = self.columns.iter().position(|column| column.key == key) {
            self.columns.remove(index);
            for row in &mut self.rows {
                row.remove(index);
            }
        }
        self
    }

    /// Takes away the columns in which no row has a value.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let used: Vec<bool> =
            (0..self.columns.len()).map(|column| self.rows.iter().any(|row| row[column] != Cell::Empty)).collect();
        let keep = |index: &mut usize| {
            *index += 1;
            used[*index - 1]
        };
        let mut index = 0;
        self.columns.retain(|_| keep(&mut index));
        for row in &mut self.rows {
            let mut index = 0;
            row.retain(|_| keep(&mut index));
        }
        self
    }
}

/// A table is a JSON array of objects, keys in the order of the columns.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| Row { columns: &self.columns, cells: row }))
    }
}

struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().map(|column| &column.key).zip(self.cells))
    }
}
