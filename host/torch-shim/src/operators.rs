//! How many operators a computation is made of.

use crate::ShimError;
use crate::foreign::{checked, slhf_count_operators, slhf_counted_operators};

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
