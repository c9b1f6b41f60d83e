//! What a judge on trial is asked about: prompts with two or more different responses each.

use std::path::Path;
use std::sync::Arc;

use slhf_comparison::RunResponses;
use slhf_data::pairs::{Pairs, PromptPairs};
use slhf_judge::{Message, Response};
use thiserror::Error;

use crate::failure::Failure;
use crate::output::say;

/// Rows that a note names.
const NAMED_MAX: usize = 5;

#[derive(Debug, Error)]
enum SubjectError {
    #[error("run {run} has no prompt with two different responses: its policies said the same everywhere")]
    NoTwo { run: i64 },
}

/// Prompts with their responses.
#[derive(Debug)]
pub(crate) struct Subject {
    /// As messages and results name it.
    pub(crate) name: String,
    /// Of the file; `None` for a run.
    pub(crate) sha256: Option<String>,
    /// In order.
    pub(crate) prompts: Vec<Prompt>,
    /// Rows of a file, or prompts of a run, without two different responses.
    pub(crate) without_two: usize,
}

/// One prompt.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// Its last message.
    pub(crate) text: Arc<str>,
    /// The conversation.
    pub(crate) messages: Arc<[Message]>,
    /// JSON.
    pub(crate) metadata: Arc<str>,
    /// Different ones, two or more.
    pub(crate) responses: Vec<Response>,
    /// `first · n + second`, first < second: the probability that the first is better.
    labels: Vec<Option<f64>>,
}

impl Prompt {
    /// What is known of a pair, first < second.
    pub(crate) fn label(&self, first: usize, second: usize) -> Option<f64> {
        self.labels[first * self.responses.len() + second]
    }

    fn of_file(pairs: &PromptPairs) -> Self {
        let message = |message: &slhf_plan::Message| Message {
            role: message.role.as_str().into(),
            content: message.content.as_str().into(),
        };
        let many = pairs.responses.len();
        let labels = (0..many * many).map(|place| pairs.label(place / many, place % many));
        Self {
            text: pairs.messages.last().map_or("", |last| last.content.as_str()).into(),
            messages: pairs.messages.iter().map(message).collect(),
            metadata: pairs.metadata.as_str().into(),
            responses: pairs.responses.iter().map(|text| Response::from_text(text.as_str())).collect(),
            labels: labels.collect(),
        }
    }
}

impl Subject {
    /// A file of pairs; rows without two different responses are said.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        let Pairs { file, sha256, prompts, rows_without_two } =
            slhf_foreign::pairs(path).map_err(Failure::bad_input)?;
        let without_two = rows_without_two.len();
        if without_two > 0 {
            let rows: Vec<String> = rows_without_two.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if without_two > NAMED_MAX { ", …" } else { "" };
            let of = if without_two == 1 { "row without" } else { "rows without" };
            say(format!(
                "note: {file}: {without_two} {of} two different responses left out ({}{more})",
                rows.join(", ")
            ));
        }
        let prompts = prompts.iter().map(Prompt::of_file).collect();
        Ok(Self { name: file, sha256: Some(sha256), prompts, without_two })
    }

    /// The responses of a run's policies to its held-out prompts: no labels.
    pub(crate) fn of_run(run: i64, name: String, responses: RunResponses) -> Result<Self, Failure> {
        let all = responses.prompts.len();
        let several = responses.prompts.into_iter().filter(|(_, responses)| responses.len() > 1);
        let prompts: Vec<Prompt> = several
            .map(|(prompt, responses)| Prompt {
                text: prompt.text,
                messages: prompt.messages,
                metadata: prompt.metadata,
                labels: vec![None; responses.len() * responses.len()],
                responses,
            })
            .collect();
        if prompts.is_empty() {
            return Err(Failure::bad_input(SubjectError::NoTwo { run }));
        }
        let without_two = all - prompts.len();
        if without_two > 0 {
            say(format!("note: {name}: {without_two} of {all} prompts without two different responses left out"));
        }
        Ok(Self { name, sha256: None, prompts, without_two })
    }

    /// The first so many prompts alone.
    pub(crate) fn keep(&mut self, limit: Option<usize>) {
        if let Some(limit) = limit {
            self.prompts.truncate(limit);
        }
    }

    /// Whether anything is labeled.
    pub(crate) fn is_labeled(&self) -> bool {
        self.prompts.iter().any(|prompt| prompt.labels.iter().any(Option::is_some))
    }
}
