//! The methods with one policy: the expected gradient of each against its loss by central differences, and where exact
//! descent of it ends against the target that the method is said to have, found by `slhf_game`.

use slhf_game::{
    Distribution, FollowerReference, Game, MixtureCoefficient, NashGame, PreferenceMatrix, TemperatureValues,
    Temperatures,
};
use slhf_learn::language::{
    Answer, AnswerGroup, AnswerOutcome, GroupLoss, KlTerm, Pair, grpo::GrpoLoss, inpo::InpoLoss, nash_md::NashMdLoss,
    online_dpo::OnlineDpoLoss, online_ipo::OnlineIpoLoss, outcomes_from_rewards, rloo::RlooLoss, sft::SftLoss,
    sppo::SppoLoss,
};
use slhf_plan::{
    DynamicSampling, GrpoLossType, ImportanceSamplingLevel, KlGradient, Labels, PairScores, ScaleRewards, TokenScores,
};

use super::expectation::{expected, expected_off_policy, expected_with_loss};
use super::setup::{Setup, hashed, prompt};
use super::tabular::{ONE_TOKEN, TWO_TOKENS, Tabular};

pub(super) const BETA: f64 = 0.2;

/// A complementary judge.
pub(super) fn fair(y: &Answer, z: &Answer) -> f64 {
    0.5 * (hashed(0, y, z) + 1.0 - hashed(0, z, y))
}

/// A judge whose every verdict is of one score an answer: σ(r − r').
fn scored(y: &Answer, z: &Answer) -> f64 {
    1.0 / (1.0 + (score(z) - score(y)).exp())
}

fn score(y: &Answer) -> f64 {
    0.5 * hashed(0, y, y)
}

pub(super) fn outcomes_of(
    loss: &dyn GroupLoss,
    judge: fn(&Answer, &Answer) -> f64,
    chosen: &[&Answer],
) -> Vec<AnswerOutcome> {
    let pairs = chosen.iter().flat_map(|y| chosen.iter().map(move |z| Some(judge(y, z))));
    loss.outcomes(&pairs.collect::<Vec<_>>(), &vec![0.0; chosen.len()]).into_iter().flatten().collect()
}

fn kl(gradient: KlGradient) -> KlTerm {
    let mut setup = Setup::new();
    setup.training.beta = BETA;
    setup.training.kl_gradient = gradient;
    KlTerm::of(&setup.training)
}

/// Exact descent until it stands.
fn descended(
    mut model: Tabular,
    loss: &dyn GroupLoss,
    k: usize,
    outcomes: &dyn Fn(&Tabular, &[&Answer]) -> Vec<AnswerOutcome>,
) -> Tabular {
    for _ in 0..20_000 {
        let now = model.clone();
        let gradient = expected(&mut model, k, loss, &|chosen| outcomes(&now, chosen));
        let largest = gradient.iter().fold(0.0, |most: f64, derivative| most.max(derivative.abs()));
        if largest < 1e-10 {
            return model;
        }
        for (parameter, derivative) in model.parameters.iter_mut().zip(gradient) {
            *parameter -= 2.0 * derivative;
        }
    }
    panic!("the descent does not end");
}

pub(super) fn assert_policy(model: &Tabular, log_policy: &[f64], what: &str) {
    let found = model.logs(false, 0, None, &[]);
    let worst = found.iter().zip(log_policy).map(|(a, b)| (a.exp() - b.exp()).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-6, "{what}: {found:?} instead of {log_policy:?}");
}

/// ∝ `π_ref` · exp(of(y)).
fn tilted(model: &Tabular, of: impl Fn(&Answer) -> f64) -> Vec<f64> {
    let logs: Vec<f64> = model.language.answers().iter().map(|y| model.log(true, 0, None, y) + of(y)).collect();
    let sum: f64 = logs.iter().map(|log| log.exp()).sum();
    logs.into_iter().map(|log| log - sum.ln()).collect()
}

