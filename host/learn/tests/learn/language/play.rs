//! What a step plays and trains on: groups, streams, failed verdicts, realisations of κ.

use slhf_learn::language::{Answer, Evaluators};
use slhf_plan::{ControlVariate, Kappa, PairWeights, Parameters, Realisation};

use super::setup::{Judge, Setup, hashed};
use super::tabular::{ONE_TOKEN, TWO_TOKENS, Tabular};

/// No KL terms: what is left of a coefficient is −(score − baseline) / pairs.
fn bare(setup: &mut Setup) {
    setup.training.beta = 0.0;
    setup.follower_beta = 0.0;
}

fn leaders(told: &[PairWeights]) -> Vec<f64> {
    told.iter().flat_map(|weights| weights.leader.score.clone()).collect()
}

/// Every answer to prompt 0 scores 0.9, every answer to prompt 1 scores 0.1. Among answers of one prompt nothing is better
/// than anything else; over both prompts it would be.
#[test]
fn leave_one_out_never_mixes_prompts() {
    let mut setup = Setup::new();
    bare(&mut setup);
    setup.training.steps = 3;
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    let mut model = Tabular::new(TWO_TOKENS, 2, 0.5);
    setup.train(&mut model, &mut Judge(|prompt, _: &Answer, _: &Answer| Ok(if prompt == 0 { 0.9 } else { 0.1 })));
    let coefficients = leaders(&model.told);
    assert!(coefficients.len() >= 24);
    assert!(coefficients.iter().all(|value| value.abs() < 1e-15), "{coefficients:?}");
}

/// The same with a prompt twice in one step: its two groups are of different samples.
#[test]
fn a_prompt_that_returns_within_a_step_is_sampled_anew() {
    let mut setup = Setup::new();
    setup.prompts = 1;
    setup.training.steps = 1;
    setup.training.num_generations = 12;
    setup.log_completions_every = 1;
    setup.training.sampling.max_new_tokens = 2;
    let mut model = Tabular::new(TWO_TOKENS, 1, 0.5);
    let told = setup.train(&mut model, &mut Judge(|x, a: &Answer, b: &Answer| Ok(hashed(x, a, b))));
    // 16 of the 24 pairs are recorded; the second group starts at pair 12.
    let texts: Vec<&str> =
        told.completions.iter().filter(|row| row.role == "leader").map(|row| row.text.as_str()).collect();
    assert_eq!(texts.len(), 16);
    assert_ne!(texts[..4], texts[12..16]);
}

#[test]
fn a_failed_verdict_is_left_out_and_counted() {
    let mut setup = Setup::new();
    bare(&mut setup);
    setup.training.steps = 1;
    setup.log_completions_every = 1;
    let mut calls = 0;
    let mut judge = Judge(|_, _: &Answer, _: &Answer| {
        calls += 1;
        if calls % 4 == 0 { Err("no opinion".to_owned()) } else { Ok(0.8) }
    });
    let mut model = Tabular::new(ONE_TOKEN, 2, 0.5);
    let told = setup.train(&mut model, &mut judge);
    // 8 pairs, 2 without a verdict: 6 are trained on, each with −(0.8 − 0.5) / 6.
    assert_eq!(model.told.len(), 6);
    assert!(leaders(&model.told).iter().all(|value| (value + 0.05).abs() < 1e-15));
    assert!((told.metric(1, "rewards/probabilities") - 0.8).abs() < 1e-15);
    assert_eq!(told.metric(1, "verdicts/skipped"), 2.0);
    assert_eq!(told.notes, ["step 1: 2 of 8 verdicts failed and are skipped; the first: no opinion"]);
    let unjudged = told.completions.iter().filter(|row| row.probability.is_none()).count();
    assert_eq!(unjudged, 4);
    let judged: Vec<f64> = told.completions[..2].iter().filter_map(|row| row.probability).collect();
    assert!(judged[0] == 0.8 && (judged[1] - 0.2).abs() < 1e-15);
    assert!(told.completions[1].attributes.is_empty(), "why is said of the one that stood first");
}

#[test]
fn a_group_of_which_one_answer_is_left_is_dropped_and_counted() {
    let mut setup = Setup::new();
    setup.training.steps = 1;
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    let mut calls = 0;
    let mut judge = Judge(|prompt, _: &Answer, _: &Answer| {
        calls += 1;
        if prompt == 0 && calls % 4 != 0 { Err("no opinion".to_owned()) } else { Ok(0.8) }
    });
    let mut model = Tabular::new(ONE_TOKEN, 2, 0.5);
    let told = setup.train(&mut model, &mut judge);
    assert_eq!(model.told.len(), 4);
    assert_eq!(told.metric(1, "groups/dropped"), 1.0);
    assert!(told.notes[0].contains("(1 prompts fell out"), "{:?}", told.notes);
}

