//! A run that is cut at any step and resumed computes, to the bit, what one that is not cut computes.

use slhf_learn::Ended;
use slhf_learn::language::{Answer, Evaluators, LanguageTrainer};
use slhf_learn::{BaselineEstimator, BaselineRole, BaselineSample, Cause};
use slhf_plan::{AdaptiveRule, ControlVariate, Kappa, Realisation};

use super::setup::{
    Judge, Setup, Told, hashed, rloo_on_a_reward_model, rloo_on_verdicts, score_on_a_reward_model, score_on_rewards,
    score_on_verdicts,
};
use super::tabular::{TWO_TOKENS, Tabular};
use crate::support::judge as plugin;

/// A judge that fails now and then, always on the same pairs.
fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| match hashed(prompt, first, second) {
        p if p > 0.9 => Err("it is too sure".to_owned()),
        p => Ok(p),
    })
}

/// A baseline plugin with a memory: the mean of everything seen, by role.
#[derive(Default)]
struct Remembering {
    sums: [(f64, u64); 2],
}

impl BaselineEstimator for Remembering {
    fn estimate(&mut self, samples: &[BaselineSample]) -> Result<Vec<f64>, Cause> {
        let role = usize::from(samples.iter().any(|sample| sample.role == BaselineRole::Follower));
        let (sum, count) = self.sums[role];
        let baseline = if count == 0 { 0.5 } else { sum / count as f64 };
        self.sums[role] = (sum + samples.iter().map(|s| s.reward).sum::<f64>(), count + samples.len() as u64);
        assert!(samples.iter().all(|sample| sample.prompt < 3));
        Ok(vec![baseline; samples.len()])
    }
    fn save(&mut self) -> Result<Vec<u8>, Cause> {
        Ok(postcard::to_stdvec(&self.sums)?)
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        self.sums = postcard::from_bytes(state)?;
        Ok(())
    }
}

fn trainer(setup: &Setup) -> LanguageTrainer {
    let remembering = matches!(setup.training.score_baseline, ControlVariate::Plugin { .. });
    let estimator = remembering.then(|| Box::new(Remembering::default()) as Box<dyn BaselineEstimator>);
    LanguageTrainer::new(&setup.plan(), setup.source(), estimator).unwrap()
}

fn model(setup: &Setup) -> Tabular {
    Tabular::new(TWO_TOKENS, setup.prompts + setup.held_out, 0.5)
}

/// What is told from a step on.
fn after(told: &Told, step: u64) -> Told {
    let mut told = told.clone();
    told.metrics.retain(|(at, _)| *at > step);
    told.schedules.retain(|row| row.step > step);
    told.completions.retain(|row| row.step > step);
    told.evaluations.retain(|row| row.step > step);
    told.checkpoints.retain(|(at, _)| *at > step);
    told.notes.clear();
    told
}

fn check(setup: &Setup) {
    let mut whole = Told::default();
    let mut finished = model(setup);
    let mut uncut = trainer(setup);
    uncut.train(&mut finished, &mut judge(), &mut Evaluators::default(), &mut whole).unwrap();
    assert_eq!(whole.ended, Some((setup.training.steps, Ended::Finished)));
    assert_eq!(whole.metrics.len() as u64, setup.training.steps);

    for cut in 1..setup.training.steps {
        // Stopped: a checkpoint is written there and then.
        let mut first = Told { stop_at: Some(cut), ..Told::default() };
        trainer(setup).train(&mut model(setup), &mut judge(), &mut Evaluators::default(), &mut first).unwrap();
        assert_eq!(first.ended, Some((cut, Ended::Interrupted)));
        let (at, bytes) = first.checkpoints.last().unwrap();
        assert_eq!(*at, cut);

        let mut again = trainer(setup);
        let mut policies = model(setup);
        policies.parameters.fill(9.0);
        again.restore(bytes, &mut policies).unwrap();
        assert_eq!(again.step(), cut);
        let mut second = Told::default();
        again.train(&mut policies, &mut judge(), &mut Evaluators::default(), &mut second).unwrap();
        // Not `assert_eq`: what was told fills many screens.
        assert!(after(&second, cut) == after(&whole, cut), "cut at {cut}");
        assert_eq!(again.counters(), uncut.counters());
        assert_eq!(policies.parameters, finished.parameters);
    }
}

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.prompts = 3;
    setup.held_out = 3;
    setup.training.steps = 5;
    setup.training.max_grad_norm = 0.3;
    setup.evaluation_every = 2;
    setup.checkpoint_every = 2;
    setup.log_completions_every = 2;
    setup.schedule.warmup_steps = 3;
    setup
}

#[test]
fn with_an_adaptive_kappa_and_a_moving_average() {
    let mut setup = setup();
    setup.training.score_baseline = ControlVariate::MovingAverage { decay: 0.8 };
    setup.schedule.kappa = Kappa::Adaptive(AdaptiveRule {
        start: 2.0,
        target: 0.6,
        gain: 0.2,
        smoothing: 0.5,
        minimum: 1.0,
        maximum: 9.0,
        interval: 2,
    });
    check(&setup);
}

