//! What Gemma 3's configuration says beyond the others'.

use serde_json::Value;

use super::json::{rope_of, theta_and_scaling};
use super::{Fields, LAYERS_MAX, RopeConfig, RopeScaling, Windows};
use crate::ModelError;

/// What transformers takes where the file is silent.
pub(super) const HEAD_SIZE: usize = 256;
const DIVISOR: f64 = 256.0;
const WINDOW: usize = 4096;
const WINDOW_THETA: f64 = 10_000.0;
const THETA: f64 = 1_000_000.0;
/// Every sixth layer sees everything.
pub(crate) const PATTERN: usize = 6;

/// `true` for the layers with a window, where every `pattern`-th sees everything. `layers` need not have been checked yet:
/// more than there may be are left out.
pub(crate) fn by_pattern(layers: usize, pattern: usize) -> Vec<bool> {
    (1..=layers.min(LAYERS_MAX)).map(|layer| pattern == 0 || layer % pattern != 0).collect()
}

/// Rotary positions of the layers that see everything, and the windows of the others.
pub(super) fn attention(fields: &Fields, layers: usize) -> Result<(RopeConfig, Option<Windows>), ModelError> {
    refuse(fields)?;
    let windowed = match fields.get("layer_types") {
        Some(Value::Array(kinds)) => {
            let windowed = kinds
                .iter()
                .map(|kind| match kind.as_str() {
                    Some("full_attention") => Ok(false),
                    Some("sliding_attention") => Ok(true),
                    _ => Err(fields.wrong(
                        "layer_types",
                        format!("contains {kind}; known are \"full_attention\" and \"sliding_attention\""),
                    )),
                })
                .collect::<Result<Vec<_>, _>>()?;
            if windowed.len() != layers {
                let problem = format!("has {} entries, but there are {layers} layers", windowed.len());
                return Err(fields.wrong("layer_types", problem));
            }
            windowed
        }
        Some(_) => return Err(fields.wrong("layer_types", "is no list; expected one entry for each layer")),
        None => {
            let pattern = match fields.size("sliding_window_pattern")? {
                Some(pattern) => Some(pattern),
                None => fields.size("_sliding_window_pattern")?,
            };
            by_pattern(layers, pattern.unwrap_or(PATTERN))
        }
    };
    let (rope, window_rope) = ropes(fields)?;
    if !windowed.contains(&true) {
        return Ok((rope, None));
    }
    let positions = fields.size("sliding_window")?.unwrap_or(WINDOW);
    Ok((rope, Some(Windows { positions, rope: window_rope, layers: windowed })))
}

/// By the root of what products of queries and keys are divided.
pub(super) fn divisor(fields: &Fields) -> Result<f64, ModelError> {
    Ok(fields.positive("query_pre_attn_scalar")?.unwrap_or(DIVISOR))
}

fn refuse(fields: &Fields) -> Result<(), ModelError> {
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if fields.number(key)?.is_some() {
            return Err(fields.wrong(key, "is set; capped logits are not supported"));
        }
    }
    if fields.flag("use_bidirectional_attention")? == Some(true) {
        return Err(fields.wrong("use_bidirectional_attention", "is true; only causal attention is supported"));
    }
    Ok(())
}

/// Both layouts: `rope_theta`, `rope_scaling` and `rope_local_base_freq` side by side, or `rope_parameters` by kind of
/// layer (transformers 5).
fn ropes(fields: &Fields) -> Result<(RopeConfig, RopeConfig), ModelError> {
    let parameters = fields.object("rope_parameters")?;
    let by_kind = |key: &str| match &parameters {
        Some(parameters) => parameters.object(key),
        None => Ok(None),
    };
    let (full, window) = (by_kind("full_attention")?, by_kind("sliding_attention")?);
    let rope = match &full {
        Some(full) => theta_and_scaling(fields, full, THETA)?,
        None => rope_of(fields, THETA)?,
    };
    let window = match &window {
        Some(window) => theta_and_scaling(fields, window, WINDOW_THETA)?,
        None => RopeConfig {
            theta: fields.positive("rope_local_base_freq")?.unwrap_or(WINDOW_THETA),
            scaling: RopeScaling::None,
        },
    };
    Ok((rope, window))
}
