//! Pages on loopback: who may ask, what a browser may do with a page, how a page stays live.
//!
//! [`Bound::serve`] answers browsers with what a [`Site`] says. A site knows what there is to see; this crate knows HTTP. Nothing here reads a
//! record.
//!
//! Begin with [`Site`]; who is let in is in `guard.rs`.
//!
//! Invariants: nothing is fetched from elsewhere, no page of another origin can read or write, and everything can be read without
//! JavaScript.

mod error;
mod frame;
mod guard;
mod server;
mod site;

pub use error::UiError;
pub use guard::{Access, Token};
pub use server::{Bound, bind};
pub use site::{Change, Link, Query, Site, View, ViewError, encoded};
