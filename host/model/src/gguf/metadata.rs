//! The bytes before the weights of a GGUF file (versions 2 and 3, little-endian): metadata and tensor descriptions.
//!
//! Our own reader, because candle's and others allocate what a length in the file claims: a hostile or damaged file then
//! ends the process. Here a length is believed only if the file has so many bytes left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::quantisation::Quantisation;
use crate::ModelError;
use crate::safetensors::tensor_error;

/// A metadata value. Integers of all widths are one, arrays keep only the kinds that models use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Number(f64),
    Flag(bool),
    Text(String),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Value {
    /// What it is, in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Flag(_) => "a flag",
            Self::Text(_) => "a text",
            Self::Integers(_) => "a list of integers",
            Self::Numbers(_) => "a list of numbers",
            Self::Texts(_) => "a list of texts",
        }
    }
}

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) quantisation: Quantisation,
    /// Rows first: the file's order reversed.
    pub(crate) shape: Vec<i64>,
    /// First byte in the file.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, Value>,
    /// Sorted by name.
    pub(crate) tensors: Vec<Described>,
}

/// Reads from the front and knows how much is left.
struct Cursor<'a> {
    path: &'a Path,
    file: BufReader<File>,
    position: u64,
    total: u64,
    /// What is being read, for messages.
    reading: String,
}

/// A tensor as the file lists it, before types and places are checked.
struct Listed {
    name: String,
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

const DIMENSIONS_MAX: u32 = 4;
const ALIGNMENT_DEFAULT: u64 = 32;

pub(crate) fn read(path: &Path) -> Result<Header, ModelError> {
    let failed = |source| ModelError::Io { path: path.to_owned(), doing: "read this GGUF file", source };
    let file = slhf_files::open(path, slhf_files::WEIGHTS_BYTES_MAX).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut cursor = Cursor {
        path,
        file: BufReader::with_capacity(1 << 20, file),
        position: 0,
        total,
        reading: "the magic number".to_owned(),
    };
    let magic = cursor.bytes(4)?;
    if magic != b"GGUF" {
        return Err(cursor.wrong(format!(
            "a GGUF file starts with \"GGUF\", but this one with {:?}",
            String::from_utf8_lossy(&magic)
        )));
    }
    let version = cursor.u32()?;
    if ![2, 3].contains(&version) {
        return Err(cursor.wrong(format!("the GGUF version is {version}; known are 2 and 3, little-endian")));
    }
    "the number of tensors".clone_into(&mut cursor.reading);
    // The shortest entries: a name's length, a type and a byte; a name's length, one dimension, type and offset.
    let tensors = cursor.count(24)?;
    "the number of metadata entries".clone_into(&mut cursor.reading);
    let entries = cursor.count(13)?;
    let mut metadata = BTreeMap::new();
    for number in 0..entries {
        cursor.reading = format!("metadata entry {number}");
        let key = cursor.text()?;
        cursor.reading = format!("metadata `{key}`");
        let kind = cursor.u32()?;
        let value = cursor.value(kind)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(cursor.wrong(format!("metadata `{key}` is there twice")));
        }
    }
    let mut listed = Vec::new();
    for number in 0..tensors {
        listed.push(cursor.tensor(number)?);
    }
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT_DEFAULT,
        Some(Value::Integer(alignment)) if (1..=1 << 20).contains(alignment) => *alignment as u64,
        Some(other) => {
            return Err(cursor.wrong(format!("metadata `general.alignment` is {other:?}; expected 1 to 1048576")));
        }
    };
    let data = cursor.position.next_multiple_of(alignment);
    let mut tensors =
        listed.into_iter().map(|listed| place(path, listed, data, total)).collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by(|left, right| left.name.cmp(&right.name));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(tensor_error(path, &pair[0].name, "is in the file twice"));
    }
    Ok(Header { metadata, tensors })
}

