//! Pages of results: Markdown with SVG figures.
//!
//! A [`Page`] is a list of blocks; [`Page::render`] makes its files. Nothing here knows a record or an experiment: who
//! gathers the numbers says what is shown. It never writes a file and never computes a mean.
//!
//! Begin with [`Block`], then [`Chart`]; how text of others leaves the program is in [`escape`].
//!
//! ```
//! use slhf_report::{Block, Page, escape};
//!
//! let cell = escape::markdown("a|b");
//! let table = Block::Table { columns: vec!["cell".to_owned()], rows: vec![vec![cell]] };
//! let files = Page { title: "Results".to_owned(), blocks: vec![table] }.render("results.md")?;
//! assert!(files[0].text.starts_with("# Results") && files.len() == 1);
//! # Ok::<(), slhf_report::ChartError>(())
//! ```
//!
//! Invariant: the same page gives the same bytes: no time, no machine, no order of a hash map gets in.

mod chart;
pub mod escape;
mod markdown;

pub use chart::{Axis, Chart, ChartError, HeatMap, LineChart, MapCell, Point, Series};

/// What the Markdown of every page and of their list says; whoever writes pages says it.
pub const OWN_MARKS: [&str; 2] = ["Written by `slhf-lab report", "nothing here is written by hand."];

/// Whether a file's text is one that was written as part of a page, by this version or an earlier one: it may be replaced.
#[must_use]
pub fn is_own(text: &str) -> bool {
    let mut lines = text.lines();
    let is_figure = lines.next().is_some_and(|line| line.starts_with("<svg width=\""))
        && lines.next().is_some_and(|line| line.starts_with("<rect x=\"0\" y=\"0\""));
    is_figure || OWN_MARKS.iter().all(|mark| text.contains(mark))
}

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
    /// Markdown, as it is: what others wrote comes into it by [`escape::markdown`] or [`escape::code`].
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

impl Page {
    /// The page as `file_name` (Markdown), then its figures.
    pub fn render(&self, file_name: &str) -> Result<Vec<File>, ChartError> {
        let mut figures = Vec::new();
        let text = markdown::page(self, &mut figures)?;
        let mut files = vec![File { name: file_name.to_owned(), text }];
        files.extend(figures);
        Ok(files)
    }
}
