//! The upper end of a mean by Student's t.

use super::error::CertificateError;
use crate::sample::{Interval, Level, Sample};
use crate::sequential::Risk;

/// One side, with all of the risk. *Asymptotic*: of skewed values the end is too low while those that make the mean are rare in the sample.
pub(super) fn upper_end(rounds: &[f64], risk: Risk) -> Result<f64, CertificateError> {
    let none = CertificateError::TooFew { prompts: 0 };
    let level = Level::new(1.0 - 2.0 * risk.get()).map_err(|_| none)?;
    let interval: Option<Interval> = Sample::new(rounds.to_vec()).ok().and_then(|sample| sample.mean_interval(level));
    Ok(interval.ok_or(none)?.high)
}
