//! `slhf-lab query`: one SQL statement that reads.

use clap::Args;
use slhf_record::{Cell as Value, OpenMode, QueryAnswer, QueryLimits, RecordError, View};

use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Alignment, Cell, Column, Table, Text};

/// Arguments of `query`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One statement, for example "SELECT run, status FROM runs" (`db schema` lists views and columns)
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    statement: String,
    /// Time limit in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    time_limit_s: u64,
    /// MiB that the result may have; SQLite itself may take eight times as much
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 16))]
    size_limit_mib: u64,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
    /// With --format csv: text as it was recorded; without it what could steer a terminal is spelt out, and a text that a
    /// spreadsheet would take for a formula begins with an apostrophe
    #[arg(long)]
    raw: bool,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let bytes_max = arguments.size_limit_mib << 20;
    let limits = QueryLimits {
        time_ms: arguments.time_limit_s.saturating_mul(1000),
        bytes_max,
        // This process asks nothing else.
        heap_bytes: Some(bytes_max.saturating_mul(8)),
        ..QueryLimits::default()
    };
    let answer = record
        .query(&arguments.statement, limits)
        .map_err(|error| unknown_name(&arguments.statement, &error).unwrap_or_else(|| Failure::of_record(error)))?;
    let text = if arguments.raw { Text::Raw } else { Text::Escaped };
    output::print_table_of(&table(answer), arguments.format.format, text)
}

fn table(answer: QueryAnswer) -> Table {
    let is_number = |column: usize| {
        answer.rows.iter().all(|row| matches!(row.get(column), Some(Value::Integer(_) | Value::Real(_) | Value::Null)))
            && !answer.rows.is_empty()
    };
    let keys = distinct(&answer.columns);
    let columns = answer.columns.iter().zip(keys).enumerate().map(|(index, (name, key))| {
        let alignment = if is_number(index) { Alignment::Right } else { Alignment::Left };
        // The names are the asker's own: they are shown as they are.
        Column { alignment, ..Column::text(key).titled(name.clone()) }
    });
    let mut table = Table::new(columns.collect());
    for row in answer.rows {
        table.push(row.into_iter().map(cell).collect());
    }
    table
}

/// What to say where the statement names a column or a view that there is not: what was probably meant.
fn unknown_name(statement: &str, error: &RecordError) -> Option<Failure> {
    let words = slhf_words::chain(error);
    let named = |before: &str| {
        let (_, name) = words.split_once(before)?;
        // `v.seed` of the view `v` is `seed`.
        name.split_whitespace().next()?.rsplit('.').next().map(str::to_owned)
    };
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (kind, name, known): (_, _, Vec<&str>) = if let Some(name) = named("no such column: ") {
        let used: Vec<&str> = statement.split(|character| !is_word(character)).collect();
        let of_used = |view: &&View| used.iter().any(|word| word.eq_ignore_ascii_case(view.name));
        let columns = slhf_record::views().iter().filter(of_used).flat_map(|view| view.columns);
        ("column", name, columns.map(|column| column.name).collect())
    } else {
        ("view", named("no such table: ")?, slhf_record::views().iter().map(|view| view.name).collect())
    };
    let mut once = known;
    once.sort_unstable();
    once.dedup();
    let hint = match slhf_words::nearest(&name, once.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if once.is_empty() => "the statement names no view of the record;".to_owned(),
        None => format!("there are {};", slhf_words::known(&name, once)),
    };
    let name = output::visible(&name);
    Some(Failure::bad_input(format!(
        "there is no {kind} \"{name}\"; {hint} `slhf-lab db schema` lists views and columns"
    )))
}

/// A join can have two columns of one name, which no JSON object has: the second `run` is `run_2`.
fn distinct(names: &[String]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let is_free = |key: &String| !keys.contains(key) && (key == name || !names.contains(key));
        keys.extend(std::iter::once(name.clone()).chain(numbered).find(is_free));
    }
    keys
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Empty,
        Value::Integer(value) => Cell::Integer(value),
        Value::Real(value) => Cell::Exact(value),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Text(format!("x'{}'", hex::encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_columns_have_one_key() {
        let check = |names: &[&str], expect: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(distinct(&names), expect, "{names:?}");
        };
        check(&["run", "value", "run", "value"], &["run", "value", "run_2", "value_2"]);
        check(&["a", "a", "a_2", "a"], &["a", "a_3", "a_2", "a_4"]);
        check(&["", ""], &["", "_2"]);
        check(&[], &[]);
    }

    #[test]
    fn columns_of_numbers_stand_right_and_bytes_are_hexadecimal() {
        let answer = QueryAnswer {
            columns: vec!["n".into(), "text".into(), "bytes".into(), "none".into()],
            rows: vec![
                vec![Value::Integer(1), Value::Text("a".into()), Value::Blob(vec![0, 255]), Value::Null],
                vec![Value::Real(0.5), Value::Integer(2), Value::Null, Value::Null],
            ],
        };
        let table = table(answer);
        let right: Vec<bool> = table.columns.iter().map(|column| column.alignment == Alignment::Right).collect();
        assert_eq!(right, [true, false, false, true]);
        assert_eq!(table.rows[0][2], Cell::text("x'00ff'"));
    }
}
