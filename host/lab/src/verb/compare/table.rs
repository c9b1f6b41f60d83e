//! The rows as a table: what differs between them, and what came of it.

use slhf_record::ParameterValue;

use super::row::Row;
use crate::output::{Cell, Column, Table};

/// Parameters that differ between rows, in alphabetical order.
fn differing_keys(rows: &[Row]) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.parameters.keys()).collect();
    let Some(first) = rows.first() else { return Vec::new() };
    let differs = |key: &&String| rows.iter().any(|row| row.parameters.get(*key) != first.parameters.get(*key));
    let differing: Vec<String> = keys.into_iter().filter(differs).cloned().collect();
    differing.iter().filter(|key| !is_told_by_another(key, &differing)).cloned().collect()
}

/// A hash says nothing to people that a name of the same table (`game.file`, `judge.plugin`) does not say better; it is
/// shown where it alone tells two rows apart.
fn is_told_by_another(key: &str, differing: &[String]) -> bool {
    let is_hash = |key: &str| key.ends_with("sha256");
    let table = |key: &str| key.split('.').next().map(str::to_owned);
    is_hash(key) && differing.iter().any(|other| !is_hash(other) && table(other) == table(key))
}

/// One row a cell.
pub(super) fn table(rows: &[Row], metrics: &[String]) -> Table {
    let parameters = differing_keys(rows);
    let is_one = |of: &dyn Fn(&Row) -> String| rows.windows(2).all(|pair| of(&pair[0]) == of(&pair[1]));
    let experiment_is_one = is_one(&|row| format!("{}#{}", row.experiment, row.execution));
    let mut columns = Vec::new();
    if !experiment_is_one {
        columns.extend([Column::text("experiment"), Column::number("execution")]);
    }
    columns.extend([Column::labels("cell"), Column::number("seeds")]);
    let short = slhf_words::short_keys(parameters.iter().map(String::as_str));
    columns.extend(parameters.iter().map(|key| {
        let is_number = rows.iter().all(|row| {
            matches!(
                row.parameters.get(key),
                None | Some(ParameterValue::Integer(_) | ParameterValue::Float(_) | ParameterValue::None)
            )
        });
        if is_number { Column::number(key.clone()) } else { Column::text(key.clone()) }
            .titled(short[key.as_str()])
            .spare()
    }));
    columns.extend(metrics.iter().map(|key| Column::estimate(key.clone())));
    let mut table = Table::new(columns).captioned();
    for row in rows {
        let mut cells = Vec::new();
        if !experiment_is_one {
            cells.extend([Cell::text(&row.experiment), Cell::Integer(row.execution)]);
        }
        cells.extend([Cell::text(&row.label), Cell::count(row.seeds)]);
        cells.extend(parameters.iter().map(|key| row.parameters.get(key).map_or(Cell::Empty, brief_parameter)));
        cells.extend(metrics.iter().map(|key| row.over_seeds(key)));
        table.push(cells);
    }
    table
}

/// A parameter as a cell.
pub(in crate::verb) fn parameter(value: &ParameterValue) -> Cell {
    match value {
        ParameterValue::Boolean(value) => Cell::Boolean(*value),
        ParameterValue::Integer(value) => Cell::Integer(*value),
        ParameterValue::Float(value) => Cell::Exact(*value),
        ParameterValue::Text(text) | ParameterValue::Json(text) => Cell::text(text),
        ParameterValue::None => Cell::Empty,
    }
}

/// A parameter as one of many columns.
fn brief_parameter(value: &ParameterValue) -> Cell {
    match parameter(value) {
        Cell::Text(text) => Cell::Brief(text),
        cell => cell,
    }
}

/// Takes away columns in which all rows agree; the label stays, so that a row has a name.
pub(super) fn only_changed(table: &Table) -> Table {
    let changes = |column: usize| table.rows.windows(2).any(|pair| differ(&pair[0][column], &pair[1][column]));
    let kept: Vec<usize> =
        (0..table.columns.len()).filter(|index| table.columns[*index].key == "cell" || changes(*index)).collect();
    let mut narrow = Table::new(kept.iter().map(|index| table.columns[*index].clone()).collect());
    for row in &table.rows {
        narrow.push(kept.iter().map(|index| row[*index].clone()).collect());
    }
    narrow
}

/// Two means over different numbers of seeds are the same where their values are.
fn differ(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Noise(a), Cell::Noise(b)) => differ(a, b),
        (Cell::Estimate { mean: a, .. }, Cell::Estimate { mean: b, .. })
        | (Cell::Share { share: a, .. }, Cell::Share { share: b, .. }) => a.to_bits() != b.to_bits(),
        (a, b) => a != b,
    }
}
