//! What a page is before it is files, and the files that it becomes.

use crate::chart::Chart;

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
    /// Rows of plain text under headings; the first column is aligned left, all others right.
    Table {
        /// Headings.
        columns: Vec<String>,
        /// As many cells each.
        rows: Vec<Vec<String>>,
    },
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
        /// What is to be seen.
        caption: String,
        /// The figure.
        chart: Chart,
    },
}

/// One file of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}
