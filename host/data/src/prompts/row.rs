//! One prompt of a file.

use serde::{Deserialize, Serialize};
use slhf_plan::Message;

use crate::error::{DataError, Source};

/// More prompts are refused; far below 2³², since a prompt's number is part of its random streams.
pub const ROWS_MAX: usize = 10_000_000;

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptRow {
    /// The row's own `id`, else its number: the line of a text file, the row of a table, from 1.
    pub id: String,
    /// The conversation; the last message is the user's.
    pub messages: Vec<Message>,
    /// A JSON object of whatever else the row says; a judge reads it. Answers that a file brings are left out: they
    /// would be carried into the judge with every comparison.
    pub metadata: String,
}

impl PromptRow {
    /// The text of the last message.
    #[must_use]
    pub fn last_message(&self) -> &str {
        self.messages.last().map_or("", |message| &message.content)
    }

    /// The same prompt behind a system message, unless it has one or `system` is empty.
    #[must_use]
    pub fn with_system(mut self, system: &str) -> Self {
        if self.needs_system(system) {
            self.messages.insert(0, Message { role: "system".to_owned(), content: system.to_owned() });
        }
        self
    }

    pub(super) fn needs_system(&self, system: &str) -> bool {
        let has_one = self.messages.first().is_some_and(|message| message.role == "system");
        !has_one && !system.is_empty()
    }
}

pub(super) fn too_many(source: Source<'_>) -> DataError {
    source.whole(format!("the file has more than {ROWS_MAX} rows; split it"))
}
