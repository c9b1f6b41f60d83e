//! Rotary positions and windows as a GGUF file says them, and as llama.cpp reads them: which key counts where there are
//! several, and what is taken where there is none.

use super::Value;
use super::keys::Keys;
use crate::config::{GEMMA_PATTERN, by_pattern, yarn_attention_factor};
use crate::safetensors::tensor_error;
use crate::{Family, ModelError, RopeConfig, RopeScaling, Windows, YarnRange};

const TYPE: &str = "rope.scaling.type";
const FACTOR: &str = "rope.scaling.factor";
const ATTENTION_FACTOR: &str = "rope.scaling.attn_factor";
const ORIGINAL_CONTEXT: &str = "rope.scaling.original_context_length";
const PATTERN: &str = "attention.sliding_window_pattern";

/// llama.cpp reads no others of a file.
const BETA_FAST: f64 = 32.0;
const BETA_SLOW: f64 = 1.0;

/// Tensors of numbers by which frequencies are divided.
#[derive(Debug, Default)]
pub(super) struct FactorTensors {
    /// `rope_freqs.weight`: Llama 3.1's rule, worked out.
    pub(super) all: Option<Vec<f32>>,
    /// `rope_factors_short.weight`
    pub(super) short: Option<Vec<f32>>,
    /// `rope_factors_long.weight`
    pub(super) long: Option<Vec<f32>>,
}

impl FactorTensors {
    pub(super) const ALL: &str = "rope_freqs.weight";
    pub(super) const SHORT: &str = "rope_factors_short.weight";
    pub(super) const LONG: &str = "rope_factors_long.weight";
}

/// Of the layers that see everything.
pub(super) fn of(keys: &Keys<'_>, head_size: usize, tensors: FactorTensors) -> Result<RopeConfig, ModelError> {
    if let Some(rotated) = keys.size("rope.dimension_count")?
        && rotated != head_size
    {
        let problem = format!("is {rotated}, but a head has {head_size}; rotating a part of it is not supported");
        return Err(keys.wrong(&keys.full("rope.dimension_count"), problem));
    }
    let theta = keys.positive("rope.freq_base")?.unwrap_or(10_000.0);
    let checked = |name: &str, factors: Vec<f32>| {
        if factors.len() != head_size / 2 || !factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
            let problem = format!("has {} elements; expected {} numbers above 0", factors.len(), head_size / 2);
            return Err(tensor_error(keys.path, name, problem));
        }
        Ok(factors.into_iter().map(f64::from).collect::<Vec<_>>())
    };
    let kind = kind(keys)?;
    let scaling = match (kind, stretch(keys)?) {
        ("longrope", Some(factor)) if factor != 1.0 => {
            let problem = format!("is {factor}, and {TYPE} is \"longrope\"; both together are not supported");
            return Err(keys.wrong(&keys.full(FACTOR), problem));
        }
        ("longrope", _) => {
            let missing = |name| tensor_error(keys.path, name, format!("is missing, although {TYPE} is \"longrope\""));
            let short = tensors.short.ok_or_else(|| missing(FactorTensors::SHORT))?;
            let long = tensors.long.ok_or_else(|| missing(FactorTensors::LONG))?;
            return Ok(RopeConfig {
                theta,
                scaling: RopeScaling::LongRope {
                    short: checked(FactorTensors::SHORT, short)?,
                    long: checked(FactorTensors::LONG, long)?,
                    attention_factor: attention_factor(keys)?,
                    original_context: original_context(keys)?,
                },
            });
        }
        ("yarn", factor) => yarn(keys, theta, factor.unwrap_or(1.0))?,
        ("none", _) | (_, None) => RopeScaling::None,
        (_, Some(factor)) => RopeScaling::Linear { factor },
    };
    if kind != "yarn" && attention_factor(keys)? != 1.0 {
        let problem = format!("is set, but {TYPE} is \"{kind}\"; it is known with \"yarn\" and \"longrope\" only");
        return Err(keys.wrong(&keys.full(ATTENTION_FACTOR), problem));
    }
    match (tensors.all, scaling) {
        (None, scaling) => Ok(RopeConfig { theta, scaling }),
        (Some(factors), RopeScaling::None) => {
            let factors = checked(FactorTensors::ALL, factors)?;
            Ok(RopeConfig { theta, scaling: RopeScaling::Factors { factors } })
        }
        (Some(_), _) => {
            let problem = format!("is there, and {TYPE} is \"{kind}\"; both together are not supported");
            Err(tensor_error(keys.path, FactorTensors::ALL, problem))
        }
    }
}

