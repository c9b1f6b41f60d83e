//! EGPO and OMWU on closed sets: the gradients of their regressions, the steps of the game that a table takes exactly, ends, cuts, refusals.

use slhf_learn::Ended;
use slhf_learn::language::{Answer, Evaluators, LanguageTrainer};
use slhf_plan::{AnswerReference, Curve, Egpo, Gradient, LanguageMethod, LanguageTraining, MirrorRegression, Omwu};

use super::closed::{BETA, ETA, Loss, Set, check, evaluated, judge, long, one_step, table};
use super::setup::{Setup, Told, hashed};
use super::tabular::{ONE_TOKEN, Tabular};

const ONCE: MirrorRegression = MirrorRegression { eta: ETA, num_iterations: 1 };

fn egpo(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Egpo(Egpo { step: ONCE, training })
}

fn omwu(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Omwu(Omwu { step: ONCE, training })
}

fn omwu_twice(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Omwu(Omwu { step: MirrorRegression { num_iterations: 2, ..ONCE }, training })
}

fn egpo_without_a_temperature(training: LanguageTraining) -> LanguageMethod {
    egpo(LanguageTraining { beta: 0.0, ..training })
}

fn omwu_without_a_temperature(training: LanguageTraining) -> LanguageMethod {
    omwu(LanguageTraining { beta: 0.0, ..training })
}

const BOTH: [fn(LanguageTraining) -> LanguageMethod; 2] = [egpo, omwu];

fn normalized(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// IPO's loss over pairs that are drawn uniformly, towards `π^(1 − η β) π_ref^(η β) exp(η payoffs)`, π that of the step's beginning.
fn regression(now: &Set, then: &Set, payoffs: &[f64]) -> f64 {
    let n = now.pi.len() as f64;
    let target =
        |a: usize| (1.0 - ETA * BETA) * then.pi[a].ln() + ETA * BETA * then.reference[a].ln() + ETA * payoffs[a];
    let left = |a: usize| now.pi[a].ln() - target(a);
    now.sum(|a| now.sum(|b| (left(a) - left(b)).powi(2))) / (4.0 * ETA * n * n)
}

#[test]
fn both_have_the_gradients_of_their_regressions() {
    fn won(set: &Set, by: &[f64]) -> Vec<f64> {
        (0..by.len()).map(|a| set.sum(|b| by[b] * set.label(a, b))).collect()
    }
    let of_egpo: Loss = |now, then| {
        let payoffs = won(then, &then.pi);
        let ahead: Vec<f64> = (0..payoffs.len())
            .map(|a| then.pi[a].powf(1.0 - ETA * BETA) * then.reference[a].powf(ETA * BETA) * (ETA * payoffs[a]).exp())
            .collect();
        regression(now, then, &won(then, &normalized(&ahead)))
    };
    check("egpo", Some(egpo), of_egpo, None);
    // Before a first visit there is nothing to extrapolate from.
    check("omwu", Some(omwu), |now, then| regression(now, then, &won(then, &then.pi)), None);
}

/// Three answers, a logit each: policies by prompt.
fn policies(table: &Tabular) -> Vec<Vec<f64>> {
    let answers = ONE_TOKEN.answers();
    let of = |prompt| answers.iter().map(|answer| table.log(false, prompt, None, answer).exp()).collect::<Vec<f64>>();
    (0..2).map(|prompt| normalized(&of(prompt))).collect()
}

/// So many steps of the method on the game of a prompt, as docs/game.md has them.
fn steps_on_the_game(prompt: u32, start: &[f64], is_optimistic: bool, steps: u32) -> Vec<f64> {
    let answers = ONE_TOKEN.answers();
    let label = |a: &Answer, b: &Answer| 0.5 * (hashed(prompt, a, b) + 1.0 - hashed(prompt, b, a));
    let won = |policy: &[f64]| -> Vec<f64> {
        answers.iter().map(|a| answers.iter().zip(policy).map(|(b, p)| p * label(a, b)).sum()).collect()
    };
    let n = answers.len() as f64;
    let moved = |policy: &[f64], payoffs: &[f64]| {
        let weight = |(p, payoff): (&f64, &f64)| p.powf(1.0 - ETA * BETA) * n.powf(-ETA * BETA) * (ETA * payoff).exp();
        normalized(&policy.iter().zip(payoffs).map(weight).collect::<Vec<f64>>())
    };
    let mut policy = start.to_vec();
    let mut last = won(&policy);
    for _ in 0..steps {
        let now = won(&policy);
        let payoffs = if is_optimistic {
            now.iter().zip(&last).map(|(now, last)| now + (1.0 - ETA * BETA) * (now - last)).collect()
        } else {
            won(&moved(&policy, &now))
        };
        policy = moved(&policy, &payoffs);
        last = now;
    }
    policy
}

/// At the rate η n one update solves the regression, and prompts of a table are games of their own, however they take turns.
#[test]
fn a_table_of_one_logit_an_answer_takes_the_steps_of_the_games() {
    let cases = [(egpo as fn(_) -> _, false), (omwu, true), (omwu_twice, true)];
    for (rival, is_optimistic) in cases {
        let mut setup = one_step(Some(rival), AnswerReference::Uniform);
        setup.training.steps = 8;
        setup.training.prompts_per_step = 1;
        setup.schedule.learning_rate = Curve::Constant { value: 3.0 * ETA };
        setup.sets = (0..3).map(|prompt| (prompt, ONE_TOKEN.answers().into())).collect();
        let mut table = Tabular::new(ONE_TOKEN, 3, 0.9);
        table.has_follower = false;
        let start = policies(&table);
        let told = setup.train(&mut table, &mut judge());
        assert_eq!(told.ended, Some((8, Ended::Finished)));
        for (prompt, (start, end)) in start.iter().zip(policies(&table)).enumerate() {
            let expected = steps_on_the_game(prompt as u32, start, is_optimistic, 4);
            for (found, expected) in end.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "prompt {prompt}: {found} is not {expected}");
            }
        }
    }
}

