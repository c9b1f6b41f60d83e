//! Pages of results: Markdown with SVG figures, or one file of HTML.
//!
//! A [`Page`] is a list of blocks; [`Page::markdown`] makes its files, [`Page::html`] its one file. Nothing here knows a record or an
//! experiment: who gathers the numbers says what is shown. It never writes a file and never computes a mean.
//!
//! Begin with [`Block`], then [`Figure`]; how text of others leaves the program is in [`escape`].
//!
//! ```
//! use slhf_report::{Block, Page, Table};
//!
//! let table = Table { columns: vec!["cell".to_owned()], rows: vec![vec!["a|b".to_owned()]] };
//! let page = Page { title: "Results".to_owned(), blocks: vec![Block::Table(table)] };
//! let files = page.markdown("results.md");
//! assert!(files[0].text.starts_with("# Results") && files.len() == 1);
//! assert!(page.html().starts_with("<!DOCTYPE html>"));
//! ```
//!
//! Invariant: the same page gives the same bytes: no time, no machine, no order of a hash map gets in.

pub mod escape;
mod figure;
mod html;
mod markdown;
mod page;
mod png;

pub use figure::{
    Axis, Curves, Dots, Drawing, Figure, Group, Matrix, MatrixCell, Parallel, ParallelAxis, Path, Point, ROUNDING, Row,
    Scale, Series, Simplex, Spread,
};
pub use html::STYLE;
pub use page::{Block, File, Page, Table};
pub use png::{PngError, png};

/// What the Markdown of every page and of their list says; whoever writes pages says it.
pub const OWN_MARKS: [&str; 2] = ["Written by `slhf-lab report", "nothing here is written by hand."];

/// What a page of HTML says of who made it.
const HTML_MARK: &str = "slhf-lab report";

/// Whether a file's text is one that was written as part of a page, by this version or an earlier one: it may be replaced.
#[must_use]
pub fn is_own(text: &str) -> bool {
    let mut lines = text.lines();
    let is_figure = lines.next().is_some_and(|line| line.starts_with("<svg width=\""))
        && lines.next().is_some_and(|line| line.starts_with("<rect x=\"0\" y=\"0\""));
    let is_html = text.starts_with("<!DOCTYPE html>") && text.contains(&format!("content=\"{HTML_MARK}\""));
    is_figure || is_html || OWN_MARKS.iter().all(|mark| text.contains(mark))
}

impl Page {
    /// The page as `file_name` (Markdown), then its figures.
    #[must_use]
    pub fn markdown(&self, file_name: &str) -> Vec<File> {
        let mut figures = Vec::new();
        let text = markdown::page(self, &mut figures);
        let mut files = vec![File { name: file_name.to_owned(), text }];
        files.extend(figures);
        files
    }

    /// What stands below its title, as HTML.
    #[must_use]
    pub fn html_blocks(&self) -> String {
        html::blocks(&self.blocks, figure::Medium::Live).into_string()
    }

    /// The page as one file that opens offline.
    #[must_use]
    pub fn html(&self) -> String {
        html::document(self, HTML_MARK)
    }
}
