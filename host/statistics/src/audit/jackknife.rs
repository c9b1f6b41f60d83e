//! Functions of sums over prompts, with the interval of the delete-one jackknife.

use crate::crossed::Over;
use crate::ratio::Estimate;
use crate::sample::{Interval, Level, student_t_quantile};

/// The first sum over the second.
pub(super) fn ratio(clusters: impl IntoIterator<Item = [f64; 2]>) -> Option<Estimate> {
    let known: Vec<[f64; 2]> = clusters.into_iter().filter(|[_, n]| *n > 0.0).collect();
    of(&known, |[sum, n]| sum / n)
}

/// Any smooth function of sums over clusters: its variance is `(C − 1)/C Σ (f₍c₎ − f)²` over what it is without cluster c.
/// `None` without a finite value; no interval for one cluster, or where one cluster is all that there is to say.
pub(super) fn of<const N: usize>(clusters: &[[f64; N]], f: impl Fn([f64; N]) -> f64) -> Option<Estimate> {
    let mut total = [0.0; N];
    for cluster in clusters {
        for (sum, own) in total.iter_mut().zip(cluster) {
            *sum += own;
        }
    }
    let value = f(total);
    if !value.is_finite() {
        return None;
    }
    let many = clusters.len();
    let without = |cluster: &[f64; N]| f(std::array::from_fn(|place| total[place] - cluster[place]));
    let squares: f64 = clusters.iter().map(|cluster| (without(cluster) - value).powi(2)).sum();
    let interval = (many > 1 && squares.is_finite()).then(|| {
        let error = (squares * (many - 1) as f64 / many as f64).sqrt();
        let level = Level::PERCENT_95;
        let half = student_t_quantile(0.5 + level.get() / 2.0, many - 1) * error;
        Interval { low: value - half, high: value + half, level, n: many }
    });
    Some(Estimate { value, interval, over: Over::seeds(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;

    #[test]
    fn of_a_mean_it_is_students_interval() {
        let values = vec![0.1, 0.4, 0.2, 0.9];
        let expected = Sample::new(values.clone()).unwrap().mean_interval(Level::PERCENT_95).unwrap();
        let found = ratio(values.into_iter().map(|value| [value, 1.0])).unwrap().interval.unwrap();
        assert!((found.low - expected.low).abs() < 1e-12 && (found.high - expected.high).abs() < 1e-12);
        assert_eq!(ratio([[0.3, 1.0]]).unwrap().interval, None);
        assert_eq!(ratio([]), None);
    }
}