/// The game that prompt 0 is under the fair judge.
pub(super) fn nash(model: &Tabular) -> NashGame {
    let answers = model.language.answers();
    let entries: Vec<Vec<f64>> = answers.iter().map(|y| answers.iter().map(|z| fair(y, z)).collect()).collect();
    let reference: Vec<f64> = model.logs(true, 0, None, &[]).into_iter().map(f64::exp).collect();
    let values = TemperatureValues { nash: BETA, ..TemperatureValues::default() };
    let game = Game::new(
        PreferenceMatrix::from_rows(&entries).unwrap(),
        Distribution::new(&reference).unwrap(),
        FollowerReference::from_rows(&vec![reference; answers.len()]).unwrap(),
        Temperatures::new(values).unwrap(),
    );
    NashGame::of(&game.unwrap())
}

pub(super) fn start() -> Tabular {
    Tabular::new(ONE_TOKEN, 1, 0.6)
}

#[test]
fn self_play_ends_at_the_regularised_nash_policy() {
    let soft = Labels::Soft;
    let online_ipo = OnlineIpoLoss { beta: BETA, labels: soft };
    let inpo = InpoLoss { beta: BETA, eta: 0.6, num_iterations: 1, labels: soft };
    let rloo = RlooLoss { kl: kl(KlGradient::RewardToGo) };
    let target = nash(&start()).solve().log_policy;
    let methods: [(&str, &dyn GroupLoss); 3] = [("online-ipo", &online_ipo), ("inpo", &inpo), ("rloo", &rloo)];
    for (name, loss) in methods {
        for k in [2, 3] {
            let found = descended(start(), loss, k, &|_, chosen| outcomes_of(loss, fair, chosen));
            assert_policy(&found, &target, &format!("{name}, {k} answers"));
        }
    }
}

/// A judge that gives more to the place than to the answer, and to one answer's place more than to another's: every method
/// on verdicts ends at the Nash policy of the game of both orders, which is not the one of the first order alone.
#[test]
fn a_lopsided_judge_is_asked_in_both_orders() {
    let lopsided = |y: &Answer, z: &Answer| hashed(0, y, z);
    let target = nash(&start()).solve().log_policy;
    let one_order = |model: &Tabular| {
        let policy: Vec<f64> = model.logs(false, 0, None, &[]).into_iter().map(f64::exp).collect();
        let answers = model.language.answers();
        tilted(model, |y| answers.iter().zip(&policy).map(|(z, p)| p * lopsided(y, z)).sum::<f64>() / BETA)
    };
    let online_ipo = OnlineIpoLoss { beta: BETA, labels: Labels::Soft };
    let inpo = InpoLoss { beta: BETA, eta: 0.6, num_iterations: 1, labels: Labels::Soft };
    let rloo = RlooLoss { kl: kl(KlGradient::RewardToGo) };
    let grpo = grpo(ScaleRewards::None);
    let methods: [(&str, &dyn GroupLoss); 4] =
        [("online-ipo", &online_ipo), ("inpo", &inpo), ("rloo", &rloo), ("grpo", &grpo)];
    for (name, loss) in methods {
        for k in [2, 3] {
            let found = descended(start(), loss, k, &|_, chosen| outcomes_of(loss, lopsided, chosen));
            assert_policy(&found, &target, &format!("{name}, {k} answers"));
            let distance: f64 = one_order(&found).iter().zip(&target).map(|(a, b)| (a.exp() - b.exp()).abs()).sum();
            assert!(0.5 * distance > 0.02, "the judge is not lopsided enough to tell: {distance}");
        }
    }
}

