//! Intervals over seeds and over prompts: means, shares and ratios, the variance of a crossed design, paired differences.
//! Policies against each other. Bounds that hold at every moment, so that one may stop when enough is known. Win rates that do not pay for length. Bradley–Terry scores that are linear in features.
//!
//! Everything that can be wrong with the input is refused by [`Sample::new`] and [`Level::new`];
//! what follows is total. Units are those of the values.
//!
//! Invariant: this crate imports `slhf_random` alone of the project and does no IO; the bootstrap is a pure function of its seed. It never
//! decides what is compared with what: that is declared before anything is seen, and is an argument.
//!
//! Begin reading with `sample.rs`, then `crossed.rs` (seeds and prompts at once) and `tournament/mod.rs`, which uses both.
//!
//! ```
//! use slhf_statistics::{Level, Sample};
//!
//! let gaps = Sample::new(vec![1.0, 2.0, 3.0, 4.0, 5.0])?;
//! let interval = gaps.mean_interval(Level::PERCENT_95).expect("two values or more");
//! assert_eq!(gaps.mean(), 3.0);
//! assert!((interval.high - 4.963_243_161_477_56).abs() < 1e-9);
//! # Ok::<(), slhf_statistics::StatisticsError>(())
//! ```

mod audit;
mod bootstrap;
mod certificate;
mod cross_validation;
mod crossed;
mod difference;
mod feature_comparisons;
mod length_control;
mod linear_bradley_terry;
mod logistic;
mod pair_correlation;
mod ratio;
mod sample;
mod sequential;
mod share;
mod tournament;

pub use audit::{
    Agreement, Audit, AuditSettings, AuditedPair, AuditedPrompt, CYCLIC_PROBABILITY_MAX, CYCLIC_PROBABILITY_MIN,
    Calibration, CyclicPart, LengthBias, LengthGroup, Noise, ReliabilityBin, Repeats, Triples, TwoVerdicts,
};
pub use bootstrap::{Bootstrap, percentile_interval};
pub use certificate::{
    CertificateError, FollowerCertificate, FollowerPair, LeaderAnswer, LeaderCertificate, LeaderPrompt, OwnAnswer,
    UpperEnd, ValueBounds, ValueSamples, follower_certificate, leader_certificate,
};
pub use cross_validation::{CrossValidated, Folds, RELATIVE_PENALTIES};
pub use crossed::Over;
pub use difference::{Difference, DifferenceTest};
pub use feature_comparisons::{ComparisonsError, FeatureComparisons};
pub use length_control::{
    Annotation, AuxiliaryTables, GamedRow, LENGTH_CONTROL_RESAMPLES, LengthControl, LengthControlled, WinRates,
    length_controlled, win_rates,
};
pub use linear_bradley_terry::{GRADIENT_TOLERANCE, LinearBradleyTerry, Penalty};
pub use pair_correlation::PairCorrelation;
pub use ratio::{Estimate, crossed_ratio_of_sums, ratio_of_sums};
pub use sample::{Interval, Level, Sample, Summary};
pub use sequential::{
    Horizon, LowerBound, Population, Risk, SequentialError, SequentialFamily, SequentialMean, StopAt, draw_order, e_bh,
};
pub use share::{share_of_trials, share_over_seeds};
pub use tournament::{
    AnswerTriples, Cycle, Cycles, Family, Matchup, Scale, Score, Standings, Tournament, TournamentError,
    TournamentSettings, holm,
};

/// Raised whenever the same verdicts give another interval, p-value or score: stored conclusions carry the number they were made
/// under. 1: percentile bootstraps and sign flips. 2: the variance of the crossed design, Student's t, shares' own intervals.
pub const STATISTICS_VERSION: u32 = 2;

/// Why values were refused. Positions are 0-based in the fields and counted from 1 in the
/// sentence.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// No values.
    #[error("a sample needs at least one value; this one has none")]
    Empty,
    /// A value that is no number.
    #[error("value {} of the sample is {value}; expected a finite number", index + 1)]
    NotFinite {
        /// Its position, from 0.
        index: usize,
        /// What was found there.
        value: f64,
    },
    /// A confidence level outside (0, 1).
    #[error("the confidence level is {level}; expected a number between 0 and 1, such as 0.95")]
    Level {
        /// What was given.
        level: f64,
    },
    /// A pair of an audit that is none.
    #[error("pair {} of the prompt {problem}", index + 1)]
    AuditedPair {
        /// Its position, from 0.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Paired samples of different sizes.
    #[error("paired samples need equally many values; the first has {first}, the second {second}")]
    Unpaired {
        /// Values of the first.
        first: usize,
        /// Values of the second.
        second: usize,
    },
}
