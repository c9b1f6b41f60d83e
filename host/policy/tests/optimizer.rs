//! The optimizer against closed forms, and what a checkpoint of it must keep.

use slhf_plan::ModelOptimizer;
use slhf_policy::{Agent, AgentRate, KeptParameters, Optimizer, OptimizerStep, Parameters, Share};
use tch::{Device, Kind, Tensor};

const ADAMW: ModelOptimizer =
    ModelOptimizer::Adamw { adam_beta1: 0.9, adam_beta2: 0.99, adam_epsilon: 1e-8, weight_decay: 0.1 };

/// A matrix `w` and a vector `b`, for each agent.
fn parameters(agents: &[Agent]) -> Parameters {
    let weights = [
        ("w".to_owned(), Tensor::from_slice(&[0.5_f32, -1.0, 2.0, 0.25]).reshape([2, 2])),
        ("b".to_owned(), Tensor::from_slice(&[1.0_f32, -2.0])),
    ];
    Parameters::full(&weights, agents, Device::Cpu).expect("parameters")
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).view(-1)).expect("a list of numbers")
}

fn all(parameters: &Parameters) -> Vec<Vec<f64>> {
    parameters.iter().map(|parameter| values(&parameter.tensor)).collect()
}

/// Accumulates `weight` × the gradient of an agent's Σ (θ − target)².
fn pull(parameters: &Parameters, agent: Agent, target: f64, weight: f64) {
    for parameter in parameters.of(agent) {
        (weight * (&parameter.tensor - target).square().sum(Kind::Float)).backward();
    }
}

fn rate(agent: Agent, learning_rate: f64) -> AgentRate {
    AgentRate { agent, learning_rate }
}

fn step(optimizer: &mut Optimizer, parameters: &mut Parameters, rates: &[AgentRate]) {
    optimizer.step(parameters, &OptimizerStep { rates, max_grad_norm: 0.0 }).expect("a step");
}

/// What one update from the start does to the numbers of `agent`.
fn moved(rule: ModelOptimizer, agents: &[Agent], rates: &[AgentRate], pulls: &[(Agent, f64, f64)]) -> Vec<Vec<f64>> {
    let mut parameters = parameters(agents);
    let before = all(&parameters);
    for &(agent, target, weight) in pulls {
        pull(&parameters, agent, target, weight);
    }
    step(&mut Optimizer::new(rule, &parameters).expect("an optimizer"), &mut parameters, rates);
    let difference = |(after, before): (&Vec<f64>, &Vec<f64>)| after.iter().zip(before).map(|(a, b)| a - b).collect();
    all(&parameters).iter().zip(&before).map(difference).collect()
}

#[track_caller]
fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
    }
}

#[test]
fn sgd_moves_against_the_gradient() {
    let found = moved(ModelOptimizer::Sgd, &[Agent::Shared], &[rate(Agent::Shared, 0.1)], &[(Agent::Shared, 0.0, 1.0)]);
    // θ − 0.1 · 2 θ
    assert_close(&found, &[vec![-0.1, 0.2, -0.4, -0.05], vec![-0.2, 0.4]], 1e-7);
}

#[test]
fn adamw_follows_its_recurrences_and_decays_matrices_only() {
    let mut parameters = parameters(&[Agent::Shared]);
    let mut optimizer = Optimizer::new(ADAMW, &parameters).expect("an optimizer");
    let mut expected: Vec<Vec<[f64; 3]>> =
        all(&parameters).into_iter().map(|list| list.into_iter().map(|theta| [theta, 0.0, 0.0]).collect()).collect();
    for t in 1..=15 {
        pull(&parameters, Agent::Shared, 0.5, 1.0);
        step(&mut optimizer, &mut parameters, &[rate(Agent::Shared, 0.02)]);
        for (decay, list) in [0.1, 0.0].into_iter().zip(&mut expected) {
            for [theta, mean, square] in list {
                let gradient = 2.0 * (*theta - 0.5);
                *theta -= 0.02 * decay * *theta;
                *mean = 0.9 * *mean + 0.1 * gradient;
                *square = 0.99 * *square + 0.01 * gradient * gradient;
                let (mean, square) = (*mean / (1.0 - 0.9_f64.powi(t)), *square / (1.0 - 0.99_f64.powi(t)));
                *theta -= 0.02 * mean / (square.sqrt() + 1e-8);
            }
        }
    }
    let expected: Vec<Vec<f64>> = expected.iter().map(|list| list.iter().map(|state| state[0]).collect()).collect();
    assert_close(&all(&parameters), &expected, 5e-6);
    assert_eq!(optimizer.steps(Agent::Shared), 15);
}

