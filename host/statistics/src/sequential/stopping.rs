//! When enough is known.

use super::error::SequentialError;
use super::mean::SequentialMean;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopAt {
    /// The interval is so narrow.
    Width(f64),
    /// The interval leaves this mean out.
    DifferenceFrom(f64),
}

impl StopAt {
    /// A width above 0 and below 1.
    pub fn width(width: f64) -> Result<Self, SequentialError> {
        if width > 0.0 && width < 1.0 { Ok(Self::Width(width)) } else { Err(SequentialError::Width { width }) }
    }

    /// A mean above 0 and below 1.
    pub fn difference_from(mean: f64) -> Result<Self, SequentialError> {
        if mean > 0.0 && mean < 1.0 { Ok(Self::DifferenceFrom(mean)) } else { Err(SequentialError::Mean { mean }) }
    }

    /// Whether what was seen suffices.
    #[must_use]
    pub fn is_reached(self, seen: &SequentialMean) -> bool {
        match self {
            Self::Width(width) => {
                let interval = seen.interval();
                interval.high - interval.low <= width
            }
            Self::DifferenceFrom(mean) => seen.excludes(mean),
        }
    }
}
