//! MNPO on closed sets of answers, where its wins are against all opponents: its gradient with a past, INPO as its case of one opponent, where
//! it ends.

use slhf_learn::Ended;
use slhf_plan::{
    AnswerReference, Curve, Gradient, Inpo, Labels, LanguageMethod, LanguageTraining, Mnpo, MnpoOnLanguageModels,
};

use super::closed::{BETA, Set, evaluated, judge, long, one_step, table};
use super::tabular::Tabular;

const ETA: f64 = 0.7;
const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];
const RATE: f64 = 0.5;

fn planned(opponents: &[f64], training: LanguageTraining) -> LanguageMethod {
    let own = MnpoOnLanguageModels { num_iterations: 1 };
    LanguageMethod::Mnpo(Mnpo { eta: ETA, opponents: opponents.to_vec(), own, training })
}

fn after(steps: u64, rival: fn(LanguageTraining) -> LanguageMethod) -> Tabular {
    let mut setup = one_step(Some(rival), AnswerReference::Uniform);
    setup.schedule.learning_rate = Curve::Constant { value: RATE };
    setup.training.steps = steps;
    let mut trained = table(&setup);
    if steps > 0 {
        let told = setup.train(&mut trained, &mut judge());
        assert_eq!(told.ended, Some((steps, Ended::Finished)));
    }
    trained
}

/// The third step, which has both policies of the steps before.
#[test]
fn a_step_with_a_past_is_the_gradient_of_the_loss_against_all_opponents() {
    let rival = |training| planned(&WEIGHTS, training);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|steps| after(steps, rival));
    let past = [&third, &second, &first];
    let loss = |table: &Tabular| -> f64 {
        let of = |prompt: u32| {
            let now = Set::of(table, prompt, AnswerReference::Uniform);
            let past = past.map(|table| Set::of(table, prompt, AnswerReference::Uniform));
            let over = |of: &dyn Fn(&Set) -> f64| -> f64 {
                past.iter().zip(WEIGHTS).map(|(set, weight)| weight * of(set)).sum()
            };
            let h = |a: usize| {
                let held = over(&|set| set.pi[a].ln());
                now.pi[a].ln() - BETA / ETA * now.reference[a].ln() - (1.0 - BETA / ETA) * held
            };
            let won = |a: usize| over(&|set| now.sum(|b| set.pi[b] * now.label(a, b)));
            now.over_pairs(&past[0].pi, |a, b| ETA / 4.0 * (h(a) - h(b) - (won(a) - won(b)) / ETA).powi(2))
        };
        (0..2).map(|prompt| 0.5 * of(prompt)).sum()
    };
    let (step, mut largest) = (1e-5, 0.0_f64);
    for place in 0..third.parameters.len() {
        let moved = (third.parameters[place] - fourth.parameters[place]) / RATE;
        let at = |change: f64| {
            let mut changed = third.clone();
            changed.parameters[place] += change;
            loss(&changed)
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        assert!((moved - slope).abs() < 1e-8, "parameter {place}: {moved} is not {slope}");
        largest = largest.max(moved.abs());
    }
    assert!(largest > 1e-3, "{largest}");
}

/// Exactly: of a group, whom it is compared with is drawn, which is one more number.
#[test]
fn with_one_opponent_it_is_inpo() {
    let inpo =
        after(5, |training| LanguageMethod::Inpo(Inpo { eta: ETA, num_iterations: 1, labels: Labels::Soft, training }));
    let one = after(5, |training| planned(&[7.0], training));
    for (a, b) in one.parameters.iter().zip(&inpo.parameters) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }
    // A weight of nothing between two that count is asked of nobody, and changes nothing.
    let (two, three) =
        (after(5, |training| planned(&[1.0, 0.0, 1.0], training)), after(5, |training| planned(&[1.0, 1.0], training)));
    assert_ne!(two.parameters, three.parameters);
}

#[test]
fn it_reaches_the_regularised_nash_policy_with_exact_and_sampled_gradients() {
    let rival = |training| planned(&WEIGHTS, training);
    let setup = long(Some(rival), Gradient::Exact, 3000);
    let told = setup.train(&mut table(&setup), &mut judge());
    assert!(evaluated(&told, 3000, "duality_gap", "train") < 1e-6);
    assert!(evaluated(&told, 3000, "tv_to_nash", "train") < 1e-3);

    let mut setup = long(Some(rival), Gradient::Sampled, 2000);
    setup.training.num_generations = 16;
    setup.training.micro_batch_size = 16;
    setup.schedule.learning_rate = Curve::Constant { value: 0.5 };
    let told = setup.train(&mut table(&setup), &mut judge());
    let (start, end) = (evaluated(&told, 0, "duality_gap", "train"), evaluated(&told, 2000, "duality_gap", "train"));
    assert!(end < 0.02 && end < 0.3 * start, "{start} to {end}");
}
