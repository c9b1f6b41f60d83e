//! Where GRPO ends, by its loss type and the gradient of its KL term: exact descent against what `grpo.rs` says.

use slhf_learn::language::{Answer, AnswerOutcome, KlTerm, grpo::GrpoLoss, outcomes_from_rewards};
use slhf_plan::{DynamicSampling, GrpoLossType, ImportanceSamplingLevel, KlEstimator, KlGradient, ScaleRewards};

use super::expectation::expected;
use super::setup::{Setup, hashed};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const BETA: f64 = 0.2;
const K: usize = 2;
/// Of the mean of a group that holds the answer itself.
const SHRUNK: f64 = (K as f64 - 1.0) / K as f64;

fn reward(y: &Answer) -> f64 {
    hashed(0, y, y)
}

fn loss(language: Language, gradient: KlGradient, loss_type: GrpoLossType, scale: ScaleRewards) -> GrpoLoss {
    GrpoLoss {
        kl: KlTerm { beta: BETA, gradient, estimator: KlEstimator::K1 },
        scale_rewards: scale,
        loss_type,
        importance_sampling_level: ImportanceSamplingLevel::Token,
        dynamic_sampling: DynamicSampling::None,
        overlong_penalty: None,
        epsilon: 0.2,
        epsilon_high: None,
        num_iterations: 1,
        max_new_tokens: language.length_max as u32,
    }
}

fn outcomes(chosen: &[&Answer]) -> Vec<AnswerOutcome> {
    outcomes_from_rewards(&chosen.iter().map(|y| reward(y)).collect::<Vec<_>>())
}

/// Exact descent until it stands.
fn descended(language: Language, loss: &GrpoLoss) -> Tabular {
    let mut model = Tabular::new(language, 1, 0.6);
    for _ in 0..20_000 {
        let gradient = expected(&mut model, K, loss, &outcomes);
        let largest = gradient.iter().fold(0.0, |most: f64, derivative| most.max(derivative.abs()));
        if largest < 1e-9 {
            return model;
        }
        for (parameter, derivative) in model.parameters.iter_mut().zip(gradient) {
            *parameter -= 5.0 * derivative;
        }
    }
    panic!("the descent does not end");
}

fn p(model: &Tabular, y: &Answer) -> f64 {
    model.log(false, 0, None, y).exp()
}

