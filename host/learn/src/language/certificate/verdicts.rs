//! What the judge makes of sampled pairs, the Leader's response first, as in training.

use std::collections::BTreeMap;

use slhf_random::{Purpose, Row};

use super::certified::Uncertified;
use crate::language::asking::{compare, draw};
use crate::language::traits::{Answer, Comparison, PairJudge, Prompt, Verdict};

/// So many comparisons of a pair's are asked for a second time, with another draw.
const REPEATED: usize = 4;

/// One comparison of a response with one of the Leader's, in the row that it was drawn in.
pub(super) struct Asked<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) leader: &'a Answer,
    pub(super) given: &'a Answer,
    pub(super) row: Row,
    pub(super) seed: u64,
}

/// P(y, y′) of each. The same two responses must have the same verdict wherever they occur: that costs nothing to see.
pub(super) fn preferences(judge: &mut dyn PairJudge, asked: &[Asked<'_>]) -> Result<Vec<f64>, Uncertified> {
    let found = verdicts(judge, asked, 0)?;
    let mut known: BTreeMap<(u32, &[u32], &[u32]), f64> = BTreeMap::new();
    for (asked, verdict) in asked.iter().zip(&found) {
        let pair = (asked.prompt.id, &*asked.leader.tokens, &*asked.given.tokens);
        same(*known.entry(pair).or_insert(*verdict), *verdict)?;
    }
    Ok(found)
}

/// The same, and whether the first of them come out the same once more.
pub(super) fn preferences_checked(judge: &mut dyn PairJudge, asked: &[Asked<'_>]) -> Result<Vec<f64>, Uncertified> {
    let found = preferences(judge, asked)?;
    let again = verdicts(judge, &asked[..REPEATED.min(asked.len())], 1)?;
    found.iter().zip(&again).try_for_each(|(once, twice)| same(*once, *twice))?;
    Ok(found)
}

fn same(once: f64, twice: f64) -> Result<(), Uncertified> {
    if once == twice { Ok(()) } else { Err(Uncertified::NotAFunction { once, twice }) }
}

fn verdicts(judge: &mut dyn PairJudge, asked: &[Asked<'_>], time: u32) -> Result<Vec<f64>, Uncertified> {
    let comparisons: Vec<Comparison<'_>> = asked
        .iter()
        .map(|asked| {
            let row = Row { purpose: Purpose::CertificateDraw, ..asked.row };
            let draw = draw(asked.seed, row, time);
            Comparison { prompt: asked.prompt, first: asked.leader, second: asked.given, draw }
        })
        .collect();
    let verdicts = compare(judge, &comparisons)?;
    let probability = |verdict: Result<Verdict, String>| match verdict {
        Ok(verdict) => Ok(verdict.probability),
        Err(why) => Err(Uncertified::Verdict(why)),
    };
    verdicts.into_iter().map(probability).collect()
}
