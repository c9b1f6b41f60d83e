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
