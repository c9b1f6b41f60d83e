//! RSPO's regularizers of self-play: the gradient of the forward divergence and of mixtures by central differences, and where exact
//! descent ends.

use slhf_learn::language::{
    Answer, AnswerOutcome, KlTerm, Pair, PairFactors, PairOutcome, StackelbergLoss, nash_md::NashMdLoss,
};
use slhf_plan::{KlEstimator, KlGradient};

use super::expectation::expected;
use super::rivals::derivatives;
use super::setup::{hashed, prompt};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const BETA: f64 = 0.2;

fn loss(forward: f64) -> NashMdLoss {
    NashMdLoss { kl: KlTerm { beta: BETA, gradient: KlGradient::RewardToGo, estimator: KlEstimator::K1 }, forward }
}

fn fair(y: &Answer, z: &Answer) -> f64 {
    0.5 * (hashed(0, y, z) + 1.0 - hashed(0, z, y))
}

fn p(model: &Tabular, y: &Answer) -> f64 {
    model.log(false, 0, None, y).exp()
}

/// How often an answer wins against a policy.
fn won(against: &Tabular, y: &Answer) -> f64 {
    against.language.answers().iter().map(|z| p(against, z) * fair(y, z)).sum()
}

/// The gradient of self-play, whose opponent is the policy itself and stands still.
fn gradient(model: &mut Tabular, forward: f64) -> Vec<f64> {
    let now = model.clone();
    let outcomes = |chosen: &[&Answer]| -> Vec<AnswerOutcome> {
        chosen.iter().map(|y| AnswerOutcome { reward: won(&now, y), baseline: 0.5 }).collect()
    };
    expected(model, 1, &loss(forward), &outcomes)
}

/// `−E ℓ + β [(1 − w) KL(π ‖ π_ref) + w Σ_h π_then(h) KL(π_ref(·|h) ‖ π(·|h))]`
fn written(model: &Tabular, then: &Tabular, forward: f64) -> f64 {
    let answers = model.language.answers();
    let open = |y: &Answer| {
        let ratio = model.log(false, 0, None, y) - model.log(true, 0, None, y);
        p(model, y) * ((1.0 - forward) * BETA * ratio - won(then, y))
    };
    let contexts: &[&[u32]] = if model.language.length_max == 1 { &[&[]] } else { &[&[], &[1], &[2]] };
    let held = |h: &&[u32]| {
        let reached: f64 = answers
            .iter()
            .filter(|y| y.tokens.starts_with(h) && (h.is_empty() || y.tokens.len() > h.len()))
            .map(|y| p(then, y))
            .sum();
        let pairs = model.logs(true, 0, None, h).into_iter().zip(model.logs(false, 0, None, h));
        reached * pairs.map(|(reference, own)| reference.exp() * (reference - own)).sum::<f64>()
    };
    answers.iter().map(open).sum::<f64>() + forward * BETA * contexts.iter().map(held).sum::<f64>()
}

const SHARES: [f64; 3] = [0.0, 0.3, 1.0];

#[test]
fn regularizers_have_the_gradients_of_their_divergences() {
    for language in [ONE_TOKEN, TWO_TOKENS] {
        let mut gradients = Vec::new();
        for forward in SHARES {
            let mut model = Tabular::new(language, 1, 0.6);
            let found = gradient(&mut model, forward);
            let then = model.clone();
            let wanted = derivatives(&mut model, &|model| written(model, &then, forward));
            let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-8, "{forward}: {worst:e}");
            gradients.push(found);
        }
        let apart = gradients[0].iter().zip(&gradients[2]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart > 1e-3, "the divergences are not told apart: {apart:e}");
    }
}

fn descended(language: Language, forward: f64) -> Tabular {
    let mut model = Tabular::new(language, 1, 0.6);
    for _ in 0..20_000 {
        let gradient = gradient(&mut model, forward);
        if gradient.iter().all(|derivative| derivative.abs() < 1e-10) {
            return model;
        }
        for (parameter, derivative) in model.parameters.iter_mut().zip(gradient) {
            *parameter -= 2.0 * derivative;
        }
    }
    panic!("the descent does not end");
}

#[test]
fn self_play_ends_where_every_answer_is_worth_the_same() {
    let policies = SHARES.map(|forward| {
        let model = descended(ONE_TOKEN, forward);
        let worth = |y: &Answer| {
            let ratio = model.log(false, 0, None, y) - model.log(true, 0, None, y);
            won(&model, y) - BETA * ((1.0 - forward) * ratio + forward * (1.0 - (-ratio).exp()))
        };
        let worths: Vec<f64> = ONE_TOKEN.answers().iter().map(worth).collect();
        assert!(worths.iter().all(|one| (one - worths[0]).abs() < 1e-6), "{forward}: {worths:?}");
        ONE_TOKEN.answers().iter().map(|y| p(&model, y)).collect::<Vec<f64>>()
    });
    let tv = |a: usize, b: usize| 0.5 * policies[a].iter().zip(&policies[b]).map(|(p, q)| (p - q).abs()).sum::<f64>();
    assert!(tv(0, 1) > 1e-3 && tv(1, 2) > 1e-3, "{policies:?}");
}

