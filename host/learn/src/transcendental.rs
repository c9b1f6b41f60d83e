//! exp and log in plain arithmetic, without branches or tables, so that the compiler can use vector registers for
//! whole slices and so that the bits are the same on every processor (the system's own choose by instruction set).
//!
//! Both use the reductions and the minimax polynomials of FDLIBM (Sun Microsystems, 1993): error below 1 ulp.

const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Below this the exponential of a shifted logit is 0: its true value is under 1e-307.
const EXPONENT_MIN: f64 = -708.0;

/// e^x for x ≤ 0 (a logit less its row's largest); 0 below −708; NaN for NaN.
#[inline(always)]
pub(crate) fn exp_not_positive(x: f64) -> f64 {
    const INVERSE_LN2: f64 = std::f64::consts::LOG2_E;
    // Adding 1.5 · 2⁵² leaves the rounded integer in the low bits of the significand.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let shifted = x * INVERSE_LN2 + ROUND;
    let k = shifted - ROUND;
    let high = x - k * LN2_HIGH;
    let low = k * LN2_LOW;
    let r = high - low;
    let t = r * r;
    let c = r - t
        * (0.166_666_666_666_666_02
            + t * (-0.002_777_777_777_701_559_3
                + t * (6.613_756_321_437_934e-5 + t * (-1.653_390_220_546_525_2e-6 + t * 4.138_136_797_057_238_5e-8))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    // A mask and no branch: all bits for what is kept (NaN too), none below the least exponent.
    let kept = u64::from(x < EXPONENT_MIN).wrapping_sub(1);
    f64::from_bits((y * power).to_bits() & kept)
}

/// log x for normal x > 0; anything finite for anything else.
#[inline(always)]
pub(crate) fn ln_positive(x: f64) -> f64 {
    // Moves the significand into [√½, √2).
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    const HALF_ROOT: u64 = 0x3fe6_a09e_0000_0000;
    let bits = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - HALF_ROOT);
    // The exponent as a number: put into the low bits of 2⁵² and taken out by subtraction, which has a vector form.
    let k = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (TWO_52 + 1023.0);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + HALF_ROOT);
    let f = m - 1.0;
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (0.399_999_999_994_094_2 + w * (0.222_221_984_321_497_84 + w * 0.153_138_376_992_093_73));
    let odd = z
        * (0.666_666_666_666_673_5
            + w * (0.285_714_287_436_623_9 + w * (0.181_835_721_616_180_5 + w * 0.147_981_986_051_165_86)));
    s * (half_square + even + odd) + k * LN2_LOW - half_square + f + k * LN2_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    proptest! {
        #[test]
        fn exp_is_within_one_ulp(x in -707.0..=0.0_f64) {
            prop_assert!(ulps(exp_not_positive(x), libm::exp(x)) <= 1, "{x}");
        }

        #[test]
        fn exp_of_small_arguments_is_within_one_ulp(x in -2.0..=0.0_f64) {
            prop_assert!(ulps(exp_not_positive(x), libm::exp(x)) <= 1, "{x}");
        }

        #[test]
        fn ln_is_within_one_ulp(x in 1.0..5000.0_f64) {
            prop_assert!(ulps(ln_positive(x), libm::log(x)) <= 1, "{x}");
        }
    }

    #[test]
    fn the_ends_are_right() {
        assert_eq!(exp_not_positive(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(exp_not_positive(-0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(exp_not_positive(-709.0).to_bits(), 0);
        assert_eq!(exp_not_positive(-1e300).to_bits(), 0);
        assert_eq!(exp_not_positive(f64::NEG_INFINITY).to_bits(), 0);
        assert!(exp_not_positive(f64::NAN).is_nan());
        assert_eq!(ln_positive(1.0).to_bits(), 0);
    }
}
