//! A judge on trial: what it is asked about, and what it says. Verbs make tables of it.
//!
//! Begin with `subject.rs`, then `asking.rs`.

mod asking;
mod subject;

pub(crate) use asking::{Asked, Asking, Plan, ask};
pub(crate) use subject::Subject;
