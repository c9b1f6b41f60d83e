//! Blocks as Markdown.

use std::fmt::Write as _;

use crate::figure::Drawing;
use crate::page::Alignment;
use crate::{Block, File, Page, Table, escape};

/// The page's text; its figures are added to `figures`.
pub(crate) fn page(page: &Page, figures: &mut Vec<File>) -> String {
    let mut text = format!("# {}\n", escape::markdown(&page.title));
    blocks(&page.blocks, &mut text, figures);
    text
}

fn blocks(all: &[Block], text: &mut String, figures: &mut Vec<File>) {
    for block in all {
        text.push('\n');
        match block {
            Block::Heading(heading) => {
                let _ = writeln!(text, "## {heading}");
            }
            Block::Text(paragraph) => {
                let _ = writeln!(text, "{paragraph}");
            }
            Block::Table(found) => table(found, text),
            Block::Folded { summary, blocks: inner } => {
                let _ = writeln!(text, "<details><summary>{}</summary>", escape::html(summary));
                blocks(inner, text, figures);
                text.push_str("\n</details>\n");
            }
            Block::Verbatim(inner) => {
                // Longer than any fence inside.
                let fence = "`".repeat(3.max(longest_run(inner) + 1));
                let inner = escape::lines(inner);
                let _ = writeln!(text, "{fence}\n{inner}\n{fence}");
            }
            Block::Figure { name, caption, figure } => match figure.draw() {
                Drawing::Svg(svg) => {
                    let (title, caption) = (escape::markdown(figure.title()), escape::markdown(caption));
                    let _ = writeln!(text, "![{title}]({name}.svg)\n\n*{caption}*");
                    figures.push(File { name: format!("{name}.svg"), text: svg });
                }
                Drawing::Sentence(sentence) => {
                    let _ = writeln!(text, "{}", escape::markdown(&sentence));
                }
            },
        }
    }
}

fn table(table: &Table, text: &mut String) {
    let line = |cells: &mut dyn Iterator<Item = String>, text: &mut String| {
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    line(&mut table.columns.iter().map(|cell| escape::markdown(cell)), text);
    let rule = |alignment: &Alignment| match alignment {
        Alignment::Left => ":---".to_owned(),
        Alignment::Right => "---:".to_owned(),
    };
    line(&mut table.alignments().iter().map(rule), text);
    for row in &table.rows {
        line(&mut row.iter().map(|cell| escape::markdown(cell)), text);
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}
