//! GSPO's and DAPO's settings of GRPO: gradients against the published losses by central differences, of expectations and of
//! steps that the loop took; what is left out, what is clipped, and where training ends.

use std::collections::BTreeMap;

use slhf_learn::Ended;
use slhf_learn::language::{Answer, AnswerOutcome, KlTerm, grpo::GrpoLoss, outcomes_from_rewards};
use slhf_plan::{
    Curve, DynamicSampling, Grpo, GrpoLossType, GrpoOnLanguageModels, ImportanceSamplingLevel, KlEstimator, KlGradient,
    LanguageMethod, LanguageRewards, LanguageTraining, OverlongPenalty, ScaleRewards,
};

use super::expectation::expected_with_loss;
use super::rivals::derivatives;
use super::setup::{Judge, Setup, Told, hashed};
use super::tabular::{ONE_TOKEN, TWO_TOKENS, Tabular};
use crate::support::judge;

const BETA: f64 = 0.2;
const EPSILON: f64 = 0.05;
const FLOOR: f64 = 1e-4;

fn reward(prompt: u32, y: &Answer) -> f64 {
    hashed(prompt, y, y)
}

fn loss(level: ImportanceSamplingLevel, loss_type: GrpoLossType) -> GrpoLoss {
    GrpoLoss {
        kl: KlTerm { beta: BETA, gradient: KlGradient::DifferentiatedK3, estimator: KlEstimator::K1 },
        scale_rewards: ScaleRewards::Group,
        loss_type,
        importance_sampling_level: level,
        dynamic_sampling: DynamicSampling::None,
        overlong_penalty: None,
        epsilon: EPSILON,
        epsilon_high: None,
        num_iterations: 2,
        max_new_tokens: 2,
    }
}

/// log π of every token.
fn tokens(model: &Tabular, of_reference: bool, prompt: u32, y: &Answer) -> Vec<f64> {
    let log = |t: usize| model.logs(of_reference, prompt, None, &y.tokens[..t])[y.tokens[t] as usize];
    (0..y.tokens.len()).map(log).collect()
}

/// `(r_i − mean) / (std + 1e-4)`
fn advantages(rewards: &[f64], scale: ScaleRewards) -> Vec<f64> {
    let count = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let variance = rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let divisor = if scale == ScaleRewards::Group { variance.sqrt() + FLOOR } else { 1.0 };
    rewards.iter().map(|r| (r - mean) / divisor).collect()
}

/// One group under two policies: all that a published loss is written with.
struct Group<'a> {
    now: &'a Tabular,
    then: &'a Tabular,
    prompt: u32,
    answers: &'a [Answer],
    advantages: Vec<f64>,
}

impl Group<'_> {
    fn ratios(&self, y: &Answer) -> Vec<f64> {
        let (now, then) = (tokens(self.now, false, self.prompt, y), tokens(self.then, false, self.prompt, y));
        now.iter().zip(&then).map(|(now, then)| (now - then).exp()).collect()
    }

    /// `(π(y)/π_old(y))^(1/|y|)`
    fn sequence_ratio(&self, y: &Answer) -> f64 {
        self.ratios(y).iter().product::<f64>().powf(1.0 / y.tokens.len() as f64)
    }

    /// β times k3 of every token.
    fn kl(&self, y: &Answer) -> f64 {
        let pairs = tokens(self.now, false, self.prompt, y).into_iter().zip(tokens(self.now, true, self.prompt, y));
        BETA * pairs.map(|(own, reference)| (reference - own).exp() - (reference - own) - 1.0).sum::<f64>()
    }

    /// `Σ_t min[ρ_t A, clip(ρ_t, 1 − ε, 1 + ε_high) A]`
    fn surrogate(&self, y: &Answer, advantage: f64, high: f64) -> f64 {
        let held = |ratio: f64| ratio.clamp(1.0 - EPSILON, 1.0 + high);
        self.ratios(y).into_iter().map(|ratio| (ratio * advantage).min(held(ratio) * advantage)).sum()
    }

    fn sum(&self, of: impl Fn(&Answer, f64) -> f64) -> f64 {
        self.answers.iter().zip(&self.advantages).map(|(y, advantage)| of(y, *advantage)).sum()
    }

    fn count(&self) -> f64 {
        self.answers.len() as f64
    }

    fn length(y: &Answer) -> f64 {
        y.tokens.len() as f64
    }

    /// GSPO, equation 5; the KL term of every token as TRL adds it.
    fn gspo(&self) -> f64 {
        self.sum(|y, advantage| {
            let ratio = self.sequence_ratio(y);
            let held = ratio.clamp(1.0 - EPSILON, 1.0 + EPSILON);
            self.kl(y) / Self::length(y) - (ratio * advantage).min(held * advantage)
        }) / self.count()
    }

    /// DAPO, equation 8 without its constraint, and a KL term.
    fn dapo(&self, high: f64) -> f64 {
        let length: f64 = self.answers.iter().map(Self::length).sum();
        self.sum(|y, advantage| self.kl(y) - self.surrogate(y, advantage, high)) / length
    }

    /// GRPO, equation 3, with the upper bound of DAPO's equation 10.
    fn clipped_higher(&self, high: f64) -> f64 {
        self.sum(|y, advantage| (self.kl(y) - self.surrogate(y, advantage, high)) / Self::length(y)) / self.count()
    }
}

