//! The C++ and the `unsafe` that tch lacks: small, and the only crate of the host where `unsafe` may live.
//!
//! Invariant: no C++ exception and no pointer leaves this crate; what libtorch refuses is a [`ShimError`].

mod adamw;
mod device;
mod error;
mod foreign;
mod lists;
mod one_token;
mod operators;

pub use adamw::{AdamwLists, AdamwStep, fused_adamw};
pub use device::{DeviceMemory, Float32Matmul, device_memory, reset_peak_memory, seed_generator, set_float32_matmul};
pub use error::ShimError;
pub use lists::{norms, scale};
pub use one_token::{AttendOne, attend_one, few_rows_linear, gate, has_one_token_operators, rms_norm};
pub use operators::count_operators;
