//! A tensor of a model file, whichever kind of file it is.

use serde::Serialize;

/// A tensor of a model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Hugging Face's name where it has one, else the file's.
    pub name: String,
    /// As the file stores it: `BF16`, `Q4_K`, …
    pub data_type: String,
    /// Rows first.
    pub shape: Vec<i64>,
}

/// Numbers of a GGUF file, in its own order of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct UnpackedTensor {
    /// Row by row.
    pub values: Vec<f32>,
    /// Rows first.
    pub shape: Vec<i64>,
    /// Heads whose neighbouring rows are rotated, where Hugging Face rotates row i with row i + half.
    pub rotated_heads: Option<usize>,
    /// What Hugging Face's values are less than these.
    pub surplus: f64,
}

/// A matrix that is not unpacked.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedTensor {
    /// Row by row, in Hugging Face's order of rows.
    pub numbers: PackedNumbers,
    /// Outputs.
    pub rows: usize,
    /// Numbers of a row.
    pub inputs: usize,
}

/// What a [`PackedTensor`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum PackedNumbers {
    /// Codes with scales.
    Codes(Codes),
    /// f16, as their bits.
    Halves(Vec<u16>),
    /// bf16, likewise.
    Bfloats(Vec<u16>),
    /// f32, and what is stored in types without a code.
    Floats(Vec<f32>),
}

/// Every value is `scale · (code − offset)`, plus a minimum where there are minima, in f32 and in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Of a code: 4, 5, 6, or 8. Those of 8 bits are signed.
    pub bits: u32,
    /// Neighbours in a row that share a scale and a minimum.
    pub group: usize,
    /// What is taken from a code.
    pub offset: i32,
    /// One a value.
    pub codes: Vec<u8>,
    /// One a group.
    pub scales: Vec<f32>,
    /// One a group, or none at all.
    pub minima: Vec<f32>,
}
