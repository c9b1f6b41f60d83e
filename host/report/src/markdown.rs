//! Blocks as Markdown.

use std::fmt::Write as _;

use crate::{Block, ChartError, File, Page, escape};

/// The page's text; its figures are added to `figures`.
pub(crate) fn page(page: &Page, figures: &mut Vec<File>) -> Result<String, ChartError> {
    let mut text = format!("# {}\n", escape::markdown(&page.title));
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
                let _ = writeln!(text, "<details><summary>{}</summary>", escape::html(summary));
                blocks(inner, text, figures)?;
                text.push_str("\n</details>\n");
            }
            Block::Verbatim(inner) => {
                // Longer than any fence inside.
                let fence = "`".repeat(3.max(longest_run(inner) + 1));
                let inner = escape::lines(inner);
                let _ = writeln!(text, "{fence}\n{inner}\n{fence}");
            }
            Block::Figure { name, caption, chart } => {
                let caption = escape::markdown(caption);
                let _ = writeln!(text, "![{caption}]({name}.svg)\n\n*{caption}*");
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
    line(&mut columns.iter().map(|cell| escape::markdown(cell)), text);
    line(&mut (0..columns.len()).map(|at| if at == 0 { ":---" } else { "---:" }.to_owned()), text);
    for row in rows {
        line(&mut row.iter().map(|cell| escape::markdown(cell)), text);
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}
