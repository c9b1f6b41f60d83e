//! The preference matrix: what the judge says about every ordered pair of actions.

use crate::error::{GameError, Part};

/// `P[i][j] = p(i ≻ j)`: the probability that action `i` is preferred to action `j`.
/// At least two actions, every entry finite and in [0, 1]; nothing else is assumed (real judges are
/// often not complementary: ask [`PreferenceMatrix::worst_asymmetry`]).
#[derive(Debug, Clone, PartialEq)]
pub struct PreferenceMatrix {
    actions: usize,
    entries: Vec<f64>,
}

/// The pair whose two preferences are furthest from summing to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asymmetry {
    /// `|P[row][column] + P[column][row] − 1|`, dimensionless.
    pub amount: f64,
    /// The smaller of the two actions (equal to `column` on the diagonal).
    pub row: usize,
    /// The other action.
    pub column: usize,
}

impl PreferenceMatrix {
    /// The most actions a game may have: a dense solve beyond this takes minutes.
    pub const ACTIONS_MAX: usize = 4096;

    /// How far from complementary a matrix may be and still count as complementary: far above
    /// the rounding of `1 − p` in f64, far below what any table of preferences means.
    pub const COMPLEMENTARY_TOLERANCE: f64 = 1e-9;

    /// From row-major entries, `actions × actions` of them.
    pub fn new(actions: usize, entries: Vec<f64>) -> Result<Self, GameError> {
        check_action_count(actions)?;
        if entries.len() != actions * actions {
            return Err(GameError::EntryCount { what: Part::PreferenceMatrix, actions, found: entries.len() });
        }
        if let Some(index) = entries.iter().position(|entry| !(0.0..=1.0).contains(entry)) {
            return Err(GameError::Preference { row: index / actions, column: index % actions, value: entries[index] });
        }
        Ok(Self { actions, entries })
    }

    /// From rows; as many columns as rows.
    pub fn from_rows<Row: AsRef<[f64]>>(rows: &[Row]) -> Result<Self, GameError> {
        let actions = rows.len();
        check_action_count(actions)?;
        Self::new(actions, flatten(Part::PreferenceMatrix, rows)?)
    }

    /// The number of actions, `n ≥ 2`.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// All entries, row-major.
    pub fn entries(&self) -> &[f64] {
        &self.entries
    }

    /// Row `i`: how action `i` fares against every action.
    ///
    /// # Panics
    /// If `action` is not below [`Self::actions`].
    pub fn row(&self, action: usize) -> &[f64] {
        &self.entries[action * self.actions..(action + 1) * self.actions]
    }

    /// All rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.entries.chunks_exact(self.actions)
    }

    /// `p(first ≻ second)`.
    ///
    /// # Panics
    /// If either is not below [`Self::actions`].
    pub fn get(&self, first: usize, second: usize) -> f64 {
        self.row(first)[second]
    }

    /// The pair that is furthest from `p(i ≻ j) + p(j ≻ i) = 1`, the diagonal included
    /// (`p(i ≻ i)` should be 1/2).
    pub fn worst_asymmetry(&self) -> Asymmetry {
        let mut worst = Asymmetry { amount: 0.0, row: 0, column: 0 };
        for (row, entries) in self.rows().enumerate() {
            for (column, entry) in entries.iter().enumerate().skip(row) {
                let amount = (entry + self.get(column, row) - 1.0).abs();
                if amount > worst.amount {
                    worst = Asymmetry { amount, row, column };
                }
            }
        }
        worst
    }

    /// Whether `|p(i ≻ j) + p(j ≻ i) − 1| ≤ tolerance` for every pair, the diagonal included.
    pub fn is_complementary(&self, tolerance: f64) -> bool {
        self.worst_asymmetry().amount <= tolerance
    }

    /// `(P + 1 − Pᵀ)/2`: complementary, and equal to `P` where `P` already was.
    #[must_use]
    pub fn symmetrised(&self) -> Self {
        let entries = self.margins().into_iter().map(|margin| 0.5 + margin);
        Self { actions: self.actions, entries: entries.collect() }
    }

    /// `(P − Pᵀ)/2`, exactly skew-symmetric, row-major: what the symmetric solution concepts
    /// (Nash) depend on. Entries are in [−1/2, 1/2].
    pub fn margins(&self) -> Vec<f64> {
        let mut margins = Vec::with_capacity(self.entries.len());
        for (row, entries) in self.rows().enumerate() {
            let pairs = entries.iter().enumerate();
            margins.extend(pairs.map(|(column, entry)| (entry - self.get(column, row)) / 2.0));
        }
        margins
    }
}

/// Refuses games that are too small to be games or too large to be solved.
pub(crate) fn check_action_count(actions: usize) -> Result<(), GameError> {
    if (2..=PreferenceMatrix::ACTIONS_MAX).contains(&actions) {
        Ok(())
    } else {
        Err(GameError::ActionCount { actions, actions_max: PreferenceMatrix::ACTIONS_MAX })
    }
}

/// Rows into one row-major vector; each must be as long as there are rows.
pub(crate) fn flatten<Row: AsRef<[f64]>>(what: Part, rows: &[Row]) -> Result<Vec<f64>, GameError> {
    let expected = rows.len();
    let mut entries = Vec::with_capacity(expected * expected);
    for (row, values) in rows.iter().enumerate() {
        let values = values.as_ref();
        if values.len() != expected {
            return Err(GameError::RaggedRow { what, row, expected, found: values.len() });
        }
        entries.extend_from_slice(values);
    }
    Ok(entries)
}
