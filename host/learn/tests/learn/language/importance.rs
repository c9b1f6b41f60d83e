//! Importance weights of samples that another policy drew: by enumeration, against the gradient of samples of one's own.

use slhf_learn::language::{
    Answer, Draw, ImportanceSums, Pair, PairFactors, PairOutcome, StackelbergLoss, WeighedPair, weigh_by_importance,
};
use slhf_plan::{
    Curve, Grpo, GrpoOnLanguageModels, ImportanceLevel, ImportancePlan, KlGradient, LanguageMethod, LanguageRewards,
    LanguageTraining, ScaleRewards,
};

use super::setup::{Judge, Setup, hashed, prompt};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const WITHOUT_END: f64 = 1e300;

fn loss(gradient: KlGradient) -> StackelbergLoss {
    let mut setup = Setup::new();
    setup.training.kl_gradient = gradient;
    match setup.method() {
        LanguageMethod::StackelbergGda(method) => StackelbergLoss::of(&method),
        other => panic!("this setup is of StackelbergGDA, not of {}", other.name()),
    }
}

/// An answer with what `sampler` says of its tokens.
fn drawn(sampler: &Tabular, previous: Option<&Answer>, answer: &Answer) -> Answer {
    let scores = sampler.scores(0, previous, answer);
    let draw = |log_probability: &f64| Draw { log_probability: *log_probability, support: 0 };
    Answer { draws: scores.policy.iter().map(draw).collect(), ..answer.clone() }
}

fn weighed(model: &Tabular, loss: &StackelbergLoss, pair: &Pair<'_>) -> WeighedPair {
    let (leader_score, follower_score) =
        loss.scores(hashed(0, pair.leader, pair.follower.expect("a Follower's")), pair);
    let outcome = PairOutcome { leader_score, leader_baseline: 0.5, follower_score, follower_baseline: 0.5 };
    let factors = PairFactors { leader: 1.0, follower: 1.0 };
    loss.weigh(pair, &model.pair_scores(pair), &outcome, factors).expect("finite scores")
}

