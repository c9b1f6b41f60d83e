//! Operators of a layer that generates: the shim's on a CPU in f32, libtorch's elsewhere.

use slhf_torch_shim::{CachedAttention, DecodeLayer, ShimError, few_rows_linear, has_one_token_operators};
use tch::{Device, Kind, TchError, Tensor};

use slhf_model::{Activation, ModelConfig};

/// Rows up to which the shim's product was the faster one on a processor with AVX2; libtorch's own took 47 ms for one row of all of
/// SmolLM2-135M's matrices there, the shim's 17.
const FEW_ROWS: i64 = 48;

/// Whether the shim's operators take this.
pub(super) fn are_ours(input: &Tensor) -> bool {
    input.device() == Device::Cpu && input.kind() == Kind::Float && has_one_token_operators()
}

pub(super) fn torch(error: ShimError) -> TchError {
    TchError::Torch(error.to_string())
}

/// `input` · `weight`ᵀ + `bias` + `add`; `[rows, inputs]` → `[rows, outputs]`.
pub(super) fn linear(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    add: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    if input.size()[0] <= FEW_ROWS && are_ours(input) {
        let mut output = few_rows_linear(input, weight, add).map_err(torch)?;
        return match bias {
            Some(bias) => output.f_add_(bias),
            None => Ok(output),
        };
    }
    let mut output = input.f_linear(weight, bias)?;
    match add {
        Some(add) => output.f_add_(add),
        None => Ok(output),
    }
}

/// `[rows, hidden]`, normed.
pub(super) fn norm(input: &Tensor, weight: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
    if are_ours(input) {
        return slhf_torch_shim::rms_norm(input, weight, config.norm_epsilon).map_err(torch);
    }
    input.f_rms_norm([config.hidden_size as i64], Some(weight), config.norm_epsilon)
}

/// Likewise, differentiable in the input.
pub(super) fn trained_norm(input: &Tensor, weight: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
    slhf_torch_shim::trained_norm(input, weight, config.norm_epsilon).map_err(torch)
}

/// `activation(gate)`, differentiable.
pub(super) fn activated(gate: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
    match config.activation() {
        Activation::Silu => gate.f_silu(),
        Activation::GeluTanh => gate.f_gelu("tanh"),
    }
}

/// `activation(gate) ⊙ up` of `[rows, gate and up]`.
pub(super) fn gate(joined: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
    if config.activation() == Activation::Silu && are_ours(joined) {
        return slhf_torch_shim::gate(joined).map_err(torch);
    }
    let half = config.intermediate_size as i64;
    let mut gate = activated(&joined.f_narrow(1, 0, half)?, config)?;
    gate.f_mul_(&joined.f_narrow(1, half, half)?)
}

/// See [`slhf_torch_shim::attend_one`].
pub(super) fn attend_one(joined: &Tensor, attention: &CachedAttention<'_>) -> Result<Tensor, TchError> {
    slhf_torch_shim::attend_one(joined, attention).map_err(torch)
}

/// See [`slhf_torch_shim::decode_layer`].
pub(super) fn decode_layer(layer: &DecodeLayer<'_>) -> Result<Tensor, TchError> {
    slhf_torch_shim::decode_layer(layer).map_err(torch)
}

/// Memory of a tensor's numbers.
pub(super) fn bytes(tensor: &Tensor) -> u64 {
    tensor.numel() as u64 * if tensor.kind() == Kind::Float { 4 } else { 2 }
}
