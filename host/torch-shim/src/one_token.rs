//! A decoder's layer for one new token a row, on a CPU in f32: four operators of our own where libtorch takes over a
//! hundred. No gradient goes through any of them.

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use crate::ShimError;
use crate::foreign::{
    SlhfAttention, checked, slhf_attend_one, slhf_few_rows_linear, slhf_gate, slhf_has_lanes, slhf_narrow_lanes,
    slhf_rms_norm,
};
use crate::lists::check_uniform;

/// Whether this processor has what these operators are written for: AVX-512, or AVX2 with FMA and F16C.
#[must_use]
pub fn has_one_token_operators() -> bool {
    // SAFETY: takes nothing and only asks the processor.
    unsafe { slhf_has_lanes() != 0 }
}

/// Which registers the operators of this process take from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// The widest that the processor has.
    Widest,
    /// Those of AVX2, on a processor with AVX-512 too.
    Narrow,
}

/// Sets [`Lanes`]: a test compares both on one machine.
pub fn set_lanes(lanes: Lanes) {
    // SAFETY: takes a number and stores it in an atomic.
    unsafe { slhf_narrow_lanes(i32::from(lanes == Lanes::Narrow)) }
}

/// What an operand must be beyond f32 and contiguous; its place in the list is what an error names.
pub(crate) struct Operands<'a> {
    doing: &'static str,
    list: &'a [&'a Tensor],
}

impl<'a> Operands<'a> {
    pub(crate) fn new(doing: &'static str, list: &'a [&'a Tensor]) -> Result<Self, ShimError> {
        check_uniform(doing, "operands", list)?;
        let operands = Self { doing, list };
        match list.first().map(|first| first.device()) {
            Some(Device::Cpu) | None if has_one_token_operators() => Ok(operands),
            Some(Device::Cpu) | None => {
                Err(ShimError::Torch { doing, reason: "this processor has neither AVX2 nor AVX-512".to_owned() })
            }
            Some(device) => Err(operands.refused(0, format!("on {device:?}"), "Cpu".to_owned())),
        }
    }

    pub(crate) fn refused(&self, index: usize, found: String, expected: String) -> ShimError {
        ShimError::Tensor { doing: self.doing, list: "operands", index, found, expected }
    }

    /// A dimension of −1 may have any length.
    pub(crate) fn shape(&self, index: usize, expected: &[i64]) -> Result<(), ShimError> {
        let found = self.list[index].size();
        let fits = |(found, expected): (&i64, &i64)| *expected < 0 || found == expected;
        if found.len() == expected.len() && found.iter().zip(expected).all(fits) {
            return Ok(());
        }
        Err(self.refused(index, format!("of shape {found:?}"), format!("shape {expected:?} (-1: any)")))
    }
}

/// Calls, and takes the tensor that the C++ has made.
pub(crate) fn made(
    doing: &'static str,
    call: impl FnOnce(*mut *mut C_tensor, *mut std::ffi::c_char, usize) -> std::ffi::c_int,
) -> Result<Tensor, ShimError> {
    let mut found: *mut C_tensor = std::ptr::null_mut();
    checked(doing, |message, capacity| call(&raw mut found, message, capacity))?;
    // SAFETY: the call succeeded, so that `found` is a tensor on the heap that nobody else owns; tch frees it.
    Ok(unsafe { Tensor::from_ptr(found) })
}

pub(crate) fn pointer(tensor: Option<&Tensor>) -> *const C_tensor {
    tensor.map_or(std::ptr::null(), Tensor::as_ptr)
}

/// `input` `[rows, inputs]` · `weight`ᵀ, `weight` `[outputs, inputs]`, plus `add` `[rows, outputs]`. The weight is read
/// once, at the speed of memory, where libtorch's own product takes up to three times as long: worth it below some fifty
/// rows.
pub fn few_rows_linear(input: &Tensor, weight: &Tensor, add: Option<&Tensor>) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply few rows";
    let list: Vec<&Tensor> = [input, weight].into_iter().chain(add).collect();
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    operands.shape(1, &[-1, input.size()[1]])?;
    if add.is_some() {
        operands.shape(2, &[input.size()[0], weight.size()[0]])?;
    }
    made(DOING, |output, message, capacity| {
        // SAFETY: the tensors live for the whole call and are contiguous f32 matrices on the CPU whose shapes go together,
        // as the C++ reads them; `output` and `message` are written within their bounds.
        unsafe { slhf_few_rows_linear(input.as_ptr(), weight.as_ptr(), pointer(add), output, message, capacity) }
    })
}

