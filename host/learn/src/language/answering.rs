//! Who stands as the Leader in an evaluation: the policy itself, or what is made of the reference without training.
//!
//! Best of N: N answers of the reference a prompt, and the one is taken whose mean verdict against the others (both
//! orders) is highest, or whose reward is; of equals the first sampled. On a finite game with a reward that has no ties
//! its distribution is exactly `F(r)^N − F(r−)^N`, F the distribution of the reference's rewards (Beirami et al.,
//! arXiv 2401.01879, equation 2). Self-refinement: an answer of the reference, and the reference again on the prompt, the answer and
//! the instruction, `rounds` times: the rival of a trained Follower that costs no training.

use slhf_plan::LanguageMethod;

use super::asking::compare;
use super::failure::StepError;
use super::traits::{Answer, Candidate, Comparison, Players, Prompt, Reward};

/// Who answers as the Leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The trained policy.
    Policy,
    /// The best of so many answers of the reference.
    BestOfN { answers: u32, chosen_by: ChosenBy },
    /// The reference's answer after so many rounds of its own refinement.
    SelfRefined { rounds: u32 },
}

/// The randomness of those who choose among the samples of a prompt.
pub(crate) struct Draws<'a> {
    /// Of the comparison of two samples, by their places.
    pub(crate) pair: &'a dyn Fn(&Prompt, usize, usize) -> u64,
    /// Of the reward of a sample, by its place.
    pub(crate) reward: &'a dyn Fn(&Prompt, usize) -> u64,
}

/// Who chooses among answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChosenBy {
    Judge,
    Reward,
}

impl Standing {
    pub(crate) fn of(method: &LanguageMethod) -> Self {
        match method {
            LanguageMethod::BestOfN(best) => {
                let chosen_by = if best.rewards.reward.is_some() { ChosenBy::Reward } else { ChosenBy::Judge };
                Self::BestOfN { answers: best.training.num_generations, chosen_by }
            }
            LanguageMethod::SelfRefinement(refined) => Self::SelfRefined { rounds: refined.rounds },
            _ => Self::Policy,
        }
    }
}

/// The best of each prompt's answers: `samples[i]` has one answer a prompt. A comparison that failed says nothing, and its
/// reason is added to `failures`.
pub(crate) fn best(
    players: &mut Players<'_>,
    prompts: &[Prompt],
    samples: &[Vec<Answer>],
    (chosen_by, draws): (ChosenBy, &Draws<'_>),
    failures: &mut Vec<String>,
) -> Result<Vec<Answer>, StepError> {
    let values = match chosen_by {
        ChosenBy::Reward => rewards(players, prompts, samples, draws, failures)?,
        ChosenBy::Judge => mean_verdicts(players, prompts, samples, draws, failures)?,
    };
    let chosen = values.iter().enumerate().map(|(index, values)| samples[first_of_best(values)][index].clone());
    Ok(chosen.collect())
}

/// The first of the greatest.
fn first_of_best(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

fn rewards(
    players: &mut Players<'_>,
    prompts: &[Prompt],
    samples: &[Vec<Answer>],
    draws: &Draws<'_>,
    failures: &mut Vec<String>,
) -> Result<Vec<Vec<f64>>, StepError> {
    let mut values = Vec::with_capacity(prompts.len());
    for (index, prompt) in prompts.iter().enumerate() {
        let asked: Vec<Candidate<'_>> = samples
            .iter()
            .enumerate()
            .map(|(place, sample)| Candidate { prompt, answer: &sample[index], draw: (draws.reward)(prompt, place) })
            .collect();
        let found = players.judge.score(&asked).map_err(StepError::Judge)?;
        if found.len() != asked.len() {
            return Err(StepError::Verdicts { what: "rewards", found: found.len(), expected: asked.len() });
        }
        let value = |reward: Result<Reward, String>| {
            let failed = |why| {
                failures.push(why);
                f64::NEG_INFINITY
            };
            reward.map_or_else(failed, |reward| reward.value)
        };
        values.push(found.into_iter().map(value).collect());
    }
    Ok(values)
}

fn mean_verdicts(
    players: &mut Players<'_>,
    prompts: &[Prompt],
    samples: &[Vec<Answer>],
    draws: &Draws<'_>,
    failures: &mut Vec<String>,
) -> Result<Vec<Vec<f64>>, StepError> {
    let count = samples.len();
    let mut values = Vec::with_capacity(prompts.len());
    for (index, prompt) in prompts.iter().enumerate() {
        let pairs = || (0..count).flat_map(|i| (0..count).map(move |j| (i, j))).filter(|(i, j)| i != j);
        let asked: Vec<Comparison<'_>> = pairs()
            .map(|(i, j)| Comparison {
                prompt,
                first: &samples[i][index],
                second: &samples[j][index],
                draw: (draws.pair)(prompt, i, j),
            })
            .collect();
        let mut matrix = vec![None; count * count];
        for ((i, j), verdict) in pairs().zip(compare(players.judge, &asked)?) {
            match verdict {
                Ok(verdict) => matrix[i * count + j] = Some(verdict.probability),
                Err(why) => failures.push(why),
            }
        }
        values.push(mean_wins(&matrix, count));
    }
    Ok(values)
}

/// Each sample's mean win over those it was compared with in both orders, ½ [p(i ≻ j) + 1 − p(j ≻ i)]; below everything where there
/// is none, as a sample without a reward. `verdicts[i * count + j]` is p(i ≻ j), `None` where it failed.
fn mean_wins(verdicts: &[Option<f64>], count: usize) -> Vec<f64> {
    // As a difference, so that a tie is exactly one half.
    let win = |i: usize, j: usize| Some(0.5 + 0.5 * (verdicts[i * count + j]? - verdicts[j * count + i]?));
    let mean = |i: usize| {
        let wins: Vec<f64> = (0..count).filter(|j| *j != i).filter_map(|j| win(i, j)).collect();
        if wins.is_empty() { f64::NEG_INFINITY } else { wins.iter().sum::<f64>() / wins.len() as f64 }
    };
    (0..count).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_first_is_taken() {
        assert_eq!(first_of_best(&[0.2, 0.7, 0.7, 0.1]), 1);
        assert_eq!(first_of_best(&[f64::NEG_INFINITY]), 0);
    }

    #[test]
    fn a_comparison_that_failed_is_no_tie() {
        // The first loses to the second and was not compared with the third; the second beats both.
        let (none, some) = (None, Some);
        let verdicts = [none, some(0.25), some(0.75), some(0.75), none, some(0.75), none, some(0.25), none];
        assert_eq!(mean_wins(&verdicts, 3), [0.25, 0.75, 0.25]);
        // In one order alone it is not compared, whatever that says: the third would be the best with a tie in its place.
        let verdicts = [none, some(0.4), none, some(0.6), none, some(0.9), some(1.0), none, none];
        let found = mean_wins(&verdicts, 3);
        assert!((found[0] - 0.4).abs() < 1e-12 && (found[1] - 0.6).abs() < 1e-12 && found[2] == f64::NEG_INFINITY);
        assert_eq!(first_of_best(&mean_wins(&[None; 9], 3)), 0);
    }
}
