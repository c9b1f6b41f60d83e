//! GRPO on finite games: each of its fixed points, by its scaling and by the divergence that holds it.

use slhf_game::total_variation;
use slhf_plan::{GameReward, GrpoKl, ScaleRewards};

use crate::finite::{bradley_terry, check, grpo, grpo_held, natural, scores};
use crate::support::{Seen, Setup};

/// π of a run that has ended, in logarithms.
fn log_policy(seen: &Seen, run: i64) -> Vec<f64> {
    seen.policies[&run].leader.iter().map(|p| p.ln()).collect()
}

#[test]
fn grpo_without_scaling_reaches_the_rlhf_solution_whatever_the_number_of_updates_on_its_samples() {
    for num_iterations in [1, 3] {
        let setup = natural(grpo(scores(), ScaleRewards::None, num_iterations), 0.2, 1000);
        let _ = check(&setup, "tv_rlhf", 1e-9);
    }
    let _ = check(&natural(grpo(bradley_terry(), ScaleRewards::None, 1), 0.5, 600), "tv_rlhf", 1e-9);
}

#[test]
fn grpo_with_scaling_reaches_its_own_fixed_point_which_knows_no_size_of_rewards() {
    let mut setup = natural(grpo(scores(), ScaleRewards::Group, 1), 0.05, 4000);
    setup.tau = 2.0;
    let seen = check(&setup, "tv_fixed_point", 1e-9);
    assert!(seen.last(10, "tv_rlhf") > 0.05, "{}", seen.last(10, "tv_rlhf"));
    // Its defining equation, computed here: log π/π_ref is r / (τ (std + 1e-4)) up to a constant.
    let (policy, reference) = (&seen.policies[&10].leader, setup.reference_leader.as_ref().unwrap());
    let rewards = [0.9, 0.1, 0.5];
    let mean = |f: &dyn Fn(f64) -> f64| policy.iter().zip(rewards).map(|(p, r)| p * f(r)).sum::<f64>();
    let centre = mean(&|r| r);
    let spread = mean(&|r| (r - centre).powi(2)).sqrt();
    let tilt: Vec<f64> =
        (0..3).map(|y| (policy[y] / reference[y]).ln() - rewards[y] / (setup.tau * (spread + 1e-4))).collect();
    assert!(tilt.iter().all(|t| (t - tilt[0]).abs() < 1e-6), "{tilt:?}");
    // Ten times the rewards: hardly another policy, where RLHF's would be ten times as sharp.
    let tenfold = GameReward::Scores { scores: rewards.iter().map(|r| 10.0 * r).collect() };
    let more = Setup { method: grpo(tenfold, ScaleRewards::Group, 1), ..setup }.train();
    assert!(total_variation(&log_policy(&more, 10), &log_policy(&seen, 10)) < 1e-3);
}

/// With the published KL the fixed point is τ `π_ref` / (b − A): the same b of every answer.
#[test]
fn grpo_with_the_published_kl_ends_at_its_own_fixed_point() {
    let k3 = GrpoKl::DifferentiatedK3;
    let poles = |seen: &Seen, setup: &Setup, advantage: &dyn Fn(usize) -> f64| {
        let (policy, reference) = (&seen.policies[&10].leader, setup.reference_leader.as_ref().unwrap());
        let poles: Vec<f64> = (0..3).map(|y| setup.tau * reference[y] / policy[y] + advantage(y)).collect();
        assert!(poles.iter().all(|pole| (pole - poles[0]).abs() < 1e-6), "{poles:?}");
    };
    let rewards = [0.9, 0.1, 0.5];
    for num_iterations in [1, 3] {
        let setup = natural(grpo_held(k3, scores(), ScaleRewards::None, num_iterations), 0.3, 700);
        let seen = check(&setup, "tv_fixed_point", 1e-9);
        assert!(seen.last(10, "tv_rlhf") > 0.02, "{}", seen.last(10, "tv_rlhf"));
        poles(&seen, &setup, &|y| rewards[y]);
    }
    let setup = natural(grpo_held(k3, scores(), ScaleRewards::Group, 1), 0.1, 2000);
    let seen = check(&setup, "tv_fixed_point", 1e-9);
    let policy = &seen.policies[&10].leader;
    let mean = |f: &dyn Fn(f64) -> f64| policy.iter().zip(rewards).map(|(p, r)| p * f(r)).sum::<f64>();
    let centre = mean(&|r| r);
    let spread = mean(&|r| (r - centre).powi(2)).sqrt();
    poles(&seen, &setup, &|y| rewards[y] / (spread + 1e-4));
    // On verdicts the forward divergence's own Nash policy, which is not the reverse one's.
    let setup = natural(grpo_held(k3, GameReward::Verdicts, ScaleRewards::None, 1), 0.3, 1500);
    let seen = setup.train();
    let policy = &seen.policies[&10].leader;
    poles(&seen, &setup, &|y| (0..3).map(|z| policy[z] * setup.matrix[y][z]).sum());
    assert!(seen.last(10, "tv_nash") > 1e-3, "{}", seen.last(10, "tv_nash"));
}
