//! Binomial numbers from a sequence, in a time that does not grow with the number of trials.

use crate::sequence::SplitMix64;

/// Below this mean the counting method is the faster one, and the other one is not exact.
const COUNTED_MEAN_MAX: f64 = 10.0;

impl SplitMix64 {
    /// How many of independent trials succeed, each with this probability (cut to [0, 1]; NaN is 0). Exact up to rounding, which is
    /// below 1e-6 of a probability up to 10⁹ trials. On `libm`, so that the numbers are the same everywhere.
    ///
    /// Few successes are counted by inversion, others drawn by BTRS: Hörmann, "The generation of binomial random variates", Journal
    /// of Statistical Computation and Simulation 46 (1993).
    pub fn binomial(&mut self, trials: u64, probability: f64) -> u64 {
        if trials == 0 || probability <= 0.0 || probability.is_nan() {
            return 0;
        }
        if probability >= 1.0 {
            return trials;
        }
        if probability > 0.5 {
            return trials - self.binomial(trials, 1.0 - probability);
        }
        if trials as f64 * probability < COUNTED_MEAN_MAX {
            self.counted(trials, probability)
        } else {
            Rejection::of(trials, probability).draw(self)
        }
    }

    /// Inversion, from no success upwards.
    fn counted(&mut self, trials: u64, probability: f64) -> u64 {
        let odds = probability / (1.0 - probability);
        let n = trials as f64;
        let none = libm::exp(n * libm::log1p(-probability));
        loop {
            let (mut left, mut mass) = (self.uniform(), none);
            for successes in 0..=trials {
                if left <= mass {
                    return successes;
                }
                // What rounding leaves above the sum of all masses is drawn again.
                if mass < f64::MIN_POSITIVE {
                    break;
                }
                left -= mass;
                mass *= odds * (n - successes as f64) / (successes as f64 + 1.0);
            }
        }
    }
}

/// Transformed rejection with squeeze (BTRS), for a probability of at most 1/2 and a mean of at least 10.
struct Rejection {
    n: f64,
    odds: f64,
    a: f64,
    b: f64,
    c: f64,
    /// The squeeze.
    v_r: f64,
    alpha: f64,
    /// The mode.
    m: f64,
}

impl Rejection {
    fn of(trials: u64, p: f64) -> Self {
        let n = trials as f64;
        let deviation = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * deviation;
        Self {
            n,
            odds: p / (1.0 - p),
            a: -0.0873 + 0.0248 * b + 0.01 * p,
            b,
            c: n * p + 0.5,
            v_r: 0.92 - 4.2 / b,
            alpha: (2.83 + 5.1 / b) * deviation,
            m: ((n + 1.0) * p).floor(),
        }
    }

    fn draw(&self, random: &mut SplitMix64) -> u64 {
        loop {
            let u = random.uniform() - 0.5;
            let v = random.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * self.a / us + self.b) * u + self.c).floor();
            if us >= 0.07 && v <= self.v_r {
                return k as u64;
            }
            if !(0.0..=self.n).contains(&k) {
                continue;
            }
            if libm::log(v * self.alpha / (self.a / (us * us) + self.b)) <= self.log_ratio(k) {
                return k as u64;
            }
        }
    }

    /// The logarithm of the mass at k over the mass at the mode.
    fn log_ratio(&self, k: f64) -> f64 {
        let Self { n, odds, m, .. } = *self;
        (m + 0.5) * libm::log((m + 1.0) / (odds * (n - m + 1.0)))
            + (n + 1.0) * libm::log((n - m + 1.0) / (n - k + 1.0))
            + (k + 0.5) * libm::log(odds * (n - k + 1.0) / (k + 1.0))
            + stirling_rest(m)
            + stirling_rest(n - m)
            - stirling_rest(k)
            - stirling_rest(n - k)
    }
}

