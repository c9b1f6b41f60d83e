//! What the reference library computes for tiny random models of every family (`tests/fixtures/make.py`).

use serde_json::Value;
use slhf_plan::{PairScores, Sampling};
use slhf_policy::{Agent, PassSettings, Player, PolicyError, Supports, TrainingPair};

use crate::support::{FAMILIES, assert_close, engine, fixture, lora, pass_settings, row, settings, weigh};

fn expected(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn tokens(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|token| token.as_u64().unwrap() as u32).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn log_probabilities_of_every_family_are_the_reference_librarys() {
    for name in FAMILIES {
        let mut engine = engine(name, settings(None, &[]));
        let expected = expected(name);
        let sequences: Vec<(Vec<u32>, Vec<f64>)> = expected["sequences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sequence| (tokens(&sequence["tokens"]), numbers(&sequence["next_log_probabilities"])))
            .collect();
        // All lengths in one batch: padding shifts nothing.
        let answers: Vec<(&[u32], &[u32])> = sequences.iter().map(|(tokens, _)| tokens.split_at(1)).collect();
        let found = engine.log_probabilities(Player::Leader, &answers).unwrap();
        for (found, (_, expected)) in found.iter().zip(&sequences) {
            assert_close(found, expected, 1e-4, name);
        }
    }
}

#[test]
fn a_pass_finds_the_same_log_probabilities_and_entropies() {
    for name in FAMILIES {
        let mut engine = engine(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        for sequence in expected(name)["sequences"].as_array().unwrap() {
            let all = tokens(&sequence["tokens"]);
            let pair = TrainingPair {
                prompt: all[..1].to_vec(),
                leader: all[1..].to_vec(),
                follow_up: vec![],
                follower: None,
                supports: Supports::default(),
            };
            let mut found = PairScores::default();
            let at = PassSettings { temperature: 1.0, ..pass_settings() };
            engine
                .pass(&[pair], &at, &mut |scores: &[PairScores]| {
                    found = scores[0].clone();
                    weigh(scores)
                })
                .unwrap();
            let expected = numbers(&sequence["next_log_probabilities"]);
            assert_close(&found.leader.policy, &expected, 1e-4, name);
            assert_close(&found.leader.reference, &expected, 1e-4, name);
            let entropies = numbers(&sequence["entropies"]);
            assert_close(&found.leader.entropy, &entropies[..entropies.len() - 1], 1e-4, name);
            assert_close(&found.leader.exact_kl, &vec![0.0; expected.len()], 1e-5, name);
        }
    }
}

#[test]
fn the_likeliest_tokens_are_the_reference_librarys() {
    for name in FAMILIES {
        let mut engine = engine(name, settings(None, &[]));
        let greedy = &expected(name)["greedy"];
        let sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, max_new_tokens: 12 };
        let rows = [row(0, &tokens(&greedy["prompt"]))];
        let (answers, _) = engine.generate(Player::Leader, &rows, 1, &sampling).unwrap();
        assert_eq!(answers[0].tokens, tokens(&greedy["tokens"]), "{name}");
    }
}

#[test]
fn what_a_model_cannot_read_is_refused_in_a_sentence() {
    let mut engine = engine("llama-tied", settings(None, &[]));
    let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 12 };
    let mut check = |context: &[u32], sampling: Sampling, expected: &str| {
        let error = engine.generate(Player::Leader, &[row(0, context)], 1, &sampling).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(&[], sampling, "row 0 to respond to has no tokens, but a model needs at least one to begin with");
    check(&[9999], sampling, "row 0 to respond to has the token 9999, but the model's vocabulary has 300");
    check(
        &[5],
        Sampling { max_new_tokens: 0, ..sampling },
        "`max_new_tokens` is 0, but a response has at least one token",
    );
    check(&[5], Sampling { temperature: f64::NAN, ..sampling }, "`temperature` is NaN, but must be at least 0");
    check(&[5], Sampling { top_p: 1.5, ..sampling }, "`top_p` is 1.5, but must lie between 0 and 1");
    let pair = TrainingPair {
        prompt: vec![4],
        leader: vec![5],
        follow_up: vec![],
        follower: None,
        supports: Supports::default(),
    };
    let error: PolicyError = engine.pass(&[pair], &pass_settings(), &mut weigh).unwrap_err();
    assert_eq!(error.to_string(), "this engine trains nothing; load the engine with adapters or full training");
}
