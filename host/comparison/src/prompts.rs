//! Which prompts are asked: told apart by their ids, and told to judges with what their files say of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use slhf_data::prompts::{PromptRow, Prompts};
use slhf_data::{DataError, PlannedReading};
use slhf_judge::{Message, NO_METADATA};
use slhf_plan::{DataPlan, PromptId};

use crate::policy::HeldOutResponse;
use crate::say::Say;

/// One prompt, as judges are told of it.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// `None`: an earlier version recorded the answers, and its file does not tell for certain.
    pub id: Option<PromptId>,
    /// Its last message, as it was asked.
    pub text: Arc<str>,
    /// The whole conversation.
    pub messages: Arc<[Message]>,
    /// JSON.
    pub metadata: Arc<str>,
}

impl HeldOut {
    /// Its conversation, as plans have it.
    pub fn conversation(&self) -> Vec<slhf_plan::Message> {
        let message = |message: &Message| slhf_plan::Message {
            role: message.role.to_string(),
            content: message.content.to_string(),
        };
        self.messages.iter().map(message).collect()
    }
}

/// What tells a prompt from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PromptKey {
    Id(PromptId),
    /// Earlier versions recorded the last message alone: the text, and how many prompts of the same text a run asked before.
    Text(String, usize),
}

/// The files of prompts of an experiment, each read once.
#[derive(Debug, Default)]
pub(crate) struct PromptFiles {
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
    fn of(plan: &DataPlan, prompts: &Prompts) -> Result<Self, DataError> {
        let mut file = Self::default();
        for (id, row) in prompts.ids(&plan.system).into_iter().zip(&prompts.rows) {
            file.by_text.entry(row.last_message().to_owned()).or_default().push(id);
            file.rows.insert(id, row.clone().with_system(&plan.system));
        }
        if prompts.sha256 == plan.sha256 {
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
    pub(crate) fn add(&mut self, plan: &DataPlan, given: Option<&Prompts>, say: Say<'_>) {
        if self.files.iter().any(|(known, _)| known == plan) {
            return;
        }
        let file = match given {
            Some(given) => PromptFile::of(plan, given),
            None => slhf_foreign::prompts(Path::new(&plan.path), PlannedReading::of(plan))
                .and_then(|own| PromptFile::of(plan, &own)),
        };
        let file = file.unwrap_or_else(|error| {
            say(format!(
                "note: judges see no metadata of the prompts: {}",
                slhf_report::escape::line(&error.to_string())
            ));
            PromptFile::default()
        });
        self.files.push((plan.clone(), file));
    }

    /// The prompts of one run's answers. Where an earlier version recorded no id, it is that of the held-out prompt whose text
    /// this is: of several, the one in the same place, if the run asked all of them.
    pub(crate) fn keys<'a>(&self, plan: &DataPlan, answers: &'a [HeldOutResponse]) -> Vec<PromptKey> {
        let file = self.files.iter().find(|(known, _)| known == plan).map(|(_, file)| file);
        let mut asked: HashMap<(&str, &str), usize> = HashMap::new();
        for answer in answers {
            *asked.entry((&answer.who, &answer.prompt)).or_default() += 1;
        }
        let mut before: HashMap<(&str, &str), usize> = HashMap::new();
        let key = |answer: &'a HeldOutResponse| {
            let HeldOutResponse { prompt_id, prompt, who, .. } = answer;
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
    pub(crate) fn told(&self, asked: Vec<(PromptKey, String)>, say: Say<'_>) -> Vec<HeldOut> {
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
            say(format!(
                "note: judges see no metadata and no earlier messages of {unknown} of the {} prompts: their file has changed, or \
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

#[cfg(test)]
mod tests {
    use slhf_data::prompts::parse;
    use slhf_plan::{DataLayout, OnBadRow, OverLong, PromptLayout};

    use super::*;
    use crate::policy::response;

    /// Four conversations that end with one question, one that does not.
    const FILE: &str = r#"{"messages": [{"role": "user", "content": "Cats?"}, {"role": "assistant", "content": "Purr."}, {"role": "user", "content": "Why?"}], "a": 1}
{"messages": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "Falls."}, {"role": "user", "content": "Why?"}], "a": 2}
{"messages": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Hot."}, {"role": "user", "content": "Why?"}], "a": 3}
{"messages": [{"role": "user", "content": "Sand?"}, {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "Why?"}], "a": 4}
{"prompt": "How?", "a": 5}
"#;

    fn plan(prompts: &Prompts) -> DataPlan {
        DataPlan {
            path: prompts.file.clone(),
            sha256: prompts.sha256.clone(),
            layout: DataLayout::Prompts(PromptLayout::Jsonl),
            held_out: 4,
            split_seed: 0,
            max_prompt_tokens: 100,
            over_long: OverLong::Drop,
            system: "Be brief.".to_owned(),
            on_bad_row: OnBadRow::Error,
            skipped_rows: 0,
        }
    }

    fn answers(texts: &[&str], ids: &[Option<PromptId>]) -> Vec<HeldOutResponse> {
        let answer = |(text, id): (&&str, &Option<PromptId>)| HeldOutResponse {
            prompt_id: *id,
            prompt: (*text).to_owned(),
            who: "leader".to_owned(),
            response: response("so", true, 1),
        };
        texts.iter().zip(ids).map(answer).collect()
    }

    /// What a record has that earlier versions wrote: texts in the order in which they were asked.
    #[test]
    fn answers_without_ids_get_those_of_held_out_prompts_where_that_is_certain() {
        let prompts = parse("p.jsonl", FILE.as_bytes().to_vec(), None).expect("prompts");
        let plan = plan(&prompts);
        let held_out = prompts.held_out(&plan).expect("a split");
        let texts: Vec<&str> = held_out.iter().map(|(_, row)| row.last_message()).collect();
        assert!(texts.iter().filter(|text| **text == "Why?").count() > 2);
        let mut files = PromptFiles::default();
        files.add(&plan, Some(&prompts), &mut |_| ());
        let ids: Vec<PromptKey> = held_out.iter().map(|(id, _)| PromptKey::Id(*id)).collect();
        let old = answers(&texts, &[None; 4]);
        assert_eq!(files.keys(&plan, &old), ids);
        let new: Vec<Option<PromptId>> = held_out.iter().map(|(id, _)| Some(*id)).collect();
        assert_eq!(files.keys(&plan, &answers(&texts, &new)), ids);
        // One of them was left out, as too long: which, nobody knows.
        let why: Vec<&str> = texts.iter().copied().filter(|text| *text == "Why?").collect();
        let fewer = answers(&why[1..], &[None; 4]);
        let keys = files.keys(&plan, &fewer);
        let expected: Vec<PromptKey> =
            (0..fewer.len()).map(|place| PromptKey::Text("Why?".to_owned(), place)).collect();
        assert_eq!(keys, expected);
        // A file that has changed tells nothing of several prompts, and of one what its text means there.
        let changed = DataPlan { sha256: String::new(), ..plan.clone() };
        files.add(&changed, Some(&prompts), &mut |_| ());
        assert_eq!(files.keys(&changed, &fewer), expected);
        let how = PromptKey::Text("How?".to_owned(), 0);
        let told = files.told(vec![(expected[0].clone(), "Why?".to_owned()), (how, "How?".to_owned())], &mut |_| ());
        let of = |at: usize| (told[at].id, told[at].messages.len(), &*told[at].metadata);
        assert_eq!((of(0), of(1)), ((None, 1, NO_METADATA), (None, 2, r#"{"a":5}"#)));
    }

    #[test]
    fn judges_are_told_what_was_asked() {
        let prompts = parse("p.jsonl", FILE.as_bytes().to_vec(), None).expect("prompts");
        let plan = plan(&prompts);
        let mut files = PromptFiles::default();
        files.add(&plan, Some(&prompts), &mut |_| ());
        let id = prompts.ids(&plan.system)[2];
        // Shortened to its end.
        let told = files.told(vec![(PromptKey::Id(id), "hy?".to_owned())], &mut |_| ());
        let contents: Vec<&str> = told[0].messages.iter().map(|message| &*message.content).collect();
        assert_eq!(contents, ["Be brief.", "Tea?", "Hot.", "hy?"]);
        assert_eq!((told[0].id, &*told[0].text, &*told[0].metadata), (Some(id), "hy?", r#"{"a":3}"#));
    }
}
