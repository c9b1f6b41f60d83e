//! The methods that reach a Nash policy in few gradients, and references that are renewed.

use std::collections::BTreeMap;

use slhf_learn::{Ended, Training};
use slhf_plan::{
    ComputePath, ControlVariate, Curve, Egpo, GameReward, GameRewards, GameTraining, Gradient, Grpo, GrpoKl,
    GrpoOnGames, Inpo, Labels, Method, NoRegression, Omwu, OnlineIpo, Preconditioner, RenewedReference, Rloo,
    ScaleRewards,
};

use crate::finite::{check, natural};
use crate::gradients::{central_difference, first_step, kl, lopsided, mean_sampled_step, softmax};
use crate::mnpo::mnpo;
use crate::support::{LOPSIDED, Name, Seen, Setup, constant, matrix, own};

const PATHS: [ComputePath; 2] = [ComputePath::Scalar, ComputePath::Tensor];

/// The cycle of experiments/condorcet-asymmetric.toml.
const ROCK_PAPER_SCISSORS: [[f64; 3]; 3] = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]];

pub(crate) fn egpo() -> Name {
    own(|training| Method::Egpo(Egpo { step: NoRegression {}, training }))
}

pub(crate) fn omwu() -> Name {
    own(|training| Method::Omwu(Omwu { step: NoRegression {}, training }))
}

fn inpo() -> Name {
    own(|training| Method::Inpo(Inpo { eta: 2.0, num_iterations: 1, labels: Labels::Soft, training }))
}

fn online_ipo(labels: Labels) -> Name {
    own(move |training| Method::OnlineIpo(OnlineIpo { labels, training }))
}

fn rloo(reward: GameReward) -> Name {
    own(move |training| {
        let training = GameTraining { score_baseline: ControlVariate::LeaveOneOut, ..training };
        Method::Rloo(Rloo { rewards: GameRewards { reward: reward.clone() }, training })
    })
}

fn grpo(kl_gradient: GrpoKl) -> Name {
    own(move |training| {
        Method::Grpo(Grpo {
            rewards: GameRewards { reward: GameReward::Verdicts },
            scale_rewards: ScaleRewards::None,
            own: GrpoOnGames { kl_gradient },
            epsilon: 0.2,
            epsilon_high: None,
            num_iterations: 1,
            training,
        })
    })
}

fn renewed(mut setup: Setup, renew_every: u64) -> Setup {
    setup.training.reference = Some(RenewedReference { renew_every });
    setup
}

/// log of `π^(1 − η τ) π_ref^(η τ) exp(η P opponent)`, but for a constant.
fn proximal(setup: &Setup, eta: f64, own: &[f64], opponent: &[f64]) -> [f64; 3] {
    let reference = setup.reference_leader.as_ref().unwrap();
    std::array::from_fn(|y| {
        let won: f64 = (0..3).map(|z| setup.matrix[y][z] * opponent[z]).sum();
        (1.0 - eta * setup.tau) * own[y].ln() + eta * setup.tau * reference[y].ln() + eta * won
    })
}

fn is_near(found: &[f64], expected: &[f64]) {
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?} is not {expected:?}");
}

#[test]
fn a_natural_step_of_egpo_is_its_papers_update() {
    let eta = 1.5;
    for path in PATHS {
        let setup = Setup { seeds: vec![1], path, ..natural(egpo(), eta, 2) };
        let policies: Vec<Vec<f64>> = (0..=2).map(|steps| softmax(setup.after(steps).leader_logits())).collect();
        for pair in policies.windows(2) {
            let half = softmax(&proximal(&setup, eta, &pair[0], &pair[0]));
            is_near(&pair[1], &softmax(&proximal(&setup, eta, &pair[0], &half)));
        }
    }
}

/// Against Cen, Wei and Chi's two sequences, of which the run keeps one and the last payoffs.
#[test]
fn a_natural_step_of_omwu_is_its_papers_update() {
    let eta = 1.2;
    for path in PATHS {
        let setup = Setup { seeds: vec![1], path, ..natural(omwu(), eta, 5) };
        let played: Vec<Vec<f64>> = (0..=5).map(|steps| softmax(setup.after(steps).leader_logits())).collect();
        let mut anchor = played[0].clone();
        for (t, pair) in played.windows(2).enumerate() {
            if t > 0 {
                anchor = softmax(&proximal(&setup, eta, &anchor, &pair[0]));
            }
            is_near(&pair[1], &softmax(&proximal(&setup, eta, &anchor, &pair[0])));
        }
    }
}

