//! Writes safetensors: a header, then one tensor after the other, so that no second copy of a model is in memory.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};
use tch::{Device, Kind, TchError, Tensor};

/// What a tensor of a file will be, known before its values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorPlace {
    /// Its name.
    pub(crate) name: String,
    /// F32, BF16 or F16.
    pub(crate) kind: Kind,
    /// Rows first.
    pub(crate) shape: Vec<i64>,
}

impl TensorPlace {
    pub(crate) fn of(name: &str, tensor: &Tensor) -> Self {
        Self { name: name.to_owned(), kind: tensor.kind(), shape: tensor.size() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let numbers: u64 = self.shape.iter().map(|size| size.unsigned_abs()).product();
        numbers * self.kind.elt_size_in_bytes() as u64
    }

    fn data_type(&self) -> Result<&'static str, WriteError> {
        match self.kind {
            Kind::Float => Ok("F32"),
            Kind::BFloat16 => Ok("BF16"),
            Kind::Half => Ok("F16"),
            kind => Err(WriteError::Kind { name: self.name.clone(), kind }),
        }
    }
}

/// Why tensors were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot write")]
    Io(#[from] std::io::Error),
    #[error("cannot read the values of `{name}`")]
    Torch { name: String, source: TchError },
    #[error("`{name}` is of type {kind:?}, expected F32, BF16 or F16")]
    Kind { name: String, kind: Kind },
}

/// The header: eight bytes of its length, then JSON, padded with spaces to a multiple of eight bytes.
pub(crate) fn write_header(
    out: &mut impl Write,
    places: &[TensorPlace],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WriteError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut start = 0;
    for place in places {
        let end = start + place.bytes();
        let entry = json!({ "dtype": place.data_type()?, "shape": place.shape, "data_offsets": [start, end] });
        header.insert(place.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    Ok(())
}

/// The bytes of one tensor; to be called in the order of the header.
pub(crate) fn write_tensor(out: &mut impl Write, name: &str, tensor: &Tensor) -> Result<(), WriteError> {
    let torch = |source| WriteError::Torch { name: name.to_owned(), source };
    let tensor = tensor.f_detach().and_then(|one| one.f_to_device(Device::Cpu)).and_then(|one| one.f_contiguous());
    let tensor = tensor.map_err(torch)?;
    let numbers = tensor.numel();
    let mut bytes = vec![0; numbers * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, numbers).map_err(torch)?;
    out.write_all(&bytes)?;
    Ok(())
}

/// A whole file from tensors that are there already.
pub(crate) fn write_tensors(
    out: &mut impl Write,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WriteError> {
    let places: Vec<_> = tensors.iter().map(|(name, tensor)| TensorPlace::of(name, tensor)).collect();
    write_header(out, &places, metadata)?;
    tensors.iter().try_for_each(|(name, tensor)| write_tensor(out, name, tensor))
}
