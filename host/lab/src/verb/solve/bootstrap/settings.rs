//! What the user asks of a bootstrap.

/// How often, and by which random numbers.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) resamples: u32,
    pub(crate) seed: u64,
}
