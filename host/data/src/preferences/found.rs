//! What a file of preferences says, and how it is read.

use serde::{Deserialize, Serialize};
use slhf_plan::{Message, OnBadRow, PairDataPlan, PairLayout, PromptLayout};

use crate::prompts::{PromptRow, Prompts, SkippedRows};

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferenceReading {
    /// Its layout.
    pub layout: PairLayout,
    /// The rating that decides which response of a pair is better; `None`: the layout's own.
    pub attribute: Option<String>,
    /// Decides what ratings leave open.
    pub seed: u64,
    /// What becomes of rows that cannot be used.
    pub on_bad_row: OnBadRow,
}

impl PreferenceReading {
    /// As a plan reads its file.
    #[must_use]
    pub fn of(plan: &PairDataPlan) -> Self {
        let PairDataPlan { layout, attribute, split_seed, on_bad_row, .. } = plan;
        Self { layout: *layout, attribute: attribute.clone(), seed: *split_seed, on_bad_row: *on_bad_row }
    }
}

/// A file of preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preferences {
    /// Its name, for messages.
    pub file: String,
    /// Of its bytes.
    pub sha256: String,
    /// Different conversations, in the order of the file; the last message of each is the user's.
    pub prompts: Vec<Vec<Message>>,
    /// In the order of the file.
    pub pairs: Vec<PreferencePair>,
    /// Names of the attributes that any pair has a rating of, sorted.
    pub labels: Vec<String>,
    /// Rows that have no two different responses, by their numbers.
    pub rows_without_two: Vec<usize>,
    /// Rows that cannot be used and are left out.
    pub skipped: SkippedRows,
}

/// Two different responses to one prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferencePair {
    /// The row that it is of.
    pub row: usize,
    /// Among [`Preferences::prompts`].
    pub prompt: usize,
    /// The responses.
    pub responses: [String; 2],
    /// The probability that the first is better; `None`: nobody says.
    pub first_is_better: Option<f64>,
    /// How much better the better one is, not negative; 0 where nobody says.
    pub strength: f64,
    /// In the order of [`Preferences::labels`]; `None`: nobody rated both.
    pub ratings: Vec<Option<PairRating>>,
}

/// What an attribute says of two responses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairRating {
    /// One a response.
    pub values: [f64; 2],
    /// The probability that the first is better by this attribute: 0, ½ or 1.
    pub first_is_better: f64,
}

impl PairRating {
    /// The higher one is better; equal ones are a tie.
    pub(super) fn by_value(values: [f64; 2]) -> Self {
        let first_is_better = match values[0].total_cmp(&values[1]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 0.5,
        };
        Self { values, first_is_better }
    }
}

impl Preferences {
    /// The conversations as prompts, each once; an id is the number of the first row with a pair of it.
    #[must_use]
    pub fn as_prompts(&self) -> Prompts {
        let mut first_rows = vec![0; self.prompts.len()];
        for pair in self.pairs.iter().rev() {
            first_rows[pair.prompt] = pair.row;
        }
        let row = |(messages, number): (&Vec<Message>, usize)| PromptRow {
            id: number.to_string(),
            messages: messages.clone(),
            metadata: "{}".to_owned(),
        };
        Prompts {
            file: self.file.clone(),
            rows: self.prompts.iter().zip(first_rows).map(row).collect(),
            layout: PromptLayout::Jsonl,
            sha256: self.sha256.clone(),
            skipped: self.skipped.clone(),
        }
    }

    /// What a reader should know of rows that are left out.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((first, rest)) = self.rows_without_two.split_first() {
            let (rows, say) = if rest.is_empty() { ("1 row", "says") } else { ("rows", "say") };
            let many = if rest.is_empty() { String::new() } else { format!("{} ", rest.len() + 1) };
            notes.push(format!(
                "{many}{rows} of {} without two different responses {say} nothing and {} left out; the first is row {first}",
                self.file,
                if rest.is_empty() { "is" } else { "are" },
            ));
        }
        notes.extend(self.skipped.sentence());
        notes
    }
}
