//! What Gemma 3's configuration says beyond the others'.

use super::rope_json::Reading;
use super::{Fields, LAYERS_MAX, RopeConfig, Windows, windows};
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
pub(super) fn attention(
    fields: &Fields,
    layers: usize,
    head_size: usize,
) -> Result<(RopeConfig, Option<Windows>), ModelError> {
    refuse(fields)?;
    let windowed = match windows::of_layer_types(fields, layers)? {
        Some(windowed) => windowed,
        None => by_pattern(layers, fields.size("sliding_window_pattern")?.unwrap_or(PATTERN)),
    };
    let (rope, window_rope) = ropes(fields, head_size)?;
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

/// By kind of layer. `rope_scaling` is of the layers that see everything, and goes before what `rope_parameters` says of
/// them; thetas beside them (`rope_theta`, `rope_local_base_freq`) count where no other is given.
fn ropes(fields: &Fields, head_size: usize) -> Result<(RopeConfig, RopeConfig), ModelError> {
    let parameters = fields.object("rope_parameters")?;
    let by_kind = |key: &str| -> Result<Fields, ModelError> {
        let found = match &parameters {
            Some(parameters) => parameters.object(key)?,
            None => None,
        };
        Ok(found.unwrap_or_else(|| fields.empty(key)))
    };
    let mut full = by_kind("full_attention")?;
    if let Some(scaling) = fields.object("rope_scaling")? {
        full = full.updated(scaling);
    }
    let window = by_kind("sliding_attention")?;
    let beside = parameters.clone().unwrap_or_else(|| fields.empty("rope_parameters"));
    let read = |settings: &Fields, key: &str, theta: f64| {
        let theta = fields.positive(key)?.unwrap_or(theta);
        Reading { config: fields, fields: settings, head_size, original_context: None, range_in: &beside }.rope(theta)
    };
    Ok((read(&full, "rope_theta", THETA)?, read(&window, "rope_local_base_freq", WINDOW_THETA)?))
}
