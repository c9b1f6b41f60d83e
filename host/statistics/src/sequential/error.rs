//! Why a value, a level or a rule was refused.

/// Why a value, a level or a rule was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SequentialError {
    /// A value outside of what the bound is for.
    #[error("value {number} is {value}; expected {expected}")]
    Value {
        /// Counted from 1.
        number: usize,
        /// What was given.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// More values than the population has.
    #[error("value {} of a population of {population}: expected no more values than it has", population + 1)]
    Exhausted {
        /// How many it has.
        population: usize,
    },
    /// A chance of a miss outside of (0, 1).
    #[error("the chance of a miss is {risk}; expected a number between 0 and 1, such as 0.05")]
    Risk {
        /// What was given.
        risk: f64,
    },
    /// A width that no interval of [0, 1] has, or that needs no value.
    #[error("the width is {width}; expected a number above 0 and below 1, such as 0.1")]
    Width {
        /// What was given.
        width: f64,
    },
    /// A mean that nothing can differ from on both sides.
    #[error("the mean to differ from is {mean}; expected a number above 0 and below 1, such as 0.5")]
    Mean {
        /// What was given.
        mean: f64,
    },
}
