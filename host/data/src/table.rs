//! CSV: a matrix of probabilities under a header of names, or counted comparisons.

use crate::error::{DataError, Source};
use crate::row::Row;
use crate::{PreferenceData, comparisons, names};

pub(crate) fn read(source: Source<'_>, text: &str) -> Result<PreferenceData, DataError> {
    let mut rows = rows(source, text)?.into_iter();
    let Some(header) = rows.next() else {
        return Err(source.whole("the file is empty; expected a header row of action names"));
    };
    let rows: Vec<Row> = rows.collect();
    check_unique(source, &header)?;
    if let Some(counted) = comparisons::read(source, &header, &rows) {
        return counted;
    }
    let is_text = |row: &Row| row.cells.first().is_some_and(|cell| !cell.is_empty() && cell.parse::<f64>().is_err());
    if comparisons::is_nearly(&header.cells) && rows.first().is_some_and(is_text) {
        let problem = format!(
            "counts are not read under this header; expected {} (or a matrix under the actions' names)",
            comparisons::UNDERSTOOD
        );
        return Err(source.row(header.line, problem));
    }
    matrix(source, header, &rows)
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
    Ok(PreferenceData { actions, preferences, tally: None, ballots: Vec::new(), groups: Vec::new(), notes: Vec::new() })
}

/// Two columns of one name: nobody could tell which is meant.
fn check_unique(source: Source<'_>, header: &Row) -> Result<(), DataError> {
    match names::duplicate(&header.cells) {
        Some((first, second)) => {
            let problem =
                format!("the name stands in column {} already; every action needs a name of its own", first + 1);
            Err(source.cell(header.line, second + 1, &header.cells[second], problem))
        }
        None => Ok(()),
    }
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
