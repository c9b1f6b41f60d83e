//! In which order a population is drawn.

use slhf_random::SplitMix64;

/// A random order of `0..size`, the same for the same seed on every machine (Fisher & Yates): what a population is drawn in without
/// replacement. The bounds rest on nothing else than this draw: the values may be what they are.
#[must_use]
pub fn draw_order(size: usize, seed: u64) -> Vec<usize> {
    let mut draws = SplitMix64::new(seed);
    let mut order: Vec<usize> = (0..size).collect();
    for last in (1..size).rev() {
        order.swap(last, draws.below(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let seeds = 12_000;
        for seed in 0..seeds {
            // Seeds in sequence are one sequence of the generator: spread them.
            *counts.entry(draw_order(4, SplitMix64::new(seed).bits())).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // 500 each; standard error 22.
        assert!(counts.values().all(|count| (410..590).contains(count)), "{counts:?}");
        assert_eq!(draw_order(0, 1), Vec::<usize>::new());
    }
}