/// A file that gives a factor and no type means linear scaling.
fn kind<'a>(keys: &'a Keys<'_>) -> Result<&'a str, ModelError> {
    let wrong = |problem: String| keys.wrong(&keys.full(TYPE), problem);
    match keys.get(TYPE) {
        None => Ok("linear"),
        Some(Value::Text(kind)) => match kind.as_str() {
            // llama.cpp reads the tensors that it needs of this architecture only.
            "longrope" if keys.family != Family::Llama => {
                Err(wrong(format!("is \"longrope\"; it is known for llama, not for {}", keys.family.architecture())))
            }
            "none" | "linear" | "yarn" | "longrope" => Ok(kind),
            other => Err(wrong(format!("is \"{other}\"; known are \"none\", \"linear\", \"yarn\" and \"longrope\""))),
        },
        Some(other) => Err(wrong(format!("is {}; expected a text", other.kind()))),
    }
}

/// The newer key goes before the older one.
fn stretch(keys: &Keys<'_>) -> Result<Option<f64>, ModelError> {
    let set = |key: &str| match keys.get(key) {
        // 0 means none.
        Some(Value::Number(0.0)) => Ok(Some(1.0)),
        _ => keys.positive(key),
    };
    match set(FACTOR)? {
        Some(factor) => Ok(Some(factor)),
        None => set("rope.scale_linear"),
    }
}

fn attention_factor(keys: &Keys<'_>) -> Result<f64, ModelError> {
    Ok(keys.positive(ATTENTION_FACTOR)?.unwrap_or(1.0))
}

fn original_context(keys: &Keys<'_>) -> Result<usize, ModelError> {
    let found = match keys.size(ORIGINAL_CONTEXT)? {
        Some(positions) => positions,
        None => keys.size("context_length")?.unwrap_or(0),
    };
    match found {
        0 | 1 => Err(keys.wrong(&keys.full(ORIGINAL_CONTEXT), format!("is {found}; expected at least 2"))),
        positions => Ok(positions),
    }
}

fn yarn(keys: &Keys<'_>, theta: f64, factor: f64) -> Result<RopeScaling, ModelError> {
    if theta <= 1.0 {
        return Err(keys.wrong(&keys.full("rope.freq_base"), format!("is {theta}; \"yarn\" needs more than 1")));
    }
    Ok(RopeScaling::Yarn {
        factor,
        attention_factor: attention_factor(keys)? * yarn_attention_factor(factor, 1.0),
        beta_fast: BETA_FAST,
        beta_slow: BETA_SLOW,
        original_context: original_context(keys)?,
        range: YarnRange::Whole,
    })
}

/// Of Gemma 3.
pub(super) fn windows(keys: &Keys<'_>, layers: usize, full: &RopeConfig) -> Result<Option<Windows>, ModelError> {
    let Some(positions) = keys.size("attention.sliding_window")?.filter(|&positions| positions > 0) else {
        return Ok(None);
    };
    let theta = keys.positive("rope.freq_base_swa")?.unwrap_or(10_000.0);
    let layers = match keys.get(PATTERN) {
        None => by_pattern(layers, GEMMA_PATTERN),
        // One flag a layer: whether it has a window.
        Some(Value::Integers(flags)) => {
            if flags.len() != layers {
                let problem = format!("has {} flags, but there are {layers} layers", flags.len());
                return Err(keys.wrong(&keys.full(PATTERN), problem));
            }
            flags.iter().map(|&flag| flag != 0).collect()
        }
        Some(_) => by_pattern(layers, keys.size(PATTERN)?.unwrap_or(GEMMA_PATTERN)),
    };
    // Such layers are not stretched, but what the file multiplies queries and keys by is of all layers.
    let scaling = match (&full.scaling, attention_factor(keys)?) {
        (RopeScaling::Yarn { beta_fast, beta_slow, original_context, range, .. }, given) if given != 1.0 => {
            RopeScaling::Yarn {
                factor: 1.0,
                attention_factor: given,
                beta_fast: *beta_fast,
                beta_slow: *beta_slow,
                original_context: *original_context,
                range: *range,
            }
        }
        _ => RopeScaling::None,
    };
    Ok(Some(Windows { positions, rope: RopeConfig { theta, scaling }, layers })
        .filter(|windows| windows.layers.contains(&true)))
}