#[test]
fn nash_md_ends_at_the_best_answer_to_the_mixture_of_itself_and_the_reference() {
    for share in [0.0, 0.3, 1.0] {
        let loss = NashMdLoss { kl: kl(KlGradient::RewardToGo), forward: 0.0 };
        // The opponent is a sample of the mixture; the loss is linear in its verdict.
        let outcomes = |now: &Tabular, chosen: &[&Answer]| {
            let answers = now.language.answers();
            let weight =
                |z: &Answer| ((1.0 - share) * now.log(false, 0, None, z) + share * now.log(true, 0, None, z)).exp();
            let sum: f64 = answers.iter().map(weight).sum();
            let won = |y: &Answer| answers.iter().map(|z| weight(z) / sum * fair(y, z)).sum();
            chosen.iter().map(|y| AnswerOutcome { reward: won(y), baseline: 0.5 }).collect()
        };
        let found = descended(start(), &loss, 1, &outcomes);
        let target = nash(&start()).mixture_fixed_point(MixtureCoefficient::new(share).unwrap()).unwrap();
        assert_policy(&found, &target.log_policy, &format!("m = {share}"));
    }
}

#[test]
fn online_dpo_ends_at_the_rlhf_policy_where_scores_explain_every_verdict() {
    let loss = OnlineDpoLoss { beta: BETA, labels: Labels::Soft };
    for k in [2, 3] {
        let found = descended(start(), &loss, k, &|_, chosen| outcomes_of(&loss, scored, chosen));
        assert_policy(&found, &tilted(&found, |y| score(y) / BETA), "online-dpo");
    }
}

#[test]
fn sft_ends_at_the_distribution_of_winners() {
    let loss = SftLoss { labels: Labels::Soft };
    let found = descended(start(), &loss, 2, &|_, chosen| outcomes_of(&loss, fair, chosen));
    let reference = found.clone();
    let won = |y: &Answer| {
        let answers = reference.language.answers();
        2.0 * answers.iter().map(|z| reference.log(true, 0, None, z).exp() * fair(y, z)).sum::<f64>()
    };
    assert_policy(&found, &tilted(&found, |y| won(y).ln()), "sft");
}

fn grpo(scale_rewards: ScaleRewards) -> GrpoLoss {
    GrpoLoss {
        kl: kl(KlGradient::RewardToGo),
        scale_rewards,
        loss_type: GrpoLossType::DrGrpo,
        importance_sampling_level: ImportanceSamplingLevel::Token,
        dynamic_sampling: DynamicSampling::None,
        overlong_penalty: None,
        epsilon: 0.2,
        epsilon_high: None,
        num_iterations: 1,
        max_new_tokens: 1,
    }
}

#[test]
fn grpo_without_scaling_ends_at_the_rlhf_policy_of_a_slightly_higher_beta() {
    let loss = grpo(ScaleRewards::None);
    let rewards =
        |_: &Tabular, chosen: &[&Answer]| outcomes_from_rewards(&chosen.iter().map(|y| score(y)).collect::<Vec<_>>());
    for k in [2, 3] {
        let beta = BETA * k as f64 / (k as f64 - 1.0);
        let found = descended(start(), &loss, k, &rewards);
        assert_policy(&found, &tilted(&found, |y| score(y) / beta), &format!("grpo, {k} answers"));
    }
}

#[test]
fn grpo_with_scaling_hears_who_is_better_and_not_by_how_much() {
    let loss = grpo(ScaleRewards::Group);
    let at_scale = |scale: f64| {
        let rewards =
            |chosen: &[&Answer]| outcomes_from_rewards(&chosen.iter().map(|y| scale * score(y)).collect::<Vec<_>>());
        expected(&mut start(), 2, &loss, &rewards)
    };
    for (small, large) in at_scale(1.0).iter().zip(at_scale(1000.0)) {
        assert!((small - large).abs() < 1e-3, "{small} {large}");
    }
}

