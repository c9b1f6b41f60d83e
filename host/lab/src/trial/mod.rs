//! A judge on trial: what it is asked about, and what it says. Verbs make tables of it.
//!
//! Begin with `subject.rs`, then `asking.rs`.

mod asking;
mod judge;
mod subject;

pub(crate) use asking::{Asked, Asking, Plan, ask};
pub(crate) use judge::load;
pub(crate) use subject::Subject;
