//! Blocks as Markdown.

use std::fmt::Write as _;

use crate::{Block, ChartError, File, Page};

/// The page's text; its figures are added to `figures`.
pub(crate) fn page(page: &Page, figures: &mut Vec<File>) -> Result<String, ChartError> {
    let mut text = format!("# {}\n", page.title);
    blocks(&page.blocks, &mut text, figures)?;
    Ok(text)
}

fn blocks(all: &[Block], text: &mut String, figures: &mut Vec<File>) -> Result<(), ChartError> {
    for block in all {
        text.push('\n');
        match block {
            Block::Heading(heading) => {
                let _ = writeln!(text, "## {heading}");
            }
            Block::Text(paragraph) => {
                let _ = writeln!(text, "{paragraph}");
            }
            Block::Table { columns, rows } => table(columns, rows, text),
            Block::Folded { summary, blocks: inner } => {
                let _ = writeln!(text, "<details><summary>{}</summary>", html(summary));
                blocks(inner, text, figures)?;
                text.push_str("\n</details>\n");
            }
            Block::Verbatim(inner) => {
                // Longer than any fence inside.
                let fence = "`".repeat(3.max(longest_run(inner) + 1));
                let _ = writeln!(text, "{fence}\n{inner}\n{fence}");
            }
            Block::Figure { name, caption, chart } => {
                let _ = writeln!(text, "![{}]({name}.svg)\n\n*{caption}*", caption.replace(['[', ']'], ""));
                figures.push(File { name: format!("{name}.svg"), text: chart.svg()? });
            }
        }
    }
    Ok(())
}

fn table(columns: &[String], rows: &[Vec<String>], text: &mut String) {
    let line = |cells: &mut dyn Iterator<Item = String>, text: &mut String| {
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    line(&mut columns.iter().map(|cell| cell_text(cell)), text);
    line(&mut (0..columns.len()).map(|at| if at == 0 { ":---" } else { "---:" }.to_owned()), text);
    for row in rows {
        line(&mut row.iter().map(|cell| cell_text(cell)), text);
    }
}

/// What would end a cell or a row must not.
fn cell_text(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}
