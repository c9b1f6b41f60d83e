//! Models for verbs that judge without a run: granted on the command line or by a recorded plan, and asked from here.
//!
//! A model behind a server is asked by this process; one on a device by a worker that does nothing else, because this crate never
//! links libtorch. Begin with `host.rs`.

mod arguments;
mod device;
mod host;
mod keep;

pub(crate) use arguments::{GrantArgument, GrantArguments, check_device};
pub(crate) use device::Place;
pub(crate) use host::{JudgeHost, Settings};
pub(crate) use keep::Asked;
