//! Adam with decoupled weight decay, one kernel over all parameters.

use tch::{Kind, Tensor};

use crate::ShimError;
use crate::foreign::{SlhfAdamw, checked, slhf_fused_adamw};
use crate::lists::{check_like, check_uniform, handles};

/// What one step reads and writes: four lists of the same length and shapes, f32, contiguous, on one device.
#[derive(Clone, Copy, Debug)]
pub struct AdamwLists<'a> {
    /// θ, changed in place.
    pub parameters: &'a [&'a Tensor],
    /// g
    pub gradients: &'a [&'a Tensor],
    /// m, changed in place.
    pub exp_avg: &'a [&'a Tensor],
    /// v, changed in place.
    pub exp_avg_sq: &'a [&'a Tensor],
}

/// Constants of one step: θ ← θ − η λ θ; m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²;
/// θ ← θ − η · m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) (Loshchilov & Hutter, arXiv 1711.05101, with
/// the decay multiplied by the learning rate as torch does).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamwStep {
    /// t, from 1. Counted in f32 by the kernel: exact below 2²⁴.
    pub step: u64,
    /// η
    pub learning_rate: f64,
    /// β₁
    pub beta1: f64,
    /// β₂
    pub beta2: f64,
    /// ε
    pub epsilon: f64,
    /// λ
    pub weight_decay: f64,
}

/// One step of `at::_fused_adamw_`, on a CPU or a CUDA device.
pub fn fused_adamw(lists: &AdamwLists<'_>, step: &AdamwStep) -> Result<(), ShimError> {
    const DOING: &str = "take a step of AdamW";
    let Some(first) = lists.parameters.first() else {
        return Ok(());
    };
    // The kernel takes every length from the parameters and reads the other lists by pointer.
    check_uniform(DOING, "parameters", lists.parameters)?;
    check_like(DOING, "gradients", lists.gradients, lists.parameters)?;
    check_like(DOING, "first moments", lists.exp_avg, lists.parameters)?;
    check_like(DOING, "second moments", lists.exp_avg_sq, lists.parameters)?;
    let torch = |source: tch::TchError| ShimError::Torch { doing: DOING, reason: source.to_string() };
    // One count serves every parameter: the kernel only reads it. It is made in f64, which is exact up to 2⁵³.
    let count = step.step as f64;
    let count = Tensor::f_full([] as [i64; 0], count, (Kind::Float, first.device())).map_err(torch)?;
    let (parameters, gradients) = (handles(lists.parameters), handles(lists.gradients));
    let (means, squares) = (handles(lists.exp_avg), handles(lists.exp_avg_sq));
    let settings = SlhfAdamw {
        learning_rate: step.learning_rate,
        beta1: step.beta1,
        beta2: step.beta2,
        epsilon: step.epsilon,
        weight_decay: step.weight_decay,
    };
    checked(DOING, |message, capacity| {
        // SAFETY: four lists of `parameters.len()` pointers to live tensors, borrowed for the whole call, of equal shapes,
        // f32, contiguous and on one device (checked above), which is what the kernel takes for granted; the C++ changes
        // what the tensors hold, as every in-place call of tch does, and not the handles.
        unsafe {
            slhf_fused_adamw(
                parameters.as_ptr(),
                gradients.as_ptr(),
                means.as_ptr(),
                squares.as_ptr(),
                parameters.len(),
                count.as_ptr(),
                settings,
                message,
                capacity,
            )
        }
    })
}