#[test]
fn egpo_and_omwu_reach_the_regularised_equilibrium_to_rounding() {
    for (method, eta) in [(egpo(), 1.7), (omwu(), 1.2)] {
        let _ = check(&natural(method.clone(), eta, 200), "duality_gap", 1e-15);
        let _ = check(&natural(method.clone(), eta, 200), "tv_nash", 1e-12);
        // Plain gradients go to the same place.
        let mut plain = natural(method, 4.0, 4000);
        plain.training.preconditioner = Preconditioner::None;
        let _ = check(&plain, "duality_gap", 1e-12);
    }
}

#[test]
fn egpo_approaches_its_target_linearly() {
    // The circling of this cycle has ω = 0.19: an error shrinks by |0.95 (1 + 0.095 i) − 0.009| = 0.945 a step, the gap by its square.
    let mut setup = natural(egpo(), 0.5, 400);
    setup.seeds = vec![1];
    setup.evaluation_every = 1;
    let seen = setup.train();
    let gaps: Vec<f64> = (0..=80).step_by(20).map(|step| seen.metric(10, step, "duality_gap")).collect();
    for pair in gaps.windows(2) {
        assert!(pair[1] < 0.2 * pair[0], "{gaps:?}");
        assert!(pair[1] > 1e-4 * pair[0], "{gaps:?}");
    }
}

/// The worst of five seeds on the cycle of condorcet-asymmetric.toml: gradients until the duality gap is below 1e-6.
fn gradients(method: Name, eta: f64, tau: f64) -> f64 {
    let mut setup = natural(method, eta, 400);
    setup.matrix = ROCK_PAPER_SCISSORS.iter().map(|row| row.to_vec()).collect();
    setup.reference_leader = None;
    setup.tau = tau;
    setup.seeds = (1..=5).collect();
    setup.target_distance = Some(1e-6);
    let seen = setup.train();
    let counts: Vec<f64> = (10..15).map(|run| seen.last(run, "gradients_to_target")).collect();
    assert!(counts.iter().all(|count| count.is_finite()), "{counts:?}");
    counts.into_iter().fold(0.0, f64::max)
}

#[test]
fn egpo_needs_at_most_60_gradients_with_regularization_and_300_without() {
    let (with, without) = (gradients(egpo(), 4.0, 0.02), gradients(egpo(), 4.0, 0.0));
    assert!(with <= 60.0 && without <= 300.0, "{with}, {without}");
}

#[test]
fn omwu_needs_at_most_40_gradients_with_regularization_and_120_without() {
    let (with, without) = (gradients(omwu(), 3.0, 0.02), gradients(omwu(), 3.0, 0.0));
    assert!(with <= 40.0 && without <= 120.0, "{with}, {without}");
}

/// The steps that a file gets that does not say: safe on every cycle, however sharp.
#[test]
fn the_usual_steps_converge_on_sharp_cycles_and_large_games_with_and_without_regularization() {
    let sharp = vec![vec![0.5, 1.0, 0.0], vec![0.0, 0.5, 1.0], vec![1.0, 0.0, 0.5]];
    for (method, at_rest) in [(egpo(), 2.0), (omwu(), 1.4)] {
        for matrix in [sharp.clone(), matrix(5), matrix(8)] {
            for tau in [0.0, 0.02, 0.5, 2.0] {
                let eta = at_rest / (1.0 + at_rest * tau);
                let mut setup = natural(method.clone(), eta, 20_000);
                setup.matrix.clone_from(&matrix);
                setup.reference_leader = None;
                setup.tau = tau;
                let usual = setup.method().usual_learning_rate(setup.plan().runs[0].temperatures);
                assert!((usual - eta).abs() < 1e-15, "{usual} is not {eta}");
                let gap = setup.train().last(10, "duality_gap");
                assert!(gap < 1e-6, "{} actions, τ = {tau}: {gap:e}", matrix.len());
            }
        }
    }
}

