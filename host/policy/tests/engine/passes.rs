//! The forward and backward pass, against other ways to the same numbers.

use slhf_plan::{FollowerReference, PairScores, TokenWeights};
use slhf_policy::{Agent, Engine, KeptParameters, PassSettings, Player, PolicyError, Supports, Training, TrainingPair};
use tch::{Kind, Tensor};

use crate::support::{
    FAMILIES, assert_close, assert_gradients, gradients, lora, pairs, pass_settings, row, run, sampling, settings,
    trained, weigh,
};

/// `[x][y]` and `[x, y, instruction][y′]` as pairs of their own: what two passes see.
fn apart(pairs: &[TrainingPair]) -> (Vec<TrainingPair>, Vec<TrainingPair>) {
    let alone = |prompt: Vec<u32>, leader: &[u32]| TrainingPair {
        prompt,
        leader: leader.to_vec(),
        follow_up: vec![],
        follower: None,
        supports: Supports::default(),
    };
    let leaders = pairs.iter().map(|pair| alone(pair.prompt.clone(), &pair.leader)).collect();
    let context = |pair: &TrainingPair| [pair.prompt.clone(), pair.leader.clone(), pair.follow_up.clone()].concat();
    let followers = pairs.iter().filter_map(|pair| Some(alone(context(pair), pair.follower.as_ref()?))).collect();
    (leaders, followers)
}

#[test]
fn the_packed_pass_equals_the_two_passes_that_it_replaces() {
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let pairs = pairs(true);
        let (packed, packed_gradients) = run(&mut engine, &pairs, &pass_settings());
        let (leaders, followers) = apart(&pairs);
        let mut first = Vec::new();
        let mut second = Vec::new();
        engine
            .pass(&leaders, &pass_settings(), &mut |scores: &[PairScores]| {
                first = scores.to_vec();
                weigh(scores)
            })
            .unwrap();
        engine
            .pass(&followers, &pass_settings(), &mut |scores: &[PairScores]| {
                second = scores.to_vec();
                // As `weigh` weighs a Follower.
                let mut weights = weigh(scores)?;
                for score in weights.iter_mut().flat_map(|pair| &mut pair.leader.score) {
                    *score = -*score;
                }
                Ok::<_, PolicyError>(weights)
            })
            .unwrap();
        for (index, pair) in packed.iter().enumerate() {
            let mut both = vec![(&pair.leader, &first[index].leader)];
            both.extend(pair.follower.as_ref().map(|follower| (follower, &second[index].leader)));
            for (found, expected) in both {
                assert_close(&found.policy, &expected.policy, 1e-5, name);
                assert_close(&found.reference, &expected.reference, 1e-5, name);
                assert_close(&found.exact_kl, &expected.exact_kl, 1e-5, name);
                assert_close(&found.entropy, &expected.entropy, 1e-5, name);
            }
        }
        assert_gradients(&packed_gradients, &gradients(&mut engine), 1e-4);
    }
}

/// What a pass tells of the policies, with dropout and without, and nothing is learned by it.
#[test]
fn scores_are_those_of_a_pass() {
    for (name, dropout, agents) in [
        ("llama-tied", 0.0, &[Agent::Shared][..]),
        ("qwen2", 0.3, &[Agent::Shared]),
        ("qwen3", 0.0, &[Agent::Leader, Agent::Follower]),
    ] {
        let mut engine = trained(name, settings(Some(lora(dropout)), agents));
        let (found, passed) = engine.score(&pairs(true), &pass_settings()).unwrap();
        let untouched = engine.parameters().unwrap().iter().all(|parameter| parameter.gradient().is_none());
        assert!(untouched && passed.tokens > 0 && passed.operations > 0.0, "{name}");
        let (expected, _) = run(&mut engine, &pairs(true), &pass_settings());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let both =
                [(Some(&found.leader), Some(&expected.leader)), (found.follower.as_ref(), expected.follower.as_ref())];
            for (found, expected) in both {
                assert_eq!(found.is_some(), expected.is_some(), "{name}");
                let (Some(found), Some(expected)) = (found, expected) else { continue };
                assert_close(&found.policy, &expected.policy, 1e-6, name);
                assert_close(&found.reference, &expected.reference, 1e-6, name);
                assert_close(&found.exact_kl, &expected.exact_kl, 1e-6, name);
            }
        }
    }
}

