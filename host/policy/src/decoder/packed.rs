//! A linear layer over weights that stay as their file packs them. Adapters stay beside them: merging would unpack them.

use slhf_torch_shim::{
    Lower, PackedLinear as Product, PackedMatrices, PackedMatrix, PackedPart, Raise, TrainedLinear, packed_linear,
    trained_linear,
};
use tch::{TchError, Tensor, no_grad};

use super::operators;

/// Matrices side by side that take the same input, each as its file packs it.
#[derive(Debug)]
pub(crate) struct PackedLinear {
    parts: Vec<PackedMatrix>,
    adapter: Option<Adapter>,
}

/// A of all parts below each other, and B part by part.
#[derive(Debug)]
struct Adapter {
    lower: Lower,
    /// As many as parts; `None` where a part has no adapter.
    raises: Vec<Option<Raise>>,
}

/// A and B of one of the joined matrices.
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    /// Which part.
    pub(crate) part: usize,
    /// `[rank, inputs]`
    pub(crate) a: &'a Tensor,
    /// `[outputs of the part, rank]`
    pub(crate) b: &'a Tensor,
}

impl PackedLinear {
    pub(crate) fn new(parts: Vec<PackedMatrix>) -> Self {
        Self { parts, adapter: None }
    }

    /// Shares the weights, with adapters of its own.
    pub(crate) fn adapted(&self, adapters: &[Beside<'_>], scale: f64) -> Result<Self, TchError> {
        let parts = self.parts.iter().map(PackedMatrix::shallow_clone).collect();
        if adapters.is_empty() {
            return Ok(Self { parts, adapter: None });
        }
        let inputs: Vec<&Tensor> = adapters.iter().map(|adapter| adapter.a).collect();
        let a = Tensor::f_cat(&inputs, 0)?.f_detach()?;
        let no_product = || TchError::Convert("there is no product for these adapters".to_owned());
        let lower = Lower::new(&a).map_err(operators::torch)?.ok_or_else(no_product)?;
        let mut raises: Vec<Option<Raise>> = self.parts.iter().map(|_| None).collect();
        let mut rank = 0;
        for adapter in adapters {
            let b = adapter.b.f_detach()?.f_mul_scalar(scale)?;
            raises[adapter.part] = Some(Raise::new(&b, rank).map_err(operators::torch)?);
            rank += adapter.b.size()[1];
        }
        Ok(Self { parts, adapter: Some(Adapter { lower, raises }) })
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        let adapter = self.adapter.as_ref().map(|adapter| Adapter {
            lower: adapter.lower.shallow_clone(),
            raises: adapter.raises.iter().map(|raise| raise.as_ref().map(Raise::shallow_clone)).collect(),
        });
        Self { parts: self.parts.iter().map(PackedMatrix::shallow_clone).collect(), adapter }
    }

    /// Where the first matrix lies.
    pub(crate) fn address(&self) -> usize {
        self.parts.first().map_or(0, PackedMatrix::address)
    }

    /// Memory that one product reads, adapters included.
    pub(crate) fn bytes(&self) -> u64 {
        let adapter = self.adapter.as_ref().map_or(0, |adapter| {
            let raises: u64 = adapter.raises.iter().flatten().map(Raise::bytes).sum();
            adapter.lower.bytes() + raises
        });
        self.parts.iter().map(PackedMatrix::bytes).sum::<u64>() + adapter
    }

    /// `[rows, inputs]` → `[rows, outputs]`, plus `bias` of every output and `add` of that shape.
    pub(crate) fn apply(
        &self,
        input: &Tensor,
        bias: Option<&Tensor>,
        add: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        let parts = self.parts();
        packed_linear(&Product { input, parts: &parts, bias, add, lower: self.lower() }).map_err(operators::torch)
    }

    /// As a whole layer takes it; `parts` are its own.
    pub(super) fn matrices<'a>(&'a self, parts: &'a [PackedPart<'a>], bias: Option<&'a Tensor>) -> PackedMatrices<'a> {
        PackedMatrices { parts, bias, lower: self.lower() }
    }

    /// Each matrix with what is raised beside it.
    pub(super) fn parts(&self) -> Vec<PackedPart<'_>> {
        let raise = |part: usize| self.adapter.as_ref().and_then(|adapter| adapter.raises[part].as_ref());
        self.parts.iter().enumerate().map(|(part, weight)| PackedPart { weight, raise: raise(part) }).collect()
    }

    fn lower(&self) -> Option<&Lower> {
        self.adapter.as_ref().map(|adapter| &adapter.lower)
    }

    /// `input` · `weight`ᵀ of one matrix alone.
    pub(super) fn product(weight: &PackedMatrix, input: &Tensor) -> Result<Tensor, TchError> {
        let parts = [PackedPart { weight, raise: None }];
        packed_linear(&Product { input, parts: &parts, bias: None, add: None, lower: None }).map_err(operators::torch)
    }

    /// As [`Self::apply`], with other adapters (A and B of each part, unscaled) and with gradients to them, to the input and to `add`.
    pub(super) fn train(&self, training: &PackedTraining<'_>) -> Result<Tensor, TchError> {
        let PackedTraining { input, adapters, scale, dropout, bias, add } = *training;
        let joined = |adapters: &[Option<(&Tensor, &Tensor)>]| -> Result<Tensor, TchError> {
            let pairs = adapters.iter().enumerate();
            let beside: Vec<Beside<'_>> =
                pairs.filter_map(|(part, pair)| pair.map(|(a, b)| Beside { part, a, b })).collect();
            let laid_out = no_grad(|| self.adapted(&beside, scale))?;
            let (parts, lower) = (laid_out.parts(), laid_out.lower());
            let product = Product { input, parts: &parts, bias, add, lower };
            trained_linear(&TrainedLinear { product, adapters, scale }).map_err(operators::torch)
        };
        if dropout == 0.0 || adapters.iter().all(Option::is_none) {
            return joined(adapters);
        }
        // Every adapter sees an input of its own.
        let frozen = joined(&vec![None; adapters.len()])?;
        let mut beside = Vec::with_capacity(adapters.len());
        for (weight, adapter) in self.parts.iter().zip(adapters) {
            beside.push(match adapter {
                None => Tensor::f_zeros([input.size()[0], weight.outputs()], (input.kind(), input.device()))?,
                Some((a, b)) => {
                    let low = input.f_dropout(dropout, true)?.f_linear::<&Tensor>(a, None)?;
                    low.f_mul_scalar(scale)?.f_matmul(&b.f_tr()?)?
                }
            });
        }
        frozen.f_add(&Tensor::f_cat(&beside, 1)?)
    }
}

/// What [`PackedLinear::train`] reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedTraining<'a> {
    /// `[rows, inputs]`
    pub(super) input: &'a Tensor,
    /// As many as parts.
    pub(super) adapters: &'a [Option<(&'a Tensor, &'a Tensor)>],
    pub(super) scale: f64,
    pub(super) dropout: f64,
    pub(super) bias: Option<&'a Tensor>,
    /// `[rows, outputs]`
    pub(super) add: Option<&'a Tensor>,
}
