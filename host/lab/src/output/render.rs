//! How a table looks: for people, for programs, for spreadsheets, for reports.

use tabled::builder::Builder;
use tabled::settings::location::Locator;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::peaker::PriorityMax;
use tabled::settings::{Alignment as TabledAlignment, Color, Modify, Style, Width};

use slhf_report::escape;

use super::format::Format;
use super::table::{Alignment, Cell, Header, Table};
use super::text::Text;

/// Whether escape sequences may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// No.
    None,
    /// Yes.
    Ansi,
}

/// What the place where a table is printed allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Columns of the terminal; `None`: as wide as it gets.
    pub(crate) width_max: Option<usize>,
    /// Escape sequences.
    pub(crate) colours: Colours,
    /// Of a CSV's fields.
    pub(crate) text: Text,
}

/// The table as text, with a newline at its end.
pub(crate) fn render(table: &Table, format: Format, look: Look) -> String {
    match format {
        Format::Table => for_people(table, look),
        Format::Json => escape::json(&json(table)).into_owned(),
        Format::Csv => csv(table, look.text),
        Format::Markdown => markdown(table),
    }
}

fn for_people(table: &Table, look: Look) -> String {
    let mut builder = Builder::with_capacity(table.rows.len() + 1, table.columns.len());
    if table.header == Header::Shown {
        builder.push_record(table.columns.iter().map(|column| escape::line(&column.title).into_owned()));
    }
    for row in &table.rows {
        builder.push_record(row.iter().map(Cell::for_people));
    }
    let mut shown = builder.build();
    match table.header {
        Header::Shown => shown.with(Style::rounded()),
        Header::Hidden => shown.with(Style::rounded().remove_horizontals()),
    };
    for (index, column) in table.columns.iter().enumerate() {
        if column.alignment == Alignment::Right {
            shown.with(Modify::new(Columns::one(index)).with(TabledAlignment::right()));
        }
    }
    if let Some(width) = look.width_max {
        shown.with(Width::wrap(width).priority(PriorityMax::right()).keep_words(true));
    }
    if look.colours == Colours::Ansi {
        paint(table, &mut shown);
    }
    let mut text = shown.to_string();
    text.push('\n');
    text
}

/// Colours say again what the text says: nothing is lost without them.
fn paint(table: &Table, shown: &mut tabled::Table) {
    match table.header {
        Header::Shown => shown.with(Modify::new(Rows::first()).with(Color::BOLD)),
        Header::Hidden => shown.with(Modify::new(Columns::first()).with(Color::BOLD)),
    };
    for (state, colour) in [
        ("finished", Color::FG_GREEN),
        ("running", Color::FG_CYAN),
        ("interrupted", Color::FG_YELLOW),
        ("failed", Color::FG_RED),
        ("superseded", Color::FG_BRIGHT_BLACK),
    ] {
        let is_used = table.rows.iter().flatten().any(|cell| matches!(cell, Cell::State(text) if text == state));
        if is_used {
            shown.with(Modify::new(Locator::content(state)).with(colour));
        }
    }
}

fn json(table: &Table) -> String {
    let mut text = serde_json::to_string_pretty(table).unwrap_or_else(|error| format!("\"{error}\""));
    text.push('\n');
    text
}

