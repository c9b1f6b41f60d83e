//! What a method with one policy does on average: its gradient over every k-tuple of answers.

use slhf_learn::language::{Answer, AnswerGroup, AnswerOutcome, GroupLoss, Pair, PastScore, PolicyName};
use slhf_plan::PairScores;

use super::setup::prompt;
use super::tabular::Tabular;

/// The gradient over every k-tuple of answers to prompt 0, each with its probability under the method's sampler.
pub(crate) fn expected(
    model: &mut Tabular,
    k: usize,
    loss: &dyn GroupLoss,
    outcomes: &dyn Fn(&[&Answer]) -> Vec<AnswerOutcome>,
) -> Vec<f64> {
    let sampler = model.clone();
    expected_off_policy(model, &sampler, k, loss, outcomes)
}

/// The same with samples of `sampler`, a policy that was.
pub(crate) fn expected_off_policy(
    model: &mut Tabular,
    sampler: &Tabular,
    k: usize,
    loss: &dyn GroupLoss,
    outcomes: &dyn Fn(&[&Answer]) -> Vec<AnswerOutcome>,
) -> Vec<f64> {
    expected_with_loss(model, sampler, k, loss, outcomes).0
}

/// The same, and the mean of the losses that are reported beside it.
pub(crate) fn expected_with_loss(
    model: &mut Tabular,
    sampler: &Tabular,
    k: usize,
    loss: &dyn GroupLoss,
    outcomes: &dyn Fn(&[&Answer]) -> Vec<AnswerOutcome>,
) -> (Vec<f64>, f64) {
    expected_against_a_past(model, (sampler, &[]), k, loss, outcomes)
}

/// The same of a method that plays against policies of steps before, with what each weighs.
pub(crate) fn expected_against_a_past(
    model: &mut Tabular,
    (sampler, past): (&Tabular, &[(f64, &Tabular)]),
    k: usize,
    loss: &dyn GroupLoss,
    outcomes: &dyn Fn(&[&Answer]) -> Vec<AnswerOutcome>,
) -> (Vec<f64>, f64) {
    let past_score = |answer: &&Answer| PastScore {
        weight: past.iter().map(|(weight, _)| weight).sum(),
        log_probability: past.iter().map(|(weight, policy)| weight * policy.log(false, 0, None, answer)).sum(),
    };
    let answers = model.language.answers();
    let prompt = prompt(0);
    let of_reference = loss.sampler() == PolicyName::Reference;
    let mut reported = 0.0;
    model.gradient.fill(0.0);
    for tuple in 0..answers.len().pow(k as u32) {
        let chosen: Vec<&Answer> =
            (0..k).map(|place| &answers[tuple / answers.len().pow(place as u32) % answers.len()]).collect();
        let probability = chosen.iter().map(|answer| sampler.log(of_reference, 0, None, answer)).sum::<f64>().exp();
        let pairs: Vec<Pair<'_>> =
            chosen.iter().map(|answer| Pair { prompt: &prompt, leader: answer, follower: None }).collect();
        let scores: Vec<PairScores> = pairs.iter().map(|pair| model.pair_scores(pair)).collect();
        let sampled: Vec<Vec<f64>> = chosen.iter().map(|answer| sampler.scores(0, None, answer).policy).collect();
        let outcomes = outcomes(&chosen);
        let past: Vec<PastScore> = chosen.iter().filter(|_| !past.is_empty()).map(past_score).collect();
        let group = AnswerGroup { pairs: &pairs, scores: &scores, outcomes: &outcomes, sampled: &sampled, past: &past };
        let weighed = loss.weigh(&group, 1.0 / k as f64).unwrap();
        for (pair, weighed) in pairs.iter().zip(&weighed) {
            model.accumulate_pair(pair, &weighed.weights, probability);
            reported += probability * weighed.leader_loss / k as f64;
        }
    }
    (model.gradient.clone(), reported)
}
