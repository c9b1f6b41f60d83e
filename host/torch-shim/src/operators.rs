//! How many operators a computation is made of, and what time they take.

use std::ffi::{CStr, c_char, c_void};

use crate::ShimError;
use crate::foreign::{
    checked, slhf_count_operators, slhf_counted_operators, slhf_time_operators, slhf_timed_operators,
};

/// Does `body` and counts the operators that this thread sends to libtorch meanwhile, those inside of others included: on
/// a CPU each costs about a microsecond, on a GPU some more. Not to be nested.
pub fn count_operators<T>(body: impl FnOnce() -> T) -> Result<(T, u64), ShimError> {
    let mut handle = 0;
    checked("begin to count operators", |message, capacity| {
        // SAFETY: `handle` and `message` are written within their bounds.
        unsafe { slhf_count_operators(&raw mut handle, message, capacity) }
    })?;
    let result = body();
    let mut operators = 0;
    checked("count operators", |message, capacity| {
        // SAFETY: `handle` is the one that the call above gave; `operators` and `message` are written within their bounds.
        unsafe { slhf_counted_operators(handle, &raw mut operators, message, capacity) }
    })?;
    Ok((result, operators.max(0).cast_unsigned()))
}

/// What all calls of one operator took.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorTime {
    /// As libtorch names it, such as `aten::mm`, or a node of the graph on the way back, such as `MmBackward0`.
    pub name: String,
    /// How often it ran.
    pub calls: u64,
    /// By the clock, without the operators inside of it.
    pub seconds: f64,
}

/// Does `body` and takes the time of the operators that this thread sends to libtorch meanwhile, the way back through a graph on a CPU
/// included; the longest first. Not to be nested. To take time takes about a microsecond an operator.
///
/// # Errors
/// libtorch refuses to observe.
pub fn time_operators<T>(body: impl FnOnce() -> T) -> Result<(T, Vec<OperatorTime>), ShimError> {
    extern "C" fn tell(to: *mut c_void, name: *const c_char, calls: i64, seconds: f64) {
        // SAFETY: `to` is the vector below, which nobody else uses during the call.
        let list = unsafe { &mut *to.cast::<Vec<OperatorTime>>() };
        // SAFETY: the name of an operator ends with a zero and lives for the call.
        let name = unsafe { CStr::from_ptr(name) };
        list.push(OperatorTime {
            name: name.to_string_lossy().into_owned(),
            calls: calls.max(0).cast_unsigned(),
            seconds,
        });
    }
    let mut handle = 0;
    checked("begin to time operators", |message, capacity| {
        // SAFETY: `handle` and `message` are written within their bounds.
        unsafe { slhf_time_operators(&raw mut handle, message, capacity) }
    })?;
    let result = body();
    let mut found: Vec<OperatorTime> = Vec::new();
    checked("time operators", |message, capacity| {
        // SAFETY: `handle` is the one that the call above gave; `tell` gets the vector back as it is and is not kept; `message` is
        // written within its bounds.
        unsafe { slhf_timed_operators(handle, tell, (&raw mut found).cast(), message, capacity) }
    })?;
    found.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    Ok((result, found))
}
