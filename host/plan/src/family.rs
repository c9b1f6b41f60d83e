//! Which comparisons an experiment asks about, declared before anything is seen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What stands before the policy's name.
const AGAINST: &str = "against:";

/// The pairs of policies whose p-values are corrected together, and which alone can be called significant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ComparisonFamily {
    /// `all`: every pair.
    #[default]
    All,
    /// `against:NAME`: the pairs of one policy, as evaluations name it.
    Against(String),
}

impl ComparisonFamily {
    /// Whether it is what it is without being declared.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A family that nobody can ask about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\"; expected \"all\", or \"against:\" and the name of a policy, such as \"against:reference\"")]
pub struct FamilyError(String);

impl FromStr for ComparisonFamily {
    type Err = FamilyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(AGAINST) {
            None if text == "all" => Ok(Self::All),
            Some(name) if !name.trim().is_empty() => Ok(Self::Against(name.to_owned())),
            _ => Err(FamilyError(text.to_owned())),
        }
    }
}

impl fmt::Display for ComparisonFamily {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all"),
            Self::Against(name) => write!(formatter, "{AGAINST}{name}"),
        }
    }
}

impl TryFrom<String> for ComparisonFamily {
    type Error = FamilyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ComparisonFamily> for String {
    fn from(family: ComparisonFamily) -> Self {
        family.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_read_as_they_are_written() {
        for (text, family) in [
            ("all", Some(ComparisonFamily::All)),
            ("against:reference", Some(ComparisonFamily::Against("reference".to_owned()))),
            ("against:beta=0.1/leader", Some(ComparisonFamily::Against("beta=0.1/leader".to_owned()))),
            ("against:", None),
            ("against", None),
            ("All", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), family, "{text}");
            if let Some(family) = family {
                assert_eq!(family.to_string(), text);
                assert_eq!(serde_json::to_string(&family).expect("a string"), format!("\"{text}\""));
            }
        }
    }
}
