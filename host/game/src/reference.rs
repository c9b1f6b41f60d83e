//! Reference policies: distributions of full support.

use crate::error::{GameError, Part};
use crate::preference::{check_action_count, flatten};

/// How far from 1 a distribution's sum may be (six decimals a third each are accepted); it is
/// then divided by its sum.
pub const SUM_TOLERANCE: f64 = 1e-5;

/// A distribution over at least two actions, every entry positive, summing to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    probabilities: Vec<f64>,
    log_probabilities: Vec<f64>,
}

impl Distribution {
    /// From probabilities, all positive, whose sum is 1 within [`SUM_TOLERANCE`].
    pub fn new(probabilities: &[f64]) -> Result<Self, GameError> {
        Self::named(probabilities, Part::Distribution)
    }

    /// The same, with the name that an error shall use.
    pub fn named(probabilities: &[f64], what: Part) -> Result<Self, GameError> {
        check_action_count(probabilities.len())?;
        let probabilities = normalised(probabilities, what)?;
        let log_probabilities = probabilities.iter().map(|p| p.ln()).collect();
        Ok(Self { probabilities, log_probabilities })
    }

    /// The uniform distribution over `actions` (raised to 2 if fewer).
    pub fn uniform(actions: usize) -> Self {
        let actions = actions.max(2);
        Self {
            probabilities: vec![1.0 / actions as f64; actions],
            log_probabilities: vec![-(actions as f64).ln(); actions],
        }
    }

    /// The probabilities; all positive.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// Their natural logarithms; all finite.
    pub fn log_probabilities(&self) -> &[f64] {
        &self.log_probabilities
    }

    /// The number of actions.
    pub fn actions(&self) -> usize {
        self.probabilities.len()
    }
}

/// `ω_ref(j` | i), row-major `n × n`: one distribution of full support for every Leader's action.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowerReference {
    actions: usize,
    log_probabilities: Vec<f64>,
}

impl FollowerReference {
    /// From rows: row `i` is the Follower's reference after the Leader played `i`.
    pub fn from_rows<Row: AsRef<[f64]>>(rows: &[Row]) -> Result<Self, GameError> {
        let actions = rows.len();
        check_action_count(actions)?;
        Self::new(actions, &flatten(Part::ReferenceFollower, rows)?)
    }

    /// From row-major entries, `actions × actions` of them.
    pub fn new(actions: usize, entries: &[f64]) -> Result<Self, GameError> {
        check_action_count(actions)?;
        if entries.len() != actions * actions {
            return Err(GameError::EntryCount { what: Part::ReferenceFollower, actions, found: entries.len() });
        }
        let mut log_probabilities = Vec::with_capacity(entries.len());
        for (row, values) in entries.chunks_exact(actions).enumerate() {
            let values = normalised(values, Part::ReferenceFollowerRow(row))?;
            log_probabilities.extend(values.iter().map(|p| p.ln()));
        }
        Ok(Self { actions, log_probabilities })
    }

    /// Uniform rows over `actions` (raised to 2 if fewer).
    pub fn uniform(actions: usize) -> Self {
        let actions = actions.max(2);
        Self { actions, log_probabilities: vec![-(actions as f64).ln(); actions * actions] }
    }

    /// log `ω_ref`(· | i); all finite.
    ///
    /// # Panics
    /// If `action` is not below [`Self::actions`].
    pub fn log_row(&self, action: usize) -> &[f64] {
        &self.log_probabilities[action * self.actions..(action + 1) * self.actions]
    }

    /// log `ω_ref`, row-major.
    pub fn log_probabilities(&self) -> &[f64] {
        &self.log_probabilities
    }

    /// The number of actions.
    pub fn actions(&self) -> usize {
        self.actions
    }
}

/// Checks the entries and the sum, and divides by the sum.
fn normalised(probabilities: &[f64], what: Part) -> Result<Vec<f64>, GameError> {
    for (entry, &value) in probabilities.iter().enumerate() {
        // A subnormal probability is refused with the zeros: its inverse overflows.
        if !(f64::MIN_POSITIVE..=1.0 + SUM_TOLERANCE).contains(&value) {
            return Err(GameError::ReferenceEntry { what, entry, value });
        }
    }
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(GameError::ReferenceSum { what, sum, tolerance: SUM_TOLERANCE });
    }
    Ok(probabilities.iter().map(|p| p / sum).collect())
}