/// Mean gradient of `model` over pairs that `sampler` draws, weighed as `plan` says.
fn expected(model: &Tabular, sampler: &Tabular, loss: &StackelbergLoss, plan: Option<ImportancePlan>) -> Vec<f64> {
    let mut model = model.clone();
    let prompt = prompt(0);
    model.gradient.fill(0.0);
    for y in model.language.answers() {
        for z in model.language.answers() {
            let probability = (sampler.log(false, 0, None, &y) + sampler.log(false, 0, Some(&y), &z)).exp();
            let (leader, follower) = (drawn(sampler, None, &y), drawn(sampler, Some(&y), &z));
            let pair = Pair { prompt: &prompt, leader: &leader, follower: Some(&follower) };
            let mut weighed = weighed(&model, loss, &pair);
            if let Some(plan) = plan {
                let scores = model.pair_scores(&pair);
                weigh_by_importance(plan, (&pair, &scores), None, &mut weighed);
            }
            model.accumulate_pair(&pair, &weighed.weights, probability);
        }
    }
    model.gradient
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// The policy that is trained, and another one that samples.
fn policies(language: Language) -> (Tabular, Tabular) {
    (Tabular::new(language, 1, 0.6), Tabular::new(language, 1, -0.4))
}

#[test]
fn without_truncation_a_weight_a_sequence_makes_samples_of_another_policy_unbiased() {
    let plan = ImportancePlan { truncate_at: WITHOUT_END, level: ImportanceLevel::Sequence };
    for language in [ONE_TOKEN, TWO_TOKENS] {
        let (model, sampler) = policies(language);
        for gradient in [KlGradient::RewardToGo, KlGradient::Exact] {
            let loss = loss(gradient);
            let own = expected(&model, &model, &loss, None);
            let others = expected(&model, &sampler, &loss, None);
            let mended = expected(&model, &sampler, &loss, Some(plan));
            assert!(worst(&own, &others) > 1e-2, "the policies differ");
            let distance = worst(&own, &mended);
            assert!(distance < 1e-12, "{gradient:?}: {distance:.1e}");
        }
    }
}

#[test]
fn a_weight_a_token_mends_much_and_truncation_takes_some_of_it_back() {
    let (model, sampler) = policies(TWO_TOKENS);
    let loss = loss(KlGradient::RewardToGo);
    let own = expected(&model, &model, &loss, None);
    let distance = |truncate_at, level| {
        worst(&own, &expected(&model, &sampler, &loss, Some(ImportancePlan { truncate_at, level })))
    };
    let none = worst(&own, &expected(&model, &sampler, &loss, None));
    assert!(distance(WITHOUT_END, ImportanceLevel::Token) < none);
    let truncated = distance(1.5, ImportanceLevel::Sequence);
    assert!(truncated > 1e-6 && truncated < none, "{truncated} and {none}");
}

#[test]
fn policies_that_agree_leave_every_bit_as_it_is() {
    let (model, _) = policies(TWO_TOKENS);
    let loss = loss(KlGradient::Exact);
    for level in [ImportanceLevel::Token, ImportanceLevel::Sequence] {
        let plan = ImportancePlan { truncate_at: 1.0, level };
        assert_eq!(expected(&model, &model, &loss, Some(plan)), expected(&model, &model, &loss, None));
    }
}

#[test]
fn weights_are_ratios_held_below_the_truncation_and_counted() {
    let (model, _) = policies(TWO_TOKENS);
    let prompt = prompt(0);
    let loss = loss(KlGradient::RewardToGo);
    let draw = |log_probability| Draw { log_probability, support: 0 };
    let scores = |answer: &Answer| model.scores(0, None, answer).policy;
    let leader = model.language.answer(&[1, 2]);
    let now = scores(&leader);
    // μ is e^0.5 times as likely at the first token, and e^−3 at the second one.
    let leader = Answer { draws: [draw(now[0] + 0.5), draw(now[1] - 3.0)].into(), ..leader };
    // Nobody sampled the Follower's.
    let follower = model.language.answer(&[0]);
    let pair = Pair { prompt: &prompt, leader: &leader, follower: Some(&follower) };
    let plain = weighed(&model, &loss, &pair);
    let with = |level, before: Option<&[f64]>| {
        let mut found = plain.clone();
        let plan = ImportancePlan { truncate_at: 2.0, level };
        let sums = weigh_by_importance(plan, (&pair, &model.pair_scores(&pair)), before, &mut found);
        (found.weights, sums)
    };
    let (weights, sums) = with(ImportanceLevel::Token, None);
    let (first, second) = ((-0.5_f64).exp(), 2.0);
    for (found, expected) in
        weights.leader.score.iter().zip([plain.weights.leader.score[0] * first, plain.weights.leader.score[1] * second])
    {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }
    assert_eq!(weights.follower, plain.weights.follower);
    assert_eq!((sums.weights, sums.truncated), (2, 1));
    assert!((sums.sum - first - second).abs() < 1e-12);

    let (weights, sums) = with(ImportanceLevel::Sequence, None);
    assert_eq!(sums, ImportanceSums { weights: 1, sum: 2.0, truncated: 1 });
    assert_eq!(weights.leader.score[0].to_bits(), (plain.weights.leader.score[0] * 2.0).to_bits());
    // In a later update π is still the policy before the first one.
    let before: Vec<f64> = leader.draws.iter().map(|draw| draw.log_probability).collect();
    assert_eq!(with(ImportanceLevel::Token, Some(&before)).0, plain.weights);
}

/// The trainer's own way: what it tells the policies of samples that another engine drew, in micro-batches of unlike sizes.
#[test]
fn a_trainer_tells_its_policies_weighed_coefficients() {
    let trained = |importance, drawn_from: fn(u32) -> f64| {
        let mut model = Tabular::new(TWO_TOKENS, 2, 0.6);
        model.drawn_from = drawn_from;
        let mut setup = Setup::new();
        setup.training.steps = 1;
        setup.importance = importance;
        setup.train(&mut model, &mut Judge(|prompt, a: &Answer, b: &Answer| Ok(hashed(prompt, a, b))));
        model
    };
    let drawn_from: fn(u32) -> f64 = |token| 0.4 * f64::from(token) - 0.5;
    let plain = trained(None, drawn_from);
    let plan = |level| Some(ImportancePlan { truncate_at: 1.4, level });
    let weight = |log_ratio: f64| log_ratio.exp().min(1.4);
    let token = trained(plan(ImportanceLevel::Token), drawn_from);
    let sequence = trained(plan(ImportanceLevel::Sequence), drawn_from);
    assert_eq!(plain.told.len(), 8);
    let mut differ = 0;
    for (index, (told, tokens)) in plain.told.iter().zip(&plain.passed).enumerate() {
        assert_eq!((&token.passed[index], &sequence.passed[index]), (tokens, tokens), "the same samples");
        let whole = weight(tokens.iter().flatten().map(|token| -drawn_from(*token)).sum());
        let follower = told.follower.as_ref().expect("a Follower's");
        let (by_token, by_sequence) = (&token.told[index], &sequence.told[index]);
        for (own, scores, by_token, by_sequence) in [
            (&tokens[0], &told.leader.score, &by_token.leader.score, &by_sequence.leader.score),
            (
                &tokens[1],
                &follower.score,
                &by_token.follower.as_ref().expect("a Follower's").score,
                &by_sequence.follower.as_ref().expect("a Follower's").score,
            ),
        ] {
            for (at, (token, score)) in own.iter().zip(scores).enumerate() {
                assert!((by_token[at] - score * weight(-drawn_from(*token))).abs() < 1e-12, "pair {index}, token {at}");
                assert!((by_sequence[at] - score * whole).abs() < 1e-12, "pair {index}, token {at}");
                differ += usize::from((by_token[at] - score).abs() > 1e-3);
            }
        }
    }
    assert!(differ > 8, "weights that are none would pass this test");
}

/// Every token is said to be e^0.3 times as likely as it is: without truncation, e^0.3 times the learning rate makes the same second update.
/// π of the second one is still the policy before the first.
#[test]
fn a_second_update_is_weighed_by_the_policy_before_the_first() {
    let grpo = |training: LanguageTraining| {
        LanguageMethod::Grpo(Grpo {
            rewards: LanguageRewards::default(),
            scale_rewards: ScaleRewards::None,
            own: GrpoOnLanguageModels::default(),
            epsilon: 0.9,
            epsilon_high: None,
            num_iterations: 2,
            training: LanguageTraining { beta: 0.0, ..training },
        })
    };
    let trained = |importance, learning_rate| {
        let mut model = Tabular::new(TWO_TOKENS, 2, 0.6);
        model.drawn_from = |_| 0.3;
        let mut setup = Setup::new();
        setup.rival = Some(grpo);
        setup.training.steps = 1;
        setup.training.micro_batch_size = 4;
        setup.importance = importance;
        setup.schedule.learning_rate = Curve::Constant { value: learning_rate };
        setup.train(&mut model, &mut Judge(|prompt, a: &Answer, b: &Answer| Ok(hashed(prompt, a, b))));
        model
    };
    let plan = ImportancePlan { truncate_at: WITHOUT_END, level: ImportanceLevel::Token };
    let plain = trained(None, 0.5);
    let weighed = trained(Some(plan), 0.5 * 0.3_f64.exp());
    assert_eq!(plain.told.len(), 16, "two updates of eight responses");
    let scores =
        |model: &Tabular| -> Vec<f64> { model.told.iter().flat_map(|told| told.leader.score.clone()).collect() };
    let expected: Vec<f64> = scores(&plain).iter().map(|score| score * (-0.3_f64).exp()).collect();
    assert!(worst(&expected, &scores(&weighed)) < 1e-12);
    assert!(worst(&plain.parameters, &weighed.parameters) < 1e-12);
}
