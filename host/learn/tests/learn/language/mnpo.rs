//! MNPO on language models: its gradient against its loss, several judges, INPO as its case of one opponent, where it ends.

use slhf_learn::Ended;
use slhf_learn::language::{
    Answer, AnswerGroup, AnswerOutcome, GroupLoss, Pair, PastScore, inpo::InpoLoss, mnpo::MnpoLoss,
};
use slhf_plan::{Inpo, Labels, LanguageMethod, LanguageTraining, Mnpo, MnpoOnLanguageModels, PairScores};

use super::expectation::expected_against_a_past;
use super::rivals::{BETA, assert_policy, derivatives, fair, nash, outcomes_of, start};
use super::setup::{Judge, Setup, hashed, prompt};
use super::tabular::{TWO_TOKENS, Tabular};

const ETA: f64 = 0.7;
/// Of the policy that sampled, and of those of the two steps before.
const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];

fn loss(opponents: &[f64]) -> MnpoLoss {
    MnpoLoss { beta: BETA, eta: ETA, opponents: opponents.to_vec(), num_iterations: 3 }
}

fn planned(opponents: &[f64], training: LanguageTraining) -> LanguageMethod {
    let own = MnpoOnLanguageModels { num_iterations: 2 };
    LanguageMethod::Mnpo(Mnpo { eta: 0.4, opponents: opponents.to_vec(), own, training })
}

/// Against three policies.
pub(super) fn mnpo(training: LanguageTraining) -> LanguageMethod {
    planned(&WEIGHTS, training)
}

/// The policy that sampled and those before it, all of them other.
fn population() -> [Tabular; 3] {
    [0.3, 0.9, -0.5].map(|spread| Tabular::new(TWO_TOKENS, 1, spread))
}

/// `h(y) − h(z)` of the published loss, which is written for two answers.
fn h(model: &Tabular, population: &[Tabular; 3], y: &Answer) -> f64 {
    let held = population.iter().zip(WEIGHTS).map(|(policy, weight)| weight * policy.log(false, 0, None, y));
    let reference = model.log(true, 0, None, y);
    model.log(false, 0, None, y) - BETA / ETA * reference - (1.0 - BETA / ETA) * held.sum::<f64>()
}

/// What a judge weighs, and its labels.
type WeightedJudge = (f64, fn(&Answer, &Answer) -> f64);

/// The mean over two answers of the policy that sampled, of a loss of each label with its weight.
fn written(model: &Tabular, population: &[Tabular; 3], judges: &[WeightedJudge]) -> f64 {
    let answers = model.language.answers();
    let log = |y: &Answer| population[0].log(false, 0, None, y);
    let pairs = answers.iter().flat_map(|y| answers.iter().map(move |z| (y, z)));
    let of = |(y, z): (&Answer, &Answer)| {
        let distance = h(model, population, y) - h(model, population, z);
        let one =
            |(weight, judge): &WeightedJudge| weight * 0.25 * ETA * (distance - (judge(y, z) - 0.5) / ETA).powi(2);
        (log(y) + log(z)).exp() * judges.iter().map(one).sum::<f64>()
    };
    pairs.map(of).sum()
}

fn past(population: &[Tabular; 3]) -> [(f64, &Tabular); 2] {
    [(WEIGHTS[1], &population[1]), (WEIGHTS[2], &population[2])]
}

