//! Which layers see the last positions only.

use serde_json::Value;

use super::{Family, Fields, RopeConfig, Windows};
use crate::ModelError;

/// What transformers takes where the file is silent.
const POSITIONS: usize = 4096;
const FULL_LAYERS: usize = 28;

/// `layer_types`, if it is there: `true` for the layers with a window.
pub(super) fn of_layer_types(fields: &Fields, layers: usize) -> Result<Option<Vec<bool>>, ModelError> {
    let kinds = match fields.get("layer_types") {
        None => return Ok(None),
        Some(Value::Array(kinds)) => kinds,
        Some(_) => return Err(fields.wrong("layer_types", "is no list; expected one entry for each layer")),
    };
    let kind = |kind: &Value| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(fields
            .wrong("layer_types", format!("contains {kind}; known are \"full_attention\" and \"sliding_attention\""))),
    };
    let windowed = kinds.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
    if windowed.len() != layers {
        let problem = format!("has {} entries, but there are {layers} layers", windowed.len());
        return Err(fields.wrong("layer_types", problem));
    }
    Ok(Some(windowed))
}

/// Of Qwen2 and Qwen3: windows only where `use_sliding_window` is true, from layer `max_window_layers` on or where
/// `layer_types` says. Llama has none.
pub(super) fn of_qwen(
    fields: &Fields,
    family: Family,
    layers: usize,
    rope: &RopeConfig,
) -> Result<Option<Windows>, ModelError> {
    let is_used = fields.flag("use_sliding_window")?.unwrap_or(false);
    let kinds = of_layer_types(fields, layers)?;
    if family == Family::Llama && is_used {
        return Err(fields.wrong("use_sliding_window", "is true, but a llama's layers have no windows"));
    }
    if !is_used {
        return match kinds {
            Some(kinds) if kinds.contains(&true) => {
                Err(fields.wrong("layer_types", "contains \"sliding_attention\", but use_sliding_window is not true"))
            }
            _ => Ok(None),
        };
    }
    let windowed = if let Some(kinds) = kinds {
        kinds
    } else {
        let full = fields.size("max_window_layers")?.unwrap_or(FULL_LAYERS);
        (0..layers.min(super::LAYERS_MAX)).map(|layer| layer >= full).collect()
    };
    let positions = fields.size("sliding_window")?.unwrap_or(POSITIONS);
    let windows = Windows { positions, rope: rope.clone(), layers: windowed };
    Ok(Some(windows).filter(|windows| windows.layers.contains(&true)))
}
