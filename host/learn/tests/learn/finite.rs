//! The methods with one policy beside Nash-MD and RLHF: each reaches its own target of game.md.

use slhf_game::{BradleyTerryFit, Distribution, OnPolicyFit, PreferenceMatrix, total_variation};
use slhf_learn::Ended;
use slhf_plan::{
    BestOfN, ComputePath, ControlVariate, Curve, GameReward, GameRewards, GameTraining, Gradient, Grpo, GrpoKl,
    GrpoOnGames, Inpo, Labels, Method, NoInstruction, OnlineDpo, OnlineIpo, Optimizer, PairDistribution,
    Preconditioner, Rloo, ScaleRewards, SelfRefinement, Sft, Sppo,
};

use crate::gradients::{central_difference, first_step, kl, lopsided, mean_sampled_step, softmax};
use crate::support::{LOPSIDED, Name, Seen, Setup, matrix, own};

const PATHS: [ComputePath; 2] = [ComputePath::Scalar, ComputePath::Tensor];

pub(crate) fn bradley_terry() -> GameReward {
    GameReward::BradleyTerry { pairs: PairDistribution::Uniform }
}

pub(crate) fn scores() -> GameReward {
    GameReward::Scores { scores: vec![0.9, 0.1, 0.5] }
}

fn rloo(reward: GameReward) -> Name {
    own(move |training| {
        let training = GameTraining { score_baseline: ControlVariate::LeaveOneOut, ..training };
        Method::Rloo(Rloo { rewards: GameRewards { reward: reward.clone() }, training })
    })
}

pub(crate) fn grpo(reward: GameReward, scale_rewards: ScaleRewards, num_iterations: u32) -> Name {
    grpo_held(GrpoKl::RewardToGo, reward, scale_rewards, num_iterations)
}

pub(crate) fn grpo_held(
    kl_gradient: GrpoKl,
    reward: GameReward,
    scale_rewards: ScaleRewards,
    num_iterations: u32,
) -> Name {
    own(move |training| {
        let reward = reward.clone();
        Method::Grpo(Grpo {
            rewards: GameRewards { reward },
            scale_rewards,
            own: GrpoOnGames { kl_gradient },
            epsilon: 0.2,
            epsilon_high: None,
            num_iterations,
            training,
        })
    })
}

fn online_dpo(labels: Labels) -> Name {
    own(move |training| Method::OnlineDpo(OnlineDpo { labels, training }))
}

fn online_ipo(labels: Labels) -> Name {
    own(move |training| Method::OnlineIpo(OnlineIpo { labels, training }))
}

fn inpo(eta: f64, num_iterations: u32) -> Name {
    own(move |training| Method::Inpo(Inpo { eta, num_iterations, labels: Labels::Soft, training }))
}

fn sppo(eta: f64, num_iterations: u32) -> Name {
    own(move |training| Method::Sppo(Sppo { eta, num_iterations, training }))
}

fn sft(labels: Labels) -> Name {
    own(move |training| Method::Sft(Sft { labels, training }))
}

fn lopsided_matrix() -> Vec<Vec<f64>> {
    LOPSIDED.iter().map(|row| row.to_vec()).collect()
}

/// Natural gradients on the asymmetric cycle at τ = 0.1, off a uniform reference.
pub(crate) fn natural(method: Name, learning_rate: f64, steps: u64) -> Setup {
    let mut setup = Setup { method, seeds: vec![1, 2, 3], ..Setup::new() };
    setup.reference_leader = Some(vec![0.2, 0.3, 0.5]);
    setup.training.preconditioner = Preconditioner::Natural;
    setup.training.steps = steps;
    setup.schedule.learning_rate = Curve::Constant { value: learning_rate };
    setup
}

/// On every path, on the cycle and on a judge that is not complementary: every run ends with the metric at most the bound.
pub(crate) fn check(setup: &Setup, key: &str, bound: f64) -> Seen {
    let mut last = Seen::default();
    for path in PATHS {
        for matrix in [setup.matrix.clone(), lopsided_matrix()] {
            last = Setup { matrix, path, ..setup.clone() }.train();
            for run in (10..).take(setup.seeds.len()) {
                assert_eq!(last.ended[&run], (setup.training.steps, Ended::Finished));
                assert!(last.last(run, key) <= bound, "{path:?}, run {run}: {key} = {:e}", last.last(run, key));
            }
        }
    }
    last
}

#[test]
fn rloo_reaches_the_rlhf_solution_of_its_reward() {
    for reward in [bradley_terry(), scores()] {
        let _ = check(&natural(rloo(reward), 0.5, 600), "tv_rlhf", 1e-9);
    }
    let _ = check(&natural(rloo(GameReward::Verdicts), 0.2, 2000), "duality_gap", 1e-9);
}

