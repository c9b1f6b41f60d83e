//! The file of a run's plan, whatever it holds: its prompts, and where it holds preferences how these are read.

use std::path::Path;

use serde::{Deserialize, Serialize};
use slhf_plan::{DataLayout, DataPlan};

use crate::DataError;
use crate::preferences::{PreferenceReading, read_preferences};
use crate::prompts::{Prompts, Reading, read_prompts};

/// How the file of a run is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlannedReading {
    /// Prompts.
    Prompts(Reading),
    /// Preferences, of which the prompts are taken.
    Preferences(PreferenceReading),
}

impl PlannedReading {
    /// As a plan reads its file.
    #[must_use]
    pub fn of(plan: &DataPlan) -> Self {
        match &plan.layout {
            DataLayout::Prompts(layout) => {
                Self::Prompts(Reading { layout: Some(*layout), on_bad_row: plan.on_bad_row })
            }
            DataLayout::Preferences(data) => Self::Preferences(PreferenceReading {
                layout: data.pairs,
                attribute: data.attribute.clone(),
                seed: plan.split_seed,
                on_bad_row: plan.on_bad_row,
            }),
        }
    }
}

impl From<Reading> for PlannedReading {
    fn from(reading: Reading) -> Self {
        Self::Prompts(reading)
    }
}

/// The prompts of a file; of a file of preferences each different conversation once, in the order of the file.
pub fn read_planned(path: &Path, reading: &PlannedReading) -> Result<Prompts, DataError> {
    match reading {
        PlannedReading::Prompts(reading) => read_prompts(path, *reading),
        PlannedReading::Preferences(reading) => read_preferences(path, reading).map(|found| found.as_prompts()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::{PreferenceSplit, parse_preferences};
    use crate::prompts::Split;

    /// What is held out of the prompts is held out of the pairs.
    #[test]
    fn prompts_of_preferences_are_split_as_their_pairs_are() {
        let row = |number: usize| {
            let prompt = number % 11;
            format!("{{\"prompt\": \"Say {prompt}.\", \"chosen\": \"dog {number}\", \"rejected\": \"cat\"}}\n")
        };
        let text: String = (0..30).map(row).collect();
        let found = parse_preferences("pairs.jsonl", text.into(), &PreferenceReading::default()).expect("pairs");
        let prompts = found.as_prompts();
        assert_eq!((prompts.rows.len(), prompts.rows[3].id.as_str()), (11, "4"));
        let split = Split::of(&prompts, 4, 9).expect("enough");
        let pairs = PreferenceSplit::of(&found, 4, 9).expect("enough");
        let mut held_out = split.held_out;
        held_out.sort_unstable();
        let mut of_pairs: Vec<usize> = pairs.held_out.iter().map(|index| found.pairs[*index].prompt).collect();
        of_pairs.sort_unstable();
        of_pairs.dedup();
        assert_eq!(held_out, of_pairs);
        assert!(pairs.training.iter().all(|index| split.training.contains(&found.pairs[*index].prompt)));
    }
}
