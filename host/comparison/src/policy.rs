//! Policies, and their responses to held-out prompts.

use slhf_judge::{NO_METADATA, Response};
use slhf_plan::{PromptId, Role};
use slhf_record::Completion;

/// A policy's answers: one a seed and prompt, where there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// As tables show it.
    pub name: String,
    /// `[seed][prompt]`
    pub answers: Vec<Vec<Option<Response>>>,
}

/// A response to a held-out prompt.
#[derive(Clone, Debug)]
pub struct HeldOutResponse {
    /// `None`: an earlier version recorded it.
    pub prompt_id: Option<PromptId>,
    /// The prompt's last message.
    pub prompt: String,
    /// `leader`, `follower(reference)`, …
    pub who: String,
    /// What was responded.
    pub response: Response,
}

impl HeldOutResponse {
    /// `None`: an answer of training.
    pub(crate) fn recorded(completion: Completion) -> Option<Self> {
        let tokens = u32::try_from(completion.tokens).unwrap_or(u32::MAX);
        let response = response(&completion.text, completion.finished, tokens);
        Self::of((completion.prompt_id, completion.prompt), &completion.role, response)
    }

    /// By the role that the record gives it; `None`: an answer of training.
    pub fn of((prompt_id, prompt): (Option<PromptId>, String), role: &Role, response: Response) -> Option<Self> {
        Some(Self { prompt_id, prompt, who: held_out(role)?, response })
    }
}

/// Who gave a completion of a held-out prompt, as the record names it.
fn held_out(role: &Role) -> Option<String> {
    role.is_held_out.then(|| role.who.to_string())
}

/// A response as judges are given it.
pub fn response(text: &str, finished: bool, token_count: u32) -> Response {
    Response { text: text.into(), finished, token_count, metadata: NO_METADATA.into() }
}

/// Cells of one model have one reference, with the same answers wherever both have one: it is one policy; and so are others
/// whose answers every cell was given.
pub(crate) fn merged(policies: Vec<Policy>, name: &str) -> Vec<Policy> {
    let suffix = format!("/{name}");
    let is_theirs = |policy: &Policy| policy.name.ends_with(&suffix);
    let mut kept: Vec<Policy> = Vec::new();
    for policy in policies {
        let same = kept.iter_mut().find(|known| is_theirs(known) && is_theirs(&policy) && known.agrees(&policy));
        match same {
            Some(known) => known.take_missing(policy),
            None => kept.push(policy),
        }
    }
    if kept.iter().filter(|policy| is_theirs(policy)).count() == 1 {
        for policy in kept.iter_mut().filter(|policy| is_theirs(policy)) {
            name.clone_into(&mut policy.name);
        }
    }
    kept
}

impl Policy {
    fn agrees(&self, other: &Self) -> bool {
        let pairs = self.answers.iter().flatten().zip(other.answers.iter().flatten());
        pairs.into_iter().all(|(one, other)| one.is_none() || other.is_none() || one == other)
    }

    fn take_missing(&mut self, other: Self) {
        for (own, other) in self.answers.iter_mut().flatten().zip(other.answers.into_iter().flatten()) {
            if own.is_none() {
                *own = other;
            }
        }
    }
}
