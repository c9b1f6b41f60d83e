//! A committee of reward heads: all of its values on one pass of one model, beside a pass a head.

use std::time::Instant;

use slhf_policy::{
    Engine, EngineSettings, HEAD_TENSOR, ModelConfig, Player, PolicyError, ReadWeights as _, RewardHead, StoredModel,
    drawn_head, known_shape, random_tensor,
};
use tch::Tensor;

use crate::{Options, median, synchronise};

/// Heads of the committee, as many as `HelpSteer2` has attributes.
const HEADS: usize = 5;
/// Values that may differ between the two ways.
const TOLERANCE: f64 = 1e-5;

/// Prints both times, and fails where the values are not the same.
pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let (mut committee, mut single) = (load(options, HEADS)?, load(options, 1)?);
    let tokens: Vec<u32> = (0..options.prompt_tokens + 64).map(|at| 10 + at * 37 % 1000).collect();
    let texts: Vec<&[u32]> = (0..options.batch as usize).map(|at| &tokens[at..]).collect();
    let (mut one, mut each) = (Vec::new(), Vec::new());
    for repeat in 0..=options.repeats {
        let (together_s, together) = read(&mut committee, &texts, 1)?;
        // Each of the others takes as long as the first: its model has the same layers.
        let (apart_s, apart) = read(&mut single, &texts, HEADS)?;
        if (together[0] - apart[0]).abs() > TOLERANCE {
            return Err(format!("the first head's value is {} on one pass, {} alone", together[0], apart[0]).into());
        }
        // The first of all warms up.
        if repeat > 0 {
            one.push(together_s);
            each.push(apart_s);
        }
    }
    let (one, each) = (median(one), median(each));
    println!(
        "\n{HEADS} reward heads, {} texts of up to {} tokens: {one:.3} s on one pass, {each:.3} s on a pass a head: {:.2} x",
        texts.len(),
        tokens.len(),
        each / one
    );
    Ok(())
}

/// Seconds of reading each text so many times, and the values of the last.
fn read(engine: &mut Engine, texts: &[&[u32]], times: usize) -> Result<(f64, Vec<f64>), PolicyError> {
    let started = Instant::now();
    let mut values = Vec::new();
    for text in texts {
        for _ in 0..times {
            values = engine.values(Player::Leader, text)?;
        }
    }
    synchronise(engine.device());
    Ok((started.elapsed().as_secs_f64(), values))
}

/// The model with the first so many heads of the committee.
fn load(options: &Options, heads: usize) -> Result<Engine, PolicyError> {
    let settings = EngineSettings {
        device: options.device(),
        precision: options.precision(),
        activation_checkpointing: false,
        training: None,
        agents: Vec::new(),
        seed: 1,
    };
    let headed = |config: ModelConfig, heads: usize| {
        let labels = (0..heads).map(|head| format!("head {head}")).collect();
        ModelConfig { reward: Some(RewardHead { labels }), ..config }
    };
    let rows = |config: &ModelConfig| -> Result<Tensor, PolicyError> {
        Ok(drawn_head(&headed(config.clone(), HEADS), 1)?.narrow(0, 0, heads as i64))
    };
    if let Some(config) = known_shape(&options.model) {
        tch::manual_seed(1);
        let drawn = rows(&config)?;
        let mut take = |name: &str| {
            if name == HEAD_TENSOR { Ok(drawn.shallow_clone()) } else { random_tensor(&config, name, 0.02) }
        };
        return Engine::load(headed(config.clone(), heads), settings, &mut take);
    }
    let mut model = StoredModel::open(options.model.as_ref())?;
    let mut weights = model.weights(options.precision())?;
    let drawn = rows(model.config())?;
    let mut take = |name: &str| if name == HEAD_TENSOR { Ok(drawn.shallow_clone()) } else { weights.take(name) };
    Engine::load(headed(model.config().clone(), heads), settings, &mut take)
}
