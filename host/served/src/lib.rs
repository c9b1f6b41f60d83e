//! Models behind OpenAI-compatible servers.
//!
//! A [`ServedModel`] asks one model of one origin, and nothing else is reachable: no redirect is followed, no proxy of the
//! environment is used. It takes the batches that plugins ask ([`slhf_plan::ModelCall`]), keeps so many requests in flight, and gives
//! every item an outcome: a checked answer, or a fault with its kind. No number is ever invented: a log-probability that was asked
//! for and is absent is a fault, and so is one that is no log-probability.
//!
//! Begin with `model.rs`, then `client.rs` (requests, retries, limits) and `choose.rs` (which of the ways in docs/judges-with-models.md a
//! server allows).
//!
//! ```
//! use slhf_served::Origin;
//!
//! let origin: Origin = "http://127.0.0.1:8080/v1".parse()?;
//! assert_eq!(origin.to_string(), "http://127.0.0.1:8080/v1");
//! assert!("ftp://example.org".parse::<Origin>().is_err());
//! # Ok::<(), slhf_served::OriginError>(())
//! ```

mod budget;
mod choose;
mod client;
mod in_flight;
mod key;
mod model;
mod origin;
mod reply;
mod sampler;
mod side_by_side;

pub use budget::Budget;
pub use client::ServedSettings;
pub use in_flight::InFlight;
pub use key::Key;
pub use model::ServedModel;
pub use origin::{Origin, OriginError};
pub use sampler::ServedSampler;
pub use side_by_side::Heard;
