//! How many probability ratios of an update were clipped.

use crate::derivatives::Clip;

/// Ratios `π / π_old`, of tokens or of whole responses, and those that a clipped loss learns nothing from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClippedRatios {
    /// All.
    pub ratios: u64,
    /// Below the range, with a negative advantage.
    pub low: u64,
    /// Above the range, with a positive advantage.
    pub high: u64,
}

impl ClippedRatios {
    pub(crate) fn count(&mut self, clip: Clip) {
        self.ratios += 1;
        self.low += u64::from(clip == Clip::Low);
        self.high += u64::from(clip == Clip::High);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.ratios += other.ratios;
        self.low += other.low;
        self.high += other.high;
    }
}
