//! What a plan with a fixed number of values would have taken: what a sequential one is measured against. No program computes it: of the values that a
//! rule let through it would be too small, because these overstate differences.

use statrs::distribution::{ContinuousCDF, Normal};

use slhf_statistics::{Level, StopAt};

/// The chance that a fixed plan for a difference finds it.
const POWER: f64 = 0.8;

/// How many values of a population of `size` with this mean and standard deviation a plan needs that fixes their number before it sees any,
/// had it guessed both right: for a width, that of the normal interval; for a difference, that of a two-sided test which finds it in 80 of
/// 100 cases. Both without replacement: n = n₀ N / (n₀ + N) with n₀ = (2 z s / width)², or ((z + z₀.₈) s / (mean − m))².
///
/// A sequential plan guesses nothing and may be looked at all the time; the price is that it may need more than this.
pub(crate) fn fixed_size(size: usize, mean: f64, standard_deviation: f64, stop: StopAt, level: Level) -> usize {
    let quantile = |probability: f64| Normal::standard().inverse_cdf(probability);
    let z = quantile(0.5 + level.get() / 2.0);
    let root = match stop {
        StopAt::Width(width) => 2.0 * z * standard_deviation / width,
        StopAt::DifferenceFrom(other) => (z + quantile(POWER)) * standard_deviation / (mean - other).abs(),
    };
    let all = size as f64;
    // No difference at all: 0/0 or a division by 0 stand for everything there is.
    let needed = if root.is_finite() { root * root * all / (root * root + all) } else { all };
    (needed.ceil() as usize).clamp(size.min(2), size)
}

#[test]
fn known_sizes_are_found() {
    let level = Level::PERCENT_95;
    // 385 for ±0.05 at p = ½ of an endless population (Cochran).
    let width = StopAt::width(0.1).expect("a width");
    assert_eq!(fixed_size(100_000_000, 0.5, 0.5, width, level), 385);
    assert_eq!(fixed_size(512, 0.5, 0.5, width, level), 220);
    let half = StopAt::difference_from(0.5).expect("a mean");
    assert_eq!(fixed_size(512, 0.5, 0.5, half, level), 512);
    assert_eq!(fixed_size(100_000_000, 0.7, 0.21_f64.sqrt(), half, level), 42);
    assert_eq!(fixed_size(512, 1.0, 0.0, half, level), 2);
    assert_eq!(fixed_size(512, 0.5, 0.0, half, level), 512);
    assert_eq!(fixed_size(0, 0.5, 0.0, half, level), 0);
}
