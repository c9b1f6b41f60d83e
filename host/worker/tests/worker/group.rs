//! Small groups on shipped plugins.

use slhf_plan::{
    ActionPlan, CheckpointKeep, ComputePath, ControlVariate, Curve, DevicePlan, GamePlan, GamePlayers, GameRunPlan,
    GameTraining, Gradient, GroupPlan, InitialPolicy, JudgePlan, Kappa, Limits, Method, OnFailure, Optimizer,
    PluginPlan, Precision, Preconditioner, Realisation, Schedule, StackelbergGda, Temperatures,
};

use crate::lab;

/// A plugin as the lab would resolve it.
pub(crate) fn plugin(name: &str, parameters: serde_json::Value) -> PluginPlan {
    let path = lab::plugin(name);
    let bytes = std::fs::read(&path).expect("a plugin");
    PluginPlan {
        name: name.to_owned(),
        path: path.display().to_string(),
        sha256: slhf_files::sha256_hex(&bytes),
        parameters,
        limits: Limits::default(),
        upstream: None,
        models: std::collections::BTreeMap::new(),
    }
}

/// An asymmetric cycle, judged by `table`.
pub(crate) fn cycle() -> GamePlan {
    let names = ["rock", "paper", "scissors"];
    let preferences = serde_json::json!([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]);
    let action =
        |name: &str| ActionPlan { name: name.to_owned(), text: name.to_owned(), metadata: serde_json::json!({}) };
    GamePlan {
        prompt: String::new(),
        metadata: serde_json::json!({}),
        actions: names.into_iter().map(action).collect(),
        judge: JudgePlan {
            plugin: plugin("table", serde_json::json!({ "actions": names, "preferences": preferences })),
            on_failure: OnFailure::Abort,
        },
        reference_leader: vec![1.0 / 3.0; 3],
        reference_follower: vec![vec![1.0 / 3.0; 3]; 3],
        comparison_counts: None,
    }
}

/// Three runs of StackelbergGDA with exact natural gradients on the cycle.
pub(crate) fn exact(path: ComputePath) -> GroupPlan {
    let training = GameTraining {
        steps: 300,
        gradient: Gradient::Exact,
        preconditioner: Preconditioner::Natural,
        optimizer: Optimizer::Sgd,
        num_generations: 4,
        score_baseline: ControlVariate::Constant { value: 0.5 },
        initial: InitialPolicy { logit_scale: 1.0 },
        reference: None,
    };
    let run = |run: i64| GameRunPlan {
        run,
        game: 0,
        seed: run as u64,
        temperatures: Temperatures { tau_leader: 0.1, tau_follower: 0.1, tau_nash: 0.1, tau_rlhf: 0.1 },
        method: Method::StackelbergGda(StackelbergGda { players: GamePlayers::default(), training: training.clone() }),
        schedule: Schedule {
            realisation: Realisation::LearningRateRatio,
            kappa: Kappa::Constant { value: 5.0 },
            learning_rate: Curve::Constant { value: 0.5 },
            follower_learning_rate: None,
            warmup_steps: 0,
        },
    };
    GroupPlan {
        device: DevicePlan { name: "cpu".to_owned(), threads: 1, path, precision: Precision::F64 },
        evaluation_every: 100,
        target_distance: None,
        checkpoint_every: 120,
        checkpoint_keep: CheckpointKeep::default(),
        games: vec![cycle()],
        runs: (1..=3).map(run).collect(),
    }
}

/// The same with sampled gradients, and the shipped `moving-average` as control variate.
pub(crate) fn sampled(path: ComputePath, steps: u64) -> GroupPlan {
    let mut group = exact(path);
    for run in &mut group.runs {
        let Method::StackelbergGda(method) = &mut run.method else { continue };
        let training = &mut method.training;
        training.steps = steps;
        training.gradient = Gradient::Sampled;
        training.preconditioner = Preconditioner::None;
        training.score_baseline =
            ControlVariate::Plugin { plugin: Box::new(plugin("moving-average", serde_json::json!({}))) };
    }
    group
}

/// Changes the number of steps.
pub(crate) fn with_steps(mut group: GroupPlan, steps: u64) -> GroupPlan {
    for run in &mut group.runs {
        if let Method::StackelbergGda(method) = &mut run.method {
            method.training.steps = steps;
        }
    }
    group
}