#[test]
fn with_several_follower_updates_and_leave_one_out() {
    let mut setup = setup();
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
    setup.schedule.kappa = Kappa::Constant { value: 3.0 };
    check(&setup);
}

#[test]
fn with_a_baseline_plugin() {
    let mut setup = setup();
    setup.training.score_baseline = ControlVariate::Plugin { plugin: Box::new(plugin().plugin) };
    check(&setup);
}

#[test]
fn with_rloo_on_verdicts() {
    let mut setup = setup();
    setup.rival = Some(rloo_on_verdicts);
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    check(&setup);
}

#[test]
fn with_rloo_on_a_reward_model() {
    let mut setup = setup();
    setup.rival = Some(rloo_on_a_reward_model);
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    check(&setup);
}

/// Cut before it has all of its past, and after.
#[test]
fn with_policies_of_steps_before() {
    let mut setup = setup();
    setup.rival = Some(super::mnpo::mnpo);
    setup.training.micro_batch_size = setup.training.num_generations;
    check(&setup);
}

/// Cut within both stages, and between them.
#[test]
fn with_score_across_its_stages() {
    for method in [score_on_verdicts, score_on_rewards, score_on_a_reward_model] {
        let mut setup = setup();
        setup.rival = Some(method);
        check(&setup);
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let setup = setup();
    let mut told = Told::default();
    trainer(&setup).train(&mut model(&setup), &mut judge(), &mut Evaluators::default(), &mut told).unwrap();
    let (_, bytes) = told.checkpoints.last().unwrap();
    let refusal =
        |setup: &Setup, bytes: &[u8]| trainer(setup).restore(bytes, &mut model(setup)).unwrap_err().to_string();
    let mut shorter = setup.clone();
    shorter.training.steps = 3;
    assert_eq!(refusal(&shorter, bytes), "run 10: its state in the checkpoint is at step 5, past the last one (3)");
    let mut rewarded = setup.clone();
    rewarded.rival = Some(rloo_on_a_reward_model);
    rewarded.training.score_baseline = ControlVariate::LeaveOneOut;
    assert!(refusal(&rewarded, bytes).ends_with("was made with rewards from elsewhere"));
    assert!(refusal(&setup, &bytes[..15]).contains("is cut short"));
    assert!(refusal(&setup, &bytes[..bytes.len() - 9]).contains("the policies failed while they were taking up"));
}

/// Stopped before its first step, a run has been evaluated there, and is not once more.
#[test]
fn a_run_that_was_stopped_before_it_began_begins() {
    let setup = setup();
    let mut first = Told { stop_at: Some(0), ..Told::default() };
    trainer(&setup).train(&mut model(&setup), &mut judge(), &mut Evaluators::default(), &mut first).unwrap();
    assert_eq!(first.ended, Some((0, Ended::Interrupted)));
    assert!(first.evaluations.iter().all(|row| row.step == 0) && !first.evaluations.is_empty());

    let mut again = trainer(&setup);
    let mut policies = model(&setup);
    again.restore(&first.checkpoints[0].1, &mut policies).unwrap();
    let mut second = Told::default();
    again.train(&mut policies, &mut judge(), &mut Evaluators::default(), &mut second).unwrap();
    assert_eq!(second.ended, Some((setup.training.steps, Ended::Finished)));
    assert!(second.evaluations.iter().all(|row| row.step > 0));
}

/// A reward model that was fit before the run was stopped is not fit again.
#[test]
fn a_run_that_was_stopped_before_it_began_has_its_reward_model() {
    let mut setup = setup();
    setup.rival = Some(rloo_on_a_reward_model);
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    let mut whole = Told::default();
    let mut uncut = trainer(&setup);
    uncut.train(&mut model(&setup), &mut judge(), &mut Evaluators::default(), &mut whole).unwrap();

    let mut first = Told { stop_at: Some(0), ..Told::default() };
    trainer(&setup).train(&mut model(&setup), &mut judge(), &mut Evaluators::default(), &mut first).unwrap();
    assert_eq!(first.ended, Some((0, Ended::Interrupted)));
    let subjects = |told: &Told| told.evaluations.iter().filter(|row| row.subject == "reward model").count();
    assert_eq!((subjects(&first), subjects(&whole)), (3, 3));

    let mut again = trainer(&setup);
    let mut policies = model(&setup);
    again.restore(&first.checkpoints[0].1, &mut policies).unwrap();
    let mut second = Told::default();
    again.train(&mut policies, &mut judge(), &mut Evaluators::default(), &mut second).unwrap();
    assert!(after(&second, 0) == after(&whole, 0));
    assert_eq!(again.counters(), uncut.counters());
}
