//! Parquet tables, row by row as JSON objects.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};

use super::lines::{Numbered, UNPACKED_BYTES_MAX};
use super::row::{ROWS_MAX, too_many};
use crate::DataError;
use crate::error::Source;

const MARK: &[u8] = b"PAR1";

/// Columns that a prompt is looked for in.
const PROMPT_KEYS: [&str; 2] = ["prompt", "messages"];

pub(crate) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK)
}

pub(crate) fn rows(source: Source<'_>, bytes: Vec<u8>) -> Result<Vec<Numbered>, DataError> {
    if !is_parquet(&bytes) || !bytes.ends_with(MARK) {
        return Err(source.whole("this is no whole Parquet file; expected PAR1 at its start and its end"));
    }
    // The library means to return errors for damaged files, but some damage makes it panic.
    without_a_panic(|| read(source, bytes))
        .unwrap_or_else(|| {
            Err(source.whole("the Parquet file is damaged, or has a column of a type that is not read; fetch it again, or leave that column out"))
        })
}

/// `None` where the body panics, of which nothing is printed. What panics on other threads is printed as ever.
fn without_a_panic<T>(body: impl FnOnce() -> T) -> Option<T> {
    thread_local!(static IS_QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                before(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    IS_QUIET.set(false);
    outcome.ok()
}

fn read(source: Source<'_>, bytes: Vec<u8>) -> Result<Vec<Numbered>, DataError> {
    let damaged = |error| source.whole(format!("the Parquet file cannot be read ({error}); fetch it again"));
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(damaged)?;
    let metadata = reader.metadata();
    if let Some(name) = repeated(metadata.file_metadata().schema()) {
        return Err(
            source.whole(format!("the table has two columns called \"{name}\"; expected each once: rename one"))
        );
    }
    let unpacked: u64 = metadata
        .row_groups()
        .iter()
        .map(|group| u64::try_from(group.total_byte_size()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    let limit_bytes = slhf_files::raised(UNPACKED_BYTES_MAX);
    if unpacked > limit_bytes {
        return Err(source.whole(slhf_files::Refusal::Unpacks { limit_bytes }.to_string()));
    }
    if usize::try_from(metadata.file_metadata().num_rows()).is_ok_and(|rows| rows > ROWS_MAX) {
        return Err(too_many(source));
    }
    let mut rows = Vec::new();
    for (index, row) in reader.get_row_iter(None).map_err(damaged)?.enumerate() {
        let row = row.map_err(|error| source.row(index + 1, format!("the row cannot be read ({error})")))?;
        if rows.len() == ROWS_MAX {
            return Err(too_many(source));
        }
        let nulls: Vec<&str> = PROMPT_KEYS.into_iter().filter(|key| is_null(&row, key)).collect();
        let mut object = object(row);
        // Where no other column has a prompt, the message says which should.
        if !PROMPT_KEYS.iter().any(|key| object.contains_key(*key)) {
            object.extend(nulls.into_iter().map(|key| (key.to_owned(), Value::Null)));
        }
        rows.push((index + 1, object));
    }
    Ok(rows)
}

/// The first name, dotted, that stands twice among the columns or among the fields of one.
fn repeated(schema: &Type) -> Option<String> {
    let Type::GroupType { fields, .. } = schema else { return None };
    let mut names = HashSet::new();
    fields.iter().find_map(|field| {
        if !names.insert(field.name()) {
            return Some(field.name().to_owned());
        }
        repeated(field).map(|inner| format!("{}.{inner}", field.name()))
    })
}

fn is_null(row: &Row, key: &str) -> bool {
    row.get_column_iter().any(|(name, field)| name == key && matches!(field, Field::Null))
}

/// Columns without a value are left out, as a JSON file would leave them out.
fn object(row: Row) -> Map<String, Value> {
    row.into_columns()
        .into_iter()
        .map(|(name, field)| (name, value(field)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

fn value(field: Field) -> Value {
    let real = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match field {
        Field::Bool(flag) => Value::Bool(flag),
        Field::Byte(number) => number.into(),
        Field::Short(number) => number.into(),
        Field::Int(number) | Field::Date(number) | Field::TimeMillis(number) => number.into(),
        Field::Long(number)
        | Field::TimeMicros(number)
        | Field::TimestampMillis(number)
        | Field::TimestampMicros(number) => number.into(),
        Field::UByte(number) => number.into(),
        Field::UShort(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::ULong(number) => number.into(),
        Field::Float16(number) => real(f64::from(number)),
        Field::Float(number) => real(f64::from(number)),
        Field::Double(number) => real(number),
        Field::Str(text) => Value::String(text),
        // Some writers forget to say that a column is text.
        Field::Bytes(bytes) => {
            std::str::from_utf8(bytes.data()).map_or(Value::Null, |text| Value::String(text.to_owned()))
        }
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => Value::Array(list.elements().iter().cloned().map(value).collect()),
        Field::MapInternal(map) => map
            .entries()
            .iter()
            .filter_map(|(key, entry)| match key {
                Field::Str(key) => Some((key.clone(), value(entry.clone()))),
                _ => None,
            })
            .collect(),
        decimal @ Field::Decimal(_) => Value::String(decimal.to_string()),
        Field::Null => Value::Null,
    }
}
