//! What a language model costs: decoding, and whole steps of training; beside the Python reference stack where one is.
//!
//! `cargo xtask bench lm` runs it on the model that the experiments use. By hand:
//! `cargo bench --workspace --bench language_model --profile dev -- [MODEL | SHAPE] [options]`, where MODEL is a folder or
//! a GGUF file and SHAPE one of 135m, 0.5b, 1.5b, 8b (random weights).
//!
//! Steps come first, so that their peak of memory is their own. Figures are medians.

#![expect(clippy::print_stdout, reason = "a benchmark prints tables")]

mod breakdown;
mod choose;
mod decode;
mod heads;
mod llama;
mod products;
mod reference;
mod script;
mod step;
mod trees;

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use slhf_plan::ModelPrecision;
use slhf_policy::{
    Agent, Engine, EngineSettings, LoraSettings, PolicyError, Projection, ReadWeights as _, StoredModel, Thinking,
    Tokens, Training, known_shape, random_tensor,
};
use slhf_torch_shim::device_memory;
use tch::{Cuda, Device};

#[derive(Clone, Debug, Parser)]
#[command(about = "Decoding and training steps of a language model, measured")]
struct Options {
    /// A folder, a GGUF file, or a shape with random weights: 135m, 0.5b, 1.5b, 8b.
    #[arg(default_value = "135m")]
    model: String,
    /// `cpu` or `cuda`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads on a CPU.
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Prompts of a step.
    #[arg(long, default_value_t = 8)]
    batch: u32,
    /// Tokens of a prompt.
    #[arg(long, default_value_t = 64)]
    prompt_tokens: u32,
    /// Tokens of each answer, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128])]
    new_tokens: Vec<u32>,
    /// Batches to decode.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 128])]
    decode: Vec<u32>,
    /// Measurements of each kind.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// A Python with torch, transformers and peft: the reference stack runs in the same go.
    #[arg(long, env = "SLHF_LAB_PYTHON")]
    python: Option<PathBuf>,
    /// A Python with llama-cpp-python and gguf: llama.cpp decodes in the same go, where MODEL is a GGUF file.
    #[arg(long, env = "SLHF_LAB_LLAMA_PYTHON")]
    llama_python: Option<PathBuf>,
    /// Of weights and activations: `f32` on a CPU and `bf16` on CUDA where nothing is said.
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// The device's own peak of products, to say what part of it training reaches.
    #[arg(long)]
    peak_tflops: Option<f64>,
    /// How weights lie in memory for decoding.
    #[arg(long, value_enum, default_value_t = Weights::Packed)]
    weights: Weights,
    /// Only this part.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// What cargo gives to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// See `model.weights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Weights {
    /// As the file packs them.
    Packed,
    /// Unpacked.
    F32,
}

/// See `device.precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Precision {
    F32,
    Bf16,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Products with packed weights, and the sampler.
    Products,
    /// Where the time of a training pass goes, operator by operator.
    Breakdown,
    /// Whole steps.
    Step,
    /// Decoding.
    Decode,
    /// What a judge asks.
    Choose,
    /// A committee of reward heads.
    Heads,
    /// Steps on closed sets of answers.
    Trees,
}

impl Options {
    fn device(&self) -> Device {
        if self.device == "cuda" { Device::Cuda(0) } else { Device::Cpu }
    }

    fn precision(&self) -> ModelPrecision {
        match (self.precision, self.device()) {
            (Some(Precision::F32), _) | (None, Device::Cpu) => ModelPrecision::F32,
            (Some(Precision::Bf16) | None, _) => ModelPrecision::Bf16,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    tch::set_num_threads(i32::try_from(options.threads)?);
    match options.only {
        Some(Part::Heads) => return heads::measure(&options),
        Some(Part::Products) => return products::measure(&options),
        _ => {}
    }
    let (engine, tokens) = load(&options)?;
    println!(
        "{} on {}, {} threads; {} prompts of {} tokens a step, medians of {}",
        options.model, options.device, options.threads, options.batch, options.prompt_tokens, options.repeats
    );
    if options.only == Some(Part::Decode) {
        let mut engine = engine;
        let rates = decode::measure(&mut engine, &options)?;
        return options.llama_python.as_ref().map_or(Ok(()), |python| llama::compare(python, &options, &rates));
    }
    if options.only == Some(Part::Choose) {
        let mut engine = engine;
        return choose::measure(&mut engine, &options);
    }
    if options.only == Some(Part::Trees) {
        let mut engine = engine;
        return trees::measure(&mut engine, &options);
    }
    let mut bench = step::Bench::new(engine, tokens, &options)?;
    if options.only == Some(Part::Breakdown) {
        return options.new_tokens.iter().try_for_each(|&new| breakdown::measure(&mut bench, &options, new));
    }
    let mut steps = Vec::new();
    for &new_tokens in &options.new_tokens {
        let found = step::measure(&mut bench, &options, new_tokens)?;
        steps.push(found);
    }
    if options.only == Some(Part::Step) {
        return Ok(());
    }
    let mut engine = bench.into_engine();
    let rates = decode::measure(&mut engine, &options)?;
    if let Some(python) = &options.llama_python {
        llama::compare(python, &options, &rates)?;
    }
    choose::measure(&mut engine, &options)?;
    trees::measure(&mut engine, &options)?;
    drop(engine);
    heads::measure(&options)?;
    if let Some(python) = &options.python {
        reference::compare(python, &options, &steps, &rates)?;
    } else {
        println!("the Python reference stack is left out: SLHF_LAB_PYTHON names no Python with transformers and peft");
    }
    Ok(())
}

/// `LoRA` of rank 16 on every linear layer, as the reference script has it. Answers never end early.
fn load(options: &Options) -> Result<(Engine, Option<Tokens>), PolicyError> {
    let device = options.device();
    let precision = options.precision();
    let targets = Projection::ALL.to_vec();
    let settings = EngineSettings {
        device,
        precision,
        activation_checkpointing: false,
        training: Some(Training::Lora(LoraSettings { rank: 16, alpha: 32.0, dropout: 0.0, targets })),
        agents: vec![Agent::Shared],
        seed: 1,
    };
    let (mut engine, tokens) = if let Some(config) = known_shape(&options.model) {
        tch::manual_seed(1);
        let shape = config.clone();
        (Engine::load(config, settings, &mut |name| random_tensor(&shape, name, 0.02))?, None)
    } else {
        let mut model = StoredModel::open(Path::new(&options.model))?;
        let tokens = model.tokens(Thinking::Off)?;
        let mut weights = model.weights(precision)?;
        let config = model.config().clone();
        let mut engine = Engine::load(config, settings, &mut |name| weights.take(name))?;
        if options.weights == Weights::Packed && precision == ModelPrecision::F32 {
            engine.pack(&mut model)?;
        }
        (engine, Some(tokens))
    };
    engine.set_end_tokens(vec![]);
    Ok((engine, tokens))
}

fn synchronise(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(i64::try_from(index).unwrap_or(0));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Largest resident set so far, or on CUDA the most that tensors took; 0 where nobody says.
fn peak_bytes(device: Device) -> u64 {
    if let Ok(Some(memory)) = device_memory(device) {
        return memory.peak_allocated_bytes;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