#[test]
fn online_dpo_reaches_the_bradley_terry_fit_among_its_own_answers() {
    let seen = check(&natural(online_dpo(Labels::Soft), 2.0, 6000), "tv_fixed_point", 1e-7);
    // Where no Bradley–Terry model is right it is not the RLHF solution.
    assert!(seen.last(10, "tv_rlhf") > 0.01, "{}", seen.last(10, "tv_rlhf"));
}

#[test]
fn the_fixed_point_of_online_dpo_solves_its_equation_and_is_rlhf_where_bradley_terry_is_right() {
    let reference = Distribution::new(&[0.1, 0.2, 0.3, 0.4]).unwrap();
    for tau in [0.05, 0.1, 1.0] {
        let labels = PreferenceMatrix::from_rows(&matrix(4)).unwrap();
        let fit = OnPolicyFit::of(&labels, &reference, tau).unwrap();
        for y in 0..4 {
            let terms = (0..4).map(|z| {
                let explained = 1.0 / (1.0 + (fit.scores[z] - fit.scores[y]).exp());
                fit.log_policy[z].exp() * (labels.get(y, z) - explained)
            });
            assert!(terms.sum::<f64>().abs() < 1e-10);
        }
        let scores = [1.5, 0.5, -0.5, -1.5_f64];
        let row = |i: usize| (0..4).map(|j| 1.0 / (1.0 + (scores[j] - scores[i]).exp())).collect::<Vec<_>>();
        let scalar = PreferenceMatrix::from_rows(&(0..4).map(row).collect::<Vec<_>>()).unwrap();
        let rlhf = BradleyTerryFit::with_uniform_weights(&scalar).log_policy(&reference, tau);
        let dpo = OnPolicyFit::of(&scalar, &reference, tau).unwrap().log_policy;
        assert!(total_variation(&rlhf, &dpo) < 1e-9, "τ = {tau}");
    }
    // Sure labels are explained by no finite scores.
    let sure = PreferenceMatrix::from_rows(&[[0.5, 1.0], [0.0, 0.5]]).unwrap();
    assert_eq!(OnPolicyFit::of(&sure, &Distribution::uniform(2), 0.1), None);
}

#[test]
fn online_ipo_reaches_the_regularised_equilibrium() {
    let _ = check(&natural(online_ipo(Labels::Soft), 0.2, 2000), "duality_gap", 1e-9);
    // With hard labels that of the game they make, which is another one.
    let seen = check(&natural(online_ipo(Labels::Hard), 0.05, 8000), "tv_fixed_point", 1e-6);
    assert!(seen.last(10, "tv_nash") > 0.01);
}

#[test]
fn inpo_reaches_the_regularised_equilibrium_with_its_last_iterate() {
    let _ = check(&natural(inpo(2.0, 1), 0.5, 1000), "duality_gap", 1e-9);
    let _ = check(&natural(inpo(2.0, 5), 0.1, 1000), "duality_gap", 1e-9);
}

#[test]
fn a_natural_step_of_inpo_is_its_papers_update() {
    let setup = Setup { seeds: vec![1], ..natural(inpo(2.0, 1), 0.5, 1) };
    let (before, after) = (softmax(setup.after(0).leader_logits()), softmax(setup.after(1).leader_logits()));
    let reference = setup.reference_leader.as_ref().unwrap();
    let share = setup.tau / 2.0;
    let logit = |y: usize| {
        let gain: f64 = (0..3).map(|z| setup.matrix[y][z] * before[z]).sum();
        (1.0 - share) * before[y].ln() + share * reference[y].ln() + gain / 2.0
    };
    let expected = softmax(&[logit(0), logit(1), logit(2)]);
    assert!(after.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14), "{after:?} is not {expected:?}");
}

#[test]
fn the_average_of_sppo_reaches_nash_while_its_last_iterate_circles() {
    let seen = check(&natural(sppo(0.02, 1), 0.02, 20_000), "duality_gap_average", 1e-2);
    assert!(seen.last(10, "duality_gap_average") < seen.last(10, "duality_gap"));
    // The bound of multiplicative weights, which falls as 1/√T when the rate does; max_q KL(q ‖ π_1) = −log min π_1.
    for (rate, steps) in [(0.04, 5_000_u64), (0.02, 20_000)] {
        let setup = Setup { seeds: vec![1], ..natural(sppo(rate, 1), rate, steps) };
        let start = softmax(setup.after(0).leader_logits());
        let farthest = -start.iter().copied().fold(1.0, f64::min).ln();
        let gap = setup.train().last(10, "duality_gap_average");
        let bound = (farthest + steps as f64 * rate * rate / 8.0) / (rate * steps as f64);
        assert!(gap <= bound, "{gap} at {rate}, bound {bound}");
    }
}