/// Checks type, shape and place of a tensor against the file.
fn place(path: &Path, listed: Listed, data: u64, total: u64) -> Result<Described, ModelError> {
    let Listed { name, shape, kind, offset } = listed;
    let quantisation = Quantisation::of(kind).ok_or_else(|| {
        let problem = format!("is stored as GGML type {kind}; known are {}", Quantisation::KNOWN);
        tensor_error(path, &name, problem)
    })?;
    let block = quantisation.block();
    let elements =
        shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size)).filter(|count| *count < 1 << 60);
    let row = shape.first().copied().unwrap_or(1);
    let (Some(elements), true) = (elements, row.is_multiple_of(block.elements as u64)) else {
        let problem =
            format!("has shape {shape:?}, which is too large or not in whole blocks of {} elements", block.elements);
        return Err(tensor_error(path, &name, problem));
    };
    let bytes = elements / block.elements as u64 * block.bytes as u64;
    let start = data.checked_add(offset);
    let end = start.and_then(|start| start.checked_add(bytes));
    let (Some(start), true) = (start, end.is_some_and(|end| end <= total)) else {
        let problem =
            format!("needs {bytes} bytes at {offset} of the weights, but the file ends before; fetch it again");
        return Err(tensor_error(path, &name, problem));
    };
    let shape = shape.iter().rev().map(|size| *size as i64).collect();
    Ok(Described { name, quantisation, shape, start, bytes })
}

impl Cursor<'_> {
    fn wrong(&self, problem: String) -> ModelError {
        ModelError::File { path: PathBuf::from(self.path), problem }
    }

    /// So many bytes are there.
    fn expect(&self, length: u64) -> Result<(), ModelError> {
        if length <= self.total - self.position {
            return Ok(());
        }
        Err(self.wrong(format!(
            "{} needs {length} bytes at byte {}, but the file has only {}; it is cut short or damaged: fetch it again",
            self.reading, self.position, self.total
        )))
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, ModelError> {
        self.expect(length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.expect(bytes.len() as u64)?;
        self.file.read_exact(bytes).map_err(|source| ModelError::Io {
            path: PathBuf::from(self.path),
            doing: "read this GGUF file",
            source,
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ModelError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things of at least `least` bytes each.
    fn count(&mut self, least: u64) -> Result<u64, ModelError> {
        let count = self.u64()?;
        self.expect(count.saturating_mul(least))?;
        Ok(count)
    }

    fn text(&mut self) -> Result<String, ModelError> {
        let length = self.count(1)?;
        let bytes = self.bytes(length)?;
        String::from_utf8(bytes).map_err(|_| self.wrong(format!("{} is not UTF-8", self.reading)))
    }

    fn flag(&mut self) -> Result<bool, ModelError> {
        Ok(self.array::<1>()? != [0])
    }

    /// An integer or a number of the format's scalar types.
    fn scalar(&mut self, kind: u32) -> Result<Value, ModelError> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(u32::from_le_bytes(self.array()?).into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Number(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.flag()?),
            8 => Value::Text(self.text()?),
            10 => Value::Integer(u64::from_le_bytes(self.array()?).into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Number(f64::from_le_bytes(self.array()?)),
            other => return Err(self.wrong(format!("{} has the unknown type {other}", self.reading))),
        })
    }

    fn value(&mut self, kind: u32) -> Result<Value, ModelError> {
        if kind != 9 {
            return self.scalar(kind);
        }
        let kind = self.u32()?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            other => return Err(self.wrong(format!("{} is a list of the unknown type {other}", self.reading))),
        };
        let count = self.count(least)?;
        match kind {
            8 => (0..count).map(|_| self.text()).collect::<Result<_, _>>().map(Value::Texts),
            6 | 12 => {
                let number = |value| if let Value::Number(number) = value { number } else { f64::NAN };
                (0..count).map(|_| self.scalar(kind).map(number)).collect::<Result<_, _>>().map(Value::Numbers)
            }
            _ => {
                let integer = |value| match value {
                    Value::Integer(integer) => i64::try_from(integer).unwrap_or(i64::MAX),
                    Value::Flag(flag) => i64::from(flag),
                    _ => 0,
                };
                (0..count).map(|_| self.scalar(kind).map(integer)).collect::<Result<_, _>>().map(Value::Integers)
            }
        }
    }

    fn tensor(&mut self, number: u64) -> Result<Listed, ModelError> {
        self.reading = format!("tensor {number}");
        let name = self.text()?;
        self.reading = format!("tensor `{name}`");
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return Err(tensor_error(
                self.path,
                &name,
                format!("has {dimensions} dimensions; expected at most {DIMENSIONS_MAX}"),
            ));
        }
        let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<_, _>>()?;
        Ok(Listed { name, shape, kind: self.u32()?, offset: self.u64()? })
    }
}