/// Gradients are counted to the step, whenever evaluations are, and a cut run goes on counting.
#[test]
fn gradients_to_the_target_are_those_of_the_first_step_below_the_bound() {
    for (method, eta, per_step) in [(egpo(), 2.0, 2), (omwu(), 1.4, 1), (Name::NashMd(constant(0.0)), 0.3, 1)] {
        for path in PATHS {
            let mut setup = Setup { path, ..natural(method.clone(), eta, 300) };
            setup.target_distance = Some(1e-6);
            setup.evaluation_every = 1;
            let every = setup.train();
            setup.evaluation_every = 37;
            setup.checkpoint_every = 5;
            let seldom = setup.train();
            let mut training = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap();
            for (run, bytes) in &seldom.checkpoints.iter().find(|(step, _)| *step == 5).unwrap().1 {
                training.restore(*run, bytes).unwrap();
            }
            let mut resumed = Seen::default();
            training.train(&mut resumed).unwrap();
            for run in [10, 11, 12] {
                let first = (0..=300).find(|&step| every.metric(run, step, "duality_gap") < 1e-6).unwrap();
                let expected = (first * per_step) as f64;
                assert!(first > 5);
                assert!(every.metric(run, first - 1, "gradients_to_target").is_nan());
                for seen in [&every, &seldom, &resumed] {
                    assert_eq!(seen.last(run, "gradients_to_target"), expected, "{path:?}");
                }
            }
        }
    }
}

/// Where a method's own fixed point is another policy than the equilibrium, the way there is counted to the fixed point.
#[test]
fn gradients_are_counted_to_the_methods_own_fixed_point() {
    for path in PATHS {
        let mut setup = Setup { path, seeds: vec![1], ..natural(Name::NashMd(constant(0.5)), 0.2, 2000) };
        setup.target_distance = Some(1e-6);
        setup.evaluation_every = 1;
        let seen = setup.train();
        let first = (0..=2000).find(|&step| seen.metric(10, step, "tv_fixed_point") < 1e-6).unwrap();
        assert_eq!(seen.last(10, "gradients_to_target"), first as f64, "{path:?}");
        assert!(seen.last(10, "duality_gap") > 1e-5, "the fixed point is no equilibrium");
    }
}

/// The methods whose target is the regularized Nash policy, each with a step that its inner problem allows.
fn renewing() -> Vec<(&'static str, Name)> {
    vec![
        ("nash-md", Name::NashMd(constant(0.0))),
        ("online-ipo", online_ipo(Labels::Soft)),
        ("inpo", inpo()),
        ("mnpo", mnpo(2.0, &[0.5, 0.3, 0.2])),
        ("rloo", rloo(GameReward::Verdicts)),
        ("grpo", grpo(GrpoKl::RewardToGo)),
        ("egpo", egpo()),
        ("omwu", omwu()),
    ]
}

#[test]
fn a_renewed_reference_leads_to_the_games_own_nash_policy() {
    for (name, method) in renewing() {
        // Inner problems of 60 steps, each of which leaves a twentieth of its error.
        let mut setup = renewed(natural(method, 0.5, 6000), 60);
        let seen = check(&setup, "duality_gap", 1e-9);
        // It is not the regularized policy that it goes to, whose gap in the game itself is large.
        setup.training.reference = None;
        let lottery = seen.policies[&10].leader.clone();
        let regularised = setup.train().policies[&10].leader.clone();
        assert!(lottery.iter().zip(&regularised).any(|(a, b)| (a - b).abs() > 1e-3), "{name}");
    }
}

#[test]
fn a_reference_that_is_renewed_too_soon_lets_the_policy_cycle() {
    for (name, method) in renewing() {
        if ["egpo", "omwu"].contains(&name) {
            continue; // They need no reference to stop circling.
        }
        let mut setup = renewed(natural(method, 0.5, 6000), 1);
        setup.tau = 0.3;
        setup.evaluation_every = 10;
        let seen = setup.train();
        // Without a pull every step is one of multiplicative weights, which circles outwards.
        let late = (3000..=6000).step_by(10).map(|step| seen.metric(10, step, "duality_gap"));
        let least = late.fold(f64::INFINITY, f64::min);
        assert!(least > 0.05, "{name}: {least}");
    }
}

#[test]
fn a_renewal_is_the_policy_of_its_step_and_stays_to_the_next() {
    let eta = 0.5;
    for path in PATHS {
        for method in [Name::NashMd(constant(0.0)), online_ipo(Labels::Soft)] {
            let setup = Setup { path, seeds: vec![1], ..renewed(natural(method, eta, 8), 3) };
            let policies: Vec<Vec<f64>> = (0..=8).map(|steps| softmax(setup.after(steps).leader_logits())).collect();
            for step in 0..8 {
                let mut held = setup.clone();
                if step >= 3 {
                    held.reference_leader = Some(policies[step - step % 3].clone());
                }
                is_near(&policies[step + 1], &softmax(&proximal(&held, eta, &policies[step], &policies[step])));
            }
        }
    }
}

