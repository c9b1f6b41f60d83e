//! Why there is no certificate.

use crate::sequential::SequentialError;

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Nothing to speak about.
    #[error(
        "a certificate needs prompts with two responses or more each, and of the Leader two prompts or more; there are {prompts} with as many"
    )]
    TooFew {
        /// How many have any.
        prompts: usize,
    },
    /// A temperature that is none.
    #[error("the temperature is {temperature}; expected a finite number above 0")]
    Temperature {
        /// What was given.
        temperature: f64,
    },
    /// A log-weight that is none.
    #[error("the log-weight of a response is {log_weight}; expected a number, or −∞")]
    LogWeight {
        /// What was given.
        log_weight: f64,
    },
    /// A divergence that is none.
    #[error("the divergence of a response is {divergence}; expected a finite number")]
    Divergence {
        /// What was given.
        divergence: f64,
    },
    /// A preference that is none.
    #[error("of the preferences of a response, {0}")]
    Preference(#[from] SequentialError),
}

/// Finite and above 0.
pub(super) fn temperature(temperature: f64) -> Result<f64, CertificateError> {
    let is_one = temperature > 0.0 && temperature.is_finite();
    if is_one { Ok(temperature) } else { Err(CertificateError::Temperature { temperature }) }
}
