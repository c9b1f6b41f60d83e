//! The columns of a table as they fit a place: lines broken, words cut, spare columns left out.

use std::collections::HashSet;

use super::column::{Alignment, Role};
use super::layout::{Extent, widths};
use super::table::Header;
use super::wrap::{LongWord, cut, longest_number, longest_word, width, wrap};

/// A word of text that is cut keeps so many columns at least.
const CUT_WORD_MIN: usize = 12;
/// In more rows than these nobody looks which of them could be taken for another.
const COMPARED_ROWS_MAX: usize = 2000;

/// A cell as it is read, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Never broken: numbers with all that belongs to them.
    Whole(String),
    /// Broken at spaces, and its words cut where they must.
    Text(String),
}

impl Piece {
    /// As it is read.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Text(text) => text,
        }
    }

    /// In a column of so many places.
    fn at(&self, most: usize) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Text(text) => wrap(text, most, LongWord::Cut).join("\n"),
        }
    }
}

/// A column as it is read.
#[derive(Clone, Debug)]
pub(super) struct ShownColumn {
    /// Its header.
    pub(super) title: String,
    /// Where its values stand.
    pub(super) alignment: Alignment,
    /// What may become of it.
    pub(super) role: Role,
    /// Whether its values were measured, or are moments.
    pub(super) is_measured: bool,
    /// Its values.
    pub(super) pieces: Vec<Piece>,
}

/// Columns that fit.
#[derive(Debug)]
pub(super) struct Fitting {
    /// With lines broken and words cut.
    pub(super) columns: Vec<ShownColumn>,
    /// Titles of spare columns that are not among them.
    pub(super) left_out: Vec<String>,
}

/// The columns in a place of so many columns of text; `None` where no way fits.
pub(super) fn fit(columns: &[ShownColumn], header: Header, most: Option<usize>) -> Option<Fitting> {
    let Some(most) = most else { return Some(Fitting { columns: columns.to_vec(), left_out: Vec::new() }) };
    let mut kept = columns.to_vec();
    let mut left_out = Vec::new();
    loop {
        let extents: Vec<Extent> = kept.iter().map(|column| extent(column, header)).collect();
        if let Some(widths) = widths(&extents, most) {
            left_out.reverse();
            let columns = kept.into_iter().zip(widths).map(|(column, width)| narrowed(column, width)).collect();
            return Some(Fitting { columns, left_out });
        }
        let spare = kept.iter().rposition(|column| column.role == Role::Spare)?;
        left_out.push(kept.remove(spare).title);
    }
}

fn narrowed(column: ShownColumn, most: usize) -> ShownColumn {
    ShownColumn {
        title: wrap(&column.title, most, LongWord::Whole).join("\n"),
        pieces: column.pieces.iter().map(|piece| Piece::Whole(piece.at(most))).collect(),
        ..column
    }
}

fn extent(column: &ShownColumn, header: Header) -> Extent {
    // Without a title nobody knows what a number is: its words stay whole.
    let title = match header {
        Header::Shown => (width(&column.title), longest_word(&column.title)),
        Header::Hidden => (0, 0),
    };
    let most = |of: &dyn Fn(&Piece) -> usize| column.pieces.iter().map(of).max().unwrap_or(0);
    let natural = most(&|piece| width(piece.text())).max(title.0);
    let broken = most(&|piece| match piece {
        Piece::Whole(text) => width(text),
        Piece::Text(text) => longest_word(text),
    });
    let uncut = most(&|piece| match piece {
        Piece::Whole(text) => width(text),
        Piece::Text(text) => longest_number(text),
    });
    let least = match header {
        Header::Shown => told_apart(column, uncut.max(CUT_WORD_MIN.min(broken)), broken),
        // Whoever looks at one thing wants its hash whole.
        Header::Hidden => broken,
    };
    Extent { natural, broken: broken.max(title.1), least: least.max(title.1) }
}

/// The least width at which words that differ do not look alike once they are cut.
fn told_apart(column: &ShownColumn, from: usize, to: usize) -> usize {
    if column.pieces.len() > COMPARED_ROWS_MAX {
        return from;
    }
    let words: HashSet<&str> = column.pieces.iter().flat_map(|piece| piece.text().split_whitespace()).collect();
    let long: Vec<&str> = words.into_iter().filter(|word| width(word) > from).collect();
    let is_told_apart = |at: &usize| {
        let short: HashSet<String> = long.iter().map(|word| cut(word, *at)).collect();
        short.len() == long.len() && short.iter().all(|word| width(word) > 1)
    };
    (from..to).find(is_told_apart).unwrap_or(to.max(from))
}
