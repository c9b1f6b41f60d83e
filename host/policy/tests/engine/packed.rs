//! Weights that stay packed, beside the same weights unpacked.

use slhf_plan::FollowerReference;
use slhf_policy::{Agent, Engine, EngineSettings, PassSettings, Player, StoredModel, Training};
use slhf_torch_shim::has_one_token_operators;

use crate::support::{
    FAMILIES, assert_close, assert_gradients, contexts, engine, fixture, lora, packed, pairs, pass_settings, row, run,
    said, sampling, settings, trained,
};

/// With the KL divergence over the vocabulary and without it: these are scored in two ways.
fn both_scorings() -> [PassSettings; 2] {
    [
        pass_settings(),
        PassSettings { exact_kl: false, follower_reference: FollowerReference::Prompt, ..pass_settings() },
    ]
}

fn assert_same_pass(name: &str, expected: &mut Engine, found: &mut Engine, settings: &PassSettings) {
    let (expected_scores, expected) = run(expected, &pairs(true), settings);
    let (scores, gradients) = run(found, &pairs(true), settings);
    for (found, expected) in scores.iter().zip(&expected_scores) {
        let mut both = vec![(&found.leader, &expected.leader)];
        both.extend(found.follower.as_ref().zip(expected.follower.as_ref()));
        for (found, expected) in both {
            assert_close(&found.policy, &expected.policy, 1e-4, name);
            assert_close(&found.reference, &expected.reference, 1e-4, name);
            assert_close(&found.exact_kl, &expected.exact_kl, 1e-4, name);
            assert_close(&found.entropy, &expected.entropy, 1e-4, name);
        }
    }
    assert_gradients(&gradients, &expected, 1e-4);
}

#[test]
fn a_pass_over_packed_weights_is_the_one_over_unpacked_ones() {
    if !has_one_token_operators() {
        return;
    }
    for name in FAMILIES {
        for (dropout, agents) in [(0.0, &[Agent::Shared][..]), (0.3, &[Agent::Leader, Agent::Follower])] {
            for settings_of_pass in both_scorings() {
                let at = settings(Some(lora(dropout)), agents);
                let (mut plain, mut packed) = (trained(name, at.clone()), packed(name, at));
                assert_same_pass(name, &mut plain, &mut packed, &settings_of_pass);
            }
        }
    }
}

#[test]
fn adapters_on_some_projections_and_recomputed_layers() {
    if !has_one_token_operators() {
        return;
    }
    for name in ["llama-tied", "qwen2"] {
        let Training::Lora(mut some) = lora(0.0) else { unreachable!("adapters") };
        some.targets = vec![slhf_policy::Projection::KProj, slhf_policy::Projection::UpProj];
        let at = settings(Some(Training::Lora(some)), &[Agent::Shared]);
        let recomputed = EngineSettings { activation_checkpointing: true, ..at.clone() };
        assert_same_pass(name, &mut trained(name, at), &mut packed(name, recomputed), &pass_settings());
    }
}

#[test]
fn what_is_generated_is_the_same() {
    if !has_one_token_operators() {
        return;
    }
    for name in FAMILIES {
        let at = settings(Some(lora(0.0)), &[Agent::Shared]);
        let (mut plain, mut packed) = (trained(name, at.clone()), packed(name, at));
        let rows: Vec<_> = (0..).zip(contexts()).map(|(prompt, context)| row(prompt, &context)).collect();
        for player in [Player::Leader, Player::Reference] {
            for temperature in [0.0, 1.0] {
                let (expected, _) = plain.generate(player, &rows, 3, &sampling(temperature)).unwrap();
                let (found, _) = packed.generate(player, &rows, 3, &sampling(temperature)).unwrap();
                assert_eq!(said(&found), said(&expected), "{name}, {player:?} at {temperature}");
            }
        }
    }
}

#[test]
fn all_weights_that_are_trained_are_not_packed() {
    let mut stored = StoredModel::open(&fixture("llama-tied")).unwrap();
    let mut engine = engine("llama-tied", settings(Some(Training::Full), &[Agent::Shared]));
    assert!(!engine.pack(&mut stored).unwrap());
}
