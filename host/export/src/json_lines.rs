//! JSON lines: one object a row. What is not finite is `"NaN"`, `"Infinity"`, `"-Infinity"`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value as Json, json};
use slhf_report::escape;

use crate::table::{Message, Table, Value, number};

#[derive(Debug)]
pub(crate) struct JsonLinesFile {
    out: BufWriter<File>,
    /// `"name":`, after a comma but for the first.
    keys: Vec<String>,
}

impl JsonLinesFile {
    pub(crate) fn create(path: &Path, table: &Table) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
        let key = |(place, column): (usize, &crate::table::Column)| {
            format!("{}{}:", if place == 0 { "{" } else { "," }, Json::from(column.name))
        };
        Ok(Self { out, keys: table.columns.iter().enumerate().map(key).collect() })
    }

    pub(crate) fn row(&mut self, row: &[Value]) -> io::Result<()> {
        for (key, value) in self.keys.iter().zip(row) {
            self.out.write_all(key.as_bytes())?;
            match value {
                Value::Null => self.out.write_all(b"null")?,
                Value::Integer(value) => write!(self.out, "{value}")?,
                Value::Number(value) if value.is_finite() => self.out.write_all(number(*value).as_bytes())?,
                Value::Number(value) => write!(self.out, "\"{}\"", number(*value))?,
                Value::Boolean(value) => write!(self.out, "{value}")?,
                Value::Text(text) => {
                    let json = Json::from(String::from_utf8_lossy(text)).to_string();
                    self.out.write_all(escape::json(&json).as_bytes())?;
                }
                Value::Messages(all) => self.out.write_all(escape::json(&messages(all).to_string()).as_bytes())?,
            }
        }
        self.out.write_all(b"}\n")
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// `[{"role": …, "content": …}, …]`
pub(crate) fn messages(all: &[Message]) -> Json {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    all.iter().map(|one| json!({"role": text(&one.role), "content": text(&one.content)})).collect()
}
