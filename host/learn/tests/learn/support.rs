//! Plans and an observer that keeps everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use slhf_game::PreferenceMatrix;
use slhf_learn::{Cause, Ended, FinalPolicy, Measurement, Observer, RunState, Training};
use slhf_plan::{
    ActionPlan, CheckpointKeep, ComputePath, ControlVariate, Curve, DevicePlan, GamePlan, GamePlayers, GameRunPlan,
    GameTraining, Gradient, GroupPlan, InitialPolicy, JudgePlan, Kappa, Limits, Method, NashMd, NashMdOnGames,
    OnFailure, Optimizer, PairDistribution, PluginPlan, Precision, Preconditioner, Realisation, Rlhf, Schedule,
    ScheduleRow, StackelbergGda, Temperatures,
};

/// An asymmetric Condorcet cycle: no action is like another, and nothing is at its solution from the start.
pub(crate) const CYCLE: [[f64; 3]; 3] = [[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]];

/// A judge that is not complementary.
pub(crate) const LOPSIDED: [[f64; 3]; 3] = [[0.5, 0.7, 0.4], [0.1, 0.6, 0.9], [0.9, 0.3, 0.5]];

/// n actions with a pseudo-random complementary matrix.
pub(crate) fn matrix(n: usize) -> Vec<Vec<f64>> {
    let entry = |i: usize, j: usize| {
        let hash = (i * 7919 + j * 104_729 + 13) * 2_654_435_761 % 1_000_003;
        0.05 + 0.9 * (hash as f64 / 1_000_003.0)
    };
    let value = |i: usize, j: usize| match i.cmp(&j) {
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => entry(i, j),
        std::cmp::Ordering::Greater => 1.0 - entry(j, i),
    };
    (0..n).map(|i| (0..n).map(|j| value(i, j)).collect()).collect()
}

/// A group under construction; change its fields, then [`Setup::plan`].
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) matrix: Vec<Vec<f64>>,
    pub(crate) reference_leader: Option<Vec<f64>>,
    pub(crate) reference_follower: Option<Vec<Vec<f64>>>,
    pub(crate) tau: f64,
    pub(crate) path: ComputePath,
    pub(crate) precision: Precision,
    pub(crate) threads: u32,
    pub(crate) seeds: Vec<u64>,
    pub(crate) evaluation_every: u64,
    pub(crate) target_distance: Option<f64>,
    pub(crate) checkpoint_every: u64,
    pub(crate) training: GameTraining,
    pub(crate) schedule: Schedule,
    pub(crate) method: Name,
}

/// Which method, with what it alone has.
#[derive(Clone)]
pub(crate) enum Name {
    Stackelberg,
    NashMd(Curve),
    Rlhf(PairDistribution),
    /// Any other.
    Own(Arc<dyn Fn(GameTraining) -> Method>),
}

/// A method with one policy beside Nash-MD and RLHF.
pub(crate) fn own(method: impl Fn(GameTraining) -> Method + 'static) -> Name {
    Name::Own(Arc::new(method))
}

pub(crate) fn constant(value: f64) -> Curve {
    Curve::Constant { value }
}

impl Setup {
    /// Plain exact StackelbergGDA on the cycle at τ = 0.1, on the scalar path.
    pub(crate) fn new() -> Self {
        Self {
            matrix: CYCLE.iter().map(|row| row.to_vec()).collect(),
            reference_leader: None,
            reference_follower: None,
            tau: 0.1,
            path: ComputePath::Scalar,
            precision: Precision::F64,
            threads: 1,
            seeds: vec![1],
            evaluation_every: 0,
            target_distance: None,
            checkpoint_every: 0,
            training: GameTraining {
                steps: 100,
                gradient: Gradient::Exact,
                preconditioner: Preconditioner::None,
                optimizer: Optimizer::Sgd,
                num_generations: 4,
                score_baseline: ControlVariate::Constant { value: 0.5 },
                initial: InitialPolicy { logit_scale: 1.0 },
                reference: None,
            },
            schedule: Schedule {
                realisation: Realisation::LearningRateRatio,
                kappa: Kappa::Constant { value: 5.0 },
                learning_rate: constant(0.5),
                follower_learning_rate: None,
                warmup_steps: 0,
            },
            method: Name::Stackelberg,
        }
    }

    pub(crate) fn method(&self) -> Method {
        let training = self.training.clone();
        match &self.method {
            Name::Stackelberg => Method::StackelbergGda(StackelbergGda { players: GamePlayers::default(), training }),
            Name::NashMd(mixture_coef) => {
                Method::NashMd(NashMd { mixture_coef: *mixture_coef, own: NashMdOnGames::default(), training })
            }
            Name::Rlhf(pairs) => Method::Rlhf(Rlhf { pairs: pairs.clone(), training }),
            Name::Own(method) => method(training),
        }
    }