/// Of the policy as it stands, and of one that was kept and is put in its place.
#[test]
fn responses_are_read_as_a_pass_scores_them() {
    for (name, dropout, agents) in [
        ("llama-tied", 0.0, &[Agent::Shared][..]),
        ("qwen2", 0.3, &[Agent::Shared]),
        ("qwen3", 0.0, &[Agent::Leader, Agent::Follower]),
    ] {
        let mut engine = trained(name, settings(Some(lora(dropout)), agents));
        let (pairs, _) = apart(&pairs(false));
        // No divergence is asked for.
        let exact = PassSettings { exact_kl: true, ..pass_settings() };
        let (expected, scored) = engine.score(&pairs, &PassSettings { exact_kl: false, ..exact }).unwrap();
        let (before, passed) = engine.read_responses(&pairs, &exact).unwrap();
        for (found, expected) in before.iter().zip(&expected) {
            assert_close(found, &expected.leader.policy, 1e-6, name);
        }
        assert!(passed.forward_passes == 1 && passed.operations < scored.operations, "{name}: {passed:?}");

        let mut kept = KeptParameters::default();
        kept.keep(engine.parameters().unwrap(), 1).unwrap();
        for parameter in engine.parameters_mut().unwrap() {
            let moved = &parameter.tensor.detach() * 1.5;
            parameter.assign(&moved).unwrap();
        }
        engine.parameters_changed();
        let (after, _) = engine.read_responses(&pairs, &exact).unwrap();
        assert_ne!(after, before, "{name}");
        kept.exchange(1, engine.parameters_mut().unwrap()).unwrap();
        engine.parameters_changed();
        assert_eq!(engine.read_responses(&pairs, &exact).unwrap().0, before, "{name}");
        kept.exchange(1, engine.parameters_mut().unwrap()).unwrap();
        engine.parameters_changed();
        assert_eq!(engine.read_responses(&pairs, &exact).unwrap().0, after, "{name}");
    }
}

#[test]
fn checkpoints_change_no_gradient_with_and_without_dropout() {
    for (name, dropout) in [("llama-tied", 0.0), ("qwen2", 0.3), ("qwen3", 0.3)] {
        let at = settings(Some(lora(dropout)), &[Agent::Shared]);
        let (scores, whole) = run(&mut trained(name, at.clone()), &pairs(false), &pass_settings());
        let mut engine = trained(name, slhf_policy::EngineSettings { activation_checkpointing: true, ..at });
        let (again, checkpointed) = run(&mut engine, &pairs(false), &pass_settings());
        assert_eq!(scores, again, "{name}");
        assert_gradients(&checkpointed, &whole, 1e-6);
        let other = PassSettings { step: 4, ..pass_settings() };
        let (_, elsewhere) = run(&mut engine, &pairs(false), &other);
        let alike = checkpointed.iter().zip(&elsewhere).all(|((_, _, one), (_, _, other))| one == other);
        assert_eq!(alike, dropout == 0.0, "another step has other masks");
    }
}

#[test]
fn what_a_pass_tells_is_of_the_policy_that_answers_and_not_of_its_dropout() {
    for name in ["llama-tied", "qwen3"] {
        let told = |dropout| {
            let mut engine = trained(name, settings(Some(lora(dropout)), &[Agent::Shared]));
            run(&mut engine, &pairs(false), &pass_settings()).0
        };
        assert_eq!(told(0.3), told(0.0), "{name}");
    }
}

/// The loss itself, as a function of the parameters: Σ score · log π + Σ weight · KL, by the engine's forward pass.
fn loss(engine: &mut Engine, pairs: &[TrainingPair], settings: &PassSettings) -> f64 {
    let mut total = 0.0;
    engine
        .pass(pairs, settings, &mut |scores: &[PairScores]| {
            let weights = weigh(scores)?;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            for (scores, weights) in scores.iter().zip(&weights) {
                let both = [
                    (Some(&scores.leader), Some(&weights.leader)),
                    (scores.follower.as_ref(), weights.follower.as_ref()),
                ];
                for (scores, weights) in both.into_iter().filter_map(|(s, w)| Some((s?, w?))) {
                    total += dot(&scores.policy, &weights.score) + dot(&scores.exact_kl, &weights.exact_kl);
                }
            }
            Ok::<_, PolicyError>(weights)
        })
        .unwrap();
    engine.parameters_mut().unwrap().clear_gradients().unwrap();
    total
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let trainings = [
        ("llama-tied", lora(0.0)),
        ("qwen2", Training::Full),
        ("qwen3", lora(0.0)),
        ("llama-bias", Training::Full),
        ("llama-tied", Training::Full),
        ("gemma3", lora(0.0)),
        ("gemma3", Training::Full),
    ];
    for (name, training) in trainings {
        let mut engine = trained(name, settings(Some(training), &[Agent::Shared]));
        shift(&mut engine, 0.03);
        let (_, gradients) = run(&mut engine, &pairs(true), &pass_settings());
        assert_slopes(&mut engine, &gradients, (&pairs(true), &pass_settings()), name);
    }
}

