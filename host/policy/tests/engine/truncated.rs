//! Sampling from a part of the vocabulary, and training on that part.

use slhf_plan::{PairScores, Sampling};
use slhf_policy::{Agent, Engine, PassSettings, Player, Supports, Training, TrainingPair};

use crate::passes::{assert_slopes, shift};
use crate::support::{
    assert_close, contexts, disturb, lora, pairs, pass_settings, row, run, sampling, settings, trained,
};

/// Everything, the likeliest so many, the likeliest with so much, and both.
fn samplings() -> [Sampling; 4] {
    let whole = Sampling { max_new_tokens: 6, ..sampling(0.7) };
    [
        whole,
        Sampling { top_k: 20, ..whole },
        Sampling { top_p: 0.6, ..whole },
        Sampling { top_k: 40, top_p: 0.8, ..whole },
    ]
}

/// A response of one policy to each context, as it would be trained on.
fn sampled(engine: &mut Engine, sampling: &Sampling) -> Vec<(TrainingPair, Vec<f64>)> {
    let contexts = contexts();
    let rows: Vec<_> = (0..).zip(&contexts).map(|(prompt, context)| row(prompt, context)).collect();
    let (answers, _) = engine.generate(Player::Leader, &rows, 11, sampling).unwrap();
    let pair = |(context, answer): (&Vec<u32>, slhf_policy::Generated)| {
        let supports = answer.draws.iter().map(|draw| draw.support).collect();
        let pair = TrainingPair {
            prompt: context.clone(),
            leader: answer.tokens,
            follow_up: vec![],
            follower: None,
            supports: Supports { leader: supports, follower: vec![] },
        };
        (pair, answer.draws.iter().map(|draw| draw.log_probability).collect())
    };
    contexts.iter().zip(answers).map(pair).collect()
}

#[test]
fn ratios_of_a_first_pass_are_one_however_it_was_sampled() {
    for (name, training) in [("llama-tied", lora(0.0)), ("qwen2", Training::Full), ("gemma3", lora(0.0))] {
        let mut engine = trained(name, settings(Some(training), &[Agent::Shared]));
        disturb(&mut engine);
        for sampling in samplings() {
            let (pairs, expected): (Vec<_>, Vec<_>) = sampled(&mut engine, &sampling).into_iter().unzip();
            let cut = sampling.is_cut();
            assert!(pairs.iter().flat_map(|pair| &pair.supports.leader).all(|size| (*size > 0) == cut), "{sampling:?}");
            for exact_kl in [false, true] {
                let settings = PassSettings { temperature: sampling.temperature, exact_kl, ..pass_settings() };
                let (scores, _) = run(&mut engine, &pairs, &settings);
                for (scores, expected) in scores.iter().zip(&expected) {
                    assert_close(&scores.leader.policy, expected, 2e-5, &format!("{name}, {sampling:?}"));
                }
            }
        }
    }
}

