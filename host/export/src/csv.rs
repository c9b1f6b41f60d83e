//! CSV (RFC 4180), one file a table. Nothing is an empty field, an empty text `""`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crate::table::{Table, Value, number};

#[derive(Debug)]
pub(crate) struct CsvFile {
    out: BufWriter<File>,
}

impl CsvFile {
    pub(crate) fn create(path: &Path, table: &Table) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 18, File::create_new(path)?);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        writeln!(out, "{}", names.join(","))?;
        Ok(Self { out })
    }

    pub(crate) fn row(&mut self, row: &[Value]) -> io::Result<()> {
        for (place, value) in row.iter().enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            match value {
                Value::Null => {}
                Value::Integer(value) => write!(self.out, "{value}")?,
                Value::Number(value) => self.out.write_all(number(*value).as_bytes())?,
                Value::Boolean(value) => write!(self.out, "{value}")?,
                Value::Text(text) => quoted(&mut self.out, text)?,
                Value::Messages(messages) => {
                    quoted(&mut self.out, crate::json_lines::messages(messages).to_string().as_bytes())?;
                }
            }
        }
        self.out.write_all(b"\n")
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// In quotation marks where it needs them.
fn quoted(out: &mut BufWriter<File>, text: &[u8]) -> io::Result<()> {
    if !text.is_empty() && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return out.write_all(text);
    }
    out.write_all(b"\"")?;
    for (place, part) in text.split(|byte| *byte == b'"').enumerate() {
        if place > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part)?;
    }
    out.write_all(b"\"")
}
