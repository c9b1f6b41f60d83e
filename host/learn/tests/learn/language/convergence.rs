//! The loop with sampled gradients on one-token games, against `slhf_game`.

use slhf_game::{
    Distribution, FollowerReference, Game, PreferenceMatrix, StackelbergSolution, TemperatureValues, Temperatures,
};
use slhf_learn::Ended;
use slhf_learn::language::Answer;
use slhf_plan::{ControlVariate, Curve, Kappa, KlGradient, Parameters, Realisation, Schedule};

use super::setup::{Judge, Setup, Told, hashed, rloo_on_rewards};
use super::tabular::{ONE_TOKEN, Tabular};

/// Largest total variation from the equilibrium that these tests allow: what 1500 steps of 64 sampled pairs a prompt may
/// leave, at a learning rate that falls as t^−0.9.
const TOLERANCE: f64 = 0.02;

fn setup(gradient: KlGradient) -> Setup {
    let mut setup = Setup::new();
    setup.training.steps = 1500;
    setup.training.num_generations = 64;
    setup.training.micro_batch_size = 64;
    setup.training.kl_gradient = gradient;
    setup.training.sampling.max_new_tokens = 1;
    setup.schedule.learning_rate = Curve::Power { start: 4.0, exponent: 0.9, offset: 100.0 };
    setup
}

fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| Ok(hashed(prompt, first, second)))
}

/// The game that one prompt is, solved.
fn solution(model: &Tabular, setup: &Setup, prompt: u32) -> StackelbergSolution {
    let answers = model.language.answers();
    let entries = answers.iter().map(|y| answers.iter().map(|z| hashed(prompt, y, z)).collect::<Vec<_>>());
    let exponentials = |logs: Vec<f64>| logs.into_iter().map(f64::exp).collect::<Vec<_>>();
    let leader = exponentials(model.logs(true, prompt, None, &[]));
    let follower: Vec<Vec<f64>> =
        answers.iter().map(|y| exponentials(model.logs(true, prompt, Some(y), &[]))).collect();
    let values = TemperatureValues {
        leader: setup.training.beta,
        follower: setup.follower_beta,
        ..TemperatureValues::default()
    };
    let game = Game::new(
        PreferenceMatrix::from_rows(&entries.collect::<Vec<_>>()).unwrap(),
        Distribution::new(&leader).unwrap(),
        FollowerReference::from_rows(&follower).unwrap(),
        Temperatures::new(values).unwrap(),
    )
    .unwrap();
    StackelbergSolution::of(&game)
}

fn assert_at_equilibrium(model: &Tabular, setup: &Setup, what: &str) {
    for prompt in 0..setup.prompts {
        let pi = model.logs(false, prompt, None, &[]);
        let omega: Vec<f64> =
            model.language.answers().iter().flat_map(|y| model.logs(false, prompt, Some(y), &[])).collect();
        let gaps = solution(model, setup, prompt).gaps(&pi, &omega);
        assert!(gaps.tv_leader < TOLERANCE && gaps.tv_follower < TOLERANCE, "{what}, prompt {prompt}: {gaps:?}");
    }
}

fn train(setup: &Setup) -> (Tabular, Told) {
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 1.0);
    model.shared = setup.parameters == Parameters::Shared;
    let told = setup.train(&mut model, &mut judge());
    assert_eq!(told.ended, Some((setup.training.steps, Ended::Finished)));
    (model, told)
}

#[test]
fn every_unbiased_kl_gradient_reaches_the_equilibrium() {
    for gradient in [KlGradient::RewardToGo, KlGradient::Exact, KlGradient::DifferentiatedK2] {
        let setup = setup(gradient);
        let (model, _) = train(&setup);
        assert_at_equilibrium(&model, &setup, &format!("{gradient:?}"));
    }
}

#[test]
fn every_control_variate_and_every_realisation_reaches_the_equilibrium() {
    let mut leave_one_out = setup(KlGradient::RewardToGo);
    leave_one_out.training.score_baseline = ControlVariate::LeaveOneOut;
    let mut averaged = setup(KlGradient::RewardToGo);
    averaged.training.score_baseline = ControlVariate::MovingAverage { decay: 0.9 };
    let mut weighted = setup(KlGradient::RewardToGo);
    weighted.parameters = Parameters::Shared;
    weighted.schedule.realisation = Realisation::LossWeight;
    let mut updated = setup(KlGradient::RewardToGo);
    updated.schedule.realisation = Realisation::UpdatesPerLeaderUpdate;
    for (what, setup) in [
        ("leave-one-out", leave_one_out),
        ("moving average", averaged),
        ("loss weight", weighted),
        ("updates", updated),
    ] {
        let (model, _) = train(&setup);
        assert_at_equilibrium(&model, &setup, what);
    }
}

/// π ∝ `π_ref` · exp(r / β).
#[test]
fn rloo_reaches_the_regularised_optimum_of_its_reward() {
    for gradient in [KlGradient::RewardToGo, KlGradient::Paper] {
        let mut setup = setup(gradient);
        setup.rival = Some(rloo_on_rewards);
        setup.training.score_baseline = ControlVariate::LeaveOneOut;
        let (model, _) = train(&setup);
        for prompt in 0..setup.prompts {
            let answers = model.language.answers();
            let reward = |y: &Answer| hashed(prompt, y, y) / setup.training.beta;
            let weights: Vec<f64> =
                answers.iter().map(|y| (model.log(true, prompt, None, y) + reward(y)).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let pi = model.logs(false, prompt, None, &[]);
            let distance: f64 = weights.iter().zip(&pi).map(|(w, log)| 0.5 * (w / sum - log.exp()).abs()).sum();
            assert!(distance < TOLERANCE, "{gradient:?}: {distance}");
        }
    }
}

/// One step at κ = 1 and at κ = 5 from the same start: the Leader moves alike, the Follower five times as far.
#[test]
fn kappa_as_a_ratio_of_learning_rates_moves_the_second_adapter() {
    let moved = |schedule: Schedule| {
        let mut setup = Setup { schedule, ..Setup::new() };
        setup.training.steps = 1;
        let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 1.0);
        let start = model.clone();
        setup.train(&mut model, &mut judge());
        let pairs = model.parameters.iter().zip(&start.parameters).zip(start.is_leaders());
        let (leader, follower): (Vec<_>, Vec<_>) =
            pairs.map(|((a, b), leads)| (a - b, leads)).partition(|(_, leads)| *leads);
        let norm = |moves: Vec<(f64, bool)>| moves.iter().map(|(change, _)| change * change).sum::<f64>().sqrt();
        (norm(leader), norm(follower))
    };
    let schedule = |value| Schedule { kappa: Kappa::Constant { value }, ..Setup::new().schedule };
    let (slow, fast) = (moved(schedule(1.0)), moved(schedule(5.0)));
    assert!(slow.0 > 0.0 && slow.1 > 0.0);
    assert_eq!(slow.0, fast.0);
    assert!((fast.1 / slow.1 - 5.0).abs() < 1e-9);
}