    pub(crate) fn plan(&self) -> GroupPlan {
        let n = self.matrix.len();
        let uniform = vec![1.0 / n as f64; n];
        let temperatures = Temperatures {
            tau_leader: self.tau,
            tau_follower: self.tau,
            tau_nash: self.tau,
            tau_rlhf: self.tau.max(0.01),
        };
        let run = |(run, &seed): (i64, &u64)| GameRunPlan {
            run,
            game: 0,
            seed,
            temperatures,
            method: self.method(),
            schedule: self.schedule,
        };
        let actions = (0..n).map(|i| ActionPlan {
            name: format!("a{i}"),
            text: format!("a{i}"),
            metadata: serde_json::json!({}),
        });
        GroupPlan {
            device: DevicePlan {
                name: "cpu".to_owned(),
                threads: self.threads,
                path: self.path,
                precision: self.precision,
            },
            evaluation_every: self.evaluation_every,
            target_distance: self.target_distance,
            checkpoint_every: self.checkpoint_every,
            checkpoint_keep: CheckpointKeep::default(),
            games: vec![GamePlan {
                prompt: String::new(),
                metadata: serde_json::json!({}),
                actions: actions.collect(),
                judge: judge(),
                reference_leader: self.reference_leader.clone().unwrap_or_else(|| uniform.clone()),
                reference_follower: self.reference_follower.clone().unwrap_or_else(|| vec![uniform; n]),
                comparison_counts: None,
            }],
            runs: (10..).zip(&self.seeds).map(run).collect(),
        }
    }

    pub(crate) fn matrices(&self) -> Vec<PreferenceMatrix> {
        vec![PreferenceMatrix::from_rows(&self.matrix).unwrap()]
    }

    /// Trains to the end.
    pub(crate) fn train(&self) -> Seen {
        let mut seen = Seen::default();
        Training::new(&self.plan(), &self.matrices(), BTreeMap::new()).unwrap().train(&mut seen).unwrap();
        seen
    }

    /// The state of the first run after `steps` steps.
    pub(crate) fn after(&self, steps: u64) -> RunState {
        let mut setup = self.clone();
        setup.training.steps = steps;
        setup.train().state(10)
    }
}

/// A judge that is never asked: these tests hand the matrix over.
pub(crate) fn judge() -> JudgePlan {
    JudgePlan {
        plugin: PluginPlan {
            name: "table".to_owned(),
            path: "table.wasm".to_owned(),
            sha256: String::new(),
            parameters: serde_json::json!({}),
            limits: Limits::default(),
            upstream: None,
            models: BTreeMap::new(),
        },
        on_failure: OnFailure::Abort,
    }
}

/// The states of runs, as a checkpoint has them.
type States = Vec<(i64, Vec<u8>)>;

/// Everything that a group told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) metrics: BTreeMap<(i64, u64), Measurement>,
    pub(crate) schedules: Vec<ScheduleRow>,
    pub(crate) policies: BTreeMap<i64, FinalPolicy>,
    /// The Leader's policy on the way, with its steps.
    pub(crate) paths: BTreeMap<i64, Vec<(u64, Vec<f64>)>>,
    pub(crate) checkpoints: Vec<(u64, States)>,
    pub(crate) ended: BTreeMap<i64, (u64, Ended)>,
    pub(crate) progress: u64,
    /// Ask to stop once the progress is there.
    pub(crate) stop_at: Option<u64>,
}

impl Seen {
    pub(crate) fn metric(&self, run: i64, step: u64, key: &str) -> f64 {
        let measurement = &self.metrics[&(run, step)];
        let index = measurement.keys.iter().position(|known| known.name() == key).unwrap_or_else(|| panic!("no {key}"));
        measurement.values[index]
    }

    /// The metric at the run's last step.
    pub(crate) fn last(&self, run: i64, key: &str) -> f64 {
        self.metric(run, self.ended[&run].0, key)
    }

    /// The bytes of the run's last checkpoint.
    pub(crate) fn bytes(&self, run: i64) -> Vec<u8> {
        let states = self.checkpoints.iter().rev().flat_map(|(_, states)| states);
        states.clone().find(|(own, _)| *own == run).map(|(_, bytes)| bytes.clone()).unwrap()
    }

    pub(crate) fn state(&self, run: i64) -> RunState {
        RunState::from_bytes(run, &self.bytes(run)).unwrap()
    }
}

impl Observer for Seen {
    fn stop_requested(&self) -> bool {
        self.stop_at.is_some_and(|at| self.progress >= at)
    }

    fn metrics(&mut self, run: i64, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        assert!(self.metrics.insert((run, step), measurement.clone()).is_none(), "told twice");
        Ok(())
    }

    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause> {
        self.schedules.push(row);
        Ok(())
    }

    fn leader(&mut self, run: i64, step: u64, probabilities: &[f64]) -> Result<(), Cause> {
        self.paths.entry(run).or_default().push((step, probabilities.to_vec()));
        Ok(())
    }

    fn final_policy(&mut self, run: i64, _step: u64, policy: &FinalPolicy) -> Result<(), Cause> {
        self.policies.insert(run, policy.clone());
        Ok(())
    }

    fn checkpoint(&mut self, step: u64, states: &[(i64, Vec<u8>)]) -> Result<(), Cause> {
        self.checkpoints.push((step, states.to_vec()));
        Ok(())
    }

    fn progress(&mut self, run_steps_done: u64) -> Result<(), Cause> {
        assert!(run_steps_done >= self.progress, "progress went back");
        self.progress = run_steps_done;
        Ok(())
    }

    fn ended(&mut self, run: i64, step: u64, ended: Ended) -> Result<(), Cause> {
        assert!(self.ended.insert(run, (step, ended)).is_none(), "a run ended twice");
        Ok(())
    }
}
