//! The declarations of `cpp/`, and how its messages become errors.

use std::ffi::{CStr, c_char, c_int};

use torch_sys::C_tensor;

use crate::ShimError;

/// libtorch's longest messages name every dispatch key; the beginning is what helps.
const MESSAGE_BYTES: usize = 2048;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SlhfAdamw {
    pub(crate) learning_rate: f64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) epsilon: f64,
    pub(crate) weight_decay: f64,
}

#[repr(C)]
pub(crate) struct SlhfAttention {
    pub(crate) joined: *const C_tensor,
    pub(crate) cosines: *const C_tensor,
    pub(crate) sines: *const C_tensor,
    pub(crate) query_norm: *const C_tensor,
    pub(crate) key_norm: *const C_tensor,
    pub(crate) keys: *const C_tensor,
    pub(crate) values: *const C_tensor,
    pub(crate) mask: *const C_tensor,
    pub(crate) norm_epsilon: f64,
    pub(crate) heads: i64,
    pub(crate) pairs: i64,
    pub(crate) size: i64,
    pub(crate) cursor: i64,
}

#[expect(clippy::struct_field_names, reason = "units last in names")]
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct SlhfMemory {
    pub(crate) allocated_bytes: i64,
    pub(crate) peak_allocated_bytes: i64,
    pub(crate) reserved_bytes: i64,
    pub(crate) peak_reserved_bytes: i64,
}

unsafe extern "C" {
    pub(crate) fn slhf_fused_adamw(
        parameters: *const *const C_tensor,
        gradients: *const *const C_tensor,
        means: *const *const C_tensor,
        squares: *const *const C_tensor,
        count: usize,
        step: *const C_tensor,
        settings: SlhfAdamw,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_norms(
        tensors: *const *const C_tensor,
        count: usize,
        norms: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_scale(
        tensors: *const *const C_tensor,
        count: usize,
        factor: f64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_seed(device: i32, seed: u64, message: *mut c_char, capacity: usize) -> c_int;
    pub(crate) fn slhf_matmul_precision(name: *const c_char, message: *mut c_char, capacity: usize) -> c_int;
    pub(crate) fn slhf_cuda_memory(
        device: i32,
        memory: *mut SlhfMemory,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_count_operators(handle: *mut u64, message: *mut c_char, capacity: usize) -> c_int;
    pub(crate) fn slhf_counted_operators(
        handle: u64,
        operators: *mut i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_has_lanes() -> c_int;
    pub(crate) fn slhf_few_rows_linear(
        input: *const C_tensor,
        weight: *const C_tensor,
        add: *const C_tensor,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_rms_norm(
        input: *const C_tensor,
        weight: *const C_tensor,
        epsilon: f64,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_gate(
        joined: *const C_tensor,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_attend_one(
        attention: *const SlhfAttention,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_cuda_reset_peak(device: i32, message: *mut c_char, capacity: usize) -> c_int;
}

/// Calls with room for a message, and reads it where the call failed.
pub(crate) fn checked(doing: &'static str, call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), ShimError> {
    let mut message = [0_u8; MESSAGE_BYTES];
    if call(message.as_mut_ptr().cast::<c_char>(), MESSAGE_BYTES) == 0 {
        return Ok(());
    }
    let reason = CStr::from_bytes_until_nul(&message).map_or_else(
        |_| "(its message cannot be read)".to_owned(),
        |text| text.to_string_lossy().lines().next().unwrap_or_default().to_owned(),
    );
    Err(ShimError::Torch { doing, reason })
}