#[test]
fn each_agent_is_clipped_by_its_own_norm_which_is_told_before_clipping() {
    let agents = [Agent::Leader, Agent::Follower];
    let mut parameters = parameters(&agents);
    let before = all(&parameters);
    let mut optimizer = Optimizer::new(ModelOptimizer::Sgd, &parameters).expect("an optimizer");
    pull(&parameters, Agent::Leader, 0.0, 1.0);
    pull(&parameters, Agent::Follower, 0.0, 0.01);
    let rates = agents.map(|agent| rate(agent, 1.0));
    let norms = optimizer.step(&mut parameters, &OptimizerStep { rates: &rates, max_grad_norm: 1.0 }).expect("a step");
    // ‖2 θ‖ with Σ θ² = 0.25 + 1 + 4 + 0.0625 + 1 + 4
    let length = 2.0 * 10.3125_f64.sqrt();
    assert!((norms[0].norm - length).abs() < 1e-5 && (norms[1].norm - 0.01 * length).abs() < 1e-6, "{norms:?}");
    assert_eq!([norms[0].agent, norms[1].agent], agents);
    let expected: Vec<Vec<f64>> = before
        .iter()
        .enumerate()
        .map(|(index, list)| {
            let factor = if index < 2 { 1.0 / (length + 1e-6) } else { 0.01 };
            list.iter().map(|theta| theta - factor * 2.0 * theta).collect()
        })
        .collect();
    assert_close(&all(&parameters), &expected, 1e-6);
}

#[test]
fn an_agent_that_is_not_named_keeps_everything_and_its_gradient_is_dropped() {
    let agents = [Agent::Leader, Agent::Follower];
    let mut parameters = parameters(&agents);
    let mut optimizer = Optimizer::new(ADAMW, &parameters).expect("an optimizer");
    let before = all(&parameters);
    pull(&parameters, Agent::Leader, 0.0, 1.0);
    pull(&parameters, Agent::Follower, 0.0, 1.0);
    step(&mut optimizer, &mut parameters, &[rate(Agent::Follower, 0.1)]);
    let after = all(&parameters);
    assert_eq!(after[..2], before[..2]);
    assert_ne!(after[2..], before[2..]);
    assert_eq!((optimizer.steps(Agent::Leader), optimizer.steps(Agent::Follower)), (0, 1));
    for parameter in &parameters {
        assert!(parameter.gradient().is_none_or(|gradient| values(&gradient).iter().all(|number| *number == 0.0)));
    }
}

#[test]
fn kappa_weighs_the_followers_loss_in_shared_parameters() {
    for rule in [ModelOptimizer::Sgd, ADAMW] {
        let update = |kappa: f64| {
            let pulls = [(Agent::Shared, 0.3, 1.0), (Agent::Shared, -0.4, kappa)];
            moved(rule, &[Agent::Shared], &[rate(Agent::Shared, 0.1)], &pulls)
        };
        assert_ne!(update(1.0), update(5.0), "{rule:?}");
    }
}

