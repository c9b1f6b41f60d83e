//! Served models against a local server that says what a test wants, or misbehaves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod answers;
mod faults;
mod sampling;
mod server;
