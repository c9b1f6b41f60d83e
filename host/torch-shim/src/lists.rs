//! Operations over a list of tensors in one call, and the checks that keep them in bounds.

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use crate::ShimError;
use crate::foreign::{checked, slhf_norms, slhf_scale};

/// L2 norms of f32 tensors on one device, as one f32 tensor of shape `[tensors.len()]` on that device: one transfer to
/// the host instead of one a tensor.
pub fn norms(tensors: &[&Tensor]) -> Result<Tensor, ShimError> {
    const DOING: &str = "take norms";
    if tensors.is_empty() {
        return Ok(Tensor::from_slice::<f32>(&[]));
    }
    check_uniform(DOING, "tensors", tensors)?;
    let handles = handles(tensors);
    let mut found: *mut C_tensor = std::ptr::null_mut();
    checked(DOING, |message, capacity| {
        // SAFETY: `handles` holds `tensors.len()` pointers to live tensors, borrowed for the whole call; `found` and
        // `message` are written within their bounds.
        unsafe { slhf_norms(handles.as_ptr(), handles.len(), &raw mut found, message, capacity) }
    })?;
    // SAFETY: the call succeeded, so that `found` is a tensor on the heap that nobody else owns; tch frees it.
    Ok(unsafe { Tensor::from_ptr(found) })
}

/// Multiplies f32 tensors on one device by one factor, in place.
pub fn scale(tensors: &[&Tensor], factor: f64) -> Result<(), ShimError> {
    const DOING: &str = "scale tensors";
    if tensors.is_empty() {
        return Ok(());
    }
    check_uniform(DOING, "tensors", tensors)?;
    let handles = handles(tensors);
    checked(DOING, |message, capacity| {
        // SAFETY: `handles` holds `tensors.len()` pointers to live tensors, borrowed for the whole call; the C++ changes
        // what they hold, as every in-place call of tch does, and not the handles.
        unsafe { slhf_scale(handles.as_ptr(), handles.len(), factor, message, capacity) }
    })
}

pub(crate) fn handles(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr()).collect()
}

/// All defined, f32, contiguous and on the first one's device.
pub(crate) fn check_uniform(doing: &'static str, list: &'static str, tensors: &[&Tensor]) -> Result<(), ShimError> {
    let expected = tensors.first().filter(|first| first.defined()).map(|first| first.device());
    for (index, tensor) in tensors.iter().enumerate() {
        let refuse = |found: String, expected: String| ShimError::Tensor { doing, list, index, found, expected };
        if !tensor.defined() {
            return Err(refuse("undefined".to_owned(), "a tensor with values".to_owned()));
        }
        if tensor.kind() != Kind::Float {
            return Err(refuse(format!("of type {:?}", tensor.kind()), "f32".to_owned()));
        }
        if let Some(device) = expected.filter(|device| *device != tensor.device()) {
            return Err(refuse(format!("on {:?}", tensor.device()), format!("{device:?}")));
        }
        if !tensor.is_contiguous() {
            return Err(refuse("not contiguous".to_owned(), "a contiguous tensor".to_owned()));
        }
    }
    Ok(())
}

/// As [`check_uniform`], and of the same number, shapes and device as `like`.
pub(crate) fn check_like(
    doing: &'static str,
    list: &'static str,
    tensors: &[&Tensor],
    like: &[&Tensor],
) -> Result<(), ShimError> {
    if tensors.len() != like.len() {
        return Err(ShimError::Length { doing, list, found: tensors.len(), expected: like.len() });
    }
    check_uniform(doing, list, tensors)?;
    for (index, (tensor, like)) in tensors.iter().zip(like).enumerate() {
        if tensor.size() != like.size() || tensor.device() != like.device() {
            let found = format!("of shape {:?} on {:?}", tensor.size(), tensor.device());
            let expected = format!("shape {:?} on {:?}", like.size(), like.device());
            return Err(ShimError::Tensor { doing, list, index, found, expected });
        }
    }
    Ok(())
}
