//! Whole steps: a `StackelbergGDA` step, and an RLOO step with two samples a prompt of the same lengths.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use slhf_judge::{CacheLocation, Comparison, Host, HostSettings, Preference};
use slhf_plan::{
    FollowerReference, Limits, ModelOptimizer, PairScores, PairWeights, Passed, PluginPlan, TokenScores, TokenWeights,
};
use slhf_policy::{
    Agent, AgentRate, Engine, Optimizer, OptimizerStep, PassSettings, Player, PolicyError, Supports, Tokens,
    TrainingPair,
};
use slhf_random::Purpose;

use crate::decode::{rows, sampling};
use crate::{Options, median, peak_bytes, synchronise};

/// Tokens of the turn that asks the Follower; as many as the reference script has.
const INSTRUCTION_TOKENS: u32 = 24;

/// Seconds of a step, by phase.
#[derive(Clone, Copy, Debug, Default)]
struct Phases {
    generate: f64,
    judge: f64,
    train: f64,
}

impl Phases {
    fn sum(self) -> f64 {
        self.generate + self.judge + self.train
    }
}

/// Medians of a `StackelbergGDA` step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) new_tokens: u32,
    pub(crate) generate: f64,
    pub(crate) train: f64,
    pub(crate) whole: f64,
    /// Of the process so far.
    pub(crate) peak_bytes: u64,
}

/// What a step needs.
pub(crate) struct Bench {
    engine: Engine,
    optimizer: Optimizer,
    tokens: Option<Tokens>,
    judge: Option<Preference>,
    micro_batch: u32,
}

#[derive(Clone, Copy)]
enum Method {
    StackelbergGda,
    Rloo,
}

impl Bench {
    pub(crate) fn new(engine: Engine, tokens: Option<Tokens>, options: &Options) -> Result<Self, Box<dyn Error>> {
        let parameters = engine.parameters().ok_or("nothing is trained")?;
        let rule = ModelOptimizer::Adamw { adam_beta1: 0.9, adam_beta2: 0.999, adam_epsilon: 1e-8, weight_decay: 0.0 };
        let optimizer = Optimizer::new(rule, parameters)?;
        Ok(Self { engine, optimizer, tokens, judge: judge(options)?, micro_batch: 0 })
    }

    /// Pairs of answers that a `StackelbergGDA` step trains on.
    pub(crate) fn sampled(&mut self, options: &Options, new_tokens: u32) -> Result<Vec<TrainingPair>, PolicyError> {
        self.answers(Method::StackelbergGda, options, new_tokens)
    }

    pub(crate) fn into_engine(mut self) -> Engine {
        self.engine.forget();
        self.engine
    }

    /// Two answers a prompt and what each stands after.
    fn answers(
        &mut self,
        method: Method,
        options: &Options,
        new_tokens: u32,
    ) -> Result<Vec<TrainingPair>, PolicyError> {
        let prompts = rows(options.batch, options.prompt_tokens, Purpose::TrainingTokens);
        let (seed, sampling) = (u64::from(self.micro_batch), sampling(new_tokens));
        let follow_up: Vec<u32> = (0..INSTRUCTION_TOKENS).map(|at| 7 + at * 13).collect();
        match method {
            Method::StackelbergGda => {
                let (leader, _) = self.engine.generate(Player::Leader, &prompts, seed, &sampling)?;
                let mut contexts = prompts.clone();
                for (row, answer) in contexts.iter_mut().zip(&leader) {
                    row.context.extend(answer.tokens.iter().chain(&follow_up));
                    row.row.stream = slhf_random::Stream::Follower;
                }
                let (follower, _) = self.engine.generate(Player::Follower, &contexts, seed, &sampling)?;
                let mut pairs = Vec::new();
                for ((prompt, leader), follower) in prompts.into_iter().zip(leader).zip(follower) {
                    pairs.push(TrainingPair {
                        prompt: prompt.context,
                        leader: leader.tokens,
                        follow_up: follow_up.clone(),
                        follower: Some(follower.tokens),
                        supports: Supports::default(),
                    });
                }
                Ok(pairs)
            }
            Method::Rloo => {
                let mut twice = Vec::new();
                for row in prompts {
                    for sample in 0..2 {
                        let mut row = row.clone();
                        row.row.sample = sample;
                        twice.push(row);
                    }
                }
                let (answers, _) = self.engine.generate(Player::Leader, &twice, seed, &sampling)?;
                let mut pairs = Vec::new();
                for (row, answer) in twice.into_iter().zip(answers) {
                    let (prompt, leader) = (row.context, answer.tokens);
                    pairs.push(TrainingPair {
                        prompt,
                        leader,
                        follow_up: vec![],
                        follower: None,
                        supports: Supports::default(),
                    });
                }
                Ok(pairs)
            }
        }
    }

    /// The two answers of each prompt against each other.
    fn verdicts(&self, pairs: &[TrainingPair]) -> Result<(), Box<dyn Error>> {
        let (Some(judge), Some(tokens)) = (&self.judge, &self.tokens) else { return Ok(()) };
        let mut comparisons = Vec::new();
        let mut texts = Vec::new();
        for pair in pairs {
            for answer in std::iter::once(&pair.leader).chain(&pair.follower) {
                texts.push(tokens.decode(answer)?);
            }
        }
        for both in texts.chunks_exact(2) {
            comparisons.push(Comparison::from_texts("Why is the sky blue?", both[0].as_str(), both[1].as_str()));
        }
        judge.compare(&comparisons)?;
        Ok(())
    }

