//! A page as one file of HTML that opens offline: style and figures are in it, nothing is fetched, no script runs.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser};

use crate::figure::{Drawing, Medium};
use crate::page::Alignment;
use crate::{Block, Page, Table, escape};

/// Of every page: light and dark, on paper too.
pub const STYLE: &str = include_str!("style.css");

/// What a page may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The whole file.
pub(crate) fn document(page: &Page, own_mark: &str) -> String {
    let headings: Vec<&str> = headings(&page.blocks);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content=(own_mark);
                title { (escape::line(&page.title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (escape::line(&page.title)) }
                    @if headings.len() > 3 {
                        nav aria-label="Sections" {
                            ul { @for heading in &headings { li { a href={ "#" (anchor(heading)) } { (inline(heading)) } } } }
                        }
                    }
                    (blocks(&page.blocks, Medium::Still))
                }
            }
        }
    };
    markup.into_string() + "\n"
}

fn headings(blocks: &[Block]) -> Vec<&str> {
    let mut found = Vec::new();
    for block in blocks {
        if let Block::Heading(heading) = block {
            found.push(heading.as_str());
        }
    }
    found
}

/// What a link to a heading ends with.
fn anchor(heading: &str) -> String {
    let kept = |character: char| if character.is_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    heading.chars().map(kept).collect()
}

/// Blocks one after the other.
pub(crate) fn blocks(all: &[Block], medium: Medium) -> Markup {
    html! { @for block in all { (self::block(block, medium)) } }
}

fn block(block: &Block, medium: Medium) -> Markup {
    match block {
        Block::Heading(heading) => html! { h2 id=(anchor(heading)) { (inline(heading)) } },
        Block::Text(text) => markdown(text),
        Block::Table(table) => self::table(table),
        Block::Folded { summary, blocks } => {
            html! { details { summary { (escape::line(summary)) } (self::blocks(blocks, medium)) } }
        }
        Block::Verbatim(text) => html! { pre tabindex="0" { (escape::lines(text)) } },
        Block::Figure { caption, figure, .. } => match figure.drawn(medium) {
            Drawing::Svg(svg) => {
                html! { figure { div class="drawing" tabindex="0" role="region" aria-label=(escape::line(figure.title())) { (PreEscaped(svg)) } figcaption { (escape::line(caption)) } } }
            }
            Drawing::Sentence(sentence) => html! { p { (escape::line(&sentence)) } },
        },
    }
}

/// A table that scrolls by itself where the window is narrow.
fn table(table: &Table) -> Markup {
    let class = |alignment: &Alignment| match alignment {
        Alignment::Left => None,
        Alignment::Right => Some("number"),
    };
    let classes: Vec<Option<&str>> = table.alignments().iter().map(class).collect();
    html! {
        div class="table" tabindex="0" role="region" aria-label=(escape::line(&table.columns.join(", "))) {
            table {
                thead { tr { @for (column, class) in table.columns.iter().zip(&classes) { th scope="col" class=[*class] { (escape::line(column)) } } } }
                tbody {
                    @for row in &table.rows {
                        tr { @for (cell, class) in row.iter().zip(&classes) { td class=[*class] { (escape::line(cell)) } } }
                    }
                }
            }
        }
    }
}

/// Markdown of ours as HTML. Markup that somebody smuggled in is text.
fn markdown(text: &str) -> Markup {
    let events = Parser::new_ext(text, Options::empty()).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    PreEscaped(out)
}

/// Likewise, without the paragraph around it.
fn inline(text: &str) -> Markup {
    let PreEscaped(html) = markdown(text);
    let html = html.trim();
    PreEscaped(html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap_or(html).to_owned())
}
