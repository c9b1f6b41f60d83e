//! CSV: a matrix of probabilities under a header of names, or counts under `first,second,wins`.

use std::collections::HashMap;

use crate::counts::{ACTIONS_MAX, Tally};
use crate::error::{DataError, Source};
use crate::{PreferenceData, names};

/// The header of a file of counts.
const COUNTS_HEADER: [&str; 3] = ["first", "second", "wins"];

/// 2⁵³: the last whole number that an `f64` counts up to.
const WINS_MAX: f64 = 9_007_199_254_740_992.0;

/// One row with the line it begins on.
struct Row {
    line: usize,
    cells: Vec<String>,
}

pub(crate) fn read(source: Source<'_>, text: &str) -> Result<PreferenceData, DataError> {
    let mut rows = rows(source, text)?.into_iter();
    let Some(header) = rows.next() else {
        return Err(source.whole("the file is empty; expected a header row of action names"));
    };
    let rows: Vec<Row> = rows.collect();
    if header.cells == COUNTS_HEADER { counts(source, &rows) } else { matrix(source, header, &rows) }
}

fn rows(source: Source<'_>, text: &str) -> Result<Vec<Row>, DataError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            source.row(usize::try_from(line).unwrap_or(0), format!("this is no CSV ({error})"))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        // A row of nothing but separators is how spreadsheets end a file.
        if record.iter().any(|cell| !cell.is_empty()) {
            let cells = record.iter().map(str::to_owned).collect();
            rows.push(Row { line: usize::try_from(line).unwrap_or(0), cells });
        }
    }
    Ok(rows)
}

fn matrix(source: Source<'_>, header: Row, rows: &[Row]) -> Result<PreferenceData, DataError> {
    check_header(source, &header)?;
    let actions = header.cells;
    let n = actions.len();
    let mut preferences = Vec::with_capacity(n);
    for (i, row) in rows.iter().enumerate() {
        if i >= n {
            return Err(source.row(
                row.line,
                format!(
                    "this is row {} of a matrix of {n} actions; expected one row for each action of the header",
                    i + 1
                ),
            ));
        }
        if row.cells.len() != n {
            let found = row.cells.len();
            return Err(source.row(
                row.line,
                format!("the row has {found} of the {n} cells that the header asks for, one for each action (rows have no label)"),
            ));
        }
        let cells = row.cells.iter().enumerate();
        let values = cells.map(|(j, cell)| {
            probability(cell, i == j).map_err(|problem| source.cell(row.line, j + 1, &actions[j], problem))
        });
        preferences.push(values.collect::<Result<Vec<f64>, DataError>>()?);
    }
    if rows.len() < n {
        let found = rows.len();
        return Err(source
            .whole(format!("the matrix has {found} of the {n} rows that the header asks for, one for each action")));
    }
    Ok(PreferenceData { actions, preferences, tally: None, notes: Vec::new() })
}

fn check_header(source: Source<'_>, header: &Row) -> Result<(), DataError> {
    let names = &header.cells;
    if let Some(column) = names.iter().position(String::is_empty) {
        return Err(source.cell(
            header.line,
            column + 1,
            "",
            "an action without a name; expected a header row of action names",
        ));
    }
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(source.row(header.line, "the first row holds numbers; expected a header row of action names"));
    }
    if let Some((first, second)) = names::duplicate(names) {
        let problem = format!("the name stands in column {} already; every action needs a name of its own", first + 1);
        return Err(source.cell(header.line, second + 1, &names[second], problem));
    }
    if names.len() < 2 {
        return Err(source.row(header.line, "one action; a game needs at least two, separated by commas"));
    }
    Ok(())
}

/// One cell; the error is what it is and what was expected.
fn probability(cell: &str, is_diagonal: bool) -> Result<f64, String> {
    if is_diagonal && cell.is_empty() {
        return Ok(0.5);
    }
    let expected = if is_diagonal { "0.5 or nothing on the diagonal" } else { "a probability in [0, 1]" };
    if cell.is_empty() {
        return Err(format!("the cell is empty; expected {expected}"));
    }
    let value: f64 = cell.parse().map_err(|_| format!("\"{cell}\" is no number; expected {expected}"))?;
    if value.is_nan() {
        return Err(format!("NaN; expected {expected}"));
    }
    if !(0.0..=1.0).contains(&value) {
        return Err(format!("{cell} is outside [0, 1]; expected {expected}"));
    }
    if is_diagonal && (value - 0.5).abs() > 1e-12 {
        return Err(format!("{cell} is an action against itself; expected {expected}"));
    }
    Ok(value)
}

fn counts(source: Source<'_>, rows: &[Row]) -> Result<PreferenceData, DataError> {
    let mut indices: HashMap<&str, usize> = HashMap::new();
    let mut actions: Vec<String> = Vec::new();
    let mut wins: Vec<(usize, usize, f64)> = Vec::new();
    for row in rows {
        let [first, second, count] = row.cells.as_slice() else {
            let found = row.cells.len();
            return Err(source.row(row.line, format!("the row has {found} of 3 cells: first, second, wins")));
        };
        let mut index = |column: usize, name: &'_ str, key| {
            if name.is_empty() {
                return Err(source.cell(row.line, column, COUNTS_HEADER[column - 1], "an action without a name"));
            }
            Ok(*indices.entry(key).or_insert_with(|| {
                actions.push(name.to_owned());
                actions.len() - 1
            }))
        };
        let (i, j) = (index(1, first, first.as_str())?, index(2, second, second.as_str())?);
        if actions.len() > ACTIONS_MAX {
            return Err(
                source.row(row.line, format!("this is action {}; expected at most {ACTIONS_MAX}", actions.len()))
            );
        }
        if i == j {
            return Err(source.row(row.line, format!("\"{first}\" against itself; expected two different actions")));
        }
        let count = number_of_wins(count).map_err(|problem| source.cell(row.line, 3, "wins", problem))?;
        wins.push((i, j, count));
    }
    if actions.len() < 2 || wins.iter().all(|(_, _, count)| *count == 0.0) {
        return Err(source.whole("no comparison was counted; expected rows like rock,scissors,9"));
    }
    let mut tally = Tally::new(actions.len());
    for (i, j, count) in wins {
        tally.wins[i][j] += count;
    }
    Ok(tally.into_data(actions))
}

fn number_of_wins(cell: &str) -> Result<f64, String> {
    let expected = "expected a number of comparisons, 0 or more (a tie is 0.5 for each side)";
    let value: f64 = cell.parse().map_err(|_| format!("\"{cell}\" is no number; {expected}"))?;
    if !value.is_finite() || value < 0.0 {
        return Err(format!("{cell}; {expected}"));
    }
    // Larger sums lose single comparisons, and much larger ones are no numbers any more.
    if value > WINS_MAX {
        return Err(format!("{cell}; expected at most {WINS_MAX} comparisons"));
    }
    Ok(value)
}
