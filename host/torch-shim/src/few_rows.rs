//! A linear layer for few rows, as decoding has them.

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use crate::ShimError;
use crate::foreign::{checked, slhf_few_rows_linear, slhf_few_rows_supported};
use crate::lists::check_uniform;

/// Whether this processor has what [`few_rows_linear`] is written for: AVX-512, or AVX2 with FMA.
#[must_use]
pub fn has_few_rows_linear() -> bool {
    // SAFETY: takes nothing and only asks the processor.
    unsafe { slhf_few_rows_supported() != 0 }
}

/// `input` `[rows, inputs]` · `weight`ᵀ, `weight` `[outputs, inputs]` → `[rows, outputs]`; f32, contiguous, on the CPU.
/// The weight is read once, at the speed of memory, where libtorch's own product takes up to three times as long: worth
/// it below some fifty rows. No gradient goes through it.
pub fn few_rows_linear(input: &Tensor, weight: &Tensor) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply few rows";
    check_uniform(DOING, "operands", &[input, weight])?;
    let refuse = |index, found: String, expected: &str| {
        Err(ShimError::Tensor { doing: DOING, list: "operands", index, found, expected: expected.to_owned() })
    };
    if input.device() != Device::Cpu {
        return refuse(0, format!("on {:?}", input.device()), "Cpu");
    }
    let (input_shape, weight_shape) = (input.size(), weight.size());
    let (&[_, inputs], &[_, columns]) = (input_shape.as_slice(), weight_shape.as_slice()) else {
        let index = usize::from(input_shape.len() == 2);
        return refuse(index, format!("of shape {:?}", [&input_shape, &weight_shape][index]), "a matrix");
    };
    if inputs != columns {
        return refuse(1, format!("of shape {weight_shape:?}"), &format!("one of {inputs} columns"));
    }
    let mut found: *mut C_tensor = std::ptr::null_mut();
    checked(DOING, |message, capacity| {
        // SAFETY: both tensors live for the whole call and are contiguous f32 matrices on the CPU with the same number of
        // columns, as the C++ reads them; `found` and `message` are written within their bounds.
        unsafe { slhf_few_rows_linear(input.as_ptr(), weight.as_ptr(), &raw mut found, message, capacity) }
    })?;
    // SAFETY: the call succeeded, so that `found` is a tensor on the heap that nobody else owns; tch frees it.
    Ok(unsafe { Tensor::from_ptr(found) })
}