#[test]
fn kappa_as_a_ratio_of_learning_rates_moves_a_separate_follower_in_proportion() {
    let agents = [Agent::Leader, Agent::Follower];
    for rule in [ModelOptimizer::Sgd, ADAMW] {
        let update = |kappa: f64| {
            let rates = [rate(Agent::Leader, 0.01), rate(Agent::Follower, 0.01 * kappa)];
            moved(rule, &agents, &rates, &[(Agent::Leader, 0.0, 1.0), (Agent::Follower, 0.0, 1.0)])
        };
        let (one, five) = (update(1.0), update(5.0));
        assert_eq!(one[..2], five[..2], "the Leader's own update does not hear of it");
        let scaled: Vec<Vec<f64>> = one[2..].iter().map(|list| list.iter().map(|x| 5.0 * x).collect()).collect();
        assert_close(&five[2..], &scaled, 2e-6);
    }
}

/// Why planning refuses it: Adam divides a factor of the whole gradient out again.
#[test]
fn kappa_as_a_loss_weight_does_nothing_to_a_separate_follower_under_adam() {
    let agents = [Agent::Leader, Agent::Follower];
    let rates = agents.map(|agent| rate(agent, 0.01));
    let update =
        |rule, kappa: f64| moved(rule, &agents, &rates, &[(Agent::Leader, 0.0, 1.0), (Agent::Follower, 0.0, kappa)]);
    assert_close(&update(ADAMW, 1.0), &update(ADAMW, 5.0), 1e-7);
    assert_ne!(update(ModelOptimizer::Sgd, 1.0), update(ModelOptimizer::Sgd, 5.0), "under SGD it does something");
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing_and_is_named() {
    let agents = [Agent::Leader, Agent::Follower];
    let mut parameters = parameters(&agents);
    let mut optimizer = Optimizer::new(ADAMW, &parameters).expect("an optimizer");
    let before = (all(&parameters), optimizer.save(&parameters).expect("bytes"));
    pull(&parameters, Agent::Leader, 0.0, 1.0);
    pull(&parameters, Agent::Follower, 0.0, 1.0);
    let poisoned = parameters.get(Agent::Follower, "b").expect("b");
    (poisoned.tensor.sum(Kind::Float) * f64::NAN).backward();
    let rates = agents.map(|agent| rate(agent, 0.1));
    let error =
        optimizer.step(&mut parameters, &OptimizerStep { rates: &rates, max_grad_norm: 1.0 }).expect_err("not finite");
    assert_eq!(
        error.to_string(),
        "the follower's gradient of `b` has 2 NaN and 0 infinite of 2 numbers; no parameter was changed"
    );
    assert_eq!((all(&parameters), optimizer.save(&parameters).expect("bytes")), before);
}

#[test]
fn a_huge_but_finite_gradient_is_clipped_and_not_taken_for_infinite() {
    let mut parameters = parameters(&[Agent::Shared]);
    let mut optimizer = Optimizer::new(ModelOptimizer::Sgd, &parameters).expect("an optimizer");
    let matrix = parameters.get(Agent::Shared, "w").expect("w");
    (matrix.tensor.sum(Kind::Float) * 1e30).backward();
    let step = OptimizerStep { rates: &[rate(Agent::Shared, 1.0)], max_grad_norm: 1.0 };
    let norm = optimizer.step(&mut parameters, &step).expect("a step")[0].norm;
    assert!((norm / 2e30 - 1.0).abs() < 1e-6, "{norm}");
    assert_close(&all(&parameters)[..1], &[vec![0.0, -1.5, 1.5, -0.25]], 1e-6);
}

#[test]
fn restored_state_goes_on_bit_for_bit() {
    let agents = [Agent::Leader, Agent::Follower];
    let rates = [rate(Agent::Leader, 0.01), rate(Agent::Follower, 0.03)];
    let advance = |optimizer: &mut Optimizer, parameters: &mut Parameters, steps: std::ops::Range<i32>| {
        for t in steps {
            pull(parameters, Agent::Leader, f64::from(t) * 0.1, 1.0);
            pull(parameters, Agent::Follower, -0.2, 0.7);
            // The Leader only every other time, so that the step counts differ.
            step(optimizer, parameters, if t % 2 == 0 { &rates } else { &rates[1..] });
        }
    };
    let mut straight = parameters(&agents);
    let mut optimizer = Optimizer::new(ADAMW, &straight).expect("an optimizer");
    advance(&mut optimizer, &mut straight, 0..7);
    let bytes = optimizer.save(&straight).expect("bytes");
    advance(&mut optimizer, &mut straight, 7..12);

    let mut resumed = parameters(&agents);
    let mut other = Optimizer::new(ADAMW, &resumed).expect("an optimizer");
    // What lies there at the time of a restore must not matter.
    advance(&mut other, &mut resumed, 20..23);
    pull(&resumed, Agent::Leader, 9.0, 1.0);
    other.restore(&mut resumed, &bytes).expect("restored");
    assert_eq!(other.save(&resumed).expect("bytes"), bytes);
    assert_eq!((other.steps(Agent::Leader), other.steps(Agent::Follower)), (4, 7));
    advance(&mut other, &mut resumed, 7..12);
    assert_eq!(all(&resumed), all(&straight));
    assert_eq!(other.save(&resumed).expect("bytes"), optimizer.save(&straight).expect("bytes"));
}

/// What several processes do with the same gradients: each moves its rows, and has the others' from them.
struct Processes {
    parameters: Vec<Parameters>,
    optimizers: Vec<Optimizer>,
}

impl Processes {
    fn new(rule: ModelOptimizer, agents: &[Agent], of: u32) -> Self {
        let parameters: Vec<Parameters> = (0..of).map(|_| parameters(agents)).collect();
        let optimizer = |(number, own): (u32, &Parameters)| {
            Optimizer::of_share(rule, own, Share::new(number, of).expect("a share")).expect("an optimizer")
        };
        let optimizers = (0..).zip(&parameters).map(optimizer).collect();
        Self { parameters, optimizers }
    }

    fn step(&mut self, step: &OptimizerStep<'_>) -> f64 {
        let both = || self.optimizers.iter().zip(&self.parameters);
        let begun: Vec<_> = both().map(|(one, own)| one.begin_step(own, step).expect("begun")).collect();
        let squares = |place: usize| begun.iter().map(|one| one.squares()[place]).sum::<f64>();
        let squares: Vec<f64> = (0..step.rates.len()).map(squares).collect();
        let mut norm = 0.0;
        for ((optimizer, own), begun) in self.optimizers.iter_mut().zip(&mut self.parameters).zip(&begun) {
            norm = optimizer.end_step(own, begun, (step, &squares)).expect("a step")[0].norm;
        }
        for number in 0..self.parameters.len() {
            let share = self.optimizers[number].share();
            let flat = self.parameters[number].share(share).expect("laid out");
            for own in &mut self.parameters {
                own.take_share(share, &flat).expect("taken up");
            }
        }
        norm
    }

    fn save(&self) -> Vec<u8> {
        let moments: Vec<_> = self.optimizers.iter().map(|one| one.share_moments().expect("laid out")).collect();
        let whole = self.optimizers[0].whole(&self.parameters[0], &moments).expect("put together");
        whole.save(&self.parameters[0]).expect("bytes")
    }
}

/// To the bit, clipped or not, and in the checkpoint: a rank's moments are those of its rows alone.
#[test]
fn shares_of_several_processes_move_as_one_process_does() {
    let agents = [Agent::Leader, Agent::Follower];
    let both = [rate(Agent::Leader, 0.01), rate(Agent::Follower, 0.03)];
    for (rule, of, max_grad_norm) in [(ADAMW, 2, 0.0), (ADAMW, 3, 1e6), (ADAMW, 9, 0.0), (ModelOptimizer::Sgd, 2, 0.0)]
    {
        let mut one = parameters(&agents);
        let mut optimizer = Optimizer::new(rule, &one).expect("an optimizer");
        let mut several = Processes::new(rule, &agents, of);
        for t in 0..5 {
            let rates = if t % 2 == 0 { &both[..] } else { &both[1..] };
            let step = OptimizerStep { rates, max_grad_norm };
            for own in several.parameters.iter().chain([&one]) {
                pull(own, Agent::Leader, f64::from(t) * 0.1, 1.0);
                pull(own, Agent::Follower, -0.2, 0.7);
            }
            let norm = optimizer.step(&mut one, &step).expect("a step")[0].norm;
            assert!((several.step(&step) - norm).abs() <= 1e-6 * norm);
            if t == 2 {
                // A checkpoint of one process is one of several, and the other way around.
                let bytes = optimizer.save(&one).expect("bytes");
                assert_eq!(several.save(), bytes);
                several = Processes::new(rule, &agents, of);
                for (optimizer, own) in several.optimizers.iter_mut().zip(&mut several.parameters) {
                    optimizer.restore(own, &bytes).expect("restored");
                }
            }
        }
        for own in &several.parameters {
            assert_eq!(all(own), all(&one), "{of} processes");
        }
        assert_eq!(several.save(), optimizer.save(&one).expect("bytes"));
        if of > 1 {
            let error = several.optimizers[0].save(&several.parameters[0]).expect_err("it has a part").to_string();
            assert!(error.contains("one of several processes"), "{error}");
        }
    }
}

/// A norm that is too long for one process is so for all shares together.
#[test]
fn gradients_are_clipped_by_the_norm_over_all_shares() {
    let mut one = parameters(&[Agent::Shared]);
    let mut optimizer = Optimizer::new(ModelOptimizer::Sgd, &one).expect("an optimizer");
    let mut several = Processes::new(ModelOptimizer::Sgd, &[Agent::Shared], 3);
    for own in several.parameters.iter().chain([&one]) {
        pull(own, Agent::Shared, 3.0, 1.0);
    }
    let rates = [rate(Agent::Shared, 0.1)];
    let step = OptimizerStep { rates: &rates, max_grad_norm: 0.5 };
    let norms = (optimizer.step(&mut one, &step).expect("a step")[0].norm, several.step(&step));
    assert!((norms.0 - norms.1).abs() < 1e-6 && norms.0 > 0.5, "{norms:?}");
    for own in &several.parameters {
        assert_close(&all(own), &all(&one), 1e-7);
    }
}

/// The last copy first; the oldest beyond those that are wanted go.
#[test]
fn what_was_kept_is_put_in_place_and_back_and_travels_with_the_state() {
    let agents = [Agent::Leader, Agent::Follower];
    let rates = agents.map(|agent| rate(agent, 0.05));
    let mut straight = parameters(&agents);
    let mut optimizer = Optimizer::new(ADAMW, &straight).expect("an optimizer");
    let mut kept = KeptParameters::default();
    let without = optimizer.save(&straight).expect("bytes");
    assert_eq!(optimizer.save_with(&straight, &kept).expect("bytes"), without);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.insert(0, all(&straight));
        kept.keep(&straight, 2).expect("kept");
        pull(&straight, Agent::Leader, 0.1, 1.0);
        step(&mut optimizer, &mut straight, &rates);
    }
    assert_eq!(kept.len(), 2);
    let now = all(&straight);
    for back in [1, 2] {
        kept.exchange(back, &mut straight).expect("it is kept");
        assert_eq!(all(&straight), seen[back - 1]);
        assert!(straight.iter().all(|parameter| parameter.tensor.requires_grad()));
        kept.exchange(back, &mut straight).expect("it is kept");
        assert_eq!(all(&straight), now);
    }
    let refused = kept.exchange(3, &mut straight).expect_err("none").to_string();
    assert!(refused.contains("is asked for that was kept 3 times ago, but 2 are kept"), "{refused}");

    let bytes = optimizer.save_with(&straight, &kept).expect("bytes");
    let mut resumed = parameters(&agents);
    let mut other = Optimizer::new(ADAMW, &resumed).expect("an optimizer");
    let mut again = KeptParameters::default();
    // What was kept before a restore must not matter.
    again.keep(&resumed, 5).expect("kept");
    other.restore_with(&mut resumed, &mut again, &bytes).expect("restored");
    assert_eq!(other.save_with(&resumed, &again).expect("bytes"), bytes);
    again.exchange(2, &mut resumed).expect("it is kept");
    assert_eq!(all(&resumed), seen[1]);
}

