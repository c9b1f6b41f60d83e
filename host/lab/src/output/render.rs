//! How a table looks: for people, for programs, for spreadsheets, for reports.

use slhf_report::escape;

use super::cell::Cell;
use super::column::Alignment;
use super::format::Format;
use super::look::Look;
use super::people::for_people;
use super::table::Table;
use super::text::Text;

/// The table as text, with a newline at its end.
pub(crate) fn render(table: &Table, format: Format, look: Look) -> String {
    match format {
        Format::Table => for_people(table, look),
        Format::Json => escape::json(&json(table)).into_owned(),
        Format::Csv => csv(table, look.text),
        Format::Markdown => markdown(table),
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
    use super::super::column::Column;
    use super::super::look::Colours;
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
    fn a_narrow_place_breaks_at_spaces_and_at_last_makes_blocks() {
        let at = |width| render(&example(), Format::Table, Look { width_max: Some(width), ..PIPE });
        insta::assert_snapshot!(at(56), @r#"
╭─────┬──────────────┬──────────┬────────────┬─────────╮
│ run │ cell         │ status   │ leader_gap │ seconds │
├─────┼──────────────┼──────────┼────────────┼─────────┤
│   1 │ κ = 5 | "a", │ finished │ 0.3 ± 0.05 │   1.5 s │
│     │ b            │          │            │         │
│  12 │ esc\u{1b}[2J │ failed   │        NaN │         │
╰─────┴──────────────┴──────────┴────────────┴─────────╯
"#);
        insta::assert_snapshot!(at(30), @r#"
run         1
cell        κ = 5 | "a", b
status      finished
leader_gap  0.3 ± 0.05
seconds     1.5 s

run         12
cell        esc\u{1b}[2J
status      failed
leader_gap  NaN
"#);
    }

    #[test]
    fn what_all_rows_share_is_said_above_and_keys_are_short() {
        let mut table = Table::new(vec![
            Column::labels("cell"),
            Column::text("method"),
            Column::number("seeds"),
            Column::estimate("leader_gap"),
        ])
        .captioned();
        for (cell, gap) in [("schedule.kappa.value=1", 3e-17), ("schedule.kappa.value=5", 0.25)] {
            let estimate = Cell::Estimate { mean: gap, interval: None, n: 3 };
            table.push(vec![cell.into(), "nash-md".into(), Cell::Integer(3), Cell::measured("leader_gap", estimate)]);
        }
        insta::assert_snapshot!(render(&table, Format::Table, PIPE), @"
the same everywhere: method = nash-md, seeds = 3
╭─────────┬────────────╮
│ cell    │ leader_gap │
├─────────┼────────────┤
│ kappa=1 │    < 1e-15 │
│ kappa=5 │       0.25 │
╰─────────┴────────────╯
");
        let csv = render(&table, Format::Csv, PIPE);
        assert!(csv.contains("schedule.kappa.value=1,nash-md,3,3e-17,"), "{csv}");
    }

    #[test]
    fn spare_columns_go_before_blocks_come() {
        let mut table = Table::new(vec![Column::number("run"), Column::text("ended").spare(), Column::text("status")]);
        table.push(vec![
            Cell::Integer(1),
            Cell::Time("2026-11-29T12:00:00.000Z".into()),
            Cell::State("finished".into()),
        ]);
        insta::assert_snapshot!(render(&table, Format::Table, Look { width_max: Some(26), ..PIPE }), @"
╭─────┬──────────╮
│ run │ status   │
├─────┼──────────┤
│   1 │ finished │
╰─────┴──────────╯
no room here (see --format
csv):
ended
");
        assert!(render(&table, Format::Csv, PIPE).contains("2026-11-29T12:00:00.000Z"));
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
