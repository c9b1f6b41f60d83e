//! A decoder's layer in training, on a CPU in f32: operators of our own through which gradients go. Each keeps what its gradient needs and no
//! more.

use tch::Tensor;
use torch_sys::C_tensor;

use crate::ShimError;
use crate::foreign::{
    SlhfSplit, SlhfTrainedLinear, SlhfTrainedPart, checked, slhf_split_heads, slhf_trained_gate, slhf_trained_linear,
    slhf_trained_norm,
};
use crate::one_token::{Operands, made, pointer};
use crate::packed::PackedMatrix;

/// One matrix of several side by side, with an adapter over it.
#[derive(Clone, Copy, Debug)]
pub struct TrainedPart<'a> {
    /// Frozen.
    pub weight: &'a PackedMatrix,
    /// A `[rank, inputs]` and B `[outputs, rank]`.
    pub adapter: Option<(&'a Tensor, &'a Tensor)>,
}

/// What [`trained_linear`] reads.
#[derive(Clone, Copy, Debug)]
pub struct TrainedLinear<'a> {
    /// `[rows, inputs]`
    pub input: &'a Tensor,
    /// Matrices that take the same input, at least one.
    pub parts: &'a [TrainedPart<'a>],
    /// What B A is multiplied by.
    pub scale: f64,
    /// `[outputs of all parts]`, frozen.
    pub bias: Option<&'a Tensor>,
    /// `[rows, outputs of all parts]`
    pub add: Option<&'a Tensor>,
}

/// `input · weightᵀ + scale · (input · Aᵀ) · Bᵀ + bias + add`, part beside part: → `[rows, outputs]`. Gradients go to the input, `add`, A
/// and B.
///
/// # Errors
/// Shapes do not go together, or the processor has no such product.
pub fn trained_linear(product: &TrainedLinear<'_>) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply with packed weights in training";
    let TrainedLinear { input, parts, scale, bias, add } = *product;
    let adapters = parts.iter().filter_map(|part| part.adapter).flat_map(|(a, b)| [a, b]);
    let list: Vec<&Tensor> = std::iter::once(input).chain(bias).chain(add).chain(adapters).collect();
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    let (rows, inputs) = (input.size()[0], input.size()[1]);
    let width: i64 = parts.iter().map(|part| part.weight.outputs).sum();
    let mut index = 0;
    for (operand, shape) in [(bias, vec![width]), (add, vec![rows, width])] {
        if operand.is_some() {
            index += 1;
            operands.shape(index, &shape)?;
        }
    }
    for part in parts {
        if part.weight.inputs != inputs {
            let expected = format!("{} columns", part.weight.inputs);
            return Err(operands.refused(0, format!("of shape {:?}", input.size()), expected));
        }
        if part.adapter.is_some() {
            operands.shape(index + 1, &[-1, inputs])?;
            operands.shape(index + 2, &[part.weight.outputs, list[index + 1].size()[0]])?;
            index += 2;
        }
    }
    if parts.is_empty() {
        return Err(operands.refused(0, "multiplied with nothing".to_owned(), "a weight".to_owned()));
    }
    let foreign: Vec<SlhfTrainedPart> = parts.iter().map(foreign).collect();
    let product = SlhfTrainedLinear {
        input: input.as_ptr(),
        bias: pointer(bias),
        add: pointer(add),
        parts: foreign.as_ptr(),
        count: foreign.len(),
        scale,
    };
    made(DOING, |output, message, capacity| {
        // SAFETY: all tensors and `foreign` live for the whole call; numbers are contiguous f32 on the CPU, their shapes go together as checked
        // above, and packed bytes are those that `slhf_pack` made for their format and shape. What the gradient needs is held by libtorch's
        // own counted references. `output` and `message` are written within their bounds.
        unsafe { slhf_trained_linear(&raw const product, output, message, capacity) }
    })
}

fn foreign(part: &TrainedPart<'_>) -> SlhfTrainedPart {
    let (a, b): (*const C_tensor, *const C_tensor) =
        part.adapter.map_or((std::ptr::null(), std::ptr::null()), |(a, b)| (a.as_ptr(), b.as_ptr()));
    let PackedMatrix { bytes, format, outputs, .. } = part.weight;
    SlhfTrainedPart { bytes: bytes.as_ptr(), format: *format, outputs: *outputs, a, b }
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
    /// Of keys and values; each is repeated for `heads / pairs` queries.
    pub pairs: i64,
    /// Of a head, even.
    pub size: i64,
}

/// Queries and keys turned by their positions, and values: `[rows, heads, size]` each. Gradients go to `joined`.
///
/// # Errors
/// Shapes do not go together, or the processor has no such operator.
pub fn split_heads(split: &SplitHeads<'_>) -> Result<[Tensor; 3], ShimError> {
    const DOING: &str = "split into heads";
    let SplitHeads { joined, cosines, sines, heads, pairs, size } = *split;
    let list = [joined, cosines, sines];
    let operands = Operands::new(DOING, &list)?;
    let is_whole = pairs > 0 && heads > 0 && heads % pairs == 0 && size > 0 && size % 2 == 0;
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