fn worst(found: &[f64], wanted: &[f64]) -> f64 {
    assert!(wanted.iter().any(|derivative| derivative.abs() > 1e-3));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// In the first update of a step, where the policy is the one that sampled and only the past holds it, and in a later one.
#[test]
fn the_derivative_is_that_of_the_published_loss() {
    let population = population();
    let loss = loss(&WEIGHTS);
    let outcomes = |chosen: &[&Answer]| outcomes_of(&loss, fair, chosen);
    for model in [population[0].clone(), Tabular::new(TWO_TOKENS, 1, 0.6)] {
        let wanted = derivatives(&mut model.clone(), &|model| written(model, &population, &[(1.0, fair)]));
        for k in [2, 3] {
            let at = (&population[0], &past(&population)[..]);
            let (found, _) = expected_against_a_past(&mut model.clone(), at, k, &loss, &outcomes);
            let worst = worst(&found, &wanted);
            assert!(worst < 1e-8, "{k} answers: {worst:.1e}");
        }
    }
}

/// A second judge, of the other mind of half of the pairs.
fn other(y: &Answer, z: &Answer) -> f64 {
    0.5 * (hashed(7, z, y) + 1.0 - hashed(7, y, z))
}

/// Every judge with a loss of its own is one judge of their mean: the squares differ by what no policy moves.
#[test]
fn several_judges_with_losses_of_their_own_are_one_judge_of_their_weighted_mean() {
    const JUDGES: [WeightedJudge; 2] = [(0.7, fair), (0.3, other)];
    fn mean(y: &Answer, z: &Answer) -> f64 {
        JUDGES.iter().map(|(weight, judge)| weight * judge(y, z)).sum()
    }
    let population = population();
    let loss = loss(&WEIGHTS);
    let model = Tabular::new(TWO_TOKENS, 1, 0.6);
    let at = (&population[0], &past(&population)[..]);
    let of = |judge| {
        expected_against_a_past(&mut model.clone(), at, 2, &loss, &|chosen| outcomes_of(&loss, judge, chosen)).0
    };
    let found = of(mean);
    let wanted = derivatives(&mut model.clone(), &|model| written(model, &population, &JUDGES));
    let difference = worst(&found, &wanted);
    assert!(difference < 1e-8, "{difference:.1e}");
    let parts = JUDGES.map(|(weight, judge)| (weight, of(judge)));
    for (index, whole) in found.iter().enumerate() {
        let sum: f64 = parts.iter().map(|(weight, of)| weight * of[index]).sum();
        assert!((whole - sum).abs() < 1e-13, "{whole} is not {sum}");
    }
    assert!(worst(&parts[0].1, &parts[1].1) > 1e-3, "the judges are of one mind");
}

#[test]
fn with_one_opponent_it_is_inpo_to_the_bit() {
    let (sampler, now) = (Tabular::new(TWO_TOKENS, 1, 0.3), Tabular::new(TWO_TOKENS, 1, 0.6));
    let (answers, question) = (TWO_TOKENS.answers(), prompt(0));
    let pairs: Vec<Pair<'_>> =
        answers.iter().take(4).map(|leader| Pair { prompt: &question, leader, follower: None }).collect();
    let scores: Vec<PairScores> = pairs.iter().map(|pair| now.pair_scores(pair)).collect();
    let sampled: Vec<Vec<f64>> = pairs.iter().map(|pair| sampler.scores(0, None, pair.leader).policy).collect();
    let inpo = InpoLoss { beta: BETA, eta: ETA, num_iterations: 3, labels: Labels::Soft };
    let single = loss(&[7.0]);
    assert_eq!((single.kept(), single.opponents(9)), (0, vec![1.0]));
    let outcomes: Vec<AnswerOutcome> = outcomes_of(&single, fair, &answers.iter().take(4).collect::<Vec<_>>());
    let group = AnswerGroup { pairs: &pairs, scores: &scores, outcomes: &outcomes, sampled: &sampled, past: &[] };
    let told = |loss: &dyn GroupLoss, group: &AnswerGroup<'_>| -> Vec<_> {
        loss.weigh(group, 0.25).unwrap().into_iter().map(|one| (one.weights, one.leader_loss)).collect()
    };
    assert_eq!(told(&single, &group), told(&inpo, &group));
    // Not so with a past.
    let past = vec![PastScore { weight: 0.5, log_probability: -1.0 }; 4];
    assert_ne!(told(&single, &AnswerGroup { past: &past, ..group }), told(&inpo, &group));

    let trained = |rival: fn(LanguageTraining) -> LanguageMethod| {
        let mut setup = Setup { rival: Some(rival), ..Setup::new() };
        setup.training.micro_batch_size = 4;
        setup.training.steps = 6;
        let mut model = Tabular::new(TWO_TOKENS, setup.prompts, 0.5);
        let told = setup.train(&mut model, &mut Judge(|id, y: &Answer, z: &Answer| Ok(hashed(id, y, z))));
        assert_eq!(told.ended, Some((6, Ended::Finished)));
        model
    };
    let inpo =
        trained(|training| LanguageMethod::Inpo(Inpo { eta: 0.4, num_iterations: 2, labels: Labels::Soft, training }));
    let one = trained(|training| planned(&[7.0], training));
    assert_eq!(one.parameters, inpo.parameters);
    assert!(one.kept.is_empty());
    let three = trained(mnpo);
    assert_ne!(three.parameters, inpo.parameters);
    assert_eq!(three.kept.len(), 2);
}

