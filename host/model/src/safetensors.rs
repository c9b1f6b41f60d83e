//! A reader of safetensors files that believes nothing: every length is checked against the file before memory is taken,
//! and tensors are read one at a time, so that a file may be larger than memory is free.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::ModelError;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The format's own limit.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// An open safetensors file.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

/// Where a tensor lies.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// `F32`, `BF16`, … as the file says.
    pub data_type: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// First byte in the file.
    start: u64,
    /// Bytes.
    length: u64,
}

/// As the header gives it.
#[derive(serde::Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// A JSON object in its own order, duplicates included: a map would silently drop one of two tensors of the same name.
struct Header(Vec<(String, Described)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl SafetensorsFile {
    /// Reads and checks the header.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Io { path: path.to_owned(), doing: "read this safetensors file", source };
        let wrong = |problem: String| ModelError::File { path: path.to_owned(), problem };
        let mut file = slhf_files::open(path, slhf_files::WEIGHTS_BYTES_MAX).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let mut length = [0; 8];
        if total < 8 {
            return Err(wrong(format!(
                "a safetensors file starts with 8 bytes of length, but this one has only {total} bytes"
            )));
        }
        file.read_exact(&mut length).map_err(failed)?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_BYTES_MAX || length > total - 8 {
            return Err(wrong(format!(
                "the header claims {length} bytes, but the file has {total}; it is cut short or no safetensors file: fetch it again"
            )));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let Header(described) = serde_json::from_slice(&header).map_err(|source| ModelError::Json {
            path: path.to_owned(),
            what: "a safetensors header",
            source,
        })?;
        let mut entries = Vec::with_capacity(described.len());
        for (name, described) in described {
            entries.push(checked(path, name, &described, 8 + length, total)?);
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(tensor_error(path, &pair[0].name, "is in the header twice"));
        }
        Ok(Self { path: path.to_owned(), file, entries })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
        self.entries.get(index)
    }

    /// Reads a tensor (F32, F16 or BF16) as it is stored.
    pub fn read(&mut self, name: &str) -> Result<RawTensor, ModelError> {
        let missing = || tensor_error(&self.path, name, "is missing");
        let entry = self.find(name).ok_or_else(missing)?.clone();
        let element = entry.element().ok_or_else(|| {
            let problem = format!("is stored as {}; expected F32, F16 or BF16", entry.data_type);
            tensor_error(&self.path, name, problem)
        })?;
        let failed = |source| ModelError::Io { path: self.path.clone(), doing: "read a tensor of this file", source };
        self.file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
        let mut bytes = vec![0; entry.length as usize];
        self.file.read_exact(&mut bytes).map_err(failed)?;
        if let Some(index) = first_not_finite(&bytes, element) {
            return Err(not_finite(&self.path, name, index));
        }
        Ok(RawTensor { element, shape: entry.shape, bytes })
    }
}

/// The first element whose exponent is all ones: NaN or an infinity.
fn first_not_finite(bytes: &[u8], element: Element) -> Option<usize> {
    let halves = |exponent: u16| {
        let is_one = move |half: &[u8; 2]| u16::from_le_bytes(*half) & exponent == exponent;
        bytes.as_chunks().0.iter().position(is_one)
    };
    match element {
        Element::F32 => bytes.as_chunks().0.iter().position(|four: &[u8; 4]| !f32::from_le_bytes(*four).is_finite()),
        Element::F16 => halves(0x7c00),
        Element::Bf16 => halves(0x7f80),
    }
}

/// Weights that would make every answer NaN.
pub(crate) fn not_finite(path: &Path, name: &str, index: usize) -> ModelError {
    let problem = format!(
        "holds a value that is not finite (element {index}, counted from 0): the file is damaged, or its training diverged; \
         fetch it again or take another one"
    );
    tensor_error(path, name, problem)
}

/// The types of elements that weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `F32`
    F32,
    /// `F16`
    F16,
    /// `BF16`
    Bf16,
}

impl Element {
    fn bytes(self) -> u64 {
        if self == Self::F32 { 4 } else { 2 }
    }
}

/// A tensor as a file stores it, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTensor {
    /// The type of its elements.
    pub element: Element,
    /// Rows first.
    pub shape: Vec<i64>,
    /// As many as the shape needs.
    pub bytes: Vec<u8>,
}

impl RawTensor {
    /// Whether both hold the same numbers, whatever their types.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        if self.shape != other.shape {
            return false;
        }
        if self.element == other.element {
            return self.bytes == other.bytes;
        }
        self.numbers().eq(other.numbers())
    }

    fn numbers(&self) -> impl Iterator<Item = f32> {
        let (element, width) = (self.element, self.element.bytes() as usize);
        self.bytes.chunks_exact(width).map(move |bytes| match (element, bytes) {
            (Element::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Element::F16, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
            (_, &[a, b]) => half::bf16::from_le_bytes([a, b]).to_f32(),
            _ => f32::NAN,
        })
    }
}

impl Entry {
    /// The type of the elements, where it is one that weights have.
    pub(crate) fn element(&self) -> Option<Element> {
        match self.data_type.as_str() {
            "F32" => Some(Element::F32),
            "F16" => Some(Element::F16),
            "BF16" => Some(Element::Bf16),
            _ => None,
        }
    }
}

/// A tensor of a file is wrong.
pub fn tensor_error(path: &Path, tensor: &str, problem: impl Into<String>) -> ModelError {
    ModelError::Tensor { path: path.to_owned(), tensor: tensor.to_owned(), problem: problem.into() }
}

/// Offsets within the file, and as many bytes as the shape needs.
fn checked(path: &Path, name: String, described: &Described, data: u64, total: u64) -> Result<Entry, ModelError> {
    let (start, end) = described.data_offsets;
    if start > end || end > total - data {
        let problem =
            format!("claims bytes {start} to {end} of {}; the file is cut short: fetch it again", total - data);
        return Err(tensor_error(path, &name, problem));
    }
    let elements = described.shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let entry = Entry {
        name,
        data_type: described.dtype.clone(),
        shape: described.shape.iter().map(|size| *size as i64).collect(),
        start: data + start,
        length: end - start,
    };
    let fits = |elements: u64| match entry.element() {
        Some(element) => elements.checked_mul(element.bytes()) == Some(entry.length),
        // Other types are never read: only that the shape is a shape matters.
        None => true,
    };
    if entry.shape.iter().any(|size| *size < 0) || !elements.is_some_and(fits) {
        let problem = format!("has {} bytes, which is not {} × {:?}", entry.length, entry.data_type, described.shape);
        return Err(tensor_error(path, &entry.name, problem));
    }
    Ok(entry)
}
