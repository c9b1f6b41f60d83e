//! RLOO's expected gradient over all samples of a prompt, and its baselines.

use slhf_learn::language::{Answer, outcomes_from_rewards, outcomes_from_verdicts, rloo::RlooLoss};
use slhf_plan::{KlEstimator, KlGradient};

use super::expectation::expected;
use super::setup::{Setup, hashed, rloo_on_rewards};
use super::tabular::{ONE_TOKEN, TWO_TOKENS, Tabular};

const ALL: [KlGradient; 4] =
    [KlGradient::RewardToGo, KlGradient::Exact, KlGradient::DifferentiatedK2, KlGradient::Paper];

fn loss(gradient: KlGradient) -> RlooLoss {
    let mut setup = Setup::new();
    setup.training.kl_gradient = gradient;
    setup.training.kl_estimator = KlEstimator::K1;
    RlooLoss::of(&setup.training)
}

/// −∂/∂θ of `value(π) − β KL(π ‖ π_ref)` by central differences.
fn closed_form(model: &mut Tabular, beta: f64, value: &dyn Fn(&Tabular) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let answers = model.language.answers();
    let mut gradient = Vec::new();
    for index in 0..model.parameters.len() {
        let start = model.parameters[index];
        let mut at = |shifted: f64| {
            model.parameters[index] = shifted;
            let ratio = |answer: &Answer| {
                let log = model.log(false, 0, None, answer);
                log.exp() * (log - model.log(true, 0, None, answer))
            };
            beta * answers.iter().map(ratio).sum::<f64>() - value(model)
        };
        let derivative = (at(start + STEP) - at(start - STEP)) / (2.0 * STEP);
        model.parameters[index] = start;
        gradient.push(derivative);
    }
    gradient
}

fn assert_close(found: &[f64], expected: &[f64], what: KlGradient) {
    assert!(expected.iter().any(|derivative| derivative.abs() > 1e-2));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-9, "{what:?}: {worst:.1e}");
}

#[test]
fn with_rewards_every_kl_gradient_is_unbiased_the_papers_own_too() {
    let mut model = Tabular::new(TWO_TOKENS, 1, 0.6);
    let value = |model: &Tabular| {
        let answers = model.language.answers();
        answers.iter().map(|y| model.log(false, 0, None, y).exp() * hashed(0, y, y)).sum()
    };
    for gradient in ALL {
        let loss = loss(gradient);
        let outcomes = |chosen: &[&Answer]| {
            let rewards: Vec<f64> = chosen.iter().map(|y| hashed(0, y, y)).collect();
            outcomes_from_rewards(&rewards)
        };
        let found = expected(&mut model, 3, &loss, &outcomes);
        assert_close(&found, &closed_form(&mut model, loss.kl.beta, &value), gradient);
    }
}

/// The judge is lopsided, so that the value is of both orders; and the opponent is not differentiated.
#[test]
fn with_verdicts_it_is_the_gradient_of_winning_against_the_current_policy() {
    let mut model = Tabular::new(ONE_TOKEN, 1, 0.6);
    let opponent = model.clone();
    let value = |model: &Tabular| {
        let answers = model.language.answers();
        let pairs = answers.iter().flat_map(|y| answers.iter().map(move |z| (y, z)));
        let won = |y: &Answer, z: &Answer| 0.5 * (hashed(0, y, z) + 1.0 - hashed(0, z, y));
        pairs.map(|(y, z)| (model.log(false, 0, None, y) + opponent.log(false, 0, None, z)).exp() * won(y, z)).sum()
    };
    for gradient in ALL {
        for k in [2, 3, 4] {
            let loss = loss(gradient);
            let outcomes = |chosen: &[&Answer]| {
                let pairs = chosen.iter().flat_map(|y| chosen.iter().map(move |z| Some(hashed(0, y, z))));
                let all: Vec<Option<f64>> = pairs.collect();
                outcomes_from_verdicts(&all, &vec![0.0; k]).into_iter().flatten().collect()
            };
            let found = expected(&mut model, k, &loss, &outcomes);
            assert_close(&found, &closed_form(&mut model, loss.kl.beta, &value), gradient);
        }
    }
}

#[test]
fn settings_that_rloo_cannot_have_are_refused() {
    let mut setup = Setup { rival: Some(rloo_on_rewards), ..Setup::new() };
    assert_eq!(
        setup.refusal(),
        "run 10: method.score_baseline: rloo is REINFORCE with the leave-one-out baseline: remove it"
    );
    setup.training.score_baseline = slhf_plan::ControlVariate::LeaveOneOut;
    setup.training.kl_gradient = KlGradient::Paper;
    assert!(setup.refusal().starts_with("run 10: method.micro_batch_size: 3 with rloo: with kl_gradient = \"paper\""));
    setup.training.num_generations = 1;
    assert!(setup.refusal().contains("1 with rloo: it compares the responses of one prompt"));
}
