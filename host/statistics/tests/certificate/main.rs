//! Certificates of gaps against the gaps themselves, on finite games whose closed forms are known.
//!
//! Widths by the number of answers: `cargo nextest run -p slhf-statistics -E 'binary(certificate)' --no-capture`.

mod follower;
mod games;
mod leader;
