//! What a page is before it is files, and the files that it becomes.

use crate::figure::Figure;

/// A page before it is files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its heading.
    pub title: String,
    /// What it says, from the top.
    pub blocks: Vec<Block>,
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading below the title: Markdown, as it is.
    Heading(String),
    /// Markdown, as it is: what others wrote comes into it by [`crate::escape::markdown`] or [`crate::escape::code`].
    Text(String),
    /// Rows of plain text under headings.
    Table(Table),
    /// Something long that few want to see: closed until it is opened.
    Folded {
        /// What is seen of it.
        summary: String,
        /// What is in it.
        blocks: Vec<Block>,
    },
    /// Text as somebody wrote it, in a box.
    Verbatim(String),
    /// A figure with a sentence below it.
    Figure {
        /// Of the file, without `.svg`.
        name: String,
        /// How it is read.
        caption: String,
        /// The figure.
        figure: Figure,
    },
}

/// Rows of plain text under headings. A column whose cells all begin with a digit, a sign or a dash is aligned right, all others left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Headings.
    pub columns: Vec<String>,
    /// As many cells each.
    pub rows: Vec<Vec<String>>,
}

/// Where the texts of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

impl Table {
    /// Of every column.
    pub(crate) fn alignments(&self) -> Vec<Alignment> {
        let is_number = |cell: &str| {
            let start = cell.trim_start_matches(['<', '≈', '±', '-', '−', '+', ' ']);
            cell == "–" || cell == "-" || cell == "NaN" || start.starts_with(|first: char| first.is_ascii_digit())
        };
        let of = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
            let has_some = cells.clone().next().is_some();
            // The first column names the rows, whatever the names are.
            if column > 0 && has_some && cells.all(|cell| is_number(cell)) { Alignment::Right } else { Alignment::Left }
        };
        (0..self.columns.len()).map(of).collect()
    }

    /// Takes out the columns whose cells are all one, and says them once: `steps 2000, β 0.1`. The first column stays.
    #[must_use]
    pub fn without_constants(mut self) -> (Self, Vec<(String, String)>) {
        let mut said = Vec::new();
        if self.rows.len() < 2 {
            return (self, said);
        }
        for column in (1..self.columns.len()).rev() {
            let first = self.rows[0][column].clone();
            if self.rows.iter().all(|row| row[column] == first) {
                said.push((self.columns.remove(column), first));
                for row in &mut self.rows {
                    row.remove(column);
                }
            }
        }
        said.retain(|(_, value)| !value.is_empty());
        said.reverse();
        (self, said)
    }
}

/// One file of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Table { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() }
    }

    #[test]
    fn texts_stand_left_and_numbers_right() {
        use Alignment::{Left, Right};
        let rows: &[&[&str]] = &[
            &["1 SLHF", "0.687 [0.5, 0.8]", "a text", "", "< 1e-15", "7 dwarfs"],
            &["2", "–", "2 texts", "", "-3", "none"],
        ];
        let found = table(&["policy", "rate", "said", "nothing", "gap", "mixed"], rows);
        assert_eq!(found.alignments(), [Left, Right, Left, Left, Right, Left]);
    }

    #[test]
    fn what_is_equal_everywhere_is_said_once() {
        let rows: &[&[&str]] = &[&["a", "5", "1", ""], &["b", "5", "2", ""]];
        let (rest, said) = table(&["cell", "κ", "gap", "note"], rows).without_constants();
        assert_eq!(rest, table(&["cell", "gap"], &[&["a", "1"], &["b", "2"]]));
        assert_eq!(said, [("κ".to_owned(), "5".to_owned())]);
        let (rest, said) = table(&["cell", "κ"], &[&["a", "5"]]).without_constants();
        assert!(said.is_empty() && rest.columns.len() == 2);
    }
}
