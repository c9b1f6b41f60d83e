//! What a machine needs beyond Rust itself: libtorch for the worker, a compiler for `wasm32-unknown-unknown` guests, what makes
//! components of Python and JavaScript, and the language models that experiments call by name. This crate finds them, fetches them into a cache folder of the user's
//! when asked, and describes what is there and what is missing.
//!
//! It is used by `cargo xtask` (set-up) and by `slhf-lab` (`doctor`, `plugin build`), and so is light:
//! no torch, no async, no network code of its own. Downloads go through the ordinary clients `pip`, `npm` and
//! `apt-get` as the user configured them; nothing outside the cache folder is ever changed.
//! Looking never changes anything; installing says beforehand what it does and how large it is.
//!
//! Begin with [`findings`], which looks at everything; then [`Cache`], then `libtorch` and `wasm`.
//!
//! ```
//! use slhf_toolchain::{CACHE_VARIABLE, Cache, Environment};
//!
//! let environment = Environment::default().with("HOME", "/home/ada").with(CACHE_VARIABLE, "/large/disk");
//! let cache = Cache::of(&environment)?;
//! assert_eq!(cache.root(), std::path::Path::new("/large/disk"));
//! # Ok::<(), slhf_toolchain::Error>(())
//! ```

mod bytes;
mod cache;
mod doctor;
mod environment;
mod error;
mod languages;
pub mod libtorch;
mod models;
mod prerequisites;
mod processor;
mod space;
pub mod wasm;
mod wheel;

pub use bytes::Bytes;
pub use cache::{CACHE_VARIABLE, Cache, Manifest};
pub use doctor::{Finding, Standing, findings};
pub use environment::Environment;
pub use error::Error;
pub use languages::{Componentizer, Language, componentizer};
pub use models::{CATALOGUE, Consent, KnownModel, Terms, fetch_model, resolve_model};
pub use prerequisites::{CxxCompiler, Python, cxx_compiler, python};
pub use processor::{Bf16Products, bf16_products, has_nvidia_driver};
pub use space::free_bytes;

/// Where an installation reports what it is doing: one call a line, no trailing newline.
pub type Say<'a> = &'a mut dyn FnMut(&str);
