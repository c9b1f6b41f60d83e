//! Seeded choices and moments.

use std::time::Duration;

use slhf_random::SplitMix64;

/// The numbers of a campaign.
#[derive(Debug)]
pub struct Random(SplitMix64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Another stream.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.bits())
    }

    /// Below `count`, which is above 0.
    pub fn below(&mut self, count: u64) -> u64 {
        self.0.bits() % count
    }

    /// Up to `longest`; of a clock, so that a seed repeats the choice and not the bits.
    pub fn moment(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.below(1 << 20) as f64 / f64::from(1 << 20))
    }
}
