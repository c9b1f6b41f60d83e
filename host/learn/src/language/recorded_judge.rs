//! What the judge is asked of the answers that are recorded, and what it says: kept where it passes by, so that whatever a
//! method asks is recorded as it was asked.

use std::collections::HashMap;

use super::completions::{RecordedVerdict, recorded};
use super::playing::Played;
use super::traits::{Answer, Candidate, Comparison, PairJudge, Reward, Verdict};
use crate::Cause;

/// Answers of one round by where they lie: the round is not moved while it is judged.
#[derive(Debug)]
pub(crate) struct Places(HashMap<*const Answer, u32>);

impl Places {
    pub(crate) fn of(played: &[Played<'_>]) -> Self {
        let answers = recorded(played).zip(0..);
        Self(answers.map(|(recorded, position)| (std::ptr::from_ref(recorded.answer), position)).collect())
    }

    fn position(&self, answer: &Answer) -> Option<u32> {
        self.0.get(&std::ptr::from_ref(answer)).copied()
    }
}

/// The judge, with everything that it said of the answers that are recorded.
pub(crate) struct RecordedJudge<'a> {
    pub(crate) judge: &'a mut dyn PairJudge,
    pub(crate) places: Places,
    pub(crate) verdicts: Vec<RecordedVerdict>,
}

impl PairJudge for RecordedJudge<'_> {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        let outcomes = self.judge.compare(comparisons)?;
        for (asked, outcome) in comparisons.iter().zip(&outcomes) {
            let positions = (self.places.position(asked.first), self.places.position(asked.second));
            if let (Some(first), Some(second)) = positions {
                self.verdicts.push(RecordedVerdict { first, second, outcome: outcome.clone() });
            }
        }
        Ok(outcomes)
    }

    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause> {
        self.judge.score(candidates)
    }
}
