//! Correlations of what pairs differ in, such as how far a judge pays for length.

/// Sums for a correlation around 0: neither side of a pair is the first by right, so that turning a pair, which turns both
/// signs, must change nothing. A mean that is taken away would depend on who is listed first.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairCorrelation {
    xx: f64,
    yy: f64,
    xy: f64,
}

impl PairCorrelation {
    /// A pair's difference in length, and the win of the same side.
    pub fn add(&mut self, longer: f64, win: f64) {
        let above = win - 0.5;
        self.xx += longer * longer;
        self.yy += above * above;
        self.xy += longer * above;
    }

    /// `Σ d (w − ½) / √(Σ d² Σ (w − ½)²)`, in [−1, 1]; `None` where either is 0 everywhere.
    #[must_use]
    pub fn around_a_tie(&self) -> Option<f64> {
        let spread = self.xx * self.yy;
        (spread > 0.0).then(|| (self.xy / spread.sqrt()).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PairCorrelation;

    #[test]
    fn a_judge_that_pays_for_length_alone_is_told_so() {
        let mut all = PairCorrelation::default();
        for longer in [-3.0, 1.0, 2.0, 40.0] {
            all.add(longer, 0.5 + 0.01 * longer);
        }
        assert!((all.around_a_tie().expect("varies") - 1.0).abs() < 1e-12);
        assert_eq!(PairCorrelation::default().around_a_tie(), None);
    }

    proptest! {
        /// Lengths and strengths of policies on prompts, listed in any order.
        #[test]
        fn the_order_of_policies_changes_nothing(
            policies in proptest::collection::vec((0.0..500.0_f64, 0.0..1.0_f64), 3),
            order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        ) {
            let of = |order: &[usize]| {
                let mut all = PairCorrelation::default();
                for (place, i) in order.iter().enumerate() {
                    for j in &order[place + 1..] {
                        let (one, other) = (policies[*i], policies[*j]);
                        all.add(one.0 - other.0, 0.5 + 0.5 * (one.1 - other.1));
                    }
                }
                all.around_a_tie()
            };
            let (plain, turned) = (of(&[0, 1, 2]), of(&order));
            prop_assert!((plain.unwrap_or(0.0) - turned.unwrap_or(0.0)).abs() < 1e-12);
        }
    }
}
