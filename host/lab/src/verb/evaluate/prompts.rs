//! Which prompts are asked: told apart by their ids, and told to judges with what their files say of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use slhf_data::DataError;
use slhf_data::prompts::{PromptRow, Prompts, read_prompts};
use slhf_judge::{Message, NO_METADATA};
use slhf_plan::{DataPlan, PromptId};

use super::field::HeldOutAnswer;
use crate::output;

/// One prompt, as judges are told of it.
#[derive(Clone, Debug)]
pub(super) struct HeldOut {
    /// `None`: an earlier version recorded the answers, and its file does not tell for certain.
    pub(super) id: Option<PromptId>,
    /// Its last message, as it was asked.
    pub(super) text: Arc<str>,
    pub(super) messages: Arc<[Message]>,
    pub(super) metadata: Arc<str>,
}

impl HeldOut {
    /// Its conversation, as plans have it.
    pub(super) fn conversation(&self) -> Vec<slhf_plan::Message> {
        let message = |message: &Message| slhf_plan::Message {
            role: message.role.to_string(),
            content: message.content.to_string(),
        };
        self.messages.iter().map(message).collect()
    }
}

/// What tells a prompt from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PromptKey {
    Id(PromptId),
    /// Earlier versions recorded the last message alone: the text, and how many prompts of the same text a run asked before.
    Text(String, usize),
}

/// The files of prompts of an experiment, each read once.
#[derive(Debug, Default)]
pub(super) struct PromptFiles {
    files: Vec<(DataPlan, PromptFile)>,
}

/// What one file says of prompts.
#[derive(Debug, Default)]
struct PromptFile {
    rows: HashMap<PromptId, PromptRow>,
    /// The rows of each last message.
    by_text: HashMap<String, Vec<PromptId>>,
    /// The held-out prompts of each last message, in the order in which they are asked; empty where this is not the file that
    /// the runs read.
    held_out: HashMap<String, Vec<PromptId>>,
}

impl PromptFile {
    /// `given` in the place of the plan's own file.
    fn of(plan: &DataPlan, given: Option<&Prompts>) -> Result<Self, DataError> {
        let read;
        let prompts = if let Some(given) = given {
            given
        } else {
            read = read_prompts(Path::new(&plan.path), Some(plan.layout))?;
            &read
        };
        let mut file = Self::default();
        for (id, row) in prompts.ids(&plan.system).into_iter().zip(&prompts.rows) {
            file.by_text.entry(row.last_message().to_owned()).or_default().push(id);
            file.rows.insert(id, row.clone().with_system(&plan.system));
        }
        if given.is_none() && prompts.sha256 == plan.sha256 {
            for (id, row) in prompts.held_out(plan)? {
                file.held_out.entry(row.last_message().to_owned()).or_default().push(id);
            }
        }
        Ok(file)
    }

    /// Of a text that all rows with it mean alike.
    fn row_of_text(&self, text: &str) -> Option<&PromptRow> {
        let mut rows = self.by_text.get(text)?.iter().map(|id| &self.rows[id]);
        let first = rows.next()?;
        rows.all(|row| row.messages == first.messages && row.metadata == first.metadata).then_some(first)
    }
}

impl PromptFiles {
    /// Reads what a plan names, or takes `given` in its place, unless it is there already. A file that cannot be read is
    /// said, and says nothing.
    pub(super) fn add(&mut self, plan: &DataPlan, given: Option<&Prompts>) {
        if self.files.iter().any(|(known, _)| known == plan) {
            return;
        }
        let file = PromptFile::of(plan, given).unwrap_or_else(|error| {
            let error = output::visible(&error.to_string());
            output::say(format!("note: judges are told of no metadata of the prompts: {error}"));
            PromptFile::default()
        });
        self.files.push((plan.clone(), file));
    }

    /// The prompts of one run's answers. Where an earlier version recorded no id, it is that of the held-out prompt whose text
    /// this is: of several, the one in the same place, if the run asked all of them.
    pub(super) fn keys<'a>(&self, plan: &DataPlan, answers: &'a [HeldOutAnswer]) -> Vec<PromptKey> {
        let file = self.files.iter().find(|(known, _)| known == plan).map(|(_, file)| file);
        let mut asked: HashMap<(&str, &str), usize> = HashMap::new();
        for answer in answers {
            *asked.entry((&answer.who, &answer.prompt)).or_default() += 1;
        }
        let mut before: HashMap<(&str, &str), usize> = HashMap::new();
        let key = |answer: &'a HeldOutAnswer| {
            let HeldOutAnswer { prompt_id, prompt, who, .. } = answer;
            let place = before.entry((who, prompt)).or_default();
            let earlier = *place;
            *place += 1;
            let held_out = file.and_then(|file| file.held_out.get(prompt)).map_or(&[][..], Vec::as_slice);
            let certain = || (held_out.len() == asked[&(who.as_str(), prompt.as_str())]).then(|| held_out[earlier]);
            prompt_id.or_else(certain).map_or_else(|| PromptKey::Text(prompt.clone(), earlier), PromptKey::Id)
        };
        answers.iter().map(key).collect()
    }

    /// Prompts with what the files say of them, each with its last message as it was asked.
    pub(super) fn told(&self, asked: Vec<(PromptKey, String)>) -> Vec<HeldOut> {
        let mut unknown = 0;
        let prompts: Vec<HeldOut> = asked
            .into_iter()
            .map(|(key, text)| {
                let row = self.row(&key);
                unknown += usize::from(row.is_none());
                told(&key, text, row)
            })
            .collect();
        let has_rows = self.files.iter().any(|(_, file)| !file.rows.is_empty());
        if has_rows && unknown > 0 {
            output::say(format!(
                "note: judges are told of no metadata and no earlier messages of {unknown} of the {} prompts: their file has changed, or \
                 several of its prompts end with the same text",
                prompts.len()
            ));
        }
        prompts
    }

    fn row(&self, key: &PromptKey) -> Option<&PromptRow> {
        self.files.iter().find_map(|(_, file)| match key {
            PromptKey::Id(id) => file.rows.get(id),
            PromptKey::Text(text, _) => file.row_of_text(text),
        })
    }
}

/// A prompt that was too long was shortened: its last message is the one that was asked.
fn told(key: &PromptKey, text: String, row: Option<&PromptRow>) -> HeldOut {
    let id = match key {
        PromptKey::Id(id) => Some(*id),
        PromptKey::Text(..) => None,
    };
    let earlier = row.map_or(&[][..], |row| row.messages.split_last().map_or(&[], |(_, earlier)| earlier));
    let earlier = earlier.iter().map(|message| (message.role.as_str(), message.content.as_str()));
    let messages = earlier
        .chain([("user", text.as_str())])
        .map(|(role, content)| Message { role: role.into(), content: content.into() })
        .collect();
    let metadata = row.map_or(NO_METADATA, |row| &row.metadata);
    HeldOut { id, messages, metadata: metadata.into(), text: text.into() }
}