/// `log k! − [(k + ½) log(k + 1) − (k + 1) + ½ log 2π]`.
fn stirling_rest(k: f64) -> f64 {
    const FIRST: [f64; 10] = [
        0.081_061_466_795_327_26,
        0.041_340_695_955_409_29,
        0.027_677_925_684_998_34,
        0.020_790_672_103_765_09,
        0.016_644_691_189_821_19,
        0.013_876_128_823_070_75,
        0.011_896_709_945_891_77,
        0.010_411_265_261_972_09,
        0.009_255_462_182_712_733,
        0.008_330_563_433_362_87,
    ];
    if let Some(rest) = FIRST.get(k as usize) {
        return *rest;
    }
    let next = k + 1.0;
    let square = next * next;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_factorial(k: u64) -> f64 {
        libm::lgamma(k as f64 + 1.0)
    }

    #[test]
    fn the_rest_of_stirlings_formula_is_what_is_left() {
        for k in [0_u64, 1, 5, 9, 10, 11, 50, 1000] {
            let next = k as f64 + 1.0;
            let formula = (k as f64 + 0.5) * next.ln() - next + 0.5 * std::f64::consts::TAU.ln();
            assert!((stirling_rest(k as f64) - (log_factorial(k) - formula)).abs() < 1e-11, "{k}");
        }
    }

    /// Pearson's χ² of 200,000 draws against the exact masses, cells of less than 10 expected draws merged: below its mean plus five
    /// deviations.
    #[test]
    fn draws_have_the_binomial_masses() {
        const DRAWS: usize = 200_000;
        let cases =
            [(1, 0.3), (7, 0.5), (40, 0.03), (19, 0.51), (20, 0.5), (30, 0.4), (100, 0.11), (1000, 0.97), (400, 0.5)];
        for (case, (trials, p)) in cases.into_iter().enumerate() {
            let mut random = SplitMix64::new(case as u64);
            let mut found = vec![0_u32; trials as usize + 1];
            for _ in 0..DRAWS {
                found[random.binomial(trials, p) as usize] += 1;
            }
            let mass = |k: u64| {
                let ways = log_factorial(trials) - log_factorial(k) - log_factorial(trials - k);
                (ways + k as f64 * p.ln() + (trials - k) as f64 * (1.0 - p).ln()).exp()
            };
            let (mut statistic, mut cells) = (0.0, 0.0);
            let (mut expected, mut seen) = (0.0, 0.0);
            for k in 0..=trials {
                expected += mass(k) * DRAWS as f64;
                seen += f64::from(found[k as usize]);
                if expected >= 10.0 {
                    statistic += (seen - expected).powi(2) / expected;
                    cells += 1.0;
                    (expected, seen) = (0.0, 0.0);
                }
            }
            let freedom: f64 = f64::max(cells - 1.0, 1.0);
            assert!(statistic < freedom + 5.0 * (2.0 * freedom).sqrt(), "{trials}, {p}: {statistic} of {freedom}");
        }
    }

    #[test]
    fn many_trials_keep_mean_and_variance() {
        const DRAWS: usize = 20_000;
        for (trials, p) in [(1_000_000_000_u64, 0.3), (1_000_000_000, 1e-6), (123_456, 0.999)] {
            let mut random = SplitMix64::new(9);
            let standard = |k: u64| (k as f64 - trials as f64 * p) / (trials as f64 * p * (1.0 - p)).sqrt();
            let values: Vec<f64> = (0..DRAWS).map(|_| standard(random.binomial(trials, p))).collect();
            let mean = values.iter().sum::<f64>() / DRAWS as f64;
            let variance = values.iter().map(|value| value * value).sum::<f64>() / DRAWS as f64;
            assert!(mean.abs() < 5.0 / (DRAWS as f64).sqrt(), "{trials}, {p}: {mean}");
            assert!((variance - 1.0).abs() < 5.0 * (2.0 / DRAWS as f64).sqrt(), "{trials}, {p}: {variance}");
        }
    }

    #[test]
    fn the_ends_are_certain() {
        let mut random = SplitMix64::new(1);
        let cases = [(0, 0.5, 0), (9, 0.0, 0), (9, 1.0, 9), (9, -1.0, 0), (9, 2.0, 9), (9, f64::NAN, 0)];
        for (trials, p, expected) in cases {
            assert_eq!(random.binomial(trials, p), expected);
        }
    }
}