#[test]
fn a_natural_step_of_sppo_is_multiplicative_weights() {
    let setup = Setup { seeds: vec![1], ..natural(sppo(0.3, 1), 0.3, 1) };
    let (before, after) = (softmax(setup.after(0).leader_logits()), softmax(setup.after(1).leader_logits()));
    let logit = |y: usize| before[y].ln() + 0.3 * (0..3).map(|z| setup.matrix[y][z] * before[z]).sum::<f64>();
    let expected = softmax(&[logit(0), logit(1), logit(2)]);
    assert!(after.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14), "{after:?} is not {expected:?}");
}

#[test]
fn sft_reaches_the_distribution_of_winners() {
    for labels in [Labels::Soft, Labels::Hard] {
        let mut setup = natural(sft(labels), 2.0, 3000);
        setup.training.preconditioner = Preconditioner::None;
        let _ = check(&setup, "tv_fixed_point", 1e-9);
    }
    let mut setup = natural(sft(Labels::Soft), 2.0, 3000);
    setup.training.preconditioner = Preconditioner::None;
    let policy = setup.train().policies[&10].leader.clone();
    let reference = setup.reference_leader.as_ref().unwrap();
    for y in 0..3 {
        let wins: f64 = (0..3).map(|z| reference[z] * setup.matrix[y][z]).sum();
        assert!((policy[y] - reference[y] * 2.0 * wins).abs() < 1e-9);
    }
}

fn untrained(method: Name) -> Setup {
    let mut setup = Setup { method, ..Setup::new() };
    setup.training = GameTraining { steps: 0, num_generations: 4, ..setup.training };
    setup.reference_leader = Some(vec![0.2, 0.3, 0.5]);
    setup
}

#[test]
fn best_of_n_is_its_exact_distribution_from_the_start() {
    let best = |reward: GameReward| {
        own(move |training| Method::BestOfN(BestOfN { rewards: GameRewards { reward: reward.clone() }, training }))
    };
    for path in PATHS {
        let seen = Setup { path, ..untrained(best(scores())) }.train();
        assert_eq!(seen.ended[&10], (0, Ended::Finished));
        // Rewards 0.9, 0.1, 0.5 of masses 0.2, 0.3, 0.5.
        let expected = [1.0 - 0.8_f64.powi(4), 0.3_f64.powi(4), 0.8_f64.powi(4) - 0.3_f64.powi(4)];
        let found = &seen.policies[&10].leader;
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?} is not {expected:?}");
        let bound = 4.0_f64.ln() - 0.75;
        assert!(seen.last(10, "kl_leader") <= bound + 1e-12, "KL of best of N is at most log N − (N − 1)/N");

        // By verdicts, of two answers: y is chosen over z where it is likelier to win.
        let mut setup = Setup { path, ..untrained(best(GameReward::Verdicts)) };
        setup.training.num_generations = 2;
        let found = setup.train().policies[&10].leader.clone();
        // 0 beats 1, 1 beats 2, 2 beats 0.
        let expected = [0.04 + 2.0 * 0.2 * 0.3, 0.09 + 2.0 * 0.3 * 0.5, 0.25 + 2.0 * 0.5 * 0.2];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?} is not {expected:?}");
    }
}

#[test]
fn self_refinement_is_the_product_with_the_followers_reference() {
    let mut setup = untrained(own(|training| {
        Method::SelfRefinement(SelfRefinement { rounds: 2, turn: NoInstruction {}, training })
    }));
    let follower = vec![vec![0.6, 0.3, 0.1], vec![0.2, 0.2, 0.6], vec![0.4, 0.5, 0.1]];
    setup.reference_follower = Some(follower.clone());
    let step = |policy: &[f64]| (0..3).map(|j| (0..3).map(|i| policy[i] * follower[i][j]).sum()).collect::<Vec<f64>>();
    let expected = step(&step(setup.reference_leader.as_ref().unwrap()));
    let found = setup.train().policies[&10].leader.clone();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?} is not {expected:?}");
}