#[test]
fn a_state_of_another_run_is_refused_by_name_and_changes_nothing() {
    let mut shared = parameters(&[Agent::Shared]);
    let mut optimizer = Optimizer::new(ADAMW, &shared).expect("an optimizer");
    let good = optimizer.save(&shared).expect("bytes");
    let two = parameters(&[Agent::Leader, Agent::Follower]);
    let both = Optimizer::new(ADAMW, &two).expect("an optimizer").save(&two).expect("bytes");
    let plain = Optimizer::new(ModelOptimizer::Sgd, &shared).expect("an optimizer").save(&shared).expect("bytes");
    let zeros = |name: &str, shape: &[i64]| (name.to_owned(), Tensor::zeros(shape, (Kind::Float, Device::Cpu)));
    let wider = Parameters::full(&[zeros("w", &[2, 3])], &[Agent::Shared], Device::Cpu).expect("parameters");
    let wider = Optimizer::new(ADAMW, &wider).expect("an optimizer").save(&wider).expect("bytes");
    let more = [zeros("w", &[2, 2]), zeros("b", &[2]), zeros("c", &[1])];
    let more = Parameters::full(&more, &[Agent::Shared], Device::Cpu).expect("parameters");
    let more = Optimizer::new(ADAMW, &more).expect("an optimizer").save(&more).expect("bytes");
    let mut newer = good.clone();
    newer[7] = 9;
    let cases: [(&[u8], &str); 8] = [
        (b"SLH", "the saved training state has only 3 bytes; it was cut short"),
        (b"PK\x03\x04 something else", "the saved training state does not begin as one; it is another file"),
        (&newer, "the saved training state is of version 9, but this build reads version 1"),
        (&both, "the saved training state has no step count of the shared"),
        (&plain, "the saved training state is of the optimizer `sgd`, but this run's is `adamw`"),
        (
            &wider,
            "the saved training state holds `shared/w/exp_avg` as F32 of shape [2, 3], but this run's is F32 of shape [2, 2]",
        ),
        (&more, "the saved training state holds 9 tensors, but this run has 6; `shared/c` is not among them"),
        (&good[..good.len() - 1], "the saved training state is damaged: "),
    ];
    for (bytes, expected) in cases {
        let error = optimizer.restore(&mut shared, bytes).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}\ninstead of\n{expected}");
        assert_eq!(optimizer.save(&shared).expect("bytes"), good);
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let mut parameters = parameters(&[Agent::Shared]);
    let mut optimizer = Optimizer::new(ModelOptimizer::Sgd, &parameters).expect("an optimizer");
    let mut refused = |rates: &[AgentRate], max_grad_norm: f64| {
        optimizer.step(&mut parameters, &OptimizerStep { rates, max_grad_norm }).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(&[rate(Agent::Leader, 0.1)], 0.0),
        "`learning_rate` is given for the leader, but the parameters here are: shared"
    );
    assert_eq!(
        refused(&[rate(Agent::Shared, f64::NAN)], 0.0),
        "`learning_rate` of the shared is NaN, but must be finite and at least 0"
    );
    assert_eq!(refused(&[rate(Agent::Shared, 0.1); 2], 0.0), "`learning_rate` of the shared is given twice");
    assert_eq!(refused(&[], -1.0), "`max_grad_norm` is -1, but must be finite and at least 0");
    let rule = ModelOptimizer::Adamw { adam_beta1: 1.0, adam_beta2: 0.9, adam_epsilon: 1e-8, weight_decay: 0.0 };
    let error = Optimizer::new(rule, &parameters).expect_err("refused").to_string();
    assert_eq!(error, "`adam_beta1` is 1, but must lie in [0, 1)");
}
