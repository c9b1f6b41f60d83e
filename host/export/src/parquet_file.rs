//! Parquet: row groups of a million rows, zstd, dictionaries for texts that repeat.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::ExportError;
use crate::table::{Kind, Message, Table, Value};

/// Rows that are kept before they are written as one row group.
const ROWS_IN_GROUP: usize = 1 << 20;

/// Bytes of text in them, likewise.
const TEXT_IN_GROUP: usize = 256 << 20;

/// A column of the row group that is being filled.
#[derive(Debug)]
enum Buffer {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<ByteArray>),
    Messages(Vec<Vec<Message>>),
}

#[derive(Debug)]
struct Filling {
    values: Buffer,
    /// 1: a value; 0: nothing.
    present: Vec<i16>,
}

/// A file that is being written.
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    columns: Vec<Filling>,
    rows: usize,
    text: usize,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ParquetFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetFile {
    pub(crate) fn create(path: &Path, table: &Table) -> Result<Self, ExportError> {
        let file = File::create_new(path).map_err(ExportError::write(path))?;
        let made = schema(table).and_then(|schema| {
            let level = ZstdLevel::try_new(1)?;
            let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            SerializedFileWriter::new(file, schema, Arc::new(properties))
        });
        let columns = table.columns.iter().map(|column| Filling::new(column.kind)).collect();
        Ok(Self { path: path.to_owned(), writer: made.map_err(ExportError::parquet(path))?, columns, rows: 0, text: 0 })
    }

    pub(crate) fn row(&mut self, row: &[Value]) -> Result<(), ExportError> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.text += column.push(value);
        }
        self.rows += 1;
        if self.rows >= ROWS_IN_GROUP || self.text >= TEXT_IN_GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        if self.rows > 0 {
            let written = write_group(&mut self.writer, &mut self.columns);
            written.map_err(ExportError::parquet(&self.path))?;
            (self.rows, self.text) = (0, 0);
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), ExportError> {
        self.flush()?;
        let file = self.writer.into_inner().map_err(ExportError::parquet(&self.path))?;
        file.sync_all().map_err(ExportError::write(&self.path))
    }
}

impl Filling {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Integer => Buffer::Integers(Vec::new()),
            Kind::Number => Buffer::Numbers(Vec::new()),
            Kind::Boolean => Buffer::Booleans(Vec::new()),
            Kind::Text => Buffer::Texts(Vec::new()),
            Kind::Messages => Buffer::Messages(Vec::new()),
        };
        Self { values, present: Vec::new() }
    }

    /// Adds a value of this column's kind, or nothing. Returns its bytes of text.
    fn push(&mut self, value: &Value) -> usize {
        self.present.push(i16::from(*value != Value::Null));
        match (&mut self.values, value) {
            (Buffer::Integers(all), Value::Integer(value)) => all.push(*value),
            (Buffer::Numbers(all), Value::Number(value)) => all.push(*value),
            (Buffer::Booleans(all), Value::Boolean(value)) => all.push(*value),
            (Buffer::Texts(all), Value::Text(text)) => {
                all.push(ByteArray::from(text.clone()));
                return text.len();
            }
            (Buffer::Messages(all), Value::Messages(messages)) => {
                all.push(messages.clone());
                return messages.iter().map(|one| one.role.len() + one.content.len()).sum();
            }
            _ => {}
        }
        0
    }

    fn clear(&mut self) {
        self.present.clear();
        match &mut self.values {
            Buffer::Integers(all) => all.clear(),
            Buffer::Numbers(all) => all.clear(),
            Buffer::Booleans(all) => all.clear(),
            Buffer::Texts(all) => all.clear(),
            Buffer::Messages(all) => all.clear(),
        }
    }
}

fn schema(table: &Table) -> Result<TypePtr, ParquetError> {
    let mut fields = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let optional =
            |physical| Type::primitive_type_builder(column.name, physical).with_repetition(Repetition::OPTIONAL);
        fields.push(Arc::new(match column.kind {
            Kind::Integer => optional(Physical::INT64).build()?,
            Kind::Number => optional(Physical::DOUBLE).build()?,
            Kind::Boolean => optional(Physical::BOOLEAN).build()?,
            Kind::Text => optional(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)).build()?,
            Kind::Messages => conversation(column.name)?,
        }));
    }
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

/// A list of (role, content), as Hugging Face's tools have a conversation.
fn conversation(name: &str) -> Result<Type, ParquetError> {
    let text = |name| {
        let text = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(Repetition::REQUIRED);
        text.with_logical_type(Some(LogicalType::String)).build().map(Arc::new)
    };
    let element = Type::group_type_builder("element").with_repetition(Repetition::REQUIRED);
    let element = element.with_fields(vec![text("role")?, text("content")?]).build()?;
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![Arc::new(element)]).build()?;
    let whole = Type::group_type_builder(name).with_repetition(Repetition::REQUIRED);
    whole.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(list)]).build()
}

fn write_group(writer: &mut SerializedFileWriter<File>, columns: &mut [Filling]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in &mut *columns {
        if let Buffer::Messages(all) = &column.values {
            write_messages(&mut group, all, |message| &message.role)?;
            write_messages(&mut group, all, |message| &message.content)?;
        } else {
            write_column(&mut group, column)?;
        }
        column.clear();
    }
    group.close()?;
    Ok(())
}

fn missing() -> ParquetError {
    ParquetError::General("the file has fewer columns than the table, or others".to_owned())
}

fn write_column(group: &mut SerializedRowGroupWriter<'_, File>, column: &Filling) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(missing)?;
    let present = Some(column.present.as_slice());
    match (writer.untyped(), &column.values) {
        (ColumnWriter::Int64ColumnWriter(typed), Buffer::Integers(all)) => typed.write_batch(all, present, None)?,
        (ColumnWriter::DoubleColumnWriter(typed), Buffer::Numbers(all)) => typed.write_batch(all, present, None)?,
        (ColumnWriter::BoolColumnWriter(typed), Buffer::Booleans(all)) => typed.write_batch(all, present, None)?,
        (ColumnWriter::ByteArrayColumnWriter(typed), Buffer::Texts(all)) => typed.write_batch(all, present, None)?,
        _ => return Err(missing()),
    };
    writer.close()
}

fn write_messages(
    group: &mut SerializedRowGroupWriter<'_, File>,
    all: &[Vec<Message>],
    part: impl Fn(&Message) -> &Bytes,
) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(missing)?;
    let (mut values, mut present, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
    for conversation in all {
        if conversation.is_empty() {
            present.push(0);
            repeats.push(0);
        }
        for (place, message) in conversation.iter().enumerate() {
            values.push(ByteArray::from(part(message).clone()));
            present.push(1);
            repeats.push(i16::from(place > 0));
        }
    }
    let ColumnWriter::ByteArrayColumnWriter(typed) = writer.untyped() else { return Err(missing()) };
    typed.write_batch(&values, Some(&present), Some(&repeats))?;
    writer.close()
}
