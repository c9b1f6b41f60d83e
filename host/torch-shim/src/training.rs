//! A decoder's layer in training, on a CPU in f32: operators of our own through which gradients go. Each keeps what its gradient needs and no
//! more.

use tch::Tensor;
use torch_sys::C_tensor;

use crate::ShimError;
use crate::foreign::{
    SlhfSplit, SlhfTrainedAdapter, SlhfTrainedLinear, checked, slhf_split_heads, slhf_trained_gate,
    slhf_trained_linear, slhf_trained_norm,
};
use crate::one_token::{Operands, made, pointer};
use crate::packed::{PackedLinear, Raise, with_foreign};

/// What [`trained_linear`] reads.
#[derive(Clone, Copy, Debug)]
pub struct TrainedLinear<'a> {
    /// The product, its `lower` and raises made of `adapters`.
    pub product: PackedLinear<'a>,
    /// A `[rank, inputs]` and B `[outputs, rank]` of each part of it.
    pub adapters: &'a [Option<(&'a Tensor, &'a Tensor)>],
    /// What B A is multiplied by; the raises have it in them.
    pub scale: f64,
}

/// As [`crate::packed_linear`], with gradients to the input, to `add`, and to A and B.
///
/// # Errors
/// Shapes do not go together, or the processor has no such product.
pub fn trained_linear(trained: &TrainedLinear<'_>) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply with packed weights in training";
    let TrainedLinear { product, adapters, scale } = trained;
    let length = |list, found, expected| Err(ShimError::Length { doing: DOING, list, found, expected });
    if adapters.len() != product.parts.len() {
        return length("adapters", adapters.len(), product.parts.len());
    }
    let mut list = Vec::new();
    for (part, adapter) in product.parts.iter().zip(*adapters) {
        let Some((a, b)) = adapter else { continue };
        let ranks = part.raise.map_or(0, Raise::ranks);
        let fits = a.size() == [ranks, part.weight.inputs] && b.size() == [part.weight.outputs, ranks];
        if !fits {
            let found = format!("of shapes {:?} and {:?}", a.size(), b.size());
            let expected = format!("an adapter of {ranks} ranks over {:?}", [part.weight.outputs, part.weight.inputs]);
            return Err(ShimError::Tensor { doing: DOING, list: "adapters", index: list.len() / 2, found, expected });
        }
        list.extend([*a, *b]);
    }
    let foreign: Vec<SlhfTrainedAdapter> = adapters.iter().copied().map(foreign).collect();
    with_foreign(DOING, product, &list, |product| {
        let trained = SlhfTrainedLinear { product, adapters: foreign.as_ptr(), scale: *scale };
        made(DOING, |output, message, capacity| {
            // SAFETY: `with_foreign` has checked what `product` points to and that adapters are contiguous f32 on the CPU; there is one a part,
            // of the part's shape, and all live for the whole call. What the gradient needs is held by libtorch's own counted references.
            // `output` and `message` are written within their bounds.
            unsafe { slhf_trained_linear(&raw const trained, output, message, capacity) }
        })
    })
}

fn foreign(adapter: Option<(&Tensor, &Tensor)>) -> SlhfTrainedAdapter {
    let (a, b) = adapter.map_or((None, None), |(a, b)| (Some(a), Some(b)));
    SlhfTrainedAdapter { a: pointer(a), b: pointer(b) }
}

/// What [`split_heads`] reads.
#[derive(Clone, Copy, Debug)]
pub struct SplitHeads<'a> {
    /// Queries, keys and values, `[rows, (heads + 2 · pairs) · size]`.
    pub joined: &'a Tensor,
    /// `[places, size]`: row r takes place r modulo `places`.
    pub cosines: &'a Tensor,
    /// Likewise; those of the first half negated.
    pub sines: &'a Tensor,
    /// Of queries.
    pub heads: i64,
    /// Of keys and values; each serves `heads / pairs` queries.
    pub pairs: i64,
    /// Of a head, even.
    pub size: i64,
}

/// Queries `[rows, heads, size]` and keys `[rows, pairs, size]` turned by their positions, and values as keys are. Gradients go to `joined`.
///
/// # Errors
/// Shapes do not go together, or the processor has no such operator.
pub fn split_heads(split: &SplitHeads<'_>) -> Result<[Tensor; 3], ShimError> {
    const DOING: &str = "split into heads";
    let SplitHeads { joined, cosines, sines, heads, pairs, size } = *split;
    let list = [joined, cosines, sines];
    let operands = Operands::new(DOING, &list)?;
    let is_whole = pairs > 0 && heads > 0 && heads % pairs == 0 && size > 0 && size % 2 == 0;
    let is_whole = is_whole && [heads, pairs, size].iter().all(|&count| count < 1 << 20);
    if !is_whole {
        let found = format!("for {heads} heads of size {size} on {pairs}");
        return Err(operands.refused(0, found, "whole heads of an even size, as many for each key".to_owned()));
    }
    operands.shape(0, &[-1, (heads + 2 * pairs) * size])?;
    operands.shape(1, &[-1, size])?;
    operands.shape(2, &cosines.size())?;
    if cosines.size()[0] == 0 {
        return Err(operands.refused(1, "without places".to_owned(), "a place a row".to_owned()));
    }
    let foreign =
        SlhfSplit { joined: joined.as_ptr(), cosines: cosines.as_ptr(), sines: sines.as_ptr(), heads, pairs, size };
    let mut found: [*mut C_tensor; 3] = [std::ptr::null_mut(); 3];
    checked(DOING, |message, capacity| {
        let [queries, keys, values] = &mut found;
        // SAFETY: all tensors live for the whole call, contiguous f32 on the CPU, their shapes checked above; the three outputs and
        // `message` are written within their bounds.
        unsafe { slhf_split_heads(&raw const foreign, queries, keys, values, message, capacity) }
    })?;
    // SAFETY: the call succeeded, so that each is a tensor on the heap that nobody else owns; tch frees it.
    Ok(found.map(|found| unsafe { Tensor::from_ptr(found) }))
}

/// `silu(first half) ⊙ second half`, row by row: `[rows, 2 · n]` → `[rows, n]`. Gradients go to `joined`.
///
/// # Errors
/// The number of columns is odd, or the processor has no such operator.
pub fn trained_gate(joined: &Tensor) -> Result<Tensor, ShimError> {
    const DOING: &str = "gate rows in training";
    let list = [joined];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    if joined.size()[1] % 2 != 0 {
        let found = format!("of shape {:?}", joined.size());
        return Err(operands.refused(0, found, "an even number of columns".to_owned()));
    }
    made(DOING, |output, message, capacity| {
        // SAFETY: `joined` lives for the whole call, a contiguous f32 matrix on the CPU with an even number of columns; `output` and
        // `message` are written within their bounds.
        unsafe { slhf_trained_gate(joined.as_ptr(), output, message, capacity) }
    })
}

/// `x / √(mean x² + epsilon) ⊙ weight`, row by row of `[rows, width]`; `weight` `[width]`, frozen. Gradients go to the input.
///
/// # Errors
/// Shapes do not go together, or the processor has no such operator.
pub fn trained_norm(input: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, ShimError> {
    const DOING: &str = "norm rows in training";
    let list = [input, weight];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    operands.shape(1, &[input.size()[1]])?;
    made(DOING, |output, message, capacity| {
        // SAFETY: both tensors live for the whole call, contiguous, f32, on the CPU, `weight` as long as a row of `input`;
        // `output` and `message` are written within their bounds.
        unsafe { slhf_trained_norm(input.as_ptr(), weight.as_ptr(), epsilon, output, message, capacity) }
    })
}