/// Exact descent, a step of which is kept as the past of the next, until it stands.
#[test]
fn it_ends_at_the_regularised_nash_policy_whatever_the_weights() {
    let target = nash(&start()).solve().log_policy;
    for opponents in [&[1.0, 1.0, 1.0][..], &WEIGHTS, &[0.0, 1.0], &[3.0, 0.0, 1.0]] {
        let loss = MnpoLoss { opponents: opponents.to_vec(), num_iterations: 1, ..loss(&[1.0]) };
        let (mut model, mut kept) = (start(), Vec::<Tabular>::new());
        let mut stands = false;
        for _ in 0..20_000 {
            let now = model.clone();
            let weights = loss.opponents(kept.len());
            let past: Vec<(f64, &Tabular)> = weights.iter().skip(1).copied().zip(&kept).collect();
            let outcomes = |chosen: &[&Answer]| outcomes_of(&loss, fair, chosen);
            let (gradient, _) = expected_against_a_past(&mut model, (&now, &past), 2, &loss, &outcomes);
            stands = gradient.iter().all(|derivative| derivative.abs() < 1e-10);
            if stands {
                break;
            }
            for (parameter, derivative) in model.parameters.iter_mut().zip(gradient) {
                *parameter -= derivative;
            }
            kept.insert(0, now);
            kept.truncate(loss.kept());
        }
        assert!(stands, "{opponents:?}: the descent does not end");
        assert_policy(&model, &target, &format!("{opponents:?}"));
    }
}

#[test]
fn what_it_cannot_be_is_refused() {
    let refused = |rival: fn(LanguageTraining) -> LanguageMethod, change: &dyn Fn(&mut Setup)| {
        let mut setup = Setup { rival: Some(rival), ..Setup::new() };
        setup.training.micro_batch_size = 4;
        change(&mut setup);
        setup.refusal()
    };
    let as_it_is = &|_: &mut Setup| {};
    for (rival, sentence) in [
        (
            (|training| planned(&[], training)) as fn(LanguageTraining) -> LanguageMethod,
            "method.opponents: 0 weights; expected 1 to 64, that of the policy as it is first",
        ),
        (|training| planned(&[1.0, -0.5], training), "method.opponents: -0.5; expected finite numbers, not negative"),
        (
            |training| planned(&[0.0, 0.0], training),
            "method.opponents: weights that sum to 0; expected a finite sum above 0",
        ),
    ] {
        let found = refused(rival, as_it_is);
        assert!(found.contains(sentence), "{found}");
    }
    let held_loosely = refused(mnpo, &|setup| setup.training.beta = 0.5);
    assert!(
        held_loosely
            .contains("method.eta: 0.4; expected a finite number above 0 and at least method.beta, which is 0.5"),
        "{held_loosely}"
    );
    let divided = refused(mnpo, &|setup| setup.training.micro_batch_size = 3);
    assert!(divided.contains("method.micro_batch_size: 3 with mnpo"), "{divided}");
    let cut = refused(
        |training| {
            let own = MnpoOnLanguageModels { num_iterations: 1 };
            LanguageMethod::Mnpo(Mnpo { eta: 0.4, opponents: vec![1.0, 1.0], own, training })
        },
        &|setup| {
            setup.training.sampling.top_p = 0.9;
            setup.training.trained_on = slhf_plan::TrainedOn::Sampled;
        },
    );
    assert!(cut.contains("others under every policy of method.opponents"), "{cut}");
}
