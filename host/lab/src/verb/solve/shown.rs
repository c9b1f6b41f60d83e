//! All results on stdout: tables with sentences below them, one table for spreadsheets, or JSON.

use serde_json::Value as Json;

use super::input::Input;
use super::results::Results;
use super::{bootstrap, concepts, rules};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// People get a table for each subject, spreadsheets one table with a row an action.
pub(super) fn print(input: &Input, results: &Results, format: Format) -> Result<(), Failure> {
    let by_action = by_action(input, results);
    if matches!(format, Format::Csv) {
        return output::print_table(&joined(&input.names, by_action), format);
    }
    let Results { solutions, rules, welfare, bootstrap } = results;
    let mut below = vec![concepts::summary(input, solutions), rules::sentences(&input.names, rules)];
    if let Some(bootstrap) = bootstrap {
        below.push(bootstrap::answer(bootstrap, &input.names, rules));
    }
    for (number, (part, lines)) in by_action.into_iter().zip(below).enumerate() {
        if number > 0 {
            part_from_above(format)?;
        }
        output::print_table(&joined(&input.names, vec![part]), format)?;
        print_lines(&lines, format)?;
    }
    if let Some(bootstrap) = bootstrap {
        part_from_above(format)?;
        output::print_table(&bootstrap::pair_table(bootstrap, &input.names, rules), format)?;
    }
    if let Some(welfare) = welfare {
        part_from_above(format)?;
        output::print_table(&welfare.table(), format)?;
        print_lines(&welfare.sentences(&input.names), format)?;
    }
    let notes = concepts::notes(input, solutions).into_iter().map(|note| format!("note: {note}"));
    print_lines(&notes.collect::<Vec<_>>(), format)
}

/// Columns and the cells of each action.
type Part = (Vec<Column>, Vec<Vec<Cell>>);

fn by_action(input: &Input, results: &Results) -> Vec<Part> {
    let actions = 0..input.names.len();
    let rules = actions.clone().map(|action| rules::cells(&results.rules, action)).collect();
    let mut parts = vec![(concepts::columns(), concepts::rows(input, &results.solutions)), (rules::columns(), rules)];
    if let Some(bootstrap) = &results.bootstrap {
        let cells = actions.map(|action| bootstrap::cells(bootstrap, action)).collect();
        parts.push((bootstrap::columns(bootstrap), cells));
    }
    parts
}

/// One table with one row an action, named first.
fn joined(names: &[String], parts: Vec<Part>) -> Table {
    let mut columns = vec![Column::text("action")];
    let mut rows: Vec<Vec<Cell>> = names.iter().map(|name| vec![Cell::text(name)]).collect();
    for (of_part, cells) in parts {
        columns.extend(of_part);
        for (row, cells) in rows.iter_mut().zip(cells) {
            row.extend(cells);
        }
    }
    let mut table = Table::new(columns);
    for row in rows {
        table.push(row);
    }
    table
}

/// In Markdown a blank line tells a table from the sentences above it.
fn part_from_above(format: Format) -> Result<(), Failure> {
    if format == Format::Markdown { output::print_text("\n") } else { Ok(()) }
}

/// Sentences below a table.
fn print_lines(lines: &[String], format: Format) -> Result<(), Failure> {
    let mut text = String::new();
    for line in lines {
        text.push_str(if format == Format::Markdown { "\n- " } else { "" });
        text.push_str(&output::visible(line));
        text.push_str(if format == Format::Markdown { "" } else { "\n" });
    }
    if format == Format::Markdown && !lines.is_empty() {
        text.push('\n');
    }
    output::print_text(&text)
}

/// The documented shape; arrays in the order of `actions`. What was not asked for, or is not there, has no key.
pub(super) fn json_of(input: &Input, results: &Results) -> Json {
    let names = &input.names;
    let mut json = concepts::json_of(input, &results.solutions);
    json["social_choice"] = rules::json_of(names, &results.rules);
    if let Some(welfare) = &results.welfare {
        json["groups"] = welfare.json(names);
    }
    if let Some(bootstrap) = &results.bootstrap {
        json["bootstrap"] = bootstrap::json_of(bootstrap, names);
    }
    json
}