fn tv(found: &[f64], wanted: &[f64]) -> f64 {
    0.5 * found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

fn policy(model: &Tabular) -> Vec<f64> {
    model.language.answers().iter().map(|y| p(model, y)).collect()
}

/// ∝ `π_ref` · exp(of(y)).
fn tilted(model: &Tabular, of: impl Fn(&Answer) -> f64) -> Vec<f64> {
    let weights: Vec<f64> =
        model.language.answers().iter().map(|y| (model.log(true, 0, None, y) + of(y)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn rlhf(model: &Tabular) -> Vec<f64> {
    tilted(model, |y| SHRUNK * reward(y) / BETA)
}

/// The root of a falling function.
fn root(mut low: f64, mut high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if falling(middle) > 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The advantage of an answer beside another.
fn advantage(loss: &GrpoLoss, y: &Answer, z: &Answer) -> f64 {
    let difference = reward(y) - reward(z);
    match loss.scale_rewards {
        ScaleRewards::None => 0.5 * difference,
        // Two rewards' standard deviation is their distance over √2.
        ScaleRewards::Group => 0.5 * difference / (difference.abs() / 2.0_f64.sqrt() + 1e-4),
    }
}

/// U and A: what the KL term and the advantage of an answer count, each divided as the loss type divides, over who else is in the
/// group.
fn divided(model: &Tabular, loss: &GrpoLoss, y: &Answer) -> (f64, f64) {
    let length = |y: &Answer| y.tokens.len() as f64;
    let divisor = |z: &Answer| match loss.loss_type {
        GrpoLossType::Grpo => length(y),
        GrpoLossType::DrGrpo => f64::from(loss.max_new_tokens),
        GrpoLossType::Dapo => (length(y) + length(z)) / K as f64,
    };
    let answers = model.language.answers();
    let mean = |of: &dyn Fn(&Answer) -> f64| answers.iter().map(|z| p(model, z) * of(z)).sum::<f64>();
    (mean(&|z| 1.0 / divisor(z)), mean(&|z| advantage(loss, y, z) / divisor(z)))
}

/// The tokens that may follow `h`: `π(v|h)`, `π_ref(v|h)`, and the mean of a function of answers that go on with v.
fn following(model: &Tabular, h: &[u32], of: &dyn Fn(&Answer) -> f64) -> Vec<(f64, f64, f64)> {
    let tokens = 0..model.language.vocabulary;
    let logs = model.logs(false, 0, None, h).into_iter().zip(model.logs(true, 0, None, h));
    let mean = |v: u32| {
        let begun: Vec<u32> = h.iter().copied().chain([v]).collect();
        let answers = model.language.answers();
        let those: Vec<&Answer> = answers.iter().filter(|y| y.tokens.starts_with(&begun)).collect();
        let sum: f64 = those.iter().map(|y| p(model, y)).sum();
        those.iter().map(|y| p(model, y) / sum * of(y)).sum()
    };
    tokens.zip(logs).map(|(v, (own, reference))| (own.exp(), reference.exp(), mean(v))).collect()
}

/// `π(v|h) = π_ref(v|h) · β u / (c(h) + β u − a)` after every `h`, c by normalization.
fn assert_k3(model: &Tabular, loss: &GrpoLoss, what: &str) {
    let contexts: &[&[u32]] = if model.language.length_max == 1 { &[&[]] } else { &[&[], &[1], &[2]] };
    for h in contexts {
        let u = following(model, h, &|y| divided(model, loss, y).0);
        let a = following(model, h, &|y| divided(model, loss, y).1);
        // (β u π_ref, a − β u) of every token.
        let terms: Vec<(f64, f64)> =
            u.iter().zip(&a).map(|(&(_, reference, u), &(.., a))| (BETA * u * reference, a - BETA * u)).collect();
        let least = terms.iter().map(|(_, pole)| *pole).fold(f64::NEG_INFINITY, f64::max);
        let at = |c: f64| terms.iter().map(|(weight, pole)| weight / (c - pole)).collect::<Vec<f64>>();
        let c = root(least, least + 1e3, |c| at(c).iter().sum::<f64>() - 1.0);
        let found: Vec<f64> = u.iter().map(|(own, ..)| *own).collect();
        assert!(tv(&found, &at(c)) < 1e-6, "{what} after {h:?}: {found:?} is not {:?}", at(c));
    }
}

const TYPES: [GrpoLossType; 3] = [GrpoLossType::Grpo, GrpoLossType::DrGrpo, GrpoLossType::Dapo];

/// β · KL(`π_ref` ‖ π) − E r, r shrunk by the group's own mean: its gradient by central differences.
#[test]
fn the_differentiated_k3_is_the_gradient_of_the_forward_divergence() {
    const STEP: f64 = 1e-5;
    let mut model = Tabular::new(ONE_TOKEN, 1, 0.6);
    let loss = loss(ONE_TOKEN, KlGradient::DifferentiatedK3, GrpoLossType::Grpo, ScaleRewards::None);
    let found = expected(&mut model, K, &loss, &outcomes);
    let answers = ONE_TOKEN.answers();
    let objective = |model: &Tabular| {
        let term = |y: &Answer| {
            let (own, reference) = (model.log(false, 0, None, y), model.log(true, 0, None, y));
            BETA * reference.exp() * (reference - own) - SHRUNK * own.exp() * reward(y)
        };
        answers.iter().map(term).sum::<f64>()
    };
    let mut largest = 0.0_f64;
    for (index, stated) in found.iter().enumerate() {
        let start = model.parameters[index];
        let mut at = |value: f64| {
            model.parameters[index] = value;
            objective(&model)
        };
        let derivative = (at(start + STEP) - at(start - STEP)) / (2.0 * STEP);
        model.parameters[index] = start;
        largest = largest.max(derivative.abs());
        assert!((stated - derivative).abs() < 1e-9, "{stated} is not {derivative}");
    }
    assert!(largest > 1e-2);
}

/// π = β k/(k − 1) · `π_ref` / (c − r), c by normalization, with either loss type.
#[test]
fn with_one_token_the_published_kl_ends_at_its_own_target() {
    for loss_type in TYPES {
        let loss = loss(ONE_TOKEN, KlGradient::DifferentiatedK3, loss_type, ScaleRewards::None);
        let model = descended(ONE_TOKEN, &loss);
        let answers = ONE_TOKEN.answers();
        let at = |c: f64| -> Vec<f64> {
            let of = |y: &Answer| BETA / SHRUNK * model.log(true, 0, None, y).exp() / (c - reward(y));
            answers.iter().map(of).collect()
        };
        let best = answers.iter().map(reward).fold(f64::NEG_INFINITY, f64::max);
        let c = root(best, best + 1e3, |c| at(c).iter().sum::<f64>() - 1.0);
        let found = policy(&model);
        assert!(tv(&found, &at(c)) < 1e-6, "{loss_type:?}: {found:?} is not {:?}", at(c));
        assert!(tv(&found, &rlhf(&model)) > 0.02, "the forward divergence is not told from the reverse one");
    }
}

#[test]
fn with_two_tokens_the_published_kl_ends_where_it_is_said_to() {
    for (loss_type, scale) in [
        (GrpoLossType::Grpo, ScaleRewards::None),
        (GrpoLossType::DrGrpo, ScaleRewards::None),
        (GrpoLossType::Dapo, ScaleRewards::None),
        (GrpoLossType::Dapo, ScaleRewards::Group),
        // The defaults.
        (GrpoLossType::Grpo, ScaleRewards::Group),
    ] {
        let loss = loss(TWO_TOKENS, KlGradient::DifferentiatedK3, loss_type, scale);
        let model = descended(TWO_TOKENS, &loss);
        assert_k3(&model, &loss, &format!("{loss_type:?}, {scale:?}"));
        assert!(tv(&policy(&model), &rlhf(&model)) > 0.02);
    }
}

/// `π_ref · exp[(Ā + c |y|)/β]` with c = β KL(π ‖ `π_ref`) / E|y|, which is not RLHF's.
#[test]
fn with_two_tokens_the_published_loss_type_pays_for_length() {
    for gradient in [KlGradient::RewardToGo, KlGradient::DifferentiatedK2] {
        let loss = loss(TWO_TOKENS, gradient, GrpoLossType::Grpo, ScaleRewards::None);
        let model = descended(TWO_TOKENS, &loss);
        let answers = TWO_TOKENS.answers();
        let mean = |of: &dyn Fn(&Answer) -> f64| answers.iter().map(|y| p(&model, y) * of(y)).sum::<f64>();
        let length = |y: &Answer| y.tokens.len() as f64;
        let kl = mean(&|y| model.log(false, 0, None, y) - model.log(true, 0, None, y));
        let c = BETA * kl / mean(&length);
        let baseline = mean(&reward);
        let unnormalized = |y: &Answer| {
            let advantage = SHRUNK * (reward(y) - baseline);
            model.log(true, 0, None, y).exp() * ((advantage + c * length(y)) / BETA).exp()
        };
        let wanted: Vec<f64> = answers.iter().map(unnormalized).collect();
        let found = policy(&model);
        assert!(tv(&found, &wanted) < 1e-6, "{gradient:?}: {found:?} is not {wanted:?}");
        let distance = tv(&found, &rlhf(&model));
        assert!(distance > 0.005 && c > 0.0, "{gradient:?}: {distance} from RLHF's, c {c}");
    }
}

/// `π_ref · exp[(A − c)/(β U)]`, c by normalization.
#[test]
fn with_two_tokens_sums_over_a_group_end_where_they_are_said_to() {
    for gradient in [KlGradient::RewardToGo, KlGradient::DifferentiatedK2] {
        let loss = loss(TWO_TOKENS, gradient, GrpoLossType::Dapo, ScaleRewards::None);
        let model = descended(TWO_TOKENS, &loss);
        let at = |c: f64| -> Vec<f64> {
            let of = |y: &Answer| {
                let (u, a) = divided(&model, &loss, y);
                model.log(true, 0, None, y).exp() * ((a - c) / (BETA * u)).exp()
            };
            model.language.answers().iter().map(of).collect()
        };
        let c = root(-5.0, 5.0, |c| at(c).iter().sum::<f64>() - 1.0);
        let found = policy(&model);
        assert!(tv(&found, &at(c)) < 1e-6, "{gradient:?}: {found:?} is not {:?}", at(c));
        assert!(tv(&found, &rlhf(&model)) > 0.002, "{gradient:?}: {}", tv(&found, &rlhf(&model)));
    }
}

#[test]
fn with_two_tokens_dr_grpo_ends_at_the_rlhf_policy_of_a_slightly_higher_beta() {
    for gradient in [KlGradient::RewardToGo, KlGradient::Exact, KlGradient::DifferentiatedK2] {
        let loss = loss(TWO_TOKENS, gradient, GrpoLossType::DrGrpo, ScaleRewards::None);
        let model = descended(TWO_TOKENS, &loss);
        let distance = tv(&policy(&model), &rlhf(&model));
        assert!(distance < 1e-6, "{gradient:?}: {distance}");
    }
}

/// Another method's target is of the reverse divergence; a plan from before the choice means what it says.
#[test]
fn the_published_kl_is_grpos_alone() {
    let mut setup = Setup::new();
    setup.training.kl_gradient = KlGradient::DifferentiatedK3;
    assert!(
        setup.refusal().starts_with("run 10: method.kl_gradient: \"differentiated_k3\" is grpo's"),
        "{}",
        setup.refusal()
    );
}
