//! A decoder's whole layer over packed weights for one new token a row, on a CPU: one call, through which threads go together.

use tch::Tensor;

use crate::ShimError;
use crate::foreign::{SlhfLayer, SlhfPackedPart, SlhfPackedProduct, slhf_decode_layer};
use crate::one_token::{self, CachedAttention, Operands, made};
use crate::packed::{self, Lower, PackedMatrix, PackedPart};

/// Packed matrices that take the same rows, as [`crate::PackedLinear`] has them.
#[derive(Clone, Copy, Debug)]
pub struct PackedMatrices<'a> {
    /// At least one.
    pub parts: &'a [PackedPart<'a>],
    /// `[outputs of all parts]`
    pub bias: Option<&'a Tensor>,
    /// A of the adapters of all parts.
    pub lower: Option<&'a Lower>,
}

impl PackedMatrices<'_> {
    fn width(&self) -> i64 {
        self.parts.iter().map(|part| part.weight.outputs).sum()
    }

    fn foreign(&self) -> Vec<SlhfPackedPart> {
        self.parts.iter().map(packed::foreign).collect()
    }

    fn product(&self, parts: &[SlhfPackedPart]) -> SlhfPackedProduct {
        packed::foreign_product(parts, self.bias, self.lower)
    }
}

/// What [`decode_layer`] reads. Norms are root mean squares, the activation is `SiLU`.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLayer<'a> {
    /// `[rows, hidden]`
    pub hidden: &'a Tensor,
    /// `[hidden]`
    pub attention_norm: &'a Tensor,
    /// → `[rows, (heads + 2 · pairs) · size]`
    pub query_key_value: PackedMatrices<'a>,
    /// The cache is appended to.
    pub attention: CachedAttention<'a>,
    /// `[rows, heads · size]` → `[rows, hidden]`
    pub output: PackedMatrices<'a>,
    /// `[hidden]`
    pub feed_forward_norm: &'a Tensor,
    /// Two parts of equal outputs.
    pub gate_up: PackedMatrices<'a>,
    /// → `[rows, hidden]`
    pub down: PackedMatrices<'a>,
    /// Of both norms.
    pub norm_epsilon: f64,
}

/// The layer's hidden states, `[rows, hidden]`: what [`crate::rms_norm`], [`crate::packed_linear`], [`crate::attend_one`] and
/// [`crate::gate`] give one after the other, to the bit.
///
/// # Errors
/// Shapes do not go together, a product's inputs are no whole blocks of 32, or the processor has no such products.
pub fn decode_layer(layer: &DecodeLayer<'_>) -> Result<Tensor, ShimError> {
    const DOING: &str = "decode through a layer";
    let DecodeLayer { hidden, attention_norm, feed_forward_norm, norm_epsilon, .. } = *layer;
    let rows = check(DOING, layer)?;
    let attention = one_token::foreign(DOING, [rows, layer.query_key_value.width()], &layer.attention)?;
    let matrices = [&layer.query_key_value, &layer.output, &layer.gate_up, &layer.down];
    let parts = matrices.map(PackedMatrices::foreign);
    let [query_key_value, output, gate_up, down] = std::array::from_fn(|index| matrices[index].product(&parts[index]));
    let foreign = SlhfLayer {
        hidden: hidden.as_ptr(),
        attention_norm: attention_norm.as_ptr(),
        feed_forward_norm: feed_forward_norm.as_ptr(),
        query_key_value: &raw const query_key_value,
        output: &raw const output,
        gate_up: &raw const gate_up,
        down: &raw const down,
        attention: &raw const attention,
        norm_epsilon,
    };
    made(DOING, |output, message, capacity| {
        // SAFETY: all tensors are contiguous f32 on the CPU, and packed bytes are those that `slhf_pack` made for their format and shape;
        // `check` and `one_token::foreign` have seen that every matrix takes what the one before it gives. All of it lives for the whole
        // call. `keys` and `values` are changed in place at slot `cursor`; `output` and `message` are written within their bounds.
        unsafe { slhf_decode_layer(&raw const foreign, output, message, capacity) }
    })
}

/// How many rows there are, where every matrix takes what the one before it gives.
fn check(doing: &'static str, layer: &DecodeLayer<'_>) -> Result<i64, ShimError> {
    let matrices = [&layer.query_key_value, &layer.output, &layer.gate_up, &layer.down];
    let mut list = vec![layer.hidden, layer.attention_norm, layer.feed_forward_norm];
    list.extend(matrices.iter().filter_map(|matrices| matrices.bias));
    let operands = Operands::new(doing, &list)?;
    operands.shape(0, &[-1, -1])?;
    let (rows, width) = (layer.hidden.size()[0], layer.hidden.size()[1]);
    operands.shape(1, &[width])?;
    operands.shape(2, &[width])?;
    for (index, matrices) in matrices.iter().filter(|matrices| matrices.bias.is_some()).enumerate() {
        operands.shape(3 + index, &[matrices.width()])?;
    }
    let keys = layer.attention.keys.size();
    let attended = match keys.as_slice() {
        &[_, pairs, _, size] => layer.query_key_value.width() - 2 * pairs * size,
        _ => 0,
    };
    let half = match layer.gate_up.parts {
        [gate, up] if gate.weight.outputs == up.weight.outputs => gate.weight.outputs,
        _ => {
            return Err(operands.refused(0, "gated by other parts".to_owned(), "gate and up of equal size".to_owned()));
        }
    };
    for (matrices, inputs) in matrices.into_iter().zip([width, attended, width, half]) {
        packed::check_parts(&operands, inputs, matrices.parts, matrices.lower)?;
        if !usize::try_from(inputs).is_ok_and(PackedMatrix::is_in_blocks) {
            let found = format!("in a layer with products of {inputs} inputs");
            return Err(operands.refused(0, found, "inputs in whole blocks of 32".to_owned()));
        }
    }
    for matrices in [&layer.output, &layer.down] {
        if matrices.width() != width {
            let found = format!("in a layer that gives {} columns", matrices.width());
            return Err(operands.refused(0, found, format!("{width}, as it takes")));
        }
    }
    Ok(rows)
}
