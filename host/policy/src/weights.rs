//! From a model's files to tensors: weights in the precision that is wanted, under Hugging Face's names and in its order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use slhf_model::{
    Codes, Element, PackedNumbers, PackedTensor, RawTensor, SafetensorsFile, StoredModel, StoredTensor, UnpackedTensor,
    tensor_error,
};
use slhf_plan::ModelPrecision;
use slhf_torch_shim::{PackedMatrix, PackedSource};
use tch::{Kind, TchError, Tensor};

use crate::PolicyError;

/// Reads the weights of a model whose files are open.
pub trait ReadWeights {
    /// Reads all tensors that the configuration names, in the precision that is wanted, onto the CPU.
    fn weights(&mut self, precision: ModelPrecision) -> Result<Weights, PolicyError>;
}

impl ReadWeights for StoredModel {
    fn weights(&mut self, precision: ModelPrecision) -> Result<Weights, PolicyError> {
        let kind = match precision {
            ModelPrecision::F32 => Kind::Float,
            ModelPrecision::Bf16 => Kind::BFloat16,
        };
        let mut tensors = BTreeMap::new();
        for (name, _) in self.config().tensors() {
            let tensor = match self.read(&name)? {
                StoredTensor::Raw(raw) => of_raw(&name, &raw)?,
                StoredTensor::Unpacked(unpacked) => of_unpacked(&name, &unpacked)?,
            };
            let tensor = tensor.f_to_kind(kind).map_err(PolicyError::torch(format!("convert tensor {name}")))?;
            tensors.insert(name, tensor);
        }
        Ok(Weights { path: self.path().to_owned(), tensors })
    }
}

/// Reads a matrix as its file packs it; `None` where there is no product for it.
pub(crate) fn packed(stored: &mut StoredModel, name: &str) -> Result<Option<PackedMatrix>, PolicyError> {
    let Some(PackedTensor { numbers, rows, inputs }) = stored.read_packed(name)? else { return Ok(None) };
    let source = match &numbers {
        PackedNumbers::Halves(words) => PackedSource::Halves(words),
        PackedNumbers::Bfloats(words) => PackedSource::Bfloats(words),
        PackedNumbers::Floats(values) => PackedSource::Floats(values),
        PackedNumbers::Codes(Codes { bits, group, offset, codes, scales, minima }) => {
            PackedSource::Codes { bits: *bits, group: *group, offset: *offset, codes, scales, minima }
        }
    };
    let packed = PackedMatrix::pack(source, rows, inputs).map_err(|error| TchError::Torch(error.to_string()));
    packed.map_err(PolicyError::torch(format!("pack tensor {name}")))
}

/// Reads tensors of a safetensors file.
pub trait ReadTensor {
    /// Reads a tensor (F32, F16 or BF16) onto the CPU, in the type it is stored in.
    fn tensor(&mut self, name: &str) -> Result<Tensor, PolicyError>;
}

impl ReadTensor for SafetensorsFile {
    fn tensor(&mut self, name: &str) -> Result<Tensor, PolicyError> {
        of_raw(name, &self.read(name)?)
    }
}

fn of_raw(name: &str, raw: &RawTensor) -> Result<Tensor, PolicyError> {
    let kind = match raw.element {
        Element::F32 => Kind::Float,
        Element::F16 => Kind::Half,
        Element::Bf16 => Kind::BFloat16,
    };
    Tensor::f_from_data_size(&raw.bytes, &raw.shape, kind)
        .map_err(PolicyError::torch(format!("make tensor {name} of shape {:?}", raw.shape)))
}

fn of_unpacked(name: &str, unpacked: &UnpackedTensor) -> Result<Tensor, PolicyError> {
    let UnpackedTensor { values, shape, rotated_heads, surplus } = unpacked;
    let failed = || PolicyError::torch(format!("make tensor {name} of shape {shape:?}"));
    let tensor = Tensor::f_from_slice(values).and_then(|flat| flat.f_reshape(shape)).map_err(failed())?;
    if *surplus != 0.0 {
        return tensor.f_sub_scalar(*surplus).map_err(failed());
    }
    match rotated_heads {
        Some(heads) => in_halves(&tensor, *heads as i64).map_err(failed()),
        None => Ok(tensor),
    }
}

/// (pair, side) → (side, pair) in the rows of each head.
fn in_halves(tensor: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let shape = tensor.size();
    let rows = shape.first().copied().unwrap_or(0);
    tensor.f_reshape([heads, rows / heads / 2, 2, -1])?.f_transpose(1, 2)?.f_reshape(&shape)
}

/// Tensors on the CPU under Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`), all of them in one
/// precision and in the shapes that the configuration says.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Takes a tensor out. An error if the model has none of this name, or if it was taken before.
    pub fn take(&mut self, name: &str) -> Result<Tensor, PolicyError> {
        self.tensors
            .remove(name)
            .ok_or_else(|| tensor_error(&self.path, name, "is not among this model's weights").into())
    }

    /// A tensor that stays where it is.
    pub(crate) fn get(&self, name: &str) -> Result<Tensor, PolicyError> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.shallow_clone()),
            None => Err(tensor_error(&self.path, name, "is not among this model's weights").into()),
        }
    }

    /// In the place of the one of this name, if there is one.
    pub(crate) fn put(&mut self, name: String, tensor: Tensor) {
        self.tensors.insert(name, tensor);
    }

    /// Names of those that were not taken yet, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}
