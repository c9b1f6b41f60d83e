//! Which prompt: told by what is asked, not by where it stands or by one of its messages.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Message;

/// Raised with what the hash covers.
const DOMAIN: &[u8] = b"slhf-lab prompt 1";

const BYTES: usize = 16;

/// A prompt's id: the first 128 bits of a SHA-256 over its conversation as it is asked (a system message included, before
/// anything is cut to length), its metadata, and which of its equals it is. Two prompts of a file never share one; a prompt
/// keeps its own in another file, in another order, under another split. Written as 32 hexadecimal digits.
///
/// Random streams are keyed by the prompt's row number, not by this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PromptId([u8; BYTES]);

/// A text that is no [`PromptId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no prompt id; expected 32 hexadecimal digits")]
pub struct NotAPromptId;

impl PromptId {
    /// Of a conversation with metadata (a JSON object as text, as readers of prompts write it: keys sorted), the one that
    /// follows `equals_before` rows with the same conversation and metadata.
    #[must_use]
    pub fn new(messages: &[Message], metadata: &str, equals_before: u32) -> Self {
        Self::finished(content(messages, metadata), equals_before)
    }

    fn finished(content: Sha256, equals_before: u32) -> Self {
        let digest = content.chain_update(equals_before.to_le_bytes()).finalize();
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&digest[..BYTES]);
        Self(bytes)
    }
}

/// Every part is preceded by its length, so that no two conversations are one text.
fn content(messages: &[Message], metadata: &str) -> Sha256 {
    let mut hasher = Sha256::new_with_prefix(DOMAIN);
    hasher.update((messages.len() as u64).to_le_bytes());
    let parts = messages.iter().flat_map(|message| [message.role.as_str(), message.content.as_str()]);
    for part in parts.chain([metadata]) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher
}

/// Gives ids to the rows of one list of prompts, in their order: it counts how many equals a row has before it.
#[derive(Clone, Debug, Default)]
pub struct PromptNumbering {
    /// By the id of a content's first row.
    seen: HashMap<PromptId, u32>,
}

impl PromptNumbering {
    /// The id of the next row.
    pub fn next_id(&mut self, messages: &[Message], metadata: &str) -> PromptId {
        let content = content(messages, metadata);
        let equals = self.seen.entry(PromptId::finished(content.clone(), 0)).or_insert(0);
        let id = PromptId::finished(content, *equals);
        *equals += 1;
        id
    }
}

impl fmt::Display for PromptId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for PromptId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PromptId({self})")
    }
}

impl FromStr for PromptId {
    type Err = NotAPromptId;

    fn from_str(text: &str) -> Result<Self, NotAPromptId> {
        let digits = text.as_bytes();
        if digits.len() != 2 * BYTES {
            return Err(NotAPromptId);
        }
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8).ok_or(NotAPromptId);
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for PromptId {
    type Error = NotAPromptId;

    fn try_from(text: String) -> Result<Self, NotAPromptId> {
        text.parse()
    }
}

impl From<PromptId> for String {
    fn from(id: PromptId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn conversation(turns: &[(&str, &str)]) -> Vec<Message> {
        let message = |(role, content): &(&str, &str)| Message { role: (*role).into(), content: (*content).into() };
        turns.iter().map(message).collect()
    }

    #[test]
    fn every_part_of_a_prompt_changes_its_id() {
        let turns = [("user", "Tell me about cats."), ("assistant", "Cats purr."), ("user", "Why?")];
        let other = [("user", "Tell me about rain."), ("assistant", "Cats purr."), ("user", "Why?")];
        let with_system = [&[("system", "Be brief.")][..], &turns].concat();
        // The same characters, cut elsewhere.
        let cut = [("user", "Tell me about cats.assistant"), ("", "Cats purr."), ("user", "Why?")];
        let ids = [
            PromptId::new(&conversation(&turns), "{}", 0),
            PromptId::new(&conversation(&turns), "{\"a\":1}", 0),
            PromptId::new(&conversation(&turns), "{}", 1),
            PromptId::new(&conversation(&other), "{}", 0),
            PromptId::new(&conversation(&with_system), "{}", 0),
            PromptId::new(&conversation(&cut), "{}", 0),
            PromptId::new(&conversation(&turns[..1]), "{}", 0),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn equals_are_counted_in_their_order() {
        let (one, other) = (conversation(&[("user", "a")]), conversation(&[("user", "b")]));
        let mut numbering = PromptNumbering::default();
        let found = [&one, &other, &one, &one].map(|messages| numbering.next_id(messages, "{}"));
        let expected = [(&one, 0), (&other, 0), (&one, 1), (&one, 2)];
        assert_eq!(found, expected.map(|(messages, before)| PromptId::new(messages, "{}", before)));
    }

    /// Ids stand in records: this one must never change.
    #[test]
    fn an_id_is_what_it_was_and_survives_writing() {
        let id = PromptId::new(&conversation(&[("user", "Why is the sky blue?")]), "{\"source\":\"ours\"}", 0);
        assert_eq!(id.to_string(), "8da840d37a73f438355ebb2e624efc4b");
        assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).expect("JSON");
        assert_eq!(serde_json::from_str::<PromptId>(&json).expect("an id"), id);
        let bytes = postcard::to_stdvec(&id).expect("bytes");
        assert_eq!(postcard::from_bytes::<PromptId>(&bytes).expect("an id"), id);
        for wrong in ["", "12", "zz000000000000000000000000000000", "é00000000000000000000000000000"] {
            assert_eq!(wrong.parse::<PromptId>(), Err(NotAPromptId), "{wrong}");
        }
    }
}
