//! What plugins are asked about.

use std::sync::Arc;

use crate::types::{Candidate, Comparison, Message, NO_METADATA, Response};

/// Bytes of the long responses.
const LONG_BYTES: usize = 1 << 20;

/// The questions of a conformance check. A plugin that knows only certain actions (a table, say) declares items with
/// others failed, which is right but tests little: give its own actions as `responses` then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    /// The prompt of every question.
    pub prompt: Arc<str>,
    /// JSON object: the metadata of every question.
    pub metadata: Arc<str>,
    /// Every ordered pair of these is compared, every single one scored.
    pub responses: Vec<Response>,
}

impl Default for Corpus {
    /// Six short responses, told apart by length and by three attributes whose majority is intransitive.
    fn default() -> Self {
        let response = |text: &str, tokens, attributes: &str| Response {
            text: text.into(),
            finished: tokens < 20,
            token_count: tokens,
            metadata: attributes.into(),
        };
        Self {
            prompt: "Name a good breakfast.".into(),
            metadata: NO_METADATA.into(),
            responses: vec![
                response("Porridge.", 3, r#"{"taste":1,"health":3,"effort":2}"#),
                response("Pancakes with maple syrup and blueberries.", 9, r#"{"taste":3,"health":2,"effort":1}"#),
                response("Toast, because it is quick.", 7, r#"{"taste":2,"health":1,"effort":3}"#),
                response("Toast, because it is quick.", 7, r#"{"taste":2,"health":1,"effort":3}"#),
                response("", 0, NO_METADATA),
                response("It depends on what you like, how much time there is, and", 20, r#"{"taste":0}"#),
            ],
        }
    }
}

impl Corpus {
    /// All ordered pairs, the diagonal included, each with a draw of its own.
    pub(crate) fn comparisons(&self) -> Vec<Comparison> {
        let pairs = self.responses.iter().flat_map(|first| self.responses.iter().map(move |second| (first, second)));
        pairs.enumerate().map(|(index, (first, second))| self.comparison(first, second, draw(index))).collect()
    }

    /// Every response once.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(index, response): (usize, &Response)| self.candidate(response, draw(index));
        self.responses.iter().enumerate().map(candidate).collect()
    }

    /// By name: what a plugin may decline but must survive.
    pub(crate) fn hard_comparisons(&self) -> Vec<(&'static str, Vec<Comparison>)> {
        let groups = hard_responses().into_iter();
        groups
            .map(|(name, responses)| {
                let pairs = responses.iter().zip(responses.iter().cycle().skip(1));
                (name, pairs.map(|(first, second)| self.comparison(first, second, u64::MAX)).collect())
            })
            .collect()
    }

    /// Likewise.
    pub(crate) fn hard_candidates(&self) -> Vec<(&'static str, Vec<Candidate>)> {
        let groups = hard_responses().into_iter();
        groups
            .map(|(name, responses)| {
                (name, responses.iter().map(|response| self.candidate(response, u64::MAX)).collect())
            })
            .collect()
    }

    fn comparison(&self, first: &Response, second: &Response, draw: u64) -> Comparison {
        Comparison {
            prompt: Arc::clone(&self.prompt),
            messages: self.messages(),
            metadata: Arc::clone(&self.metadata),
            first: first.clone(),
            second: second.clone(),
            draw,
        }
    }

    fn candidate(&self, response: &Response, draw: u64) -> Candidate {
        Candidate {
            prompt: Arc::clone(&self.prompt),
            messages: self.messages(),
            metadata: Arc::clone(&self.metadata),
            response: response.clone(),
            draw,
        }
    }

    fn messages(&self) -> Arc<[Message]> {
        Arc::new([Message { role: "user".into(), content: Arc::clone(&self.prompt) }])
    }
}

/// Spreads indices over all 64 bits, the same on every machine (Weyl sequence by the golden ratio).
fn draw(index: usize) -> u64 {
    (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn hard_responses() -> Vec<(&'static str, Vec<Response>)> {
    let unicode = [
        "\0",
        "\u{feff}BOM",
        "e\u{301} é",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "\u{202e}right to left\u{202c}",
        "ß ǆ İ ﬀ",
        "猫が好き",
        "\u{10ffff}",
    ];
    let long = ["a".repeat(LONG_BYTES), "é ".repeat(LONG_BYTES / 3), "\n".repeat(LONG_BYTES)];
    let odd_metadata = ["", "not JSON", "null", "[]", "{\"a\":{\"b\":[1e999]}}", "{\"taste\":\"three\"}"];
    let with_metadata = |metadata: &str| Response { metadata: metadata.into(), ..Response::from_text("Porridge.") };
    vec![
        ("unicode", unicode.map(Response::from_text).to_vec()),
        ("1 MiB responses", long.map(Response::from_text).to_vec()),
        ("odd metadata", odd_metadata.map(with_metadata).to_vec()),
    ]
}