/// Along the gradient of one tensor at a time the loss rises by its squared length.
pub(crate) fn assert_slopes(
    engine: &mut Engine,
    gradients: &[(Agent, String, Tensor)],
    (pairs, settings): (&[TrainingPair], &PassSettings),
    name: &str,
) {
    for (index, (_, name_of, gradient)) in gradients.iter().enumerate().filter(|(index, _)| index % 3 != 1) {
        let length = gradient.norm().double_value(&[]);
        if length < 1e-3 {
            continue;
        }
        let step = 0.01 / length;
        let mut at = |direction: f64| {
            move_by(engine, index, gradient, direction * step);
            let loss = loss(engine, pairs, settings);
            move_by(engine, index, gradient, -direction * step);
            loss
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
        let expected = length * length;
        assert!((slope - expected).abs() < 0.02 * expected + 2e-3 * length, "{name} {name_of}: {slope} and {expected}");
    }
}

fn move_by(engine: &mut Engine, index: usize, direction: &Tensor, step: f64) {
    let parameter = engine.parameters_mut().unwrap().iter_mut().nth(index).unwrap();
    let moved = parameter.tensor.detach() + direction * step;
    parameter.assign(&moved).unwrap();
}

/// Moves every parameter a little, so that policy and reference differ under full training, too.
pub(crate) fn shift(engine: &mut Engine, size: f64) {
    for (index, parameter) in engine.parameters_mut().unwrap().iter_mut().enumerate() {
        let count = parameter.tensor.numel();
        let values: Vec<f32> = (0..count).map(|i| (((i * 29 + index * 7) % 31) as f32 - 15.0) / 15.0).collect();
        let wave = Tensor::from_slice(&values).view(parameter.tensor.size().as_slice()) * size;
        let moved = parameter.tensor.detach() + wave;
        parameter.assign(&moved).unwrap();
    }
    engine.parameters_changed();
}

#[test]
fn separate_adapters_get_their_own_gradients_only() {
    let agents = [Agent::Leader, Agent::Follower];
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &agents));
    let (both, all) = run(&mut engine, &pairs(false), &pass_settings());
    assert!(all.iter().all(|(_, _, gradient)| gradient.abs().max().double_value(&[]) > 0.0));
    // Only the Follower's answers are weighed: only its adapters move.
    for follower in [false, true] {
        engine
            .pass(&pairs(false), &pass_settings(), &mut |scores: &[PairScores]| {
                assert_eq!(scores, both);
                let mut weights = weigh(scores)?;
                for pair in &mut weights {
                    if follower {
                        pair.leader = TokenWeights::default();
                    } else {
                        pair.follower = None;
                    }
                }
                Ok::<_, PolicyError>(weights)
            })
            .unwrap();
        for ((agent, name, gradient), (_, _, expected)) in gradients(&mut engine).iter().zip(&all) {
            let mine = (*agent == Agent::Follower) == follower;
            let error = (gradient - expected).abs().max().double_value(&[]);
            let size = gradient.abs().max().double_value(&[]);
            assert!(if mine { error < 1e-7 } else { size == 0.0 }, "{agent:?} {name}: {error}, {size}");
        }
    }
}

#[test]
fn the_reference_is_the_model_with_its_adapters_off() {
    let fresh = |name| crate::support::engine(name, settings(Some(lora(0.0)), &[Agent::Shared]));
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let (scores, _) = run(&mut engine, &pairs(false), &pass_settings());
        let (start, _) = run(&mut fresh(name), &pairs(false), &pass_settings());
        for (scores, start) in scores.iter().zip(&start) {
            assert_close(&scores.leader.reference, &start.leader.policy, 1e-5, name);
            assert_close(&start.leader.reference, &start.leader.policy, 1e-5, name);
            let moved = scores.leader.policy.iter().zip(&scores.leader.reference).any(|(p, r)| (p - r).abs() > 1e-3);
            assert!(moved, "{name}: the adapters do nothing");
            assert!(scores.leader.exact_kl.iter().all(|kl| *kl > 0.0), "{name}");
        }
        let (answers, _) = engine.generate(Player::Reference, &[row(0, &[5, 6, 7])], 1, &sampling(1.0)).unwrap();
        let (expected, _) = fresh(name).generate(Player::Leader, &[row(0, &[5, 6, 7])], 1, &sampling(1.0)).unwrap();
        assert_eq!(answers, expected, "{name}");
    }
}

