//! One linear layer: its weight in one of three forms, and its bias.

use tch::{TchError, Tensor};

use super::operators;
use super::packed::PackedLinear;

/// A linear layer, perhaps of several projections side by side, perhaps with low-rank adapters that are not merged.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    /// `[outputs]`
    pub(super) bias: Option<Tensor>,
}

/// The weight of a [`Linear`].
#[derive(Debug)]
pub(super) enum Weight {
    /// `[outputs, inputs]`
    Plain(Tensor),
    /// Likewise, with A `[ranks, inputs]` and B `[outputs, ranks]`, scaled, beside it.
    Beside(Tensor, Tensor, Tensor),
    /// As the model's file packs it, with adapters of its own.
    Packed(PackedLinear),
}

impl Weight {
    pub(super) fn shallow_clone(&self) -> Self {
        match self {
            Self::Plain(weight) => Self::Plain(weight.shallow_clone()),
            Self::Beside(weight, a, b) => Self::Beside(weight.shallow_clone(), a.shallow_clone(), b.shallow_clone()),
            Self::Packed(packed) => Self::Packed(packed.shallow_clone()),
        }
    }

    /// Where the numbers lie.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::Plain(weight) | Self::Beside(weight, ..) => weight.data_ptr() as usize,
            Self::Packed(packed) => packed.address(),
        }
    }

    /// Memory that a product reads.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Plain(weight) => operators::bytes(weight),
            Self::Beside(weight, a, b) => operators::bytes(weight) + operators::bytes(a) + operators::bytes(b),
            Self::Packed(packed) => packed.bytes(),
        }
    }
}

impl Linear {
    pub(super) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight: Weight::Plain(weight), bias }
    }

    pub(super) fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.as_ref().map(Tensor::shallow_clone) }
    }

    /// The same bias over another weight.
    pub(super) fn with(&self, weight: Weight) -> Self {
        Self { weight, bias: self.bias.as_ref().map(Tensor::shallow_clone) }
    }

    /// Its weight where that is packed.
    pub(super) fn packed(&self) -> Option<&PackedLinear> {
        match &self.weight {
            Weight::Packed(packed) => Some(packed),
            Weight::Plain(_) | Weight::Beside(..) => None,
        }
    }

    /// `[rows, inputs]` → `[rows, outputs]`, plus `add` of that shape.
    pub(super) fn apply(&self, input: &Tensor, add: Option<&Tensor>) -> Result<Tensor, TchError> {
        let bias = self.bias.as_ref();
        match &self.weight {
            Weight::Plain(weight) => operators::linear(input, weight, bias, add),
            Weight::Beside(weight, a, b) => {
                operators::linear(input, weight, bias, add)?.f_addmm_(&input.f_linear::<&Tensor>(a, None)?, &b.f_tr()?)
            }
            Weight::Packed(packed) => packed.apply(input, bias, add),
        }
    }
}
