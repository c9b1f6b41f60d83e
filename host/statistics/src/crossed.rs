//! The variance of a mean over a crossed design: every training (seed) met every prompt.
//!
//! A value is `μ + seed + prompt + error`, all three random. Their mean squares say how much each of them moves the mean
//! (Searle, Casella & `McCulloch`, *Variance Components*, 1992, chapter 4: the two-way layout without replication).

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::sample::{Interval, Level, student_t_quantile};

/// What else could have been drawn: whom an interval or a p-value speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// These trainings on other prompts. Nothing is said about another training.
    Prompts,
    /// Other trainings (seeds) on other prompts.
    SeedsAndPrompts,
}

impl Over {
    /// As tables, pages and documents name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::SeedsAndPrompts => "seeds and prompts",
        }
    }

    pub(crate) fn seeds(seeds: usize) -> Self {
        if seeds < 2 { Self::Prompts } else { Self::SeedsAndPrompts }
    }
}

/// One value a seed and prompt; none is missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CrossedTable {
    seeds: usize,
    prompts: usize,
    /// `[seed][prompt]`
    values: Vec<f64>,
}

/// Of the two-way layout, in squared units of the values. Zero where a design has one of either.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct MeanSquares {
    seed: f64,
    prompt: f64,
    error: f64,
}

impl CrossedTable {
    /// At least one seed and prompt, `values[seed * prompts + prompt]`.
    pub(crate) fn new(seeds: usize, prompts: usize, values: Vec<f64>) -> Self {
        debug_assert!(seeds > 0 && prompts > 0 && values.len() == seeds * prompts);
        Self { seeds, prompts, values }
    }

    pub(crate) fn seeds(&self) -> usize {
        self.seeds
    }

    pub(crate) fn prompts(&self) -> usize {
        self.prompts
    }

    pub(crate) fn value(&self, seed: usize, prompt: usize) -> f64 {
        self.values[seed * self.prompts + prompt]
    }

    pub(crate) fn mean(&self) -> f64 {
        crate::sample::mean(&self.values)
    }

    /// Whether every value is the same number.
    pub(crate) fn is_constant(&self) -> bool {
        self.values.iter().all(|value| *value == self.values[0])
    }

    /// The variance of [`Self::mean`]: `(MS_seed + MS_prompt − MS_error) / (S P)`, and not below `MS_seed / (S P)` or
    /// `MS_prompt / (S P)` alone. `MS_seed` is the larger of the table's own and of what other tables of the field have, since two or three
    /// seeds of one pair may agree by chance. One seed: `MS_prompt / P`, over prompts alone.
    pub(crate) fn variance_of_mean(&self, pooled: &PooledSeeds) -> f64 {
        let squares = self.mean_squares();
        let many = (self.seeds * self.prompts) as f64;
        if self.seeds < 2 {
            return squares.prompt / many;
        }
        let seed = squares.seed.max(pooled.mean_square(self.prompts));
        (seed + squares.prompt - squares.error).max(seed).max(squares.prompt) / many
    }

    fn mean_squares(&self) -> MeanSquares {
        let (seeds, prompts) = (self.seeds as f64, self.prompts as f64);
        let rows: Vec<f64> = self.values.chunks(self.prompts).map(|row| row.iter().sum::<f64>() / prompts).collect();
        let mut columns = vec![0.0; self.prompts];
        for row in self.values.chunks(self.prompts) {
            for (column, value) in columns.iter_mut().zip(row) {
                *column += value / seeds;
            }
        }
        let mean = rows.iter().sum::<f64>() / seeds;
        let square = |values: &[f64]| values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
        let divided = |sum: f64, by: usize| if by == 0 { 0.0 } else { sum / by as f64 };
        let mut rest = 0.0;
        for (row, of_seed) in self.values.chunks(self.prompts).zip(&rows) {
            for (value, of_prompt) in row.iter().zip(&columns) {
                let error = value - of_seed - of_prompt + mean;
                rest += error * error;
            }
        }
        MeanSquares {
            seed: divided(prompts * square(&rows), self.seeds - 1),
            prompt: divided(seeds * square(&columns), self.prompts - 1),
            error: divided(rest, (self.seeds - 1) * (self.prompts - 1)),
        }
    }
}