/// `x / √(mean x² + epsilon) ⊙ weight`, row by row of `[rows, width]`; `weight` `[width]`.
pub fn rms_norm(input: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, ShimError> {
    const DOING: &str = "norm rows";
    let list = [input, weight];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    operands.shape(1, &[input.size()[1]])?;
    made(DOING, |output, message, capacity| {
        // SAFETY: both tensors live for the whole call, contiguous, f32, on the CPU, `weight` as long as a row of `input`;
        // `output` and `message` are written within their bounds.
        unsafe { slhf_rms_norm(input.as_ptr(), weight.as_ptr(), epsilon, output, message, capacity) }
    })
}

/// `silu(first half) ⊙ second half`, row by row: `[rows, 2 · n]` → `[rows, n]`.
pub fn gate(joined: &Tensor) -> Result<Tensor, ShimError> {
    const DOING: &str = "gate rows";
    let list = [joined];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, -1])?;
    if joined.size()[1] % 2 != 0 {
        return Err(operands.refused(
            0,
            format!("of shape {:?}", joined.size()),
            "an even number of columns".to_owned(),
        ));
    }
    made(DOING, |output, message, capacity| {
        // SAFETY: `joined` lives for the whole call and is a contiguous f32 matrix on the CPU with an even number of
        // columns; `output` and `message` are written within their bounds.
        unsafe { slhf_gate(joined.as_ptr(), output, message, capacity) }
    })
}

/// What one new token a row attends to.
#[derive(Clone, Copy, Debug)]
pub struct CachedAttention<'a> {
    /// Of the new token's position, `[rows, 1, 1, size]`.
    pub cosines: &'a Tensor,
    /// Likewise; those of the first half negated.
    pub sines: &'a Tensor,
    /// Weights of the norms of queries and keys, `[size]` each, and what is added to the mean square.
    pub norms: Option<(&'a Tensor, &'a Tensor)>,
    /// Likewise.
    pub norm_epsilon: f64,
    /// `[≥ rows, pairs, capacity, size]`; the new keys are written to slot `cursor`.
    pub keys: &'a Tensor,
    /// Likewise.
    pub values: &'a Tensor,
    /// 0 where a slot is the row's own, −∞ elsewhere: `[≥ rows, 1, 1, capacity]`; the new slot is one of them.
    pub mask: &'a Tensor,
    /// The slot of the new token; every slot up to it is looked at.
    pub cursor: i64,
}

/// Turns queries and keys by their position, appends keys and values to the cache, and attends: → `[rows, heads · size]`. `joined` are
/// queries, keys and values of the new token of each row, `[rows, (heads + 2 · pairs) · size]`.
///
/// # Errors
/// Shapes do not go together, or the processor is another one.
pub fn attend_one(joined: &Tensor, attention: &CachedAttention<'_>) -> Result<Tensor, ShimError> {
    const DOING: &str = "attend with one token a row";
    let list = [joined];
    Operands::new(DOING, &list)?.shape(0, &[-1, -1])?;
    let size = joined.size();
    let foreign = SlhfAttention { joined: joined.as_ptr(), ..foreign(DOING, [size[0], size[1]], attention)? };
    made(DOING, |output, message, capacity| {
        // SAFETY: all tensors live for the whole call and are contiguous, f32 and on the CPU; `foreign` has checked that their shapes go
        // together, so that every read and the writes to slot `cursor` of `keys` and `values` are within bounds. Those two are changed in
        // place, as tch's own in-place calls do. `output` and `message` are written within theirs.
        unsafe { slhf_attend_one(&raw const foreign, output, message, capacity) }
    })
}

/// The attention as C++ reads it, over joined queries, keys and values of shape `[rows, width]`, which are still to be named.
pub(crate) fn foreign(
    doing: &'static str,
    [rows, width]: [i64; 2],
    attention: &CachedAttention<'_>,
) -> Result<SlhfAttention, ShimError> {
    let CachedAttention { cosines, sines, norms, norm_epsilon, keys, values, mask, cursor } = *attention;
    let mut list = vec![keys, values, mask, cosines, sines];
    list.extend(norms.iter().flat_map(|(query, key)| [*query, *key]));
    let operands = Operands::new(doing, &list)?;
    operands.shape(0, &[-1, -1, -1, -1])?;
    let cached = keys.size();
    let (pairs, capacity, size) = (cached[1], cached[2], cached[3]);
    operands.shape(1, &cached)?;
    operands.shape(2, &[cached[0], 1, 1, capacity])?;
    operands.shape(3, &[rows, 1, 1, size])?;
    operands.shape(4, &[rows, 1, 1, size])?;
    for index in 5..list.len() {
        operands.shape(index, &[size])?;
    }
    let heads = if size > 0 { width / size - 2 * pairs } else { 0 };
    let fits = pairs > 0 && heads > 0 && heads % pairs == 0 && (heads + 2 * pairs) * size == width;
    if !fits || size % 2 != 0 {
        let found = format!("of shape {cached:?} with {width} queries, keys and values");
        return Err(operands.refused(0, found, "whole heads of an even size, as many for each key".to_owned()));
    }
    if cached[0] < rows || !(0..capacity).contains(&cursor) {
        let found = format!("of shape {cached:?}");
        return Err(operands.refused(0, found, format!("room for {rows} rows and for slot {cursor}")));
    }
    Ok(SlhfAttention {
        joined: std::ptr::null(),
        cosines: cosines.as_ptr(),
        sines: sines.as_ptr(),
        query_norm: pointer(norms.map(|(query, _)| query)),
        key_norm: pointer(norms.map(|(_, key)| key)),
        keys: keys.as_ptr(),
        values: values.as_ptr(),
        mask: mask.as_ptr(),
        norm_epsilon,
        heads,
        pairs,
        size,
        cursor,
    })
}
