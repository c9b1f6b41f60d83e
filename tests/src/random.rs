//! Seeded choices and moments.

use std::time::Duration;

/// SplitMix64.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Another stream.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// Below `count`, which is above 0.
    pub fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    /// Up to `longest`; of a clock, so that a seed repeats the choice and not the bits.
    pub fn moment(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.below(1 << 20) as f64 / f64::from(1 << 20))
    }
}
