//! The output matrix: from hidden states to logits and back.

use slhf_torch_shim::{PackedMatrix, transposed_linear};
use tch::{Kind, TchError, Tensor};

use super::operators;
use super::packed::PackedLinear;

/// `[vocabulary, hidden]`; the embedding itself where they are tied; of a reward model `[labels, hidden]`.
#[derive(Debug)]
pub(crate) struct OutputMatrix {
    pub(crate) numbers: Tensor,
    /// The same as its file packs it: products take this one where it is there.
    packed: Option<PackedMatrix>,
}

impl OutputMatrix {
    pub(crate) fn new(numbers: Tensor) -> Self {
        Self { numbers, packed: None }
    }

    /// With what the file packs of the same numbers.
    pub(crate) fn packed(self, packed: Option<PackedMatrix>) -> Self {
        Self { packed, ..self }
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Self { numbers: self.numbers.shallow_clone(), packed: self.packed.as_ref().map(PackedMatrix::shallow_clone) }
    }

    /// Whether products are with packed numbers.
    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Memory that a product reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.packed.as_ref().map_or_else(|| operators::bytes(&self.numbers), PackedMatrix::bytes)
    }

    /// Whether what the shim makes of logits can be had of these: f32 on a CPU with its operators.
    pub(crate) fn is_scored(&self, hidden: &Tensor) -> bool {
        operators::are_ours(&self.numbers) && operators::are_ours(hidden)
    }

    /// `[n, hidden]` → `[n, vocabulary]`, without a gradient.
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        match &self.packed {
            Some(packed) => PackedLinear::product(packed, hidden),
            None => operators::linear(hidden, &self.numbers, None, None),
        }
    }

    /// `[n, vocabulary]` · the matrix → `[n, hidden]` in f32, without a gradient.
    pub(crate) fn back(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        match &self.packed {
            Some(packed) => transposed_linear(&rows.f_contiguous()?, packed).map_err(operators::torch),
            None => rows.f_to_kind(self.numbers.kind())?.f_matmul(&self.numbers)?.f_to_kind(Kind::Float),
        }
    }
}
