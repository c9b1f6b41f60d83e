//! Many claims at once.

use super::lower_bound::Risk;

/// Which of many hypotheses are rejected by their e-values: e-BH (Wang & Ramdas, "False discovery rate control with e-values", JRSS-B
/// 2022, arXiv 2009.02824; its base procedure, for e-values of any dependence).
///
/// With K hypotheses and their e-values from the largest to the smallest, the first k̂ are rejected, k̂ the largest k with `e_(k) ≥ K/(k α)`. On
/// average at most α of all rejections are wrong (the false discovery rate), however the e-values depend on each other.
#[must_use]
pub fn e_bh(e_values: &[f64], rate: Risk) -> Vec<bool> {
    let mut order: Vec<usize> = (0..e_values.len()).collect();
    order.sort_by(|&a, &b| e_values[b].total_cmp(&e_values[a]));
    let reaches = |k: usize| e_values[order[k - 1]] * k as f64 * rate.get() >= e_values.len() as f64;
    let rejected = (1..=order.len()).rev().find(|&k| reaches(k)).unwrap_or(0);
    let mut is_rejected = vec![false; e_values.len()];
    for &at in &order[..rejected] {
        is_rejected[at] = true;
    }
    is_rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_rejected_as_the_definition_says() {
        let rate = Risk::new(0.05).expect("a rate");
        for (e_values, expected) in [
            (vec![], vec![]),
            (vec![20.0], vec![true]),
            (vec![19.9], vec![false]),
            // K/(k α): 60, 30, 20.
            (vec![25.0, 1.0, 59.0], vec![false, false, false]),
            (vec![1.0, 60.0, 29.0], vec![false, true, false]),
            (vec![21.0, 22.0, 23.0], vec![true, true, true]),
            // The second one lifts the first.
            (vec![31.0, 30.0, 0.0], vec![true, true, false]),
            (vec![f64::INFINITY, 1.0], vec![true, false]),
        ] {
            assert_eq!(e_bh(&e_values, rate), expected, "{e_values:?}");
        }
    }

    /// All subsets that a self-consistent choice could make: e-BH's is the largest of them.
    #[test]
    fn it_is_the_largest_self_consistent_set() {
        let rate = Risk::new(0.1).expect("a rate");
        let mut draws = slhf_random::SplitMix64::new(3);
        for _ in 0..200 {
            let e_values: Vec<f64> = (0..6).map(|_| (6.0 * draws.uniform()).exp()).collect();
            let consistent = |set: usize| {
                let size = f64::from(set.count_ones());
                (0..6).all(|at| set >> at & 1 == 0 || e_values[at] >= 6.0 / (size * rate.get()))
            };
            let largest =
                (0_usize..64).filter(|set| consistent(*set)).map(usize::count_ones).max().expect("the empty one");
            let found = e_bh(&e_values, rate).into_iter().filter(|rejected| *rejected).count();
            assert_eq!(found, largest as usize, "{e_values:?}");
        }
    }
}