/// Both methods and renewed references, exact and sampled.
fn everything() -> Vec<Setup> {
    let mut setups = Vec::new();
    for (_, method) in renewing() {
        for gradient in [Gradient::Exact, Gradient::Sampled] {
            for every in [None, Some(7)] {
                let mut setup = natural(method.clone(), 0.3, 60);
                setup.matrix = LOPSIDED.iter().map(|row| row.to_vec()).collect();
                setup.seeds = vec![1, 2];
                setup.training.gradient = gradient;
                if gradient == Gradient::Sampled {
                    setup.training.preconditioner = Preconditioner::None;
                }
                setup.training.reference = every.map(|renew_every| RenewedReference { renew_every });
                setups.push(setup);
            }
        }
    }
    setups
}

#[test]
fn both_paths_agree() {
    for (index, scalar) in everything().into_iter().enumerate() {
        let tensor = Setup { path: ComputePath::Tensor, ..scalar.clone() };
        let (scalar, tensor) = (scalar.train(), tensor.train());
        for run in [10, 11] {
            let (scalar, tensor) = (scalar.state(run), tensor.state(run));
            for (a, b) in scalar.leader_logits().iter().zip(tensor.leader_logits()) {
                assert!((a - b).abs() < 1e-9, "setting {index}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn a_run_that_was_cut_goes_on_bit_for_bit() {
    for path in PATHS {
        for (index, mut setup) in everything().into_iter().enumerate() {
            setup.path = path;
            setup.checkpoint_every = 10;
            let whole = setup.train();
            // Step 40 is not one of a renewal.
            for step in [0, 10, 40] {
                let mut training = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap();
                if step > 0 {
                    let (_, states) = whole.checkpoints.iter().find(|(at, _)| *at == step).unwrap();
                    for (run, bytes) in states {
                        training.restore(*run, bytes).unwrap();
                    }
                }
                let mut seen = Seen::default();
                training.train(&mut seen).unwrap();
                for run in [10, 11] {
                    assert_eq!(seen.bytes(run), whole.bytes(run), "{path:?}, setting {index}, cut at {step}");
                }
            }
        }
    }
}

/// A run alone, and beside runs whose references are renewed at other steps or never.
#[test]
fn a_runs_renewals_are_its_own() {
    for path in PATHS {
        let setup = Setup { path, seeds: vec![1], ..renewed(natural(Name::NashMd(constant(0.0)), 0.3, 40), 7) };
        let alone = setup.train();
        let mut plan = setup.plan();
        for (run, every) in [(11, Some(3)), (12, None)] {
            let mut other = plan.runs[0].clone();
            other.run = run;
            if let Method::NashMd(method) = &mut other.method {
                method.training.reference = every.map(|renew_every| RenewedReference { renew_every });
            }
            plan.runs.push(other);
        }
        let mut group = Seen::default();
        Training::new(&plan, &setup.matrices(), BTreeMap::new()).unwrap().train(&mut group).unwrap();
        assert_eq!(group.bytes(10), alone.bytes(10), "{path:?}");
        assert_ne!(group.state(11).leader_logits(), alone.state(10).leader_logits());
        assert_ne!(group.state(12).leader_logits(), alone.state(10).leader_logits());
    }
}

/// The first step of OMWU has nothing to look back at: it is the gradient of one side against the policy of now.
#[test]
fn the_gradient_of_one_side_is_the_derivative_of_its_objective_and_sampled_ones_are_it_on_average() {
    let (reference, tau) = ([0.2, 0.3, 0.5], lopsided().tau);
    let label = |y: usize, z: usize| 0.5 * (LOPSIDED[y][z] + 1.0 - LOPSIDED[z][y]);
    let exact = Setup { method: omwu(), ..lopsided() };
    let (logits, _, expected, _) = first_step(&exact);
    let held = softmax(&logits);
    let objective = |logits: &[f64]| {
        let pi = softmax(logits);
        let won = (0..9).map(|index| pi[index / 3] * held[index % 3] * label(index / 3, index % 3)).sum::<f64>();
        won - tau * kl(&pi, &reference)
    };
    for (index, step) in expected.iter().enumerate() {
        let derivative = central_difference(&logits, index, objective);
        assert!((step - derivative).abs() < 1e-9, "{step} is not {derivative}");
    }
    let mut sampled = exact;
    sampled.training.gradient = Gradient::Sampled;
    sampled.training.num_generations = 3;
    for ((mean, error), expected) in mean_sampled_step(&sampled, 20_000).into_iter().zip(&expected) {
        let distance = (mean - expected).abs();
        assert!(distance < 5.0 * error + 1e-12, "{mean} ± {error} is not {expected}");
    }
}

#[test]
fn sampled_egpo_and_omwu_come_close_to_their_target() {
    for method in [egpo(), omwu()] {
        let mut setup = Setup { method, seeds: (1..=4).collect(), ..Setup::new() };
        setup.tau = 0.5;
        setup.training.gradient = Gradient::Sampled;
        setup.training.num_generations = 4;
        setup.training.steps = 20_000;
        setup.schedule.learning_rate = Curve::Power { start: 0.5, exponent: 0.7, offset: 200.0 };
        let seen = setup.train();
        let mean: f64 = (10..14).map(|run| seen.last(run, "duality_gap")).sum::<f64>() / 4.0;
        assert!(mean <= 1e-2, "{mean}");
        assert_eq!(seen.ended[&10], (20_000, Ended::Finished));
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |setup: &Setup, expected: &str| {
        let error = Training::new(&setup.plan(), &setup.matrices(), BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let renewed = |method: Name| renewed(natural(method, 0.5, 10), 5);
    refused(&self::renewed(natural(egpo(), 0.5, 10), 0), "method.reference.renew_every: 0; expected a number of steps");
    refused(&Setup { tau: 0.0, ..renewed(egpo()) }, "renewed at game.tau_nash = 0, where the reference has no weight");
    refused(&renewed(Name::NashMd(constant(0.5))), "renewed with nash-md, whose mixture_coef mixes the reference");
    refused(&renewed(online_ipo(Labels::Hard)), "renewed with online-ipo, whose labels = \"hard\" make another game");
    refused(&renewed(rloo(GameReward::Scores { scores: vec![0.1, 0.2, 0.3] })), "whose reward has no opponent");
    refused(&renewed(grpo(GrpoKl::DifferentiatedK3)), "only with scale_rewards = \"none\" and kl_gradient");
    refused(&renewed(Name::Stackelberg), "renewed with stackelberg-gda");
    for (name, method) in [("egpo", egpo()), ("omwu", omwu())] {
        let mut setup = natural(method, 0.5, 10);
        setup.training.optimizer = slhf_plan::Optimizer::Adam;
        setup.training.preconditioner = Preconditioner::None;
        refused(&setup, &format!("method.optimizer: \"adam\" with {name}"));
    }
}

/// A method as a file writes it, and what is wrong with it.
fn read(method: serde_json::Value) -> (Option<Method>, Vec<String>) {
    let table: slhf_plan::GameMethodTable = serde_json::from_value(method).unwrap();
    let (method, problems) = table.read(&mut slhf_plan::settings::Placeholders);
    (method, problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect())
}

#[test]
fn a_plan_says_nothing_of_a_reference_that_stays() {
    let (method, problems) = read(serde_json::json!({ "name": "egpo" }));
    assert!(problems.is_empty(), "{problems:?}");
    let json = serde_json::to_value(method.unwrap()).unwrap();
    assert!(json.get("reference").is_none(), "{json}");
    let (method, _) = read(serde_json::json!({ "name": "egpo", "reference": { "renew_every": 20 } }));
    let json = serde_json::to_value(method.as_ref().unwrap()).unwrap();
    assert_eq!(json["reference"], serde_json::json!({ "renew_every": 20 }));
    assert_eq!(serde_json::from_value::<Method>(json).unwrap(), method.unwrap());
    let plan = serde_json::to_value(natural(egpo(), 0.5, 1).plan()).unwrap();
    assert!(plan.get("target_distance").is_none(), "{plan}");
}

#[test]
fn a_method_that_has_no_use_for_a_renewed_reference_is_told_whose_it_is() {
    let (_, problems) = read(serde_json::json!({ "name": "sppo", "reference": { "renew_every": 20 } }));
    assert_eq!(
        problems,
        [
            "method.reference: only nash-md, rloo, grpo, online-ipo, inpo, mnpo, egpo and omwu have it: the others' target is not the Nash \
             policy of a game that a reference regularizes; remove it here"
        ]
    );
    let (_, problems) = read(serde_json::json!({ "name": "egpo", "reference": { "every": 20 } }));
    assert!(problems[0].starts_with("method.reference"), "{problems:?}");
}
