//! The expected coefficient-weighted gradient, every answer weighed with its probability, against the gradient of the
//! closed-form objective by central differences.

use slhf_learn::language::{Answer, Pair, PairFactors, PairOutcome, Prompt, StackelbergLoss};
use slhf_plan::{KlEstimator, KlGradient, LanguageMethod};

use super::setup::{Setup, hashed, prompt};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const UNBIASED: [KlGradient; 3] = [KlGradient::RewardToGo, KlGradient::Exact, KlGradient::DifferentiatedK2];
const PENALTY: f64 = 0.3;

struct Game {
    prompt: Prompt,
    answers: Vec<Answer>,
    model: Tabular,
}

impl Game {
    fn new(language: Language) -> Self {
        Self { prompt: prompt(0), answers: language.answers(), model: Tabular::new(language, 1, 0.6) }
    }

    /// (J of the Leader, J of the Follower): what the Leader maximises and what the Follower minimises.
    fn objectives(&self, loss: &StackelbergLoss) -> (f64, f64) {
        let model = &self.model;
        let (mut value, mut late_leader, mut late_follower, mut kl_leader) = (0.0, 0.0, 0.0, 0.0);
        for y in &self.answers {
            let log = model.log(false, 0, None, y);
            let unfinished = |answer: &Answer| if answer.finished { 0.0 } else { PENALTY };
            kl_leader += log.exp() * (log - model.log(true, 0, None, y));
            late_leader += log.exp() * unfinished(y);
            for z in &self.answers {
                let answer = model.log(false, 0, Some(y), z);
                let ratio = answer - model.log(true, 0, Some(y), z);
                let weight = (log + answer).exp();
                value += weight * (hashed(0, y, z) + loss.follower.beta * ratio);
                late_follower += weight * unfinished(z);
            }
        }
        (value - late_leader - loss.leader.beta * kl_leader, value + late_follower)
    }

    /// `−∂J_L/∂θ_L` and `∂J_F/∂θ_F`, by central differences.
    fn closed_form(&mut self, loss: &StackelbergLoss) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let leaders = self.model.is_leaders();
        let mut gradient = Vec::new();
        for (index, is_leaders) in leaders.into_iter().enumerate() {
            let start = self.model.parameters[index];
            let mut at = |value: f64| {
                self.model.parameters[index] = value;
                let (leader, follower) = self.objectives(loss);
                if is_leaders { -leader } else { follower }
            };
            let derivative = (at(start + STEP) - at(start - STEP)) / (2.0 * STEP);
            self.model.parameters[index] = start;
            gradient.push(derivative);
        }
        gradient
    }

    /// Σ π(y) ω(y'|y) · the gradient that the method's coefficients stand for.
    fn expected(&mut self, loss: &StackelbergLoss, (b_leader, b_follower): (f64, f64)) -> Vec<f64> {
        self.model.gradient.fill(0.0);
        let answers = self.answers.clone();
        for y in &answers {
            for z in &answers {
                let pair = Pair { prompt: &self.prompt, leader: y, follower: Some(z) };
                let weight = (self.model.log(false, 0, None, y) + self.model.log(false, 0, Some(y), z)).exp();
                let (leader_score, follower_score) = loss.scores(hashed(0, y, z), &pair);
                let outcome = PairOutcome {
                    leader_score,
                    leader_baseline: b_leader,
                    follower_score,
                    follower_baseline: b_follower,
                };
                let factors = PairFactors { leader: 1.0, follower: 1.0 };
                let weighed = loss.weigh(&pair, &self.model.pair_scores(&pair), &outcome, factors).unwrap();
                self.model.accumulate_pair(&pair, &weighed.weights, weight);
            }
        }
        self.model.gradient.clone()
    }
}

