//! Groups of judges: what each counted, and how much each weighs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tally::Tally;

/// Names of groups that a message lists.
const NAMED_MAX: usize = 10;

/// The comparisons of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountedGroup {
    /// As the column `group` has it.
    pub name: String,
    /// What the group compared; at least one comparison.
    pub tally: Tally,
}

impl CountedGroup {
    /// Whether it compared anything.
    pub(crate) fn compares(&self) -> bool {
        self.tally.wins.iter().flatten().any(|wins| *wins > 0.0)
    }
}

/// How much each group weighs: one number a group in the order of the data, not negative, summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupWeights(Vec<f64>);

/// Why weights do not fit the groups.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The data have no groups.
    #[error(
        "the data have no groups to weigh; expected counted comparisons (CSV) with a column \"group\" \
             that names one in every row"
    )]
    NoGroups,
    /// A weight for a group that is not there.
    #[error("there is no group \"{name}\" in the data; expected {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that the data have.
        known: String,
    },
    /// A group without a weight.
    #[error("the group \"{name}\" has no weight; expected one for each of {known} (0 leaves a group out)")]
    Missing {
        /// The group.
        name: String,
        /// All of them.
        known: String,
    },
    /// A weight that is negative or no number.
    #[error("the weight of \"{name}\" is {value}; expected a finite number that is not negative")]
    Value {
        /// The group.
        name: String,
        /// What was given.
        value: f64,
    },
    /// Nobody counts.
    #[error("all weights are 0; expected at least one group that counts")]
    AllZero,
}

impl GroupWeights {
    /// One weight for each group by its name; only their ratios matter, they are divided by their sum.
    pub fn new(groups: &[CountedGroup], given: &BTreeMap<String, f64>) -> Result<Self, WeightsError> {
        if groups.is_empty() {
            return Err(WeightsError::NoGroups);
        }
        if let Some(name) = given.keys().find(|name| groups.iter().all(|group| group.name != **name)) {
            return Err(WeightsError::Unknown { name: name.clone(), known: listed(groups) });
        }
        let weight = |group: &CountedGroup| {
            let Some(&value) = given.get(&group.name) else {
                return Err(WeightsError::Missing { name: group.name.clone(), known: listed(groups) });
            };
            if value.is_finite() && value >= 0.0 {
                Ok(value)
            } else {
                Err(WeightsError::Value { name: group.name.clone(), value })
            }
        };
        let weights = groups.iter().map(weight).collect::<Result<Vec<f64>, WeightsError>>()?;
        let largest = weights.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(WeightsError::AllZero);
        }
        // By the largest first: a sum of large weights may be infinite.
        let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
        Ok(Self(weights.iter().map(|weight| weight / largest / sum).collect()))
    }

    /// Those of the groups that count, with their weights.
    pub(crate) fn counting<'a>(&self, groups: &'a [CountedGroup]) -> (Vec<&'a CountedGroup>, Self) {
        let counting = groups.iter().zip(&self.0).filter(|(_, weight)| **weight > 0.0);
        let (groups, weights) = counting.map(|(group, weight)| (group, *weight)).unzip();
        (groups, Self(weights))
    }

    /// The weights.
    pub fn get(&self) -> &[f64] {
        &self.0
    }

    /// `Σ_g w_g P_g`, exactly complementary with 0.5 on the diagonal; one matrix a group, all of one size and complementary.
    ///
    /// # Panics
    /// If there are fewer matrices than weights.
    pub fn mixed(&self, matrices: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
        let n = matrices[0].len();
        let mut mixed = vec![vec![0.5; n]; n];
        for i in 0..n {
            for j in i + 1..n {
                let terms = self.0.iter().zip(matrices).map(|(weight, matrix)| weight * matrix[i][j]);
                let probability = terms.sum::<f64>().clamp(0.0, 1.0);
                mixed[i][j] = probability;
                mixed[j][i] = 1.0 - probability;
            }
        }
        mixed
    }
}

fn listed(groups: &[CountedGroup]) -> String {
    let names: Vec<String> = groups.iter().take(NAMED_MAX).map(|group| format!("\"{}\"", group.name)).collect();
    match groups.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