    /// A pass and the optimizer's step.
    pub(crate) fn train(&mut self, pairs: &[TrainingPair]) -> Result<Passed, PolicyError> {
        let settings = PassSettings {
            temperature: 1.0,
            exact_kl: false,
            follower_reference: FollowerReference::Context,
            step: 0,
            micro_batch: self.micro_batch,
        };
        // Score and KL penalty of every token, as the methods give them.
        let weights = |answer: &TokenScores, sign: f64| TokenWeights {
            score: answer.policy.iter().zip(&answer.reference).map(|(p, r)| sign * 0.1 + 0.001 * (p - r)).collect(),
            exact_kl: vec![],
        };
        let passed = self.engine.pass::<PolicyError>(pairs, &settings, &mut |scores: &[PairScores]| {
            let pair = |pair: &PairScores| PairWeights {
                leader: weights(&pair.leader, 1.0),
                follower: pair.follower.as_ref().map(|follower| weights(follower, -1.0)),
            };
            Ok(scores.iter().map(pair).collect())
        })?;
        let rates = [AgentRate { agent: Agent::Shared, learning_rate: 1e-5 }];
        if let Some(parameters) = self.engine.parameters_mut() {
            self.optimizer.step(parameters, &OptimizerStep { rates: &rates, max_grad_norm: 1.0 })?;
        }
        self.engine.parameters_changed();
        Ok(passed)
    }

    fn step(&mut self, method: Method, options: &Options, new_tokens: u32) -> Result<(Phases, Passed), Box<dyn Error>> {
        self.micro_batch += 1;
        let device = self.engine.device();
        let start = Instant::now();
        let pairs = self.answers(method, options, new_tokens)?;
        synchronise(device);
        let generated = start.elapsed().as_secs_f64();
        self.verdicts(&pairs)?;
        let judged = start.elapsed().as_secs_f64();
        let passed = self.train(&pairs)?;
        synchronise(device);
        let trained = start.elapsed().as_secs_f64();
        Ok((Phases { generate: generated, judge: judged - generated, train: trained - judged }, passed))
    }
}

/// The brevity judge as `cargo xtask guests` builds it; none where it is not built, or for random weights, which have no
/// text.
fn judge(options: &Options) -> Result<Option<Preference>, Box<dyn Error>> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("plugins").join("brevity.wasm");
    if !path.is_file() || slhf_policy::known_shape(&options.model).is_some() {
        println!("no judge: {} is not there, or the weights are random", path.display());
        return Ok(None);
    }
    let plan = PluginPlan {
        name: "brevity".to_owned(),
        path: path.display().to_string(),
        sha256: String::new(),
        parameters: serde_json::json!({}),
        limits: Limits::default(),
        upstream: None,
        models: std::collections::BTreeMap::new(),
    };
    let threads = NonZeroUsize::MIN;
    let host = Host::new(HostSettings { cache: CacheLocation::Off, threads, ..HostSettings::default() })?;
    Ok(Some(host.preference(&plan)?))
}

/// The two methods in turn, after one step of each that is not counted.
pub(crate) fn measure(bench: &mut Bench, options: &Options, new_tokens: u32) -> Result<Step, Box<dyn Error>> {
    println!("\na step with answers of {new_tokens} tokens");
    bench.step(Method::StackelbergGda, options, new_tokens)?;
    let peak = peak_bytes(bench.engine.device());
    bench.step(Method::Rloo, options, new_tokens)?;
    let (mut stackelberg, mut rloo) = (Vec::new(), Vec::new());
    let mut operations = 0.0;
    for _ in 0..options.repeats {
        let (phases, passed) = bench.step(Method::StackelbergGda, options, new_tokens)?;
        operations = passed.operations;
        stackelberg.push(phases);
        rloo.push(bench.step(Method::Rloo, options, new_tokens)?.0);
    }
    let of = |list: &[Phases], what: fn(&Phases) -> f64| median(list.iter().map(what).collect());
    let whole = |list: &[Phases]| of(list, |phases| phases.sum());
    for (name, list) in [("stackelberg-gda", &stackelberg), ("rloo, 2 samples", &rloo)] {
        println!(
            "  {name:15}: {:7.3} s (generate {:.3}, judge {:.4}, train {:.3})",
            whole(list),
            of(list, |phases| phases.generate),
            of(list, |phases| phases.judge),
            of(list, |phases| phases.train),
        );
    }
    let train = of(&stackelberg, |phases| phases.train);
    println!(
        "  stackelberg-gda / rloo: {:.2}; training at {:.1} GFLOP/s; peak memory after the first step {:.0} MB",
        whole(&stackelberg) / whole(&rloo),
        operations / train / 1e9,
        peak as f64 / 1e6,
    );
    if let Some(peak) = options.peak_tflops {
        println!("  training at {:.1} % of the peak of {peak} TFLOP/s (MFU)", operations / train / peak / 1e10);
    }
    Ok(Step {
        new_tokens,
        generate: of(&stackelberg, |phases| phases.generate),
        train,
        whole: whole(&stackelberg),
        peak_bytes: peak,
    })
}
