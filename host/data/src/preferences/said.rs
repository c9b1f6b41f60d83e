//! What one row says.

use std::collections::BTreeMap;

use slhf_plan::Message;

use super::found::PairRating;

/// Responses of one row, of which all pairs are made: more are refused.
pub(super) const RESPONSES_MAX: usize = 64;

/// What a row says of one pair.
#[derive(Clone, Debug)]
pub(super) struct SaidPair {
    pub(super) responses: [String; 2],
    pub(super) first_is_better: Option<f64>,
    pub(super) strength: f64,
    pub(super) ratings: BTreeMap<String, PairRating>,
}

/// What a row says.
#[derive(Clone, Debug)]
pub(super) struct SaidRow {
    pub(super) messages: Vec<Message>,
    pub(super) pairs: Vec<SaidPair>,
}