/// What all tables of a field say of how far seeds move a mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PooledSeeds {
    /// Of a table's seed means, averaged by prompts.
    variance: f64,
    /// `MS_error`, averaged by its degrees of freedom.
    error: f64,
    /// Prompts behind `variance`, averaged likewise.
    prompts: f64,
}

impl PooledSeeds {
    /// Of the tables with several seeds; zeros without any.
    pub(crate) fn of<'a>(tables: impl Iterator<Item = &'a CrossedTable>) -> Self {
        let (mut weight, mut freedom) = (0.0, 0.0);
        let mut sums = Self::default();
        for table in tables.filter(|table| table.seeds > 1) {
            let (squares, prompts) = (table.mean_squares(), table.prompts as f64);
            // prompts · (MS_seed / prompts): so that a table of one prompt says as little as it knows.
            sums.variance += squares.seed;
            sums.prompts += prompts * prompts;
            weight += prompts;
            let of_error = ((table.seeds - 1) * (table.prompts - 1)) as f64;
            sums.error += of_error * squares.error;
            freedom += of_error;
        }
        let mean = |sum: f64, by: f64| if by > 0.0 { sum / by } else { 0.0 };
        Self {
            variance: mean(sums.variance, weight),
            error: mean(sums.error, freedom),
            prompts: mean(sums.prompts, weight),
        }
    }

    /// `MS_seed` of a table with so many prompts, `P σ²_seed + σ²_error`: with equally many everywhere the mean of all of them.
    fn mean_square(&self, prompts: usize) -> f64 {
        if self.prompts <= 0.0 {
            return 0.0;
        }
        let own = prompts as f64;
        (own * self.variance + self.error * (1.0 - own / self.prompts)).max(0.0)
    }
}

/// A mean, its variance, and the degrees of freedom that the variance has; none: nothing is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Located {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) degrees_of_freedom: usize,
}

impl Located {
    /// Student's two-sided 95 % interval of the mean. Without degrees of freedom it is the whole line.
    pub(crate) fn interval(&self, n: usize) -> Interval {
        let level = Level::PERCENT_95;
        let half = if self.degrees_of_freedom == 0 {
            f64::INFINITY
        } else {
            student_t_quantile(0.5 + level.get() / 2.0, self.degrees_of_freedom) * self.variance.sqrt()
        };
        Interval { low: self.mean - half, high: self.mean + half, level, n }
    }

    /// `P(as far above `null` | the mean is `null`)`: small where the mean is above. 1 without degrees of freedom.
    pub(crate) fn p_above(&self, null: f64) -> f64 {
        let distance = self.mean - null;
        if self.degrees_of_freedom == 0 {
            return 1.0;
        }
        if self.variance <= 0.0 {
            // All values are equal: a mean off the null is off it for certain, one on it says nothing.
            return if distance > 0.0 { 0.0 } else { 1.0 };
        }
        match StudentsT::new(0.0, 1.0, self.degrees_of_freedom as f64) {
            Ok(distribution) => distribution.sf(distance / self.variance.sqrt()),
            // Unreachable: the scale is 1 and there is at least one degree of freedom.
            Err(_) => 1.0,
        }
    }