#[test]
fn an_unfinished_answer_pays_and_only_its_own_role_does() {
    let mut setup = Setup::new();
    bare(&mut setup);
    setup.training.steps = 1;
    setup.training.missing_eos_penalty = 0.25;
    setup.training.num_generations = 16;
    let mut model = Tabular::new(TWO_TOKENS, 2, 0.5);
    setup.log_completions_every = 1;
    let told = setup.train(&mut model, &mut Judge(|_, _: &Answer, _: &Answer| Ok(0.5)));
    let expected = |finished: bool| if finished { 0.0 } else { 0.25 / 32.0 };
    for (rows, weights) in told.completions.chunks_exact(2).zip(&model.told) {
        assert_eq!(weights.leader.score[0], expected(rows[0].finished));
        assert_eq!(weights.follower.as_ref().unwrap().score[0], expected(rows[1].finished));
    }
    assert!(told.completions.iter().any(|row| row.finished) && told.completions.iter().any(|row| !row.finished));
}

#[test]
fn further_follower_updates_resample_leave_the_leader_alone_and_their_tokens_count() {
    let mut setup = Setup::new();
    bare(&mut setup);
    setup.training.steps = 1;
    setup.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
    setup.schedule.kappa = Kappa::Constant { value: 3.0 };
    let mut trainer = setup.trainer();
    let mut model = Tabular::new(ONE_TOKEN, 2, 0.5);
    let mut told = super::setup::Told::default();
    trainer
        .train(
            &mut model,
            &mut Judge(|x, a: &Answer, b: &Answer| Ok(hashed(x, a, b))),
            &mut Evaluators::default(),
            &mut told,
        )
        .unwrap();
    assert_eq!(model.told.len(), 24);
    assert!(leaders(&model.told[..8]).iter().any(|value| *value != 0.0));
    assert!(leaders(&model.told[8..]).iter().all(|value| *value == 0.0));
    assert_ne!(model.told[..8], model.told[8..16]);
    assert_eq!(trainer.counters().tokens_generated, 3 * 16);
    assert_eq!(trainer.counters().tokens_trained, 3 * 16);
    // The tabular model counts 2 a sampled token and 6 a trained one.
    let (_, last) = told.metrics.last().unwrap();
    let of = |key| last.iter().find(|(name, _)| *name == key).map(|(_, bits)| f64::from_bits(*bits));
    assert_eq!(of("num_tokens_generated"), Some(48.0));
    assert_eq!(of("num_flops"), Some(48.0 * (2.0 + 6.0)));
    let row = told.schedules[0];
    assert_eq!((row.kappa, row.leader_updates, row.follower_updates), (3.0, 1, 3));
}

#[test]
fn under_loss_weight_kappa_multiplies_the_followers_coefficients() {
    let told = |kappa: f64| {
        let mut setup = Setup::new();
        setup.training.steps = 1;
        setup.parameters = Parameters::Shared;
        setup.schedule.realisation = Realisation::LossWeight;
        setup.schedule.kappa = Kappa::Constant { value: kappa };
        let mut model = Tabular::new(TWO_TOKENS, 2, 0.5);
        setup.train(&mut model, &mut Judge(|x, a: &Answer, b: &Answer| Ok(hashed(x, a, b))));
        model.told
    };
    for (once, fivefold) in told(1.0).iter().zip(&told(5.0)) {
        assert_eq!(once.leader, fivefold.leader);
        let pairs = once.follower.as_ref().unwrap().score.iter().zip(&fivefold.follower.as_ref().unwrap().score);
        assert!(pairs.into_iter().all(|(one, five)| (5.0 * one - five).abs() < 1e-15));
    }
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let check = |change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = Setup::new();
        change(&mut setup);
        let sentence = setup.refusal();
        assert!(sentence.contains(expected), "{sentence}");
    };
    check(
        &|s| s.parameters = Parameters::Shared,
        "\"learning_rate_ratio\" does not exist with parameters = \"shared\"",
    );
    check(
        &|s| {
            s.schedule.realisation = Realisation::LossWeight;
            s.training.optimizer = slhf_plan::ModelOptimizer::Adamw {
                adam_beta1: 0.9,
                adam_beta2: 0.999,
                adam_epsilon: 1e-8,
                weight_decay: 0.0,
            };
        },
        "\"loss_weight\" under optimizer = \"adamw\" with parameters = \"separate\" does nothing",
    );
    check(
        &|s| {
            s.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
            s.schedule.kappa = Kappa::Constant { value: 300.0 };
        },
        "it must be a whole number from 1 to 255",
    );
    check(&|s| s.prompts = 0, "has no prompt to train on");
    check(&|s| s.training.micro_batch_size = 0, "method.micro_batch_size: 0");
    check(&|s| s.training.sampling.temperature = 0.0, "method.temperature: 0: the most likely token has no gradient");
    check(&|s| s.training.num_generations = 4096, "more than 4096 responses to one prompt");
    check(
        &|s| {
            s.training.num_generations = 1;
            s.training.score_baseline = ControlVariate::LeaveOneOut;
        },
        "leave_one_out with num_generations = 1",
    );
}