/// `w`: shares of the forward divergence, of the Leader and of the Follower.
fn pair_loss(leader_forward: f64, follower_forward: f64, gradient: KlGradient) -> StackelbergLoss {
    let kl = |beta| KlTerm { beta, gradient, estimator: KlEstimator::K1 };
    StackelbergLoss { leader: kl(BETA), follower: kl(0.3), leader_forward, follower_forward, missing_eos_penalty: 0.0 }
}

/// `(1 − w) KL(π ‖ π_ref) + w Σ_h π_then(h) KL(π_ref(·|h) ‖ π(·|h))` of answers after `previous`.
fn divergence(model: &Tabular, then: &Tabular, previous: Option<&Answer>, forward: f64) -> f64 {
    let answers = model.language.answers();
    let probability = |model: &Tabular, y: &Answer| model.log(false, 0, previous, y).exp();
    let ratio = |y: &Answer| model.log(false, 0, previous, y) - model.log(true, 0, previous, y);
    let reverse: f64 = answers.iter().map(|y| probability(model, y) * ratio(y)).sum();
    let contexts: &[&[u32]] = if model.language.length_max == 1 { &[&[]] } else { &[&[], &[1], &[2]] };
    let held = |h: &&[u32]| {
        let goes_on = |y: &&Answer| y.tokens.starts_with(h) && y.tokens.len() > h.len();
        let reached: f64 = answers.iter().filter(goes_on).map(|y| probability(then, y)).sum();
        let pairs = model.logs(true, 0, previous, h).into_iter().zip(model.logs(false, 0, previous, h));
        reached * pairs.map(|(reference, own)| reference.exp() * (reference - own)).sum::<f64>()
    };
    (1.0 - forward) * reverse + forward * contexts.iter().map(held).sum::<f64>()
}

/// What the Leader ascends and the Follower descends; tokens before a place of a forward divergence are those of `then`.
fn pair_objective(model: &Tabular, then: &Tabular, loss: &StackelbergLoss) -> f64 {
    let answers = model.language.answers();
    let value = |y: &Answer| {
        let won: f64 = answers.iter().map(|z| model.log(false, 0, Some(y), z).exp() * hashed(0, y, z)).sum();
        won + loss.follower.beta * divergence(model, then, Some(y), loss.follower_forward)
    };
    let committed: f64 = answers.iter().map(|y| p(model, y) * value(y)).sum();
    committed - loss.leader.beta * divergence(model, then, None, loss.leader_forward)
}

/// The gradient that the coefficients of all pairs stand for, each with its probability.
fn of_pairs(model: &mut Tabular, loss: &StackelbergLoss) -> Vec<f64> {
    model.gradient.fill(0.0);
    let asked = prompt(0);
    let answers = model.language.answers();
    for y in &answers {
        for z in &answers {
            let pair = Pair { prompt: &asked, leader: y, follower: Some(z) };
            let weight = (model.log(false, 0, None, y) + model.log(false, 0, Some(y), z)).exp();
            let (leader_score, follower_score) = loss.scores(hashed(0, y, z), &pair);
            let outcome = PairOutcome { leader_score, leader_baseline: 0.5, follower_score, follower_baseline: 0.5 };
            let factors = PairFactors { leader: 1.0, follower: 1.0 };
            let weighed = loss.weigh(&pair, &model.pair_scores(&pair), &outcome, factors).unwrap();
            model.accumulate_pair(&pair, &weighed.weights, weight);
        }
    }
    model.gradient.clone()
}

#[test]
fn leader_and_follower_have_the_gradients_of_their_divergences() {
    for language in [ONE_TOKEN, TWO_TOKENS] {
        for (first, second) in [(1.0, 1.0), (0.3, 0.0), (0.0, 0.3), (0.3, 1.0)] {
            for gradient in [KlGradient::RewardToGo, KlGradient::Exact] {
                let loss = pair_loss(first, second, gradient);
                let mut model = Tabular::new(language, 1, 0.6);
                let found = of_pairs(&mut model, &loss);
                let then = model.clone();
                let wanted = derivatives(&mut model, &|model| pair_objective(model, &then, &loss));
                for (place, leads) in then.is_leaders().into_iter().enumerate() {
                    // The Leader ascends what the Follower descends.
                    let wanted = if leads { -wanted[place] } else { wanted[place] };
                    let apart = (found[place] - wanted).abs();
                    assert!(apart < 1e-8, "{first}, {second}, {gradient:?}: parameter {place}: {apart:e}");
                }
            }
        }
    }
}
