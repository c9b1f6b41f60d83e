//! The declarations of `cpp/`, and how its messages become errors.

use std::ffi::{CStr, c_char, c_int, c_void};

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

/// `Format` of `cpp/packed/packed.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlhfPackedFormat {
    pub(crate) codes: i32,
    pub(crate) high_bits: i32,
    pub(crate) group: i32,
    pub(crate) has_minima: i32,
    pub(crate) wide_scales: i32,
    pub(crate) offset: i32,
}

#[repr(C)]
pub(crate) struct SlhfPackedPart {
    pub(crate) bytes: *const C_tensor,
    pub(crate) format: SlhfPackedFormat,
    pub(crate) outputs: i64,
    pub(crate) raise: *const C_tensor,
    pub(crate) first_rank: i64,
    pub(crate) end_rank: i64,
}

#[repr(C)]
pub(crate) struct SlhfPackedProduct {
    pub(crate) input: *const C_tensor,
    pub(crate) bias: *const C_tensor,
    pub(crate) add: *const C_tensor,
    pub(crate) lower: *const C_tensor,
    pub(crate) ranks: i64,
    pub(crate) parts: *const SlhfPackedPart,
    pub(crate) count: usize,
}

#[repr(C)]
pub(crate) struct SlhfLayer {
    pub(crate) hidden: *const C_tensor,
    pub(crate) attention_norm: *const C_tensor,
    pub(crate) feed_forward_norm: *const C_tensor,
    pub(crate) query_key_value: *const SlhfPackedProduct,
    pub(crate) output: *const SlhfPackedProduct,
    pub(crate) gate_up: *const SlhfPackedProduct,
    pub(crate) down: *const SlhfPackedProduct,
    pub(crate) attention: *const SlhfAttention,
    pub(crate) norm_epsilon: f64,
}

#[repr(C)]
pub(crate) struct SlhfTrainedAdapter {
    pub(crate) a: *const C_tensor,
    pub(crate) b: *const C_tensor,
}

#[repr(C)]
pub(crate) struct SlhfTrainedLinear {
    pub(crate) product: *const SlhfPackedProduct,
    pub(crate) adapters: *const SlhfTrainedAdapter,
    pub(crate) scale: f64,
}

#[repr(C)]
pub(crate) struct SlhfSplit {
    pub(crate) joined: *const C_tensor,
    pub(crate) cosines: *const C_tensor,
    pub(crate) sines: *const C_tensor,
    pub(crate) heads: i64,
    pub(crate) pairs: i64,
    pub(crate) size: i64,
}

#[repr(C)]
pub(crate) struct SlhfCausal {
    pub(crate) queries: *const C_tensor,
    pub(crate) keys: *const C_tensor,
    pub(crate) values: *const C_tensor,
    pub(crate) lengths: *const i64,
    pub(crate) sequences: i64,
    pub(crate) length: i64,
    pub(crate) window: i64,
    pub(crate) runs: *const [i64; 2],
    pub(crate) firsts: *const i64,
}

unsafe extern "C" {
    pub(crate) fn slhf_causal_attention(
        attention: *const SlhfCausal,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
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
    pub(crate) fn slhf_time_operators(handle: *mut u64, message: *mut c_char, capacity: usize) -> c_int;
    pub(crate) fn slhf_timed_operators(
        handle: u64,
        tell: extern "C" fn(to: *mut c_void, name: *const c_char, calls: i64, seconds: f64),
        to: *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_has_lanes() -> c_int;
    pub(crate) fn slhf_narrow_lanes(narrow: c_int);
    pub(crate) fn slhf_few_rows_linear(
        input: *const C_tensor,
        weight: *const C_tensor,
        add: *const C_tensor,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_pack(
        format: *const SlhfPackedFormat,
        codes: *const u8,
        scales: *const f32,
        minima: *const f32,
        outputs: i64,
        inputs: i64,
        bytes: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_unpack(
        format: *const SlhfPackedFormat,
        bytes: *const C_tensor,
        outputs: i64,
        inputs: i64,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_packed_linear(
        product: *const SlhfPackedProduct,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_decode_layer(
        layer: *const SlhfLayer,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_trained_linear(
        product: *const SlhfTrainedLinear,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_split_heads(
        split: *const SlhfSplit,
        queries: *mut *mut C_tensor,
        keys: *mut *mut C_tensor,
        values: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_trained_gate(
        joined: *const C_tensor,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_trained_norm(
        input: *const C_tensor,
        weight: *const C_tensor,
        epsilon: f64,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_transposed_linear(
        input: *const C_tensor,
        bytes: *const C_tensor,
        format: *const SlhfPackedFormat,
        inputs: i64,
        output: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_score_rows(
        logits: *mut C_tensor,
        targets: *const C_tensor,
        temperature: f64,
        keeps: c_int,
        log_probabilities: *mut f64,
        entropies: *mut f64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_draw_tokens(
        logits: *const C_tensor,
        uniforms: *const f64,
        temperature: f64,
        tokens: *mut i64,
        log_probabilities: *mut f64,
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
    pub(crate) fn slhf_meeting_open(
        host: *const c_char,
        port: u16,
        listener: c_int,
        timeout_ms: i64,
        meeting: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_meeting_close(meeting: *mut c_void);
    pub(crate) fn slhf_group_join(
        meeting: *const c_void,
        host: *const c_char,
        rank: i32,
        size: i32,
        timeout_ms: i64,
        group: *mut *mut c_void,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_group_leave(group: *mut c_void);
    pub(crate) fn slhf_group_broadcast(
        group: *const c_void,
        tensor: *const C_tensor,
        root: i32,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_group_all_reduce(
        group: *const c_void,
        tensor: *const C_tensor,
        timeout_ms: i64,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    pub(crate) fn slhf_group_all_gather(
        group: *const c_void,
        input: *const C_tensor,
        outputs: *const *const C_tensor,
        count: usize,
        timeout_ms: i64,
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
