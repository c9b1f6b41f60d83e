//! Replies of models on the device that were computed before: a reply is a function of its item, so that nobody computes it twice.
//! A judge that asks in both orders, and is itself asked in both, asks everything twice.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of replies of one generation.
const BYTES_MAX: usize = 32 << 20;

/// What a reply takes besides itself.
const OVERHEAD_BYTES: usize = 96;

/// SHA-256 of a question, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question(String);

impl Question {
    /// What is asked, of whom.
    pub(crate) fn of(model_sha256: &str, call: &str, item: &impl Serialize) -> Option<Self> {
        let bytes = postcard::to_stdvec(&(model_sha256, call, item)).ok()?;
        Some(Self(slhf_files::sha256_hex(bytes)))
    }
}

/// Two generations: where the younger one is full, the older one is forgotten and what is asked again lives on.
#[derive(Debug, Default)]
pub(crate) struct KnownReplies {
    young: HashMap<Question, Vec<u8>>,
    old: HashMap<Question, Vec<u8>>,
    young_bytes: usize,
}

impl KnownReplies {
    /// What was replied to this question.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, question: &Question) -> Option<T> {
        if let Some(reply) = self.old.remove(question) {
            self.insert(question.clone(), reply);
        }
        postcard::from_bytes(self.young.get(question)?).ok()
    }

    /// Notes a reply.
    pub(crate) fn put(&mut self, question: Question, reply: &impl Serialize) {
        if let Ok(reply) = postcard::to_stdvec(reply) {
            self.insert(question, reply);
        }
    }

    fn insert(&mut self, question: Question, reply: Vec<u8>) {
        let bytes = reply.len() + OVERHEAD_BYTES;
        if bytes > BYTES_MAX {
            return;
        }
        if self.young_bytes + bytes > BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(question, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: u32) -> Question {
        Question::of("model", "choose", &number).expect("a question")
    }

    #[test]
    fn a_reply_is_found_by_its_model_call_and_item() {
        let mut known = KnownReplies::default();
        known.put(question(3), &vec![0.25, f64::NEG_INFINITY]);
        assert_eq!(known.get(&question(3)), Some(vec![0.25, f64::NEG_INFINITY]));
        assert_eq!(known.get::<Vec<f64>>(&question(4)), None);
        for other in [Question::of("other", "choose", &3_u32), Question::of("model", "score", &3_u32)] {
            assert_eq!(known.get::<Vec<f64>>(&other.expect("a question")), None);
        }
    }

    #[test]
    fn the_memory_has_a_bound_and_what_is_asked_again_stays() {
        let mut known = KnownReplies::default();
        let reply = vec![1_u8; BYTES_MAX / 16];
        known.put(question(0), &reply);
        for number in 1..60 {
            known.put(question(number), &reply);
            assert!(known.get::<Vec<u8>>(&question(0)).is_some(), "{number}");
            assert!(known.young_bytes <= BYTES_MAX);
        }
        assert!(known.young.len() + known.old.len() <= 32);
        assert_eq!(known.get::<Vec<u8>>(&question(1)), None);
    }
}
