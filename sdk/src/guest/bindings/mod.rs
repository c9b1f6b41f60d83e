//! What wit-bindgen generates from `wit/lab.wit`, one module a world; the later ones share the first one's imports and
//! types. Written by `cargo run --manifest-path sdk/generate/Cargo.toml`, committed so that no plugin compiles the
//! generator; a test notices when the contract has changed since.

#![expect(unsafe_code, unused_qualifications, unreachable_pub, reason = "generated; the canonical ABI is raw memory")]

#[rustfmt::skip]
pub mod baseline;
#[rustfmt::skip]
pub mod preference;
#[rustfmt::skip]
pub mod reward;
