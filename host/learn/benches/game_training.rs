//! Finite games: run-steps per second of the two paths.
//!
//! 1,000 runs of a game of 10 actions, exact gradients, plain descent; one iteration is `STEPS` steps of all runs, so
//! that the throughput shown is run-steps a second. `SLHF_BENCH_DEVICE` (default `cpu`) places the tensor path.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slhf_game::PreferenceMatrix;
use slhf_learn::{Cause, Ended, FinalPolicy, Measurement, Observer, Training};
use slhf_plan::{ComputePath, GroupPlan, ScheduleRow};

/// Hears nothing.
struct Deaf;

impl Observer for Deaf {
    fn stop_requested(&self) -> bool {
        false
    }
    fn metrics(&mut self, _: i64, _: u64, measurement: &Measurement) -> Result<(), Cause> {
        black_box(measurement);
        Ok(())
    }
    fn schedule(&mut self, _: ScheduleRow) -> Result<(), Cause> {
        Ok(())
    }
    fn leader(&mut self, _: i64, _: u64, _: &[f64]) -> Result<(), Cause> {
        Ok(())
    }
    fn final_policy(&mut self, _: i64, _: u64, _: &FinalPolicy) -> Result<(), Cause> {
        Ok(())
    }
    fn checkpoint(&mut self, _: u64, states: &[(i64, Vec<u8>)]) -> Result<(), Cause> {
        black_box(states);
        Ok(())
    }
    fn progress(&mut self, _: u64) -> Result<(), Cause> {
        Ok(())
    }
    fn ended(&mut self, _: i64, _: u64, ended: Ended) -> Result<(), Cause> {
        assert_eq!(ended, Ended::Finished);
        Ok(())
    }
}

/// A complementary matrix of n actions.
fn matrix(n: usize) -> Vec<Vec<f64>> {
    let entry = |i: usize, j: usize| 0.05 + 0.9 * (((i * 7919 + j * 104_729 + 13) * 31 % 1009) as f64 / 1009.0);
    let value = |i: usize, j: usize| match i.cmp(&j) {
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => entry(i, j),
        std::cmp::Ordering::Greater => 1.0 - entry(j, i),
    };
    (0..n).map(|i| (0..n).map(|j| value(i, j)).collect()).collect()
}

struct Case {
    path: ComputePath,
    device: String,
    threads: u32,
    runs: i64,
    n: usize,
    steps: u64,
    gradient: &'static str,
}

fn plan(case: &Case) -> GroupPlan {
    let n = case.n;
    let training = serde_json::json!({
        "name": "stackelberg-gda", "steps": case.steps, "gradient": case.gradient, "preconditioner": "none",
        "optimizer": "sgd", "num_generations": 4, "score_baseline": { "kind": "constant", "value": 0.5 },
        "initial": { "logit_scale": 1.0 },
    });
    let run = |run: i64| {
        serde_json::json!({
            "run": run, "game": 0, "seed": run, "method": training,
            "temperatures": { "tau_leader": 0.1, "tau_follower": 0.1, "tau_nash": 0.1, "tau_rlhf": 0.1 },
            "schedule": {
                "realisation": "learning_rate_ratio", "kappa": { "kind": "constant", "value": 5.0 },
                "learning_rate": { "kind": "constant", "value": 0.5 },
            },
        })
    };
    let action = |i: usize| serde_json::json!({ "name": format!("a{i}"), "text": "", "metadata": {} });
    let judge = serde_json::json!({
        "plugin": { "name": "table", "path": "", "sha256": "", "parameters": {}, "limits": {} }, "on_failure": "abort",
    });
    let plan = serde_json::json!({
        "device": { "name": case.device, "threads": case.threads, "path": case.path, "precision": "f64" },
        "evaluation_every": 0, "checkpoint_every": 0,
        "games": [{
            "prompt": "", "metadata": {}, "judge": judge, "actions": (0..n).map(action).collect::<Vec<_>>(),
            "reference_leader": vec![1.0 / n as f64; n], "reference_follower": vec![vec![1.0 / n as f64; n]; n],
        }],
        "runs": (0..case.runs).map(run).collect::<Vec<_>>(),
    });
    serde_json::from_value(plan).unwrap_or_else(|error| unreachable!("the plan is valid: {error}"))
}

fn train(case: &Case) {
    let group = plan(case);
    let matrices: Vec<_> = PreferenceMatrix::from_rows(&matrix(case.n)).into_iter().collect();
    let training = Training::new(&group, &matrices, BTreeMap::new()).map(|mut training| training.train(&mut Deaf));
    assert!(matches!(training, Ok(Ok(()))), "training works");
}

fn paths(criterion: &mut Criterion) {
    let device = std::env::var("SLHF_BENCH_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let mut group = criterion.benchmark_group("game_training");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    // (actions, runs, steps): the game; small games; single runs; large games, where a tensor has work to do.
    let shapes = [(10, 1000, 200), (3, 1000, 500), (10, 1, 20_000), (30, 100, 200), (100, 10, 200), (300, 1, 100)];
    for gradient in ["exact", "sampled"] {
        for (n, runs, steps) in shapes {
            group.throughput(Throughput::Elements(runs as u64 * steps));
            for (path, threads) in
                [(ComputePath::Scalar, 1), (ComputePath::Scalar, 2), (ComputePath::Tensor, 1), (ComputePath::Tensor, 2)]
            {
                let device = if path == ComputePath::Tensor { device.clone() } else { "cpu".to_owned() };
                let name = format!("{gradient}/{path:?} on {device}/{threads} threads");
                let case = Case { path, device, threads, runs, n, steps, gradient };
                tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
                group.bench_function(BenchmarkId::new(name, format!("{runs} runs of {n} actions")), |bencher| {
                    bencher.iter(|| train(&case));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, paths);
criterion_main!(benches);