/// One token after a context, against the distributions written out.
#[test]
fn everything_is_within_the_support_and_renormalized() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    disturb(&mut engine);
    let context = [5, 6, 7];
    let candidates: Vec<[u32; 1]> = (0..engine.config().vocabulary_size as u32).map(|token| [token]).collect();
    let answers: Vec<(&[u32], &[u32])> = candidates.iter().map(|token| (&context[..], &token[..])).collect();
    let mut logs = |player| -> Vec<f64> {
        let found = engine.log_probabilities(player, &answers).unwrap();
        found.into_iter().map(|log| log[0] / 0.7).collect()
    };
    let (policy, reference) = (logs(Player::Leader), logs(Player::Reference));
    for sampling in samplings().map(|sampling| Sampling { max_new_tokens: 1, ..sampling }) {
        let support = support(&policy, &sampling);
        let (policy, reference) = (within(&policy, &support), within(&reference, &support));
        let divergence: f64 = support.iter().map(|&at| policy[at].exp() * (policy[at] - reference[at])).sum();
        let entropy: f64 = -support.iter().map(|&at| policy[at].exp() * policy[at]).sum::<f64>();
        let rows: Vec<_> = (0..30).map(|prompt| row(prompt, &context)).collect();
        let (drawn, _) = engine.generate(Player::Leader, &rows, 3, &sampling).unwrap();
        let pair = |answer: &slhf_policy::Generated| TrainingPair {
            prompt: context.to_vec(),
            leader: answer.tokens.clone(),
            follow_up: vec![],
            follower: None,
            supports: Supports { leader: vec![answer.draws[0].support], follower: vec![] },
        };
        let pairs: Vec<TrainingPair> = drawn.iter().map(pair).collect();
        let (scores, _) = run(&mut engine, &pairs, &pass_settings());
        for (answer, PairScores { leader, .. }) in drawn.iter().zip(&scores) {
            let token = answer.tokens[0] as usize;
            let size = if sampling.is_cut() { support.len() as u32 } else { 0 };
            assert_eq!(answer.draws[0].support, size);
            let found = [
                answer.draws[0].log_probability,
                leader.policy[0],
                leader.reference[0],
                leader.exact_kl[0],
                leader.entropy[0],
            ];
            let expected = [policy[token], policy[token], reference[token], divergence, entropy];
            assert_close(&found, &expected, 1e-4, &format!("{sampling:?}"));
        }
    }
}

/// The tokens that may come, the likeliest first.
fn support(logs: &[f64], sampling: &Sampling) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logs.len()).collect();
    order.sort_by(|a, b| logs[*b].total_cmp(&logs[*a]));
    order.truncate(if sampling.top_k == 0 { logs.len() } else { sampling.top_k as usize });
    let total: f64 = order.iter().map(|&at| logs[at].exp()).sum();
    let mut before = 0.0;
    let stays = |at: &usize| {
        let is_before = before < sampling.top_p;
        before += logs[*at].exp() / total;
        is_before
    };
    if sampling.top_p < 1.0 { order.into_iter().take_while(stays).collect() } else { order }
}

fn within(logs: &[f64], support: &[usize]) -> Vec<f64> {
    let total = support.iter().map(|&at| logs[at].exp()).sum::<f64>().ln();
    logs.iter().map(|log| log - total).collect()
}

/// Without the divergence, which jumps where the likeliest tokens change: the policy's part does not, because tokens that change places are
/// equally likely. Slopes of the divergence within a support are tested beside the output layer.
#[test]
fn gradients_within_supports_are_the_slopes_of_the_loss() {
    for (name, training) in [("llama-tied", lora(0.0)), ("qwen2", Training::Full), ("llama-tied", Training::Full)] {
        let settings_of_pass = PassSettings { exact_kl: false, ..pass_settings() };
        let mut engine = trained(name, settings(Some(training), &[Agent::Shared]));
        shift(&mut engine, 0.03);
        let mut cut = pairs(true);
        for pair in &mut cut {
            pair.supports.leader = (0..pair.leader.len() as u32).map(|at| [9, 0, 40][at as usize % 3]).collect();
            pair.supports.follower = vec![15; pair.follower.as_ref().map_or(0, Vec::len)];
        }
        let (_, gradients) = run(&mut engine, &cut, &settings_of_pass);
        let (_, whole) = run(&mut engine, &pairs(true), &settings_of_pass);
        for ((_, name_of, gradient), (_, _, whole)) in gradients.iter().zip(&whole) {
            let length = gradient.norm().double_value(&[]);
            let differs = (gradient - whole).norm().double_value(&[]);
            assert!(length < 1e-3 || differs > 0.01 * length, "{name} {name_of}: the support changes nothing");
        }
        assert_slopes(&mut engine, &gradients, (&cut, &settings_of_pass), name);
    }
}

#[test]
fn supports_that_fit_no_response_are_refused() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    let mut pairs = pairs(true);
    pairs[1].supports.leader = vec![3];
    let refused = engine.pass(&pairs, &pass_settings(), &mut crate::support::weigh).unwrap_err().to_string();
    assert!(refused.contains("pair 1 has a response of 5 tokens and 1 supports"), "{refused}");
}
