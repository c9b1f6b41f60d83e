//! Tiny engines.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slhf_plan::{ModelPrecision, PairScores, PairWeights, Sampling, TokenWeights};
use slhf_policy::{
    Agent, Engine, EngineSettings, GenerateRow, Generated, LoraSettings, ModelConfig, PassSettings, PolicyError,
    Projection, ReadWeights as _, StoredModel, Supports, Training, TrainingPair,
};
use slhf_random::{Purpose, Row, Stream};
use tch::{Device, Kind, Tensor};

pub(crate) const FAMILIES: [&str; 7] =
    ["llama-tied", "llama-scaled", "llama-bias", "qwen2", "qwen3", "gemma3", "gemma3-pattern"];

pub(crate) fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn lora(dropout: f64) -> Training {
    Training::Lora(LoraSettings { rank: 4, alpha: 8.0, dropout, targets: Projection::ALL.to_vec() })
}

pub(crate) fn settings(training: Option<Training>, agents: &[Agent]) -> EngineSettings {
    EngineSettings {
        device: Device::Cpu,
        precision: ModelPrecision::F32,
        activation_checkpointing: false,
        training,
        agents: agents.to_vec(),
        seed: 5,
    }
}

pub(crate) fn engine(name: &str, settings: EngineSettings) -> Engine {
    let mut model = StoredModel::open(&fixture(name)).unwrap();
    let config: ModelConfig = model.config().clone();
    let mut weights = model.weights(settings.precision).unwrap();
    Engine::load(config, settings, &mut |name| weights.take(name)).unwrap()
}

/// An engine whose adapters do something: B is drawn, too, each agent's differently.
pub(crate) fn trained(name: &str, settings: EngineSettings) -> Engine {
    let mut engine = engine(name, settings);
    disturb(&mut engine);
    engine
}

/// As [`trained`], its weights as the file has them.
pub(crate) fn packed(name: &str, settings: EngineSettings) -> Engine {
    let mut stored = StoredModel::open(&fixture(name)).unwrap();
    let mut engine = engine(name, settings);
    let unpacked = engine.bytes_of_a_step();
    assert!(engine.pack(&mut stored).unwrap(), "{name}");
    // Fewer where they are stored in 16 bits; more where rows are filled up to whole blocks.
    assert_ne!(engine.bytes_of_a_step(), unpacked, "{name}");
    disturb(&mut engine);
    engine
}

pub(crate) fn disturb(engine: &mut Engine) {
    if let Some(parameters) = engine.parameters_mut() {
        for (index, parameter) in parameters.iter_mut().enumerate().filter(|(_, p)| p.name.contains("lora_B")) {
            let count = parameter.tensor.numel();
            let values: Vec<f32> = (0..count).map(|i| (((i * 37 + index * 101) % 41) as f32 - 20.0) / 200.0).collect();
            parameter.assign(&Tensor::from_slice(&values).view(parameter.tensor.size().as_slice())).unwrap();
        }
    }
    engine.parameters_changed();
}

pub(crate) fn row(prompt: u32, context: &[u32]) -> GenerateRow {
    let row = Row { purpose: Purpose::RequestedTokens, prompt, step: 0, stream: Stream::Leader, round: 0, sample: 0 };
    GenerateRow { context: context.to_vec(), row }
}

/// Contexts of different lengths.
pub(crate) fn contexts() -> Vec<Vec<u32>> {
    (0..4_u32).map(|row| (0..3 + 4 * row).map(|at| 3 + (row * 71 + at * 29) % 290).collect()).collect()
}

pub(crate) fn sampling(temperature: f64) -> Sampling {
    Sampling { temperature, top_k: 0, top_p: 1.0, max_new_tokens: 9 }
}

pub(crate) fn pass_settings() -> PassSettings {
    PassSettings {
        temperature: 0.7,
        exact_kl: true,
        follower_reference: slhf_plan::FollowerReference::Context,
        step: 3,
        micro_batch: 1,
    }
}

/// Three pairs of different lengths, the last one without a Follower where `alone`.
pub(crate) fn pairs(alone: bool) -> Vec<TrainingPair> {
    let tokens = |seed: u32, count: u32| -> Vec<u32> { (0..count).map(|at| 3 + (seed * 53 + at * 31) % 290).collect() };
    (0..3)
        .map(|index| TrainingPair {
            prompt: tokens(index, 4 + 3 * index),
            leader: tokens(index + 10, 6 - index),
            follow_up: tokens(index + 20, 3),
            follower: (!alone || index < 2).then(|| tokens(index + 30, 3 + 2 * index)),
            supports: Supports::default(),
        })
        .collect()
}

/// Weights that differ from token to token.
#[expect(clippy::unnecessary_wraps, reason = "what a pass calls returns a result")]
pub(crate) fn weigh(scores: &[PairScores]) -> Result<Vec<PairWeights>, PolicyError> {
    let of = |tokens: usize, sign: f64, exact: bool| TokenWeights {
        score: (0..tokens).map(|t| sign * (0.3 - 0.1 * t as f64)).collect(),
        exact_kl: if exact { (0..tokens).map(|t| 0.2 + 0.05 * t as f64).collect() } else { vec![] },
    };
    Ok(scores
        .iter()
        .map(|pair| PairWeights {
            leader: of(pair.leader.policy.len(), 1.0, !pair.leader.exact_kl.is_empty()),
            follower: pair.follower.as_ref().map(|f| of(f.policy.len(), -1.0, !f.exact_kl.is_empty())),
        })
        .collect())
}

/// Dropout draws from libtorch's one generator, which is seeded anew before each layer: one pass at a time.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Until it is dropped no other test's pass runs.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One pass; what was found, and every gradient by agent and name.
pub(crate) fn run(
    engine: &mut Engine,
    pairs: &[TrainingPair],
    settings: &PassSettings,
) -> (Vec<PairScores>, Vec<(Agent, String, Tensor)>) {
    let _alone = alone();
    let mut found = Vec::new();
    engine
        .pass(pairs, settings, &mut |scores: &[PairScores]| {
            found = scores.to_vec();
            weigh(scores)
        })
        .unwrap();
    (found, gradients(engine))
}

pub(crate) fn gradients(engine: &mut Engine) -> Vec<(Agent, String, Tensor)> {
    let parameters = engine.parameters_mut().unwrap();
    let gradient =
        |tensor: Option<Tensor>| tensor.map_or_else(|| Tensor::zeros([1], (Kind::Float, Device::Cpu)), |t| t.copy());
    let list = parameters.iter().map(|p| (p.agent, p.name.clone(), gradient(p.gradient()))).collect();
    parameters.clear_gradients().unwrap();
    list
}

/// Every gradient agrees relative to its largest number.
pub(crate) fn assert_gradients(
    found: &[(Agent, String, Tensor)],
    expected: &[(Agent, String, Tensor)],
    tolerance: f64,
) {
    assert_eq!(found.len(), expected.len());
    for ((agent, name, found), (_, _, expected)) in found.iter().zip(expected) {
        let largest = expected.abs().max().double_value(&[]);
        let error = (found - expected).abs().max().double_value(&[]);
        assert!(largest > 0.0, "{agent:?} {name} has no gradient");
        assert!(error <= tolerance * largest, "{agent:?} {name}: {error} of {largest}");
    }
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
    }
}

/// What was said, without how likely it was: rounding depends on who is answered beside.
pub(crate) fn said(answers: &[Generated]) -> Vec<(&[u32], bool)> {
    answers.iter().map(|answer| (&answer.tokens[..], answer.finished)).collect()
}