#[test]
fn exact_gradients_are_the_derivatives_of_the_losses_with_held_samples() {
    let n = 3;
    let reference = [0.2, 0.3, 0.5];
    let ratio = |pi: &[f64], y: usize| (pi[y] / reference[y]).ln();
    let label = |y: usize, z: usize| 0.5 * (LOPSIDED[y][z] + 1.0 - LOPSIDED[z][y]);
    let check = |method: Name, name: &str, objective: &dyn Fn(&[f64], &[f64]) -> f64| {
        for path in PATHS {
            let setup = Setup { method: method.clone(), path, ..lopsided() };
            let (logits, _, step, _) = first_step(&setup);
            let held = softmax(&logits);
            for (index, step) in step.iter().enumerate() {
                let derivative = central_difference(&logits, index, |logits| objective(&softmax(logits), &held));
                assert!((step - derivative).abs() < 1e-9, "{name}, {path:?}: {step} is not {derivative}");
            }
        }
    };
    let tau = lopsided().tau;
    let rewards = [0.9, 0.1, 0.5];
    check(rloo(scores()), "rloo", &|pi, _| {
        pi.iter().zip(rewards).map(|(p, r)| p * r).sum::<f64>() - tau * kl(pi, &reference)
    });
    let none = ScaleRewards::None;
    check(grpo_held(GrpoKl::DifferentiatedK3, scores(), none, 1), "grpo, published KL", &|pi, _| {
        pi.iter().zip(rewards).map(|(p, r)| p * r).sum::<f64>() - tau * kl(&reference, pi)
    });
    let pairs = |held: &[f64], f: &dyn Fn(usize, usize) -> f64| {
        (0..n * n).map(|index| held[index / n] * held[index % n] * f(index / n, index % n)).sum::<f64>()
    };
    // The losses as they are written, as the mean over pairs.
    check(online_dpo(Labels::Soft), "online-dpo", &|pi, held| {
        let loss = |y, z| {
            let h = tau * (ratio(pi, y) - ratio(pi, z));
            -label(y, z) * (1.0 / (1.0 + (-h).exp())).ln() - (1.0 - label(y, z)) * (1.0 / (1.0 + h.exp())).ln()
        };
        -pairs(held, &loss)
    });
    check(online_ipo(Labels::Soft), "online-ipo", &|pi, held| {
        let loss = |y, z| 0.25 * tau * (ratio(pi, y) - ratio(pi, z) - (label(y, z) - 0.5) / tau).powi(2);
        -pairs(held, &loss)
    });
    check(inpo(2.0, 1), "inpo", &|pi, held| {
        let share = tau / 2.0;
        let log = |y: usize| pi[y].ln() - share * reference[y].ln() - (1.0 - share) * held[y].ln();
        let loss = |y, z| 0.25 * 2.0 * (log(y) - log(z) - (label(y, z) - 0.5) / 2.0).powi(2);
        -pairs(held, &loss)
    });
    check(sppo(0.7, 1), "sppo", &|pi, held| {
        let wins = |y: usize| (0..n).map(|z| held[z] * label(y, z)).sum::<f64>();
        let loss = |y: usize| ((pi[y] / held[y]).ln() - 0.7 * (wins(y) - 0.5)).powi(2) / 1.4;
        -(0..n).map(|y| held[y] * loss(y)).sum::<f64>()
    });
    check(sft(Labels::Soft), "sft", &|pi, _| {
        let loss = |y, z| -label(y, z) * pi[y].ln() - label(z, y) * pi[z].ln();
        -pairs(&reference, &loss)
    });
}

#[test]
fn sampled_groups_are_exact_on_average() {
    let methods = [
        rloo(scores()),
        rloo(GameReward::Verdicts),
        online_dpo(Labels::Soft),
        online_ipo(Labels::Hard),
        inpo(2.0, 1),
        sppo(0.7, 1),
        sft(Labels::Soft),
        // Verdicts have the mean ½ in every group: nothing shrinks by (k − 1)/k.
        grpo(GameReward::Verdicts, ScaleRewards::None, 1),
    ];
    for (index, method) in methods.into_iter().enumerate() {
        let exact = Setup { method, ..lopsided() };
        let (_, _, expected, _) = first_step(&exact);
        let mut sampled = exact.clone();
        sampled.training.gradient = Gradient::Sampled;
        sampled.training.num_generations = 3;
        sampled.training.score_baseline = ControlVariate::LeaveOneOut;
        for ((mean, error), expected) in mean_sampled_step(&sampled, 20_000).into_iter().zip(&expected) {
            let distance = (mean - expected).abs();
            assert!(distance < 5.0 * error + 1e-12, "method {index}: {mean} ± {error} is not {expected}");
        }
    }
}

