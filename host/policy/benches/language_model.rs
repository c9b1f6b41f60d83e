//! Decode, prefill and one training pass of a language model, with the memory bandwidth of the same machine in the same
//! run: `cargo bench -p slhf-policy --bench language_model -- [MODEL | SHAPE] [device] [threads] [batches]`. MODEL is a
//! folder or a GGUF file, SHAPE one of 135m, 0.5b, 1.5b, 8b (random weights).

#![expect(clippy::print_stdout, reason = "a benchmark prints a table")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use slhf_plan::{FollowerReference, ModelPrecision, Sampling};
use slhf_policy::{
    Agent, AnswerWeights, Engine, EngineSettings, GenerateRow, LoraSettings, PairScores, PairWeights, PassSettings,
    Player, PolicyError, Projection, StoredModel, Training, TrainingPair, known_shape, random_tensor,
};
use slhf_random::{Purpose, Row};
use tch::{Cuda, Device, Kind, Tensor, no_grad};

const NEW_TOKENS: u32 = 32;
const PROMPT_TOKENS: u32 = 64;
const REPEATS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let name = arguments.next().unwrap_or_else(|| "135m".to_owned());
    let device = match arguments.next().as_deref() {
        Some("cuda") => Device::Cuda(0),
        _ => Device::Cpu,
    };
    let threads: i32 = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let batches = arguments.next().unwrap_or_else(|| "1,8,32,128".to_owned());
    tch::set_num_threads(threads);
    let mut engine = load(&name, device)?;
    engine.set_end_tokens(vec![]);
    let bandwidth = bandwidth(device)?;
    println!("{name} on {device:?}, {threads} threads: memory reads {bandwidth:.1} GB/s");
    for batch in batches.split(',') {
        decode(&mut engine, batch.parse()?, bandwidth)?;
    }
    for batch in [1, 4, 8] {
        train(&mut engine, batch)?;
    }
    println!("peak memory: {:.0} MB", peak_bytes() as f64 / 1e6);
    Ok(())
}

fn load(name: &str, device: Device) -> Result<Engine, PolicyError> {
    let precision = if device == Device::Cpu { ModelPrecision::F32 } else { ModelPrecision::Bf16 };
    let targets = Projection::ALL.to_vec();
    let settings = EngineSettings {
        device,
        precision,
        activation_checkpointing: false,
        training: Some(Training::Lora(LoraSettings { rank: 16, alpha: 32.0, dropout: 0.0, targets })),
        agents: vec![Agent::Shared],
        seed: 1,
    };
    if let Some(config) = known_shape(name) {
        tch::manual_seed(1);
        let shape = config.clone();
        return Engine::load(config, settings, &mut |name| random_tensor(&shape, name, 0.02));
    }
    let mut model = StoredModel::open(Path::new(name))?;
    let config = model.config().clone();
    let mut weights = model.weights(precision)?;
    Engine::load(config, settings, &mut |name| weights.take(name))
}

/// Bytes read a second, in 10⁹: the sum of a tensor much larger than any cache.
fn bandwidth(device: Device) -> Result<f64, tch::TchError> {
    let numbers: i64 = 1 << 27;
    let tensor = Tensor::f_ones([numbers], (Kind::Float, device))?;
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let start = Instant::now();
        let _ = no_grad(|| tensor.f_sum(Kind::Float))?.f_double_value(&[])?;
        best = best.max(numbers as f64 * 4.0 / start.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}

fn rows(count: u32) -> Vec<GenerateRow> {
    (0..count)
        .map(|prompt| GenerateRow {
            context: (0..PROMPT_TOKENS).map(|at| 5 + (prompt * 37 + at * 11) % 5000).collect(),
            row: Row { purpose: Purpose::RequestedTokens, prompt, step: 0, role: 0, round: 0, sample: 0 },
        })
        .collect()
}

fn decode(engine: &mut Engine, batch: u32, bandwidth: f64) -> Result<(), Box<dyn Error>> {
    let sampling = |max_new_tokens| Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens };
    let rows = rows(batch);
    let (mut prefills, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let mut seconds = [0.0; 2];
        for (which, new) in [1, 1 + NEW_TOKENS].into_iter().enumerate() {
            engine.generate(Player::Leader, &rows[..1], 1, &sampling(1))?;
            let start = Instant::now();
            engine.generate(Player::Leader, &rows, 1, &sampling(new))?;
            if let Device::Cuda(index) = engine.device() {
                Cuda::synchronize(i64::try_from(index)?);
            }
            seconds[which] = start.elapsed().as_secs_f64();
        }
        prefills.push(seconds[0]);
        steps.push((seconds[1] - seconds[0]) / f64::from(NEW_TOKENS));
    }
    let (prefill, step) = (median(prefills), median(steps));
    let bytes = engine.bytes_of_a_step() as f64;
    println!(
        "decode, batch {batch:3}: {:8.1} tokens/s, {:7.2} ms a step ({:.2} x the time to read {:.0} MB); prefill of {} tokens: {:.0} ms",
        f64::from(batch) / step,
        step * 1e3,
        step / (bytes / bandwidth / 1e9),
        bytes / 1e6,
        batch * PROMPT_TOKENS,
        prefill * 1e3,
    );
    Ok(())
}

fn train(engine: &mut Engine, batch: u32) -> Result<(), Box<dyn Error>> {
    let tokens =
        |seed: u32, count: u32| -> Vec<u32> { (0..count).map(|at| 5 + (seed * 53 + at * 31) % 5000).collect() };
    let pairs: Vec<TrainingPair> = (0..batch)
        .map(|index| TrainingPair {
            prompt: tokens(index, PROMPT_TOKENS),
            leader: tokens(index + 100, NEW_TOKENS),
            follow_up: tokens(index + 200, 24),
            follower: Some(tokens(index + 300, NEW_TOKENS)),
        })
        .collect();
    let settings = PassSettings {
        temperature: 1.0,
        exact_kl: false,
        follower_reference: FollowerReference::Context,
        step: 0,
        micro_batch: 0,
    };
    let of = |tokens: usize| AnswerWeights { score: vec![0.1; tokens], exact_kl: vec![] };
    let (mut forwards, mut wholes, mut operations) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..REPEATS {
        let start = Instant::now();
        let mut forward = 0.0;
        let passed = engine.pass::<PolicyError>(&pairs, &settings, &mut |scores: &[PairScores]| {
            forward = start.elapsed().as_secs_f64();
            let pair = |pair: &PairScores| PairWeights {
                leader: of(pair.leader.policy.len()),
                follower: pair.follower.as_ref().map(|follower| of(follower.policy.len())),
            };
            Ok(scores.iter().map(pair).collect())
        })?;
        if let Device::Cuda(index) = engine.device() {
            Cuda::synchronize(i64::try_from(index)?);
        }
        forwards.push(forward);
        wholes.push(start.elapsed().as_secs_f64());
        operations = passed.operations;
        if let Some(parameters) = engine.parameters_mut() {
            parameters.clear_gradients()?;
        }
    }
    let (forward, whole) = (median(forwards), median(wholes));
    println!(
        "training pass, {batch} pairs: {:.0} ms (forward and reference {:.0}, backward {:.0}), {:.1} GFLOP/s",
        whole * 1e3,
        forward * 1e3,
        (whole - forward) * 1e3,
        operations / whole / 1e9,
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Largest resident set so far; 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
