//! What the judge makes of sampled pairs, the Leader's response first, as in training.

use slhf_random::{Purpose, Row};

use super::certified::Uncertified;
use crate::language::asking::{compare, draw};
use crate::language::traits::{Answer, Comparison, PairJudge, Prompt, Verdict};

/// So many comparisons of a pair's are asked for a second time, with another draw.
const REPEATED: usize = 4;

/// Responses to one of the Leader's, with the rows that they were drawn in.
pub(super) struct Responses<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) to: &'a Answer,
    pub(super) given: &'a [Answer],
    pub(super) rows: &'a [Row],
    pub(super) seed: u64,
}

impl Responses<'_> {
    /// P(y, y′) of each.
    pub(super) fn preferences(&self, judge: &mut dyn PairJudge) -> Result<Vec<f64>, Uncertified> {
        self.asked(judge, 0, self.given.len())
    }

    /// The same, and whether the first of them come out the same once more.
    pub(super) fn preferences_checked(&self, judge: &mut dyn PairJudge) -> Result<Vec<f64>, Uncertified> {
        let found = self.preferences(judge)?;
        let again = self.asked(judge, 1, REPEATED.min(self.given.len()))?;
        match found.iter().zip(&again).find(|(once, twice)| once != twice) {
            None => Ok(found),
            Some((once, twice)) => Err(Uncertified::NotAFunction(format!(
                "the judge gave the same pair of responses {once} and, with another draw, {twice}; its verdict must be a function of the pair"
            ))),
        }
    }

    fn asked(&self, judge: &mut dyn PairJudge, time: u32, many: usize) -> Result<Vec<f64>, Uncertified> {
        let drawn = |row: &Row| draw(self.seed, Row { purpose: Purpose::CertificateDraw, ..*row }, time);
        let comparisons: Vec<Comparison<'_>> = self
            .given
            .iter()
            .zip(self.rows)
            .take(many)
            .map(|(given, row)| Comparison { prompt: self.prompt, first: self.to, second: given, draw: drawn(row) })
            .collect();
        let verdicts = compare(judge, &comparisons)?;
        let probability = |verdict: Result<Verdict, String>| {
            verdict
                .map(|verdict| verdict.probability)
                .map_err(|why| Uncertified::NotAFunction(format!("a verdict failed, and may not be left out: {why}")))
        };
        verdicts.into_iter().map(probability).collect()
    }
}
