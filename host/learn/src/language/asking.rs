//! What policies and judges are asked, and whether what they say will do.

use slhf_random::Row;

use super::failure::StepError;
use super::traits::{Answer, Comparison, PairJudge, Request, Verdict};

/// One answer a request, none empty.
pub(crate) fn check_answers(requests: &[Request<'_>], answers: &[Answer]) -> Result<(), StepError> {
    if answers.len() != requests.len() {
        return Err(StepError::Count { what: "answers", found: answers.len(), expected: requests.len() });
    }
    match requests.iter().zip(answers).find(|(_, answer)| answer.tokens.is_empty()) {
        Some((request, _)) => Err(StepError::EmptyAnswer { prompt: request.prompt.id }),
        None => Ok(()),
    }
}

/// The only randomness of a judge or a reward plugin: a function of the place in the run of what it is asked about. `opponent`
/// tells the comparisons of one answer apart; a reward has none and takes 0.
pub(crate) fn draw(seed: u64, row: Row, opponent: u32) -> u64 {
    row.draw(seed, opponent)
}

/// Verdicts in order, every probability in [0, 1].
pub(crate) fn compare(
    judge: &mut dyn PairJudge,
    comparisons: &[Comparison<'_>],
) -> Result<Vec<Result<Verdict, String>>, StepError> {
    let verdicts = judge.compare(comparisons).map_err(StepError::Judge)?;
    if verdicts.len() != comparisons.len() {
        let (found, expected) = (verdicts.len(), comparisons.len());
        return Err(StepError::Verdicts { what: "verdicts", found, expected });
    }
    for (comparison, verdict) in comparisons.iter().zip(&verdicts) {
        if let Ok(verdict) = verdict
            && !(0.0..=1.0).contains(&verdict.probability)
        {
            let (prompt, value) = (comparison.prompt.id, verdict.probability);
            return Err(StepError::Verdict { what: "probability", prompt, value, expected: "a number from 0 to 1" });
        }
    }
    Ok(verdicts)
}
