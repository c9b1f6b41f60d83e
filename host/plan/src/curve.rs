//! A value that changes over a run by a formula of the step alone.

/// Declares an enum of the curves and of what else `$more` has: serde takes an enum in an enum apart into neither the same JSON
/// nor the same messages, so both enums are made from one list.
macro_rules! with_curves {
    ($(#[$about:meta])* $name:ident { $($more:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
        pub enum $name {
            /// The same value at every step.
            Constant {
                /// The value.
                value: f64,
            },
            /// Straight from `start` (step 1) to `end` (last step).
            Linear {
                /// Value at step 1.
                start: f64,
                /// Value at the last step.
                end: f64,
            },
            /// Half a cosine from `start` (step 1) to `end` (last step).
            Cosine {
                /// Value at step 1.
                start: f64,
                /// Value at the last step.
                end: f64,
            },
            /// `start · ((t + offset) / (1 + offset))^(−exponent)`; with `offset = 0` this is `start · t^(−exponent)`.
            Power {
                /// Value at step 1.
                start: f64,
                /// The exponent a of t^(−a); a negative one grows.
                exponent: f64,
                /// Delays the decay: roughly the number of steps before it bites.
                #[serde(default)]
                offset: f64,
            },
            $($more)*
        }
    };
}
pub(crate) use with_curves;

with_curves! {
    /// A named, parametrized curve over the steps of a run.
    ///
    /// `t` counts steps from 1 to `steps`; every curve is a pure function of (`t`, `steps`), so a resumed run sees the
    /// same values.
    Curve {}
}

impl Curve {
    /// The value at step `t` (from 1) of `steps`.
    #[must_use]
    pub fn at(&self, t: u64, steps: u64) -> f64 {
        let progress = if steps <= 1 { 0.0 } else { (t.saturating_sub(1)) as f64 / (steps - 1) as f64 };
        match *self {
            Self::Constant { value } => value,
            Self::Linear { start, end } => start + (end - start) * progress,
            Self::Cosine { start, end } => end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Power { start, exponent, offset } => {
                start * ((t.max(1) as f64 + offset) / (1.0 + offset)).powf(-exponent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn curve() -> impl Strategy<Value = Curve> {
        let value = || 1e-6..1e3_f64;
        prop_oneof![
            value().prop_map(|value| Curve::Constant { value }),
            (value(), value()).prop_map(|(start, end)| Curve::Linear { start, end }),
            (value(), value()).prop_map(|(start, end)| Curve::Cosine { start, end }),
            (value(), -2.0..2.0_f64, 0.0..100.0_f64).prop_map(|(start, exponent, offset)| Curve::Power {
                start,
                exponent,
                offset
            }),
        ]
    }

    fn is_near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= 1e-12 * (1.0 + expected.abs())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::with_cases(256)
        })]

        /// Every curve begins at its start, ends at its end, never leaves what lies between, and never turns back.
        #[test]
        fn curves_go_one_way_from_start_to_end(curve in curve(), steps in 1..5000_u64, at in 0.0..1.0_f64) {
            let (start, end) = match curve {
                Curve::Constant { value } => (value, value),
                Curve::Linear { start, end } | Curve::Cosine { start, end } => (start, end),
                Curve::Power { start, exponent, offset } => {
                    (start, start * ((steps as f64 + offset) / (1.0 + offset)).powf(-exponent))
                }
            };
            prop_assert!(is_near(curve.at(1, steps), start));
            if steps > 1 {
                prop_assert!(is_near(curve.at(steps, steps), end));
                let t = 1 + ((steps - 1) as f64 * at) as u64;
                let (now, next) = (curve.at(t, steps), curve.at(t + 1, steps));
                let slack = 1e-12 * (1.0 + start.abs().max(end.abs()));
                prop_assert!((next - now) * (end - start).signum() >= -slack, "{now} then {next}");
                prop_assert!(now >= start.min(end) - slack && now <= start.max(end) + slack);
            }
        }

        /// A run of one step, and a step before the first, see the start.
        #[test]
        fn there_is_a_value_at_the_edges(curve in curve(), t in 0..2_u64, steps in 0..2_u64) {
            prop_assert!(is_near(curve.at(t, steps), curve.at(1, 100)));
        }
    }
}
