//! A table of typed cells.

use serde::ser::{Serialize, Serializer};

use super::cell::Cell;
use super::column::Column;

/// Whether people see the titles of a table's columns; programs always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Header {
    /// They do.
    #[default]
    Shown,
    /// The first column says what each row is.
    Hidden,
}

/// What becomes of columns in which all rows agree, for people; programs see them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Constants {
    /// They are columns like others.
    #[default]
    Columns,
    /// A line above the table says them once, and the others have their room.
    Caption,
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
    /// What becomes of columns in which all rows agree.
    pub(crate) constants: Constants,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Columns in which all rows agree become a line above the table.
    pub(crate) fn captioned(self) -> Self {
        Self { constants: Constants::Caption, ..self }
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

    /// Takes away numbers that are none, and returns the keys of the columns that held some.
    pub(crate) fn take_non_numbers(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let mut has_some = false;
            for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(index)).filter(|cell| cell.is_no_number()) {
                *cell = Cell::Empty;
                has_some = true;
            }
            if has_some {
                found.push(column.key.clone());
            }
        }
        found
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
