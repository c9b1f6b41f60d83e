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
mod page;

pub use chart::{Axis, Chart, ChartError, HeatMap, LineChart, MapCell, Point, Series};
pub use page::{Block, File, Page};

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
