//! A run that cannot go on says why, in one sentence, and leaves its last checkpoint.

use slhf_learn::Ended;
use slhf_learn::language::Answer;

use super::setup::{Judge, Setup, Told, hashed};
use super::tabular::{TWO_TOKENS, Tabular};

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.training.steps = 6;
    setup.checkpoint_every = 1;
    setup
}

fn model() -> Tabular {
    Tabular::new(TWO_TOKENS, 2, 0.5)
}

#[expect(clippy::unnecessary_wraps, reason = "what a judge may say, it may fail to say")]
fn good(prompt: u32, first: &Answer, second: &Answer) -> Result<f64, String> {
    Ok(hashed(prompt, first, second))
}

fn assert_last_good_step(told: &Told, step: u64) {
    assert!(matches!(&told.ended, Some((at, Ended::Failed(_))) if *at == step), "{:?}", told.ended);
    assert_eq!(told.checkpoints.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (1..=step).collect::<Vec<_>>());
    assert_eq!(told.metrics.len() as u64, step);
}

#[test]
fn a_log_probability_that_is_no_number_names_step_agent_and_the_last_metrics() {
    let mut model = model();
    model.nan_from_step = Some(3);
    let told = setup().train(&mut model, &mut Judge(good));
    assert_last_good_step(&told, 2);
    let sentence = told.failure();
    assert!(sentence.starts_with("step 3: prompt "), "{sentence}");
    assert!(
        sentence.contains("the Follower's response cannot be trained on: log-probabilities of token 1 is NaN"),
        "{sentence}"
    );
    assert!(sentence.contains("the metrics of step 2 were loss/leader = "), "{sentence}");
}

#[test]
fn a_gradient_that_the_policies_refuse_is_passed_on_in_their_words() {
    let mut model = model();
    model.refuse_update = Some(1);
    let told = setup().train(&mut model, &mut Judge(good));
    assert_last_good_step(&told, 0);
    assert_eq!(
        told.failure(),
        "step 1: the policies failed while they were updating the weights: the gradient of the Follower is not finite, \
         first in layers.0.q_proj.lora_A; no step came before it"
    );
}

#[test]
fn a_verdict_that_is_no_probability_ends_the_run() {
    for wrong in [f64::NAN, -1.0, 1.5] {
        let mut calls = 0;
        let mut judge = Judge(|prompt, first: &Answer, second: &Answer| {
            calls += 1;
            if calls > 8 { Ok(wrong) } else { good(prompt, first, second) }
        });
        let told = setup().train(&mut model(), &mut judge);
        assert_last_good_step(&told, 1);
        let sentence = told.failure();
        assert!(sentence.contains("step 2: the judge's probability on prompt "), "{sentence}");
        assert!(sentence.contains(&format!("is {wrong}; expected a number from 0 to 1")), "{sentence}");
    }
}

#[test]
fn a_step_without_any_verdict_ends_the_run_and_changes_nothing() {
    let mut model = model();
    let start = model.parameters.clone();
    let told = setup().train(&mut model, &mut Judge(|_, _: &Answer, _: &Answer| Err("no opinion".to_owned())));
    assert_last_good_step(&told, 0);
    assert!(
        told.failure().starts_with(
            "step 1: no response is left to train on: 8 of 8 verdicts failed, the first because no opinion"
        ),
        "{}",
        told.failure()
    );
    assert_eq!(model.parameters, start);
}

struct Aborting;

impl slhf_learn::language::PairJudge for Aborting {
    fn compare(
        &mut self,
        _: &[slhf_learn::language::Comparison<'_>],
    ) -> Result<Vec<Result<slhf_learn::language::Verdict, String>>, slhf_learn::Cause> {
        Err("the plugin trapped".into())
    }
    fn score(
        &mut self,
        _: &[slhf_learn::language::Candidate<'_>],
    ) -> Result<Vec<Result<slhf_learn::language::Reward, String>>, slhf_learn::Cause> {
        Err("the plugin trapped".into())
    }
}

#[test]
fn a_judge_that_aborts_ends_the_run() {
    let told = setup().train(&mut model(), &mut Aborting);
    assert_last_good_step(&told, 0);
    assert_eq!(told.failure(), "step 1: the judge failed: the plugin trapped; no step came before it");
}

#[test]
fn a_learning_rate_that_explodes_ends_the_run_with_a_sentence() {
    let mut setup = setup();
    setup.training.steps = 50;
    setup.schedule.learning_rate = slhf_plan::Curve::Constant { value: 1e308 };
    let told = setup.train(&mut model(), &mut Judge(good));
    assert!(told.failure().contains("expected a finite number"), "{}", told.failure());
}
