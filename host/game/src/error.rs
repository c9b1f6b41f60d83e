//! The one error type of the crate: what a constructor refuses, and where.

/// Why a game, or a part of one, was refused. Rows, columns and entries are 0-based in the
/// fields (for programs) and counted from 1 in the sentence (for people).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GameError {
    /// Fewer than two actions, or more than [`crate::PreferenceMatrix::ACTIONS_MAX`].
    #[error("a game has between 2 and {actions_max} actions; this one has {actions}")]
    ActionCount {
        /// How many actions were given.
        actions: usize,
        /// The most that are accepted.
        actions_max: usize,
    },
    /// A flat matrix whose length is not the square of the number of actions.
    #[error("{what} of {actions} actions has {} entries; found {found}", actions * actions)]
    EntryCount {
        /// Which matrix.
        what: Part,
        /// The number of actions.
        actions: usize,
        /// The entries found.
        found: usize,
    },
    /// A row whose length differs from the number of rows.
    #[error("{what}: row {} has {found} entries; expected {expected}, as many as there are actions", row + 1)]
    RaggedRow {
        /// Which matrix.
        what: Part,
        /// The row, from 0.
        row: usize,
        /// The number of actions.
        expected: usize,
        /// The entries found.
        found: usize,
    },
    /// A preference that is no probability.
    #[error("the preference matrix: row {}, column {} is {value}; expected a probability in [0, 1]", row + 1, column + 1)]
    Preference {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// What was found there.
        value: f64,
    },
    /// An entry of a distribution over actions that is zero, negative, above 1 or not finite.
    #[error("{what}: entry {} is {value}; expected a probability in (0, 1]: a reference policy has full support", entry + 1)]
    ReferenceEntry {
        /// Which distribution.
        what: Part,
        /// The entry, from 0.
        entry: usize,
        /// What was found there.
        value: f64,
    },
    /// A distribution that does not sum to 1.
    #[error("{what} sums to {sum}; expected 1 (within {tolerance})")]
    ReferenceSum {
        /// Which distribution.
        what: Part,
        /// The sum found.
        sum: f64,
        /// How far from 1 it may be.
        tolerance: f64,
    },
    /// A reference policy over another number of actions than the game has.
    #[error("{what} has {found} entries; the game has {expected} actions")]
    ReferenceLength {
        /// Which distribution.
        what: Part,
        /// The number of actions.
        expected: usize,
        /// The entries found.
        found: usize,
    },
    /// A temperature that is negative (or, for `τ_rlhf`, not positive) or not finite.
    #[error("{name} is {value}; expected {expectation}")]
    Temperature {
        /// `tau_leader`, `tau_follower`, `tau_nash` or `tau_rlhf`.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would have been accepted.
        expectation: &'static str,
    },
    /// A Nash-MD mixture coefficient outside [0, 1].
    #[error("mixture_coef is {value}; expected a number in [0, 1]")]
    MixtureCoefficient {
        /// What was given.
        value: f64,
    },
    /// A share of the forward divergence outside [0, 1].
    #[error("the forward divergence's share is {value}; expected a number in [0, 1]")]
    ForwardShare {
        /// What was given.
        value: f64,
    },
    /// A pair weight that is negative or not finite.
    #[error("the pair weights: row {}, column {} is {value}; expected a finite number that is not negative", row + 1, column + 1)]
    PairWeight {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// What was found there.
        value: f64,
    },
    /// No pair of different actions has a positive weight.
    #[error(
        "the pair weights are zero for every pair of different actions; expected at least one pair that is compared"
    )]
    NoPairs,
}

/// Which part of a game an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `P[i][j] = p(i ≻ j)`.
    PreferenceMatrix,
    /// `π_ref`.
    ReferenceLeader,
    /// `ω_ref` as a whole.
    ReferenceFollower,
    /// `ω_ref`(· | i), the row of one Leader's action (from 0).
    ReferenceFollowerRow(usize),
    /// How often each ordered pair is compared.
    PairWeights,
    /// A distribution that no game owns yet.
    Distribution,
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PreferenceMatrix => formatter.write_str("the preference matrix"),
            Self::ReferenceLeader => formatter.write_str("the Leader's reference policy"),
            Self::ReferenceFollower => formatter.write_str("the Follower's reference policy"),
            Self::ReferenceFollowerRow(row) => {
                write!(formatter, "row {} of the Follower's reference policy", row + 1)
            }
            Self::PairWeights => formatter.write_str("the pair weights"),
            Self::Distribution => formatter.write_str("the distribution"),
        }
    }
}