    /// Two-sided: twice the smaller of both sides, so that it is below 0.05 where [`Self::interval`] leaves `null` out.
    pub(crate) fn p_two_sided(&self, null: f64) -> f64 {
        let turned = Self { mean: 2.0 * null - self.mean, ..*self };
        (2.0 * self.p_above(null).min(turned.p_above(null))).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_squares_are_those_of_the_two_way_layout() {
        // By hand: means of seeds 7/3 and 5, of prompts 2, 9/2 and 9/2, of all 11/3.
        let table = CrossedTable::new(2, 3, vec![1.0, 2.0, 4.0, 3.0, 7.0, 5.0]);
        let found = table.mean_squares();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(found.seed, 32.0 / 3.0) && close(found.prompt, 25.0 / 6.0) && close(found.error, 13.0 / 6.0));
        assert!(close(table.variance_of_mean(&PooledSeeds::default()), (64.0 + 25.0 - 13.0) / 36.0));
        // Seeds that agree more than those of other pairs are not believed.
        let other = CrossedTable::new(2, 3, vec![1.0, 2.0, 4.0, 7.0, 11.0, 9.0]);
        let pooled = PooledSeeds::of([&table, &other].into_iter());
        let of_seeds = f64::midpoint(32.0 / 3.0, other.mean_squares().seed);
        assert!(
            close(pooled.mean_square(3), of_seeds) && close(table.variance_of_mean(&pooled), (of_seeds + 2.0) / 6.0)
        );
    }

    #[test]
    fn a_sparse_table_says_as_little_as_it_knows() {
        let mut generator = slhf_random::SplitMix64::new(1);
        let full: Vec<CrossedTable> =
            (0..10).map(|_| CrossedTable::new(3, 60, (0..180).map(|_| generator.uniform()).collect())).collect();
        let sparse = CrossedTable::new(3, 1, vec![0.1, 0.6, 0.4]);
        let without = PooledSeeds::of(full.iter()).mean_square(60);
        let with = PooledSeeds::of(full.iter().chain([&sparse])).mean_square(60);
        assert!((with / without - 1.0).abs() < 0.2, "{with} {without}");
        // Of one prompt the error is all there, not a sixtieth of it.
        let pooled = PooledSeeds::of(full.iter());
        assert!(pooled.mean_square(1) > 0.8 * pooled.error, "{pooled:?}");
    }

    #[test]
    fn the_error_is_never_taken_from_what_is_there_alone() {
        // Prompts that trade places between seeds: no seed and no prompt is better, and neither mean square is 0 by more than chance.
        let table = CrossedTable::new(2, 2, vec![0.0, 1.0, 1.0, 0.0]);
        assert_eq!(table.variance_of_mean(&PooledSeeds::default()), 0.0);
        let table = CrossedTable::new(2, 2, vec![0.0, 1.0, 1.0, 0.5]);
        let squares = table.mean_squares();
        assert!(table.variance_of_mean(&PooledSeeds::default()) * 4.0 >= squares.seed.max(squares.prompt));
    }

    #[test]
    fn one_seed_is_a_sample_of_prompts_and_one_prompt_of_seeds() {
        let values = vec![0.2, 0.5, 0.9];
        let sample = crate::Sample::new(values.clone()).expect("finite");
        let expected = sample.standard_error().expect("three").powi(2);
        for (seeds, prompts) in [(1, 3), (3, 1)] {
            let found = CrossedTable::new(seeds, prompts, values.clone()).variance_of_mean(&PooledSeeds::default());
            assert!((found - expected).abs() < 1e-15, "{seeds} × {prompts}");
        }
    }

    #[test]
    fn interval_and_p_are_dual() {
        for mean in [0.5, 0.55, 0.6, 0.7, 0.45, 0.1] {
            for variance in [1e-6, 1e-3, 4e-3, 0.1] {
                for degrees_of_freedom in [0, 1, 2, 18] {
                    let located = Located { mean, variance, degrees_of_freedom };
                    let interval = located.interval(1);
                    let is_out = !(interval.low..=interval.high).contains(&0.5);
                    assert_eq!(located.p_two_sided(0.5) < 0.05, is_out, "{located:?}");
                }
            }
        }
    }
}