fn loss(gradient: KlGradient, estimator: KlEstimator) -> StackelbergLoss {
    let mut setup = Setup::new();
    setup.training.kl_gradient = gradient;
    setup.training.kl_estimator = estimator;
    setup.training.missing_eos_penalty = PENALTY;
    match setup.method() {
        LanguageMethod::StackelbergGda(method) => StackelbergLoss::of(&method),
        other => panic!("this setup is of StackelbergGDA, not of {}", other.name()),
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn every_unbiased_kl_gradient_is_the_gradient_of_the_objective() {
    for language in [ONE_TOKEN, TWO_TOKENS] {
        let mut game = Game::new(language);
        for gradient in UNBIASED {
            let loss = loss(gradient, KlEstimator::K1);
            let (expected, closed) = (game.expected(&loss, (0.5, 0.5)), game.closed_form(&loss));
            assert!(closed.iter().any(|derivative| derivative.abs() > 1e-2));
            let (distance, cosine) = (worst(&expected, &closed), cosine(&expected, &closed));
            assert!(distance < 1e-9, "{gradient:?}: {distance:.1e}");
            assert!(1.0 - cosine < 1e-12, "{gradient:?}: {cosine}");
        }
    }
}

#[test]
fn a_control_variate_changes_no_expected_gradient() {
    let mut game = Game::new(TWO_TOKENS);
    for gradient in UNBIASED {
        let loss = loss(gradient, KlEstimator::K1);
        let plain = game.expected(&loss, (0.0, 0.0));
        let shifted = game.expected(&loss, (0.83, -2.0));
        assert!(worst(&plain, &shifted) < 1e-13, "{gradient:?}");
    }
}

#[test]
fn the_papers_coefficients_are_not_the_gradient_of_the_objective() {
    for language in [ONE_TOKEN, TWO_TOKENS] {
        let mut game = Game::new(language);
        for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
            let loss = loss(KlGradient::Paper, estimator);
            let (expected, closed) = (game.expected(&loss, (0.5, 0.5)), game.closed_form(&loss));
            let cosine = cosine(&expected, &closed);
            assert!(1.0 - cosine > 1e-5, "{estimator:?}: {cosine}");
            assert!(worst(&expected, &closed) > 1e-3);
        }
    }
}

/// With k1 and one token the Follower's gradient is unbiased, and the Leader leaves `β_F · K_F` out: ω = ω*, and
/// `π ∝ π_ref · exp(Σ_j ω*(j) P / β)`, which is not π*.
#[test]
fn the_papers_k1_has_its_own_fixed_point_on_one_token() {
    let mut game = Game::new(ONE_TOKEN);
    let mut paper = loss(KlGradient::Paper, KlEstimator::K1);
    paper.missing_eos_penalty = 0.0;
    let mut unbiased = loss(KlGradient::RewardToGo, KlEstimator::K1);
    unbiased.missing_eos_penalty = 0.0;
    let answers = game.answers.clone();
    let (mut papers, mut true_leader) = (Vec::new(), Vec::new());
    for y in &answers {
        let weights: Vec<f64> = answers
            .iter()
            .map(|z| (game.model.log(true, 0, Some(y), z) - hashed(0, y, z) / paper.follower.beta).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        let omega: Vec<f64> = weights.iter().map(|weight| (weight / sum).ln()).collect();
        game.model.set(0, Some(y), &omega);
        let win: f64 = answers.iter().zip(&omega).map(|(z, log)| log.exp() * hashed(0, y, z)).sum();
        let reference = game.model.log(true, 0, None, y);
        papers.push(reference + win / paper.leader.beta);
        true_leader.push(reference - paper.follower.beta * sum.ln() / paper.leader.beta);
    }
    let largest = |gradient: Vec<f64>| gradient.iter().fold(0.0_f64, |most, derivative| most.max(derivative.abs()));

    game.model.set(0, None, &papers);
    assert!(largest(game.expected(&paper, (0.5, 0.5))) < 1e-14);
    assert!(largest(game.expected(&unbiased, (0.5, 0.5))) > 1e-3);
    game.model.set(0, None, &true_leader);
    assert!(largest(game.expected(&paper, (0.5, 0.5))) > 1e-3);
    assert!(largest(game.expected(&unbiased, (0.5, 0.5))) < 1e-14);
}
