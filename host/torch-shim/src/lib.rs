//! The C++ and the `unsafe` that tch lacks: small, and the only crate of the host where `unsafe` may live.
//!
//! It has libtorch's fused `AdamW` ([`fused_adamw`]), norms and scaling of lists of tensors, a device's memory, counts and times of operators, and
//! operators of its own for one token a row on a CPU ([`attend_one`], [`decode_layer`]) and for training ([`trained_linear`], [`causal_attention`]), and c10d's
//! group of processes ([`ProcessGroup`]). What tch has is taken from there.
//!
//! Invariant: no C++ exception and no pointer leaves this crate; what libtorch refuses is a [`ShimError`]. It never decides anything: which
//! step is taken, and on what, is `slhf_policy`'s.
//!
//! Begin reading with `foreign.rs`, the list of C++ functions with what each needs; the C++ itself is in `cpp/`. Each `unsafe` says why it is
//! sound.
//!
//! ```
//! let gradients = [tch::Tensor::from_slice(&[3.0_f32, 4.0])];
//! let norms = slhf_torch_shim::norms(&gradients.iter().collect::<Vec<_>>())?;
//! assert_eq!(norms.double_value(&[0]), 5.0);
//! # Ok::<(), slhf_torch_shim::ShimError>(())
//! ```

mod adamw;
mod attention;
mod device;
mod error;
mod foreign;
mod group;
mod layer;
mod lists;
mod one_token;
mod operators;
mod packed;
mod sampler;
mod training;

pub use adamw::{AdamwLists, AdamwStep, fused_adamw};
pub use attention::{CausalAttention, SeenKeys, TreeAttention, causal_attention, tree_attention};
pub use device::{DeviceMemory, Float32Matmul, device_memory, reset_peak_memory, seed_generator, set_float32_matmul};
pub use error::ShimError;
pub use group::{Meeting, ProcessGroup, Rank};
pub use layer::{DecodeLayer, PackedMatrices, decode_layer};
pub use lists::{norms, scale};
pub use one_token::{
    CachedAttention, Lanes, attend_one, few_rows_linear, gate, has_one_token_operators, rms_norm, set_lanes,
};
pub use operators::{OperatorTime, count_operators, time_operators};
pub use packed::{
    Lower, PackedLinear, PackedMatrix, PackedPart, PackedSource, Raise, packed_linear, transposed_linear,
};
pub use sampler::{DrawnTokens, Logits, RowScores, draw_tokens, score_rows};
pub use training::{SplitHeads, TrainedLinear, split_heads, trained_gate, trained_linear, trained_norm};
