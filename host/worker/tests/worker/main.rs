//! The worker over real pipes: as the lab drives it.

#![expect(clippy::panic, reason = "in a test, helpers included, what must not happen may panic")]

mod group;
mod lab;
mod protocol;
mod resume;