#[test]
fn a_followers_reference_may_see_the_prompt_alone() {
    let mut engine = trained("qwen2", settings(Some(lora(0.0)), &[Agent::Shared]));
    let (context, _) = run(&mut engine, &pairs(true), &pass_settings());
    let alone = PassSettings { follower_reference: FollowerReference::Prompt, temperature: 1.0, ..pass_settings() };
    let (prompt, _) = run(&mut engine, &pairs(true), &alone);
    for (index, pair) in pairs(true).iter().enumerate() {
        let Some(follower) = &pair.follower else { continue };
        let answers = [(pair.prompt.as_slice(), follower.as_slice()), (&pair.prompt, &pair.leader)];
        let expected = engine.log_probabilities(Player::Reference, &answers).unwrap();
        let found = prompt[index].follower.as_ref().unwrap();
        assert_close(&found.reference, &expected[0], 1e-5, "y′ given x");
        assert_close(&prompt[index].leader.reference, &expected[1], 1e-5, "y given x");
        assert_ne!(found.reference, context[index].follower.as_ref().unwrap().reference);
    }
}

#[test]
fn training_divides_logits_by_the_temperature_of_sampling() {
    // p_T ∝ p^T⁻¹, over the whole vocabulary of one token's answers.
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    let vocabulary = engine.config().vocabulary_size as u32;
    let pairs: Vec<TrainingPair> = (0..vocabulary)
        .map(|token| TrainingPair {
            prompt: vec![5, 6],
            leader: vec![token],
            follow_up: vec![],
            follower: None,
            supports: Supports::default(),
        })
        .collect();
    let plain = PassSettings { temperature: 1.0, ..pass_settings() };
    let (ones, _) = run(&mut engine, &pairs, &plain);
    let (scaled, _) = run(&mut engine, &pairs, &PassSettings { temperature: 0.5, ..plain });
    let powers: Vec<f64> = ones.iter().map(|pair| (pair.leader.policy[0] / 0.5).exp()).collect();
    let total: f64 = powers.iter().sum();
    for (scaled, power) in scaled.iter().zip(&powers) {
        assert!((scaled.leader.policy[0] - (power / total).ln()).abs() < 1e-4);
    }
}

#[test]
fn generating_copies_and_training_weights_give_the_same_probabilities() {
    // Where a row's uniform lies, the inverse distribution function of the training pass gives the token sampled.
    let mut engine = trained("qwen3", settings(Some(lora(0.0)), &[Agent::Shared]));
    let vocabulary = engine.config().vocabulary_size as u32;
    let context = [5, 6, 7];
    let candidates: Vec<[u32; 1]> = (0..vocabulary).map(|token| [token]).collect();
    let answers: Vec<(&[u32], &[u32])> =
        candidates.iter().map(|token| (context.as_slice(), token.as_slice())).collect();
    let logs = engine.log_probabilities(Player::Leader, &answers).unwrap();
    let rows: Vec<_> = (0..40).map(|prompt| row(prompt, &context)).collect();
    let one = slhf_plan::Sampling { max_new_tokens: 1, ..sampling(1.0) };
    let (sampled, _) = engine.generate(Player::Leader, &rows, 9, &one).unwrap();
    for (row, answer) in rows.iter().zip(sampled) {
        let mut rest = row.row.uniform(9, 0);
        let token = logs.iter().position(|log| {
            rest -= log[0].exp();
            rest < 0.0
        });
        assert!(rest.abs() < 1e-5 || token == Some(answer.tokens[0] as usize), "{token:?} and {answer:?}");
    }
}

#[test]
fn costs_are_counted_by_hand() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    let config = engine.config().clone();
    let pair = TrainingPair {
        prompt: vec![4, 5, 6],
        leader: vec![7, 8],
        follow_up: vec![],
        follower: None,
        supports: Supports::default(),
    };
    let passed = engine.pass(&[pair], &pass_settings(), &mut weigh).unwrap();
    let queries = (config.heads * config.head_size) as f64;
    let keys = (config.key_value_heads * config.head_size) as f64;
    let (hidden, inner) = (config.hidden_size as f64, config.intermediate_size as f64);
    let layer = 2.0 * queries * hidden + 2.0 * keys * hidden + 3.0 * hidden * inner;
    let weights = 5.0 * layer * config.layers as f64 + 2.0 * hidden * config.vocabulary_size as f64;
    let attention = 25.0 * queries * config.layers as f64;
    assert_eq!(passed.tokens, 5);
    assert_eq!(passed.operations, (4.0 + 2.0) * weights + (6.0 + 2.0) * attention);
    assert_eq!(passed.forward_passes, 2);
}

#[test]
fn gradients_accumulate_over_micro_batches() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    let (_, whole) = run(&mut engine, &pairs(false), &pass_settings());
    for pair in pairs(false) {
        engine.pass(&[pair], &pass_settings(), &mut weigh).unwrap();
    }
    assert_gradients(&gradients(&mut engine), &whole, 1e-4);
    assert_eq!(whole[0].2.kind(), Kind::Float);
}