#[test]
fn a_ratio_that_left_its_range_in_the_direction_of_the_advantage_is_learned_from_no_more() {
    let answer = |tokens: &[u32]| TWO_TOKENS.answer(tokens);
    let (good, bad, question) = (answer(&[1, 1]), answer(&[2, 2]), prompt(0));
    let pair = |leader| Pair { prompt: &question, leader, follower: None };
    let pairs = [pair(&good), pair(&bad)];
    let scores = |policy: [f64; 2]| PairScores {
        leader: TokenScores { policy: policy.to_vec(), reference: vec![-1.0; 2], exact_kl: vec![], entropy: vec![] },
        follower: None,
    };
    // Before: −1 everywhere. The good answer's first token became likelier than 1 + ε allows, and so did the bad one's.
    let now = [scores([-0.5, -1.1]), scores([-0.5, -1.5])];
    let outcomes = [1.0, 0.0].map(|reward| AnswerOutcome { reward, baseline: f64::NAN });
    let sampled = [vec![-1.0; 2], vec![-1.0; 2]];
    let mut loss = GrpoLoss { max_new_tokens: 2, ..grpo(ScaleRewards::None) };
    loss.kl.beta = 0.0;
    let group = AnswerGroup { pairs: &pairs, scores: &now, outcomes: &outcomes, sampled: &sampled, past: &[] };
    let weighed = loss.weigh(&group, 2.0).unwrap();
    let close = |found: &[f64], expected: [f64; 2]| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    };
    // −A ρ: of the good answer nothing for the first token; of the bad one nothing for the second, which fell far enough.
    close(&weighed[0].weights.leader.score, [0.0, -0.5 * (-0.1_f64).exp()]);
    close(&weighed[1].weights.leader.score, [0.5 * 0.5_f64.exp(), 0.0]);
}

/// ∂/∂θ of a loss by central differences.
pub(crate) fn derivatives(model: &mut Tabular, loss: &dyn Fn(&Tabular) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut gradient = Vec::new();
    for index in 0..model.parameters.len() {
        let start = model.parameters[index];
        let mut at = |shifted: f64| {
            model.parameters[index] = shifted;
            loss(model)
        };
        gradient.push((at(start + STEP) - at(start - STEP)) / (2.0 * STEP));
        model.parameters[index] = start;
    }
    gradient
}

/// The mean over two samples of a policy that was, of a loss of what became of them.
struct OfPairs {
    sampler: Tabular,
    of_reference: bool,
}

impl OfPairs {
    fn mean(&self, of: &dyn Fn(&Answer, &Answer) -> f64) -> f64 {
        let answers = self.sampler.language.answers();
        let log = |y: &Answer| self.sampler.log(self.of_reference, 0, None, y);
        let pairs = answers.iter().flat_map(|y| answers.iter().map(move |z| (y, z)));
        pairs.map(|(y, z)| (log(y) + log(z)).exp() * of(y, z)).sum()
    }

    /// The gradient is that of the loss as it is written, its factor included, and so is what is reported, up to a constant.
    fn check(&self, name: &str, loss: &dyn GroupLoss, value: &dyn Fn(&Tabular, &Answer, &Answer) -> f64) {
        let mut model = Tabular::new(self.sampler.language, 1, 0.6);
        let outcomes = |chosen: &[&Answer]| outcomes_of(loss, |y, z| hashed(0, y, z), chosen);
        let (found, reported) = expected_with_loss(&mut model, &self.sampler, 2, loss, &outcomes);
        let written = |model: &Tabular| self.mean(&|y, z| value(model, y, z));
        let wanted = derivatives(&mut model, &written);
        assert!(wanted.iter().any(|derivative| derivative.abs() > 1e-3), "{name}");
        let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-8, "{name}: {worst:.1e}");
        let mut other = Tabular::new(self.sampler.language, 1, 0.1);
        let (_, of_other) = expected_with_loss(&mut other, &self.sampler, 2, loss, &outcomes);
        let (reported, written) = (reported - of_other, written(&model) - written(&other));
        assert!((reported - written).abs() < 1e-12, "{name}: {reported} is not {written}");
    }
}