fn of_rewards(chosen: &[&Answer]) -> Vec<AnswerOutcome> {
    outcomes_from_rewards(&chosen.iter().map(|y| reward(0, y)).collect::<Vec<_>>())
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most: f64, value| most.max(value.abs()))
}

fn distance(first: &[f64], second: &[f64]) -> f64 {
    largest(&first.iter().zip(second).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The expected gradient on samples of a policy that was is that of the loss as it is written.
fn check(name: &str, loss: &GrpoLoss, published: &dyn Fn(&Group<'_>) -> f64) -> Vec<f64> {
    let sampler = Tabular::new(TWO_TOKENS, 1, 0.3);
    let mut model = Tabular::new(TWO_TOKENS, 1, 0.6);
    let (found, _) = expected_with_loss(&mut model, &sampler, 2, loss, &of_rewards);
    let all = TWO_TOKENS.answers();
    let written = |model: &Tabular| -> f64 {
        let pairs = all.iter().flat_map(|y| all.iter().map(move |z| [y.clone(), z.clone()]));
        pairs
            .map(|pair| {
                let weight = pair.iter().map(|y| sampler.log(false, 0, None, y)).sum::<f64>().exp();
                let rewards: Vec<f64> = pair.iter().map(|y| reward(0, y)).collect();
                let advantages = advantages(&rewards, ScaleRewards::Group);
                weight * published(&Group { now: model, then: &sampler, prompt: 0, answers: &pair, advantages })
            })
            .sum()
    };
    let wanted = derivatives(&mut model, &written);
    assert!(largest(&wanted) > 1e-3, "{name} has no gradient");
    assert!(distance(&found, &wanted) < 1e-8, "{name}: {:.1e}", distance(&found, &wanted));
    found
}

const TOKEN: ImportanceSamplingLevel = ImportanceSamplingLevel::Token;
const SEQUENCE: ImportanceSamplingLevel = ImportanceSamplingLevel::Sequence;

#[test]
fn the_ratio_of_a_response_has_the_gradient_of_gspo() {
    let gspo = check("gspo", &loss(SEQUENCE, GrpoLossType::Grpo), &|group| group.gspo());
    let grpo = check("grpo", &loss(TOKEN, GrpoLossType::Grpo), &|group| group.clipped_higher(EPSILON));
    assert!(distance(&gspo, &grpo) > 1e-3, "the two ratios are not told apart");
    // Equation 10: s_i A_i / |y_i| on every token; here nothing is clipped.
    let mut open = loss(SEQUENCE, GrpoLossType::Grpo);
    open.epsilon = 1e6;
    let unclipped = check("gspo, nothing clipped", &open, &|group| {
        let of = |y: &Answer, advantage: f64| group.kl(y) / Group::length(y) - group.sequence_ratio(y) * advantage;
        group.sum(of) / group.count()
    });
    assert!(distance(&gspo, &unclipped) > 1e-3, "nothing is clipped");
}

#[test]
fn a_higher_upper_bound_has_the_gradient_of_dapo() {
    let symmetric = check("epsilon", &loss(TOKEN, GrpoLossType::Grpo), &|group| group.clipped_higher(EPSILON));
    let mut high = loss(TOKEN, GrpoLossType::Grpo);
    high.epsilon_high = Some(0.2);
    let higher = check("epsilon_high", &high, &|group| group.clipped_higher(0.2));
    assert!(distance(&symmetric, &higher) > 1e-3, "no ratio lies between the two bounds");
}

#[test]
fn sums_over_the_tokens_of_a_group_have_the_gradient_of_dapo() {
    let dapo = GrpoLoss { epsilon_high: Some(0.2), ..loss(TOKEN, GrpoLossType::Dapo) };
    let found = check("dapo", &dapo, &|group| group.dapo(0.2));
    let grpo = GrpoLoss { epsilon_high: Some(0.2), ..loss(TOKEN, GrpoLossType::Grpo) };
    let other = check("grpo", &grpo, &|group| group.clipped_higher(0.2));
    assert!(distance(&found, &other) > 1e-3, "lengths are all one");
}

/// What a rival's own settings make of a method.
fn method(training: LanguageTraining, own: GrpoOnLanguageModels) -> Grpo<LanguageTraining> {
    Grpo {
        training: LanguageTraining { kl_gradient: KlGradient::DifferentiatedK3, ..training },
        rewards: LanguageRewards { reward: Some(judge().plugin), reward_model: None },
        scale_rewards: ScaleRewards::Group,
        own,
        epsilon: EPSILON,
        epsilon_high: None,
        num_iterations: 1,
    }
}

fn dropping(training: LanguageTraining) -> LanguageMethod {
    let own = GrpoOnLanguageModels { dynamic_sampling: DynamicSampling::Drop, ..GrpoOnLanguageModels::default() };
    LanguageMethod::Grpo(method(training, own))
}

fn keeping(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Grpo(method(training, GrpoOnLanguageModels::default()))
}

const PENALTY: OverlongPenalty = OverlongPenalty { max_tokens: 2, cache_tokens: 2 };

fn penalizing(training: LanguageTraining) -> LanguageMethod {
    let own = GrpoOnLanguageModels { overlong_penalty: Some(PENALTY), ..GrpoOnLanguageModels::default() };
    LanguageMethod::Grpo(method(training, own))
}

fn penalizing_on_verdicts(training: LanguageTraining) -> LanguageMethod {
    let own = GrpoOnLanguageModels { overlong_penalty: Some(PENALTY), ..GrpoOnLanguageModels::default() };
    LanguageMethod::Grpo(Grpo { rewards: LanguageRewards::default(), ..method(training, own) })
}

/// One step at learning rate 1 on both prompts, four responses each.
struct Step {
    start: Tabular,
    end: Tabular,
    told: Told,
    /// By prompt.
    sampled: BTreeMap<u32, Vec<Answer>>,
}

fn one_step(rival: fn(LanguageTraining) -> LanguageMethod, reward: fn(u32, &Answer) -> f64) -> Step {
    let mut setup = Setup { rival: Some(rival), ..Setup::new() };
    setup.training.steps = 1;
    setup.training.micro_batch_size = 4;
    setup.schedule.learning_rate = Curve::Constant { value: 1.0 };
    let start = Tabular::new(TWO_TOKENS, 2, 0.6);
    let mut end = start.clone();
    let mut sampled: BTreeMap<u32, Vec<Answer>> = BTreeMap::new();
    let told = setup.train(
        &mut end,
        &mut Judge(|prompt, y: &Answer, _: &Answer| {
            sampled.entry(prompt).or_default().push(y.clone());
            Ok(reward(prompt, y))
        }),
    );
    assert_eq!(told.ended, Some((1, Ended::Finished)));
    Step { start, end, told, sampled }
}

impl Step {
    fn moved(&self) -> Vec<f64> {
        self.start.parameters.iter().zip(&self.end.parameters).map(|(start, end)| start - end).collect()
    }

    /// The mean over prompts of the first update's loss.
    fn wanted(&self, prompts: &[u32], reward: &dyn Fn(u32, &Answer) -> f64) -> Vec<f64> {
        let written = |model: &Tabular| {
            let of = |prompt: u32| {
                let answers = &self.sampled[&prompt];
                assert_eq!(answers.len(), 4);
                let rewards: Vec<f64> = answers.iter().map(|y| reward(prompt, y)).collect();
                let advantages = advantages(&rewards, ScaleRewards::Group);
                Group { now: model, then: &self.start, prompt, answers, advantages }.clipped_higher(EPSILON)
            };
            prompts.iter().map(|&prompt| of(prompt)).sum::<f64>() / prompts.len() as f64
        };
        derivatives(&mut self.start.clone(), &written)
    }
}

/// Prompt 0 is decided, prompt 1 is not.
fn one_decided(prompt: u32, y: &Answer) -> f64 {
    if prompt == 0 { 0.4 } else { reward(prompt, y) }
}

#[test]
fn a_decided_prompt_is_left_out_of_the_loss_and_of_what_it_is_divided_by() {
    let dropped = one_step(dropping, one_decided);
    let wanted = dropped.wanted(&[1], &one_decided);
    assert!(largest(&wanted) > 1e-2 && distance(&dropped.moved(), &wanted) < 1e-8);
    assert_eq!(dropped.told.metric(1, "frac_reward_zero_std"), 0.5);
    // The rewards that are told are of all that was sampled.
    let kept = one_step(keeping, one_decided);
    assert_eq!(kept.told.metric(1, "rewards/mean"), dropped.told.metric(1, "rewards/mean"));
    assert!(distance(&kept.moved(), &kept.wanted(&[0, 1], &one_decided)) < 1e-8);
    assert!(distance(&kept.moved(), &dropped.moved()) > 1e-2);
    // Nothing is decided: nothing is dropped.
    assert_eq!(one_step(dropping, reward).moved(), one_step(keeping, reward).moved());
}

#[test]
fn a_step_whose_prompts_are_all_decided_moves_nothing() {
    let step = one_step(dropping, |_, _| 0.4);
    assert_eq!(largest(&step.moved()), 0.0);
    assert_eq!(step.told.metric(1, "frac_reward_zero_std"), 1.0);
    assert_eq!(step.told.metric(1, "grad_norm"), 0.0);
    assert!(step.end.told.is_empty(), "a response was passed");
    // Without the setting the KL term pulls.
    assert!(largest(&one_step(keeping, |_, _| 0.4).moved()) > 1e-3);
}

#[test]
fn long_responses_lose_what_the_published_penalty_says() {
    let step = one_step(penalizing, reward);
    let penalized = |prompt, y: &Answer| reward(prompt, y) - 0.5 * y.tokens.len() as f64;
    assert!(step.sampled.values().flatten().any(|y| y.tokens.len() == 1), "lengths are all one");
    let wanted = step.wanted(&[0, 1], &penalized);
    assert!(largest(&wanted) > 1e-2 && distance(&step.moved(), &wanted) < 1e-8);
    assert!(distance(&step.moved(), &one_step(keeping, reward).moved()) > 1e-2);
    let all = || step.sampled.iter().flat_map(|(prompt, answers)| answers.iter().map(move |y| penalized(*prompt, y)));
    assert!((step.told.metric(1, "rewards/mean") - all().sum::<f64>() / 8.0).abs() < 1e-12);
    // Of verdicts the mean label is ½.
    let verdicts = one_step(penalizing_on_verdicts, |_, _| 0.5).told;
    let lost = 0.5 * verdicts.metric(1, "completions/mean_length");
    assert!((verdicts.metric(1, "rewards/mean") - (0.5 - lost)).abs() < 1e-12);
}

const EPSILON_HIGH: f64 = 0.08;

fn twice(training: LanguageTraining, level: ImportanceSamplingLevel) -> LanguageMethod {
    let own = GrpoOnLanguageModels { importance_sampling_level: level, ..GrpoOnLanguageModels::default() };
    let grpo = method(training, own);
    LanguageMethod::Grpo(Grpo { num_iterations: 2, epsilon_high: Some(EPSILON_HIGH), ..grpo })
}

/// Shares of a second update, counted anew from the policies before and after the first.
#[test]
fn shares_of_clipped_ratios_are_those_of_the_updates_after_the_first() {
    let first = one_step(keeping, reward);
    assert!(first.told.metrics[0].1.iter().all(|(key, _)| !key.starts_with("clip_ratio")));
    for (level, rival) in [
        (TOKEN, (|training| twice(training, TOKEN)) as fn(LanguageTraining) -> LanguageMethod),
        (SEQUENCE, |training| twice(training, SEQUENCE)),
    ] {
        let (mut low, mut high, mut all) = (0.0, 0.0, 0.0);
        for (&prompt, answers) in &first.sampled {
            let rewards: Vec<f64> = answers.iter().map(|y| reward(prompt, y)).collect();
            let advantages = advantages(&rewards, ScaleRewards::Group);
            let group = Group { now: &first.end, then: &first.start, prompt, answers, advantages };
            for (y, advantage) in answers.iter().zip(&group.advantages) {
                let ratios = if level == TOKEN { group.ratios(y) } else { vec![group.sequence_ratio(y)] };
                for ratio in ratios {
                    all += 1.0;
                    low += f64::from(u8::from(ratio < 1.0 - EPSILON && *advantage < 0.0));
                    high += f64::from(u8::from(ratio > 1.0 + EPSILON_HIGH && *advantage > 0.0));
                }
            }
        }
        assert!(low > 0.0 && high > 0.0 && low + high < all, "{level:?}: {low} and {high} of {all}");
        let told = one_step(rival, reward).told;
        assert_eq!(told.metric(1, "clip_ratio/low_mean"), low / all, "{level:?}");
        assert_eq!(told.metric(1, "clip_ratio/high_mean"), high / all, "{level:?}");
    }
}

/// One of three answers is right.
fn solved(prompt: u32, y: &Answer) -> f64 {
    if (y.tokens[0] + prompt).is_multiple_of(3) { 0.4 } else { 0.0 }
}

fn target(training: LanguageTraining, dynamic_sampling: DynamicSampling, kl_gradient: KlGradient) -> LanguageMethod {
    let own = GrpoOnLanguageModels { dynamic_sampling, ..GrpoOnLanguageModels::default() };
    let mut grpo = Grpo { scale_rewards: ScaleRewards::None, ..method(training, own) };
    grpo.training.kl_gradient = kl_gradient;
    LanguageMethod::Grpo(grpo)
}

/// `π = π_ref exp[(Ā − c) / (β q)]`, of the published divergence `π = π_ref β q / (c + β q − Ā)`, with `q(y) = 1 − P_π(r = r(y))` in groups of
/// two. Where they are kept q is 1.
#[test]
fn where_decided_prompts_are_dropped_a_common_reward_is_held_more_loosely() {
    use KlGradient::{DifferentiatedK3, RewardToGo};
    let drop: fn(LanguageTraining) -> LanguageMethod = |training| target(training, DynamicSampling::Drop, RewardToGo);
    let keep: fn(LanguageTraining) -> LanguageMethod = |training| target(training, DynamicSampling::None, RewardToGo);
    let published: fn(LanguageTraining) -> LanguageMethod =
        |training| target(training, DynamicSampling::Drop, DifferentiatedK3);
    for (rival, drops, kl) in [(drop, true, RewardToGo), (keep, false, RewardToGo), (published, true, DifferentiatedK3)]
    {
        let mut setup = Setup { rival: Some(rival), ..Setup::new() };
        setup.training.steps = 3000;
        setup.training.prompts_per_step = 64;
        setup.training.num_generations = 2;
        setup.training.micro_batch_size = 128;
        setup.training.sampling.max_new_tokens = 1;
        setup.schedule.learning_rate = Curve::Power { start: 4.0, exponent: 0.9, offset: 100.0 };
        let mut model = Tabular::new(ONE_TOKEN, 2, 0.6);
        let told = setup.train(&mut model, &mut Judge(|prompt, y: &Answer, _: &Answer| Ok(solved(prompt, y))));
        assert_eq!(told.ended, Some((3000, Ended::Finished)));
        for prompt in 0..2 {
            let policy = |of_reference| model.logs(of_reference, prompt, None, &[]).into_iter().map(f64::exp);
            let (found, reference): (Vec<f64>, Vec<f64>) = (policy(false).collect(), policy(true).collect());
            let right = ONE_TOKEN.answers().iter().position(|y| solved(prompt, y) > 0.0).unwrap();
            let tv = |drops: bool| {
                let target = with_right(right, right_share(reference[right], drops, kl), &reference);
                0.5 * found.iter().zip(&target).map(|(a, b)| (a - b).abs()).sum::<f64>()
            };
            let seen = format!("{kl:?}, drops: {drops}, prompt {prompt}: {} {}", tv(drops), tv(!drops));
            assert!(tv(drops) < 0.02 && tv(!drops) > 0.1, "{seen}");
        }
    }
}

/// π of the right answer: c eliminated from `β q(y) d(y) = Ā(y) − c` of both rewards, whose Ā differ by ½ · 0.4, with d the derivative of the
/// divergence, `log(π/π_ref)` or `1 − π_ref/π`.
fn right_share(reference: f64, drops: bool, kl: KlGradient) -> f64 {
    let derivative = |ratio: f64| if kl == KlGradient::DifferentiatedK3 { 1.0 - 1.0 / ratio } else { ratio.ln() };
    let q = |alike: f64| if drops { 1.0 - alike } else { 1.0 };
    let excess = |right: f64| {
        let wrong = 1.0 - right;
        BETA * (q(right) * derivative(right / reference) - q(wrong) * derivative(wrong / (1.0 - reference))) - 0.5 * 0.4
    };
    let (mut low, mut high) = (1e-12, 1.0 - 1e-12);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if excess(middle) < 0.0 { low = middle } else { high = middle }
    }
    low
}

/// The wrong answers keep the reference's proportions.
fn with_right(right: usize, share: f64, reference: &[f64]) -> Vec<f64> {
    let of = |(y, p): (usize, &f64)| if y == right { share } else { p * (1.0 - share) / (1.0 - reference[right]) };
    reference.iter().enumerate().map(of).collect()
}