#[test]
fn sampled_methods_come_close_to_their_targets() {
    let check = |method: Name, key: &str, bound: f64| {
        let mut setup = Setup { method, seeds: (1..=4).collect(), ..Setup::new() };
        setup.tau = 0.5;
        setup.training.gradient = Gradient::Sampled;
        setup.training.num_generations = 4;
        setup.training.steps = 20_000;
        setup.schedule.learning_rate = Curve::Power { start: 0.5, exponent: 0.7, offset: 200.0 };
        let seen = setup.train();
        let mean: f64 = (10..14).map(|run| seen.last(run, key)).sum::<f64>() / 4.0;
        assert!(mean <= bound, "{key}: {mean}");
    };
    check(rloo(scores()), "tv_rlhf", 2e-2);
    // Of four answers the fixed point is RLHF's at τ · 4/3.
    check(grpo(scores(), ScaleRewards::None, 1), "tv_fixed_point", 3e-2);
    check(grpo_held(GrpoKl::DifferentiatedK3, scores(), ScaleRewards::None, 1), "tv_fixed_point", 3e-2);
    check(online_ipo(Labels::Soft), "duality_gap", 1e-2);
    check(inpo(2.0, 1), "duality_gap", 1e-2);
    check(sft(Labels::Soft), "tv_fixed_point", 4e-2);
}

/// Every method, exact and sampled, with its moments.
fn everything() -> Vec<Setup> {
    let mut setups = Vec::new();
    let methods = [
        rloo(bradley_terry()),
        grpo(scores(), ScaleRewards::Group, 3),
        online_dpo(Labels::Soft),
        online_ipo(Labels::Hard),
        inpo(2.0, 2),
        sppo(0.5, 2),
        sft(Labels::Soft),
    ];
    for method in methods {
        for (gradient, optimizer) in [(Gradient::Exact, Optimizer::Sgd), (Gradient::Sampled, Optimizer::Adam)] {
            let mut setup = Setup { method: method.clone(), seeds: vec![1, 2], ..lopsided() };
            setup.training.gradient = gradient;
            setup.training.optimizer = optimizer;
            setup.training.score_baseline = ControlVariate::LeaveOneOut;
            setup.training.steps = 60;
            setup.schedule.learning_rate = Curve::Constant { value: 0.05 };
            setups.push(setup);
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
            setup.checkpoint_every = 20;
            let whole = setup.train();
            let mut seen = Seen::default();
            let (_, states) = whole.checkpoints.iter().find(|(step, _)| *step == 40).unwrap();
            let mut training =
                slhf_learn::Training::new(&setup.plan(), &setup.matrices(), std::collections::BTreeMap::new()).unwrap();
            for (run, bytes) in states {
                training.restore(*run, bytes).unwrap();
            }
            training.train(&mut seen).unwrap();
            for run in [10, 11] {
                assert_eq!(seen.bytes(run), whole.bytes(run), "{path:?}, setting {index}");
                assert_eq!(seen.metrics[&(run, 60)], whole.metrics[&(run, 60)], "{path:?}, setting {index}");
            }
        }
    }
}

#[test]
fn what_a_method_cannot_have_is_refused() {
    let refused = |setup: &Setup, expected: &str| {
        let plan = setup.plan();
        let error = slhf_learn::Training::new(&plan, &setup.matrices(), std::collections::BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(
        &natural(sft(Labels::Soft), 1.0, 1),
        "method.preconditioner: \"natural\" with sft: what is trained on comes from the reference",
    );
    refused(
        &natural(inpo(0.05, 1), 1.0, 1),
        "method.eta: 0.05; expected a finite number above 0 and at least game.tau_nash, which is 0.1",
    );
    refused(&natural(sppo(0.0, 1), 1.0, 1), "method.eta: 0; expected a finite number above 0");
    refused(&natural(sppo(1.0, 0), 1.0, 1), "method.num_iterations: 0; expected 1 to 1024");
    let short = GameReward::Scores { scores: vec![1.0] };
    refused(&natural(rloo(short), 1.0, 1), "method.reward: 1 rewards; expected 3");
    let mut alone = natural(online_dpo(Labels::Soft), 1.0, 1);
    alone.training.preconditioner = Preconditioner::None;
    alone.training.gradient = Gradient::Sampled;
    alone.training.num_generations = 1;
    refused(
        &alone,
        "method.num_generations: 1 with online-dpo: it compares the responses of one prompt with each other",
    );
    let verdicts =
        |training| Method::BestOfN(BestOfN { rewards: GameRewards { reward: GameReward::Verdicts }, training });
    let mut many = untrained(own(verdicts));
    many.training.num_generations = 4000;
    refused(&many, "too many to sum over");
    many.training.num_generations = 4;
    many.training.steps = 5;
    refused(&many, "method.steps: 5; nothing is trained here: expected 0");
}