#[test]
fn both_end_at_the_regularized_nash_policy_of_every_prompt() {
    for rival in BOTH {
        let setup = long(Some(rival), Gradient::Exact, 1500);
        let told = setup.train(&mut table(&setup), &mut judge());
        let (start, end) =
            (evaluated(&told, 0, "duality_gap", "train"), evaluated(&told, 1500, "duality_gap", "train"));
        assert!(start > 1e-2 && end < 1e-10, "{start} to {end}");
        assert!(evaluated(&told, 1500, "tv_to_nash", "train") < 1e-5);
    }
}

#[test]
fn without_a_temperature_both_end_at_a_nash_policy_of_the_game() {
    for rival in [egpo_without_a_temperature as fn(_) -> _, omwu_without_a_temperature] {
        let setup = long(Some(rival), Gradient::Exact, 1500);
        let told = setup.train(&mut table(&setup), &mut judge());
        let (start, end) =
            (evaluated(&told, 0, "duality_gap", "train"), evaluated(&told, 1500, "duality_gap", "train"));
        assert!(start > 1e-2 && end < 1e-3, "{start} to {end}");
    }
}

/// What OMWU remembers of a prompt is part of a checkpoint.
#[test]
fn a_cut_run_ends_with_the_bits_of_a_whole_one() {
    for rival in [egpo as fn(_) -> _, omwu, omwu_twice] {
        let mut setup = long(Some(rival), Gradient::Exact, 6);
        setup.training.prompts_per_step = 1;
        setup.checkpoint_every = 1;
        setup.evaluation_every = 2;
        let mut whole = table(&setup);
        let told = setup.train(&mut whole, &mut judge());
        for (step, state) in &told.checkpoints[..5] {
            let mut resumed = table(&setup);
            let mut trainer: LanguageTrainer = setup.trainer();
            trainer.restore(state, &mut resumed).unwrap();
            let mut rest = Told::default();
            trainer.train(&mut resumed, &mut judge(), &mut Evaluators::default(), &mut rest).unwrap();
            assert_eq!(resumed.parameters, whole.parameters);
            let after: Vec<_> = told.metrics.iter().filter(|(at, _)| at > step).cloned().collect();
            assert_eq!(rest.metrics, after);
        }
    }
}

/// A checkpoint of the version before, which ended without what is remembered of prompts.
fn of_version_3(state: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(state[12..20].try_into().unwrap());
    let end = 20 + length as usize;
    assert_eq!((&state[8..12], state[end - 1]), (&4_u32.to_le_bytes()[..], 0), "nothing is remembered");
    [&state[..8], &3_u32.to_le_bytes(), &(length - 1).to_le_bytes(), &state[20..end - 1], &state[end..]].concat()
}

#[test]
fn a_checkpoint_of_the_version_before_is_read() {
    let mut setup = long(Some(egpo), Gradient::Exact, 4);
    setup.checkpoint_every = 2;
    let mut whole = table(&setup);
    let told = setup.train(&mut whole, &mut judge());
    let mut resumed = table(&setup);
    let mut trainer: LanguageTrainer = setup.trainer();
    trainer.restore(&of_version_3(&told.checkpoints[0].1), &mut resumed).unwrap();
    assert_eq!(trainer.step(), 2);
    trainer.train(&mut resumed, &mut judge(), &mut Evaluators::default(), &mut Told::default()).unwrap();
    assert_eq!(resumed.parameters, whole.parameters);
}

#[test]
fn what_they_cannot_do_is_refused() {
    let check = |rival: fn(LanguageTraining) -> LanguageMethod, change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = one_step(Some(rival), AnswerReference::Uniform);
        change(&mut setup);
        let refusal = setup.refusal();
        assert!(refusal.contains(expected), "{refusal}");
    };
    let open = |setup: &mut Setup| setup.answers = None;
    check(egpo, &open, "data.answers: missing; egpo needs closed sets of responses");
    check(omwu, &open, "data.answers: missing; omwu needs closed sets of responses");
    let sampled = |setup: &mut Setup| setup.answers.as_mut().unwrap().gradient = Gradient::Sampled;
    check(egpo, &sampled, "answers.gradient: \"sampled\" with egpo, which takes the win rates of every response");
    check(omwu, &sampled, "answers.gradient: \"sampled\" with omwu");
    let long = |setup: &mut Setup| setup.training.beta = 2.0;
    check(egpo, &long, "method.eta: 0.7; expected at most 1/beta, which is 0.5");
    let backwards =
        |training| LanguageMethod::Omwu(Omwu { step: MirrorRegression { eta: -0.1, num_iterations: 1 }, training });
    check(backwards, &|_| {}, "method.eta: -0.1; expected a finite number above 0");
    let never =
        |training| LanguageMethod::Egpo(Egpo { step: MirrorRegression { eta: ETA, num_iterations: 0 }, training });
    check(never, &|_| {}, "method.num_iterations: 0");
}