#[test]
fn derivatives_are_those_of_the_published_losses() {
    let sampler = Tabular::new(TWO_TOKENS, 1, 0.3);
    let now = |model: &Tabular, y: &Answer| model.log(false, 0, None, y);
    let moved = |model: &Tabular, y: &Answer| now(model, y) - sampler.log(false, 0, None, y);
    let ratio = |model: &Tabular, y: &Answer| now(model, y) - model.log(true, 0, None, y);
    let labels = Labels::Soft;
    let (eta, num_iterations) = (0.7, 3);
    let on_policy = OfPairs { sampler: sampler.clone(), of_reference: false };

    let dpo = OnlineDpoLoss { beta: BETA, labels };
    on_policy.check("online-dpo", &dpo, &|model, y, z| {
        let margin = BETA * (ratio(model, y) - ratio(model, z));
        let sigmoid = 1.0 / (1.0 + (-margin).exp());
        -(fair(y, z) * sigmoid.ln() + fair(z, y) * (1.0 - sigmoid).ln())
    });
    on_policy.check("online-ipo", &OnlineIpoLoss { beta: BETA, labels }, &|model, y, z| {
        let distance = (ratio(model, y) - ratio(model, z)) - (fair(y, z) - 0.5) / BETA;
        0.25 * BETA * distance * distance
    });
    on_policy.check("inpo", &InpoLoss { beta: BETA, eta, num_iterations, labels }, &|model, y, z| {
        let h = |y: &Answer| {
            let reference = model.log(true, 0, None, y);
            let last = sampler.log(false, 0, None, y);
            now(model, y) - BETA / eta * reference - (1.0 - BETA / eta) * last
        };
        let distance = h(y) - h(z) - (fair(y, z) - 0.5) / eta;
        0.25 * eta * distance * distance
    });
    on_policy.check("sppo", &SppoLoss { eta, num_iterations }, &|model, y, z| {
        let distance = moved(model, y) - eta * (fair(y, z) - 0.5);
        distance * distance / (2.0 * eta)
    });
    let off_policy = OfPairs { sampler: sampler.clone(), of_reference: true };
    off_policy
        .check("sft", &SftLoss { labels }, &|model, y, z| -fair(y, z) * now(model, y) - fair(z, y) * now(model, z));
}

/// The published argument: the regression on samples of `π_t` ends at `π_t · exp(η p(y ≻ π_t))`, up to its norm.
#[test]
fn sppo_regresses_to_the_multiplicative_weights_update() {
    let loss = SppoLoss { eta: 0.05, num_iterations: 1 };
    let last = start();
    let mut model = last.clone();
    for _ in 0..2000 {
        let outcomes = |chosen: &[&Answer]| outcomes_of(&loss, fair, chosen);
        let gradient = expected_off_policy(&mut model, &last, 2, &loss, &outcomes);
        for (parameter, derivative) in model.parameters.iter_mut().zip(gradient) {
            *parameter -= 0.1 * derivative;
        }
    }
    let answers = last.language.answers();
    let won = |y: &Answer| answers.iter().map(|z| last.log(false, 0, None, z).exp() * fair(y, z)).sum::<f64>();
    let logs: Vec<f64> = answers.iter().map(|y| last.log(false, 0, None, y) + loss.eta * won(y)).collect();
    let sum: f64 = logs.iter().map(|log| log.exp()).sum();
    let (start, found) = (last.logs(false, 0, None, &[]), model.logs(false, 0, None, &[]));
    for ((found, start), wanted) in found.iter().zip(start).zip(logs.iter().map(|log| log - sum.ln())) {
        // The partition function is taken for a constant: what is left is of the second order in η.
        assert!((found - wanted).abs() < 0.02 * (wanted - start).abs().max(1e-2), "{found} {wanted} {start}");
    }
}