fn csv(table: &Table, as_given: Text) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = table.columns.iter().flat_map(|column| {
        let key = as_given.csv(&column.key);
        if column.holds_estimates {
            vec![key.clone(), format!("{key}_low"), format!("{key}_high"), format!("{key}_n")]
        } else {
            vec![key.clone()]
        }
    });
    // Writing to memory cannot fail, and every row is as long as the header.
    let _ = writer.write_record(header);
    for row in &table.rows {
        let _ = writer
            .write_record(row.iter().zip(&table.columns).flat_map(|(cell, column)| cell.csv_fields(column, as_given)));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn markdown(table: &Table) -> String {
    let mut text = String::new();
    let mut line = |fields: &mut dyn Iterator<Item = String>| {
        text.push('|');
        for field in fields {
            text.push(' ');
            text.push_str(&field);
            text.push_str(" |");
        }
        text.push('\n');
    };
    line(&mut table.columns.iter().map(|column| escape::markdown(&column.title)));
    line(&mut table.columns.iter().map(|column| match column.alignment {
        Alignment::Left => "---".to_owned(),
        Alignment::Right => "---:".to_owned(),
    }));
    for row in &table.rows {
        line(&mut row.iter().map(Cell::for_markdown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::table::Column;
    use super::*;
    use std::time::Duration;

    const PIPE: Look = Look { width_max: None, colours: Colours::None, text: Text::Escaped };

    fn example() -> Table {
        let mut table = Table::new(vec![
            Column::number("run"),
            Column::text("cell"),
            Column::text("status"),
            Column::estimate("leader_gap"),
            Column::number("seconds"),
        ]);
        table.push(vec![
            Cell::Integer(1),
            Cell::text("κ = 5 | \"a\", b"),
            Cell::State("finished".into()),
            Cell::Estimate { mean: 0.1 + 0.2, interval: Some((0.25, 0.35)), n: 3 },
            Cell::Duration(Duration::from_millis(1500)),
        ]);
        table.push(vec![
            Cell::Integer(12),
            Cell::text("esc\u{1b}[2J"),
            Cell::State("failed".into()),
            Cell::Number(f64::NAN),
        ]);
        table
    }

    #[test]
    fn people_get_aligned_columns_and_no_control_characters() {
        insta::assert_snapshot!(render(&example(), Format::Table, PIPE), @r#"
╭─────┬────────────────┬──────────┬────────────┬─────────╮
│ run │ cell           │ status   │ leader_gap │ seconds │
├─────┼────────────────┼──────────┼────────────┼─────────┤
│   1 │ κ = 5 | "a", b │ finished │ 0.3 ± 0.05 │   1.5 s │
│  12 │ esc\u{1b}[2J   │ failed   │        NaN │         │
╰─────┴────────────────┴──────────┴────────────┴─────────╯
"#);
    }

    #[test]
    fn programs_get_all_digits_in_the_order_of_the_columns() {
        insta::assert_snapshot!(render(&example(), Format::Json, PIPE), @r#"
[
  {
    "run": 1,
    "cell": "κ = 5 | \"a\", b",
    "status": "finished",
    "leader_gap": {
      "mean": 0.30000000000000004,
      "low": 0.25,
      "high": 0.35,
      "n": 3
    },
    "seconds": 1.5
  },
  {
    "run": 12,
    "cell": "esc\u001b[2J",
    "status": "failed",
    "leader_gap": "NaN",
    "seconds": null
  }
]
"#);
    }

    #[test]
    fn spreadsheets_get_intervals_as_columns_of_their_own() {
        let shown = render(&example(), Format::Csv, PIPE);
        insta::assert_snapshot!(shown, @r#"
run,cell,status,leader_gap,leader_gap_low,leader_gap_high,leader_gap_n,seconds
1,"κ = 5 | ""a"", b",finished,0.30000000000000004,0.25,0.35,3,1.5
12,esc\u{1b}[2J,failed,NaN,,,,
"#);
    }

    #[test]
    fn reports_get_escaped_markdown() {
        insta::assert_snapshot!(render(&example(), Format::Markdown, PIPE), @r#"
| run | cell | status | leader_gap | seconds |
| ---: | --- | --- | ---: | ---: |
| 1 | κ = 5 \| "a", b | finished | 0.3 ± 0.05 | 1.5 s |
| 12 | esc\\u{1b}[2J | failed | NaN |  |
"#);
    }

    #[test]
    fn a_narrow_terminal_wraps_and_never_overflows() {
        for width in [40, 50, 60, 80, 200] {
            let look = Look { width_max: Some(width), ..PIPE };
            for line in render(&example(), Format::Table, look).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn colours_change_nothing_but_the_escape_sequences() {
        let plain = render(&example(), Format::Table, PIPE);
        let coloured = render(&example(), Format::Table, Look { colours: Colours::Ansi, ..PIPE });
        assert!(coloured.contains("\u{1b}[32mfinished"), "{coloured}");
        let mut stripped = String::new();
        let mut rest = coloured.as_str();
        while let Some(start) = rest.find("\u{1b}[") {
            stripped.push_str(&rest[..start]);
            let end = rest[start..].find('m').unwrap() + start;
            rest = &rest[end + 1..];
        }
        stripped.push_str(rest);
        assert_eq!(stripped, plain);
    }

    #[test]
    fn columns_that_nobody_filled_are_left_out_when_asked() {
        let mut table = Table::new(vec![Column::text("a"), Column::text("b"), Column::text("c")]);
        table.push(vec![Cell::text("1"), Cell::Empty, Cell::text("3")]);
        let keys: Vec<_> = table.without_empty_columns().columns.into_iter().map(|column| column.key).collect();
        assert_eq!(keys, ["a", "c"]);
    }
}
