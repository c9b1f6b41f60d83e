//! When policies that are compared are known well enough, declared before anything is seen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::settings::Problems;

/// A pair of policies is asked about until this is so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopAtPlan {
    /// The interval of its win rate is so narrow.
    Width(f64),
    /// Its win rate is known to differ from this one.
    DifferenceFrom(f64),
}

/// A rule that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}; expected \"width=\" or \"difference_from=\" and a number above 0 and below 1, such as \"difference_from=0.5\""
)]
pub struct StopAtError(String);

impl StopAtPlan {
    /// Its key and its number.
    #[must_use]
    pub fn setting(self) -> (&'static str, f64) {
        match self {
            Self::Width(width) => ("width", width),
            Self::DifferenceFrom(mean) => ("difference_from", mean),
        }
    }

    /// From a key and a number; `None` where there is no such rule.
    #[must_use]
    pub fn new(key: &str, number: f64) -> Option<Self> {
        let rule = match key {
            "width" => Self::Width(number),
            "difference_from" => Self::DifferenceFrom(number),
            _ => return None,
        };
        rule.is_possible().then_some(rule)
    }

    fn is_possible(self) -> bool {
        let (_, number) = self.setting();
        number > 0.0 && number < 1.0
    }

    /// Whether its number is one of a win rate.
    pub(crate) fn check(self, problems: &mut Problems) {
        if !self.is_possible() {
            let (key, number) = self.setting();
            let problem = format!("{number}; expected a number above 0 and below 1");
            problems.push(format!("evaluation.stop_at.{key}"), problem);
        }
    }
}

/// As a command line says it: `width=0.1`.
impl FromStr for StopAtPlan {
    type Err = StopAtError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || StopAtError(text.to_owned());
        let (key, number) = text.split_once('=').ok_or_else(refused)?;
        let number: f64 = number.trim().parse().map_err(|_| refused())?;
        Self::new(key.trim(), number).ok_or_else(refused)
    }
}

impl fmt::Display for StopAtPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, number) = self.setting();
        write!(formatter, "{key}={number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        for (text, rule) in [
            ("width=0.1", Some(StopAtPlan::Width(0.1))),
            ("difference_from=0.5", Some(StopAtPlan::DifferenceFrom(0.5))),
            ("width=0", None),
            ("width=1", None),
            ("width=NaN", None),
            ("difference_from=-0.5", None),
            ("difference=0.5", None),
            ("width", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), rule, "{text}");
            let Some(rule) = rule else { continue };
            assert_eq!(rule.to_string(), text);
            let json = serde_json::to_string(&rule).expect("JSON");
            assert_eq!(serde_json::from_str::<StopAtPlan>(&json).expect("what was written"), rule, "{json}");
        }
        assert_eq!(serde_json::to_string(&StopAtPlan::Width(0.1)).expect("JSON"), r#"{"width":0.1}"#);
    }
}
