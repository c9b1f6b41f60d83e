//! `adapter_config.json`: what is written, what is read, and what is refused.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::atomic_folder::io;
use crate::{LoraSettings, PolicyError, Projection};

/// Bytes of the largest configuration that is believed.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Fields that change nothing in what an adapter computes once it is trained.
const WITHOUT_EFFECT: [&str; 16] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "layers_pattern",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "lora_alpha",
];

/// Starts that leave the base model as it is; the others (`pissa`, `olora`, …) move part of it into the adapter.
const STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

pub(super) fn to_json(lora: &LoraSettings, base_model: &str) -> String {
    let targets: Vec<&str> = lora.targets.iter().map(|target| target.name()).collect();
    let fields = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "use_rslora": false,
        "use_dora": false,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": null,
        "layers_to_transform": null,
        "layers_pattern": null,
    });
    format!("{fields:#}\n")
}

/// Settings and the base model's name.
pub(super) fn read(path: &Path) -> Result<(LoraSettings, Option<String>), PolicyError> {
    let bytes = slhf_files::read(path, CONFIG_BYTES_MAX).map_err(io(path, "read this file of an adapter"))?;
    let fields: Map<String, Value> = slhf_json::read_settings(&bytes).map_err(|source| PolicyError::Json {
        path: path.to_owned(),
        what: "an adapter's configuration",
        source,
    })?;
    let reader = Reader { path, fields: &fields };
    reader.refuse_what_is_not_honoured()?;
    let lora = reader.lora()?;
    Ok((lora, reader.text("base_model_name_or_path").map(str::to_owned)))
}

struct Reader<'a> {
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn wrong(&self, key: &str, problem: impl Into<String>) -> PolicyError {
        PolicyError::Config { path: self.path.to_owned(), key: key.to_owned(), problem: problem.into() }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    /// A field that this list does not know and that is not off may change what the adapter computes: better refused
    /// than computed wrongly.
    fn refuse_what_is_not_honoured(&self) -> Result<(), PolicyError> {
        for (key, value) in self.fields {
            let honoured = match key.as_str() {
                "peft_type" => value == "LORA",
                "task_type" => value == "CAUSAL_LM" || value.is_null(),
                "bias" => value == "none",
                "init_lora_weights" => {
                    value.is_boolean() || value.is_null() || value.as_str().is_some_and(|name| STARTS.contains(&name))
                }
                "r" | "target_modules" => true,
                known if WITHOUT_EFFECT.contains(&known) => true,
                _ => is_off(value),
            };
            if !honoured {
                let expected = match key.as_str() {
                    "peft_type" => "only `LORA` is known",
                    "task_type" => "only `CAUSAL_LM` is known",
                    "bias" => "only `none` is known",
                    "init_lora_weights" => {
                        "that start changes the base model's weights too; let PEFT convert the adapter to a plain one"
                    }
                    _ => "that is not supported; it must be absent, null, false or empty",
                };
                return Err(self.wrong(key, format!("is {value}; {expected}")));
            }
        }
        Ok(())
    }

    fn lora(&self) -> Result<LoraSettings, PolicyError> {
        if !self.fields.contains_key("peft_type") {
            return Err(self.wrong("peft_type", "is missing; expected `LORA`"));
        }
        let rank = self.fields.get("r").and_then(Value::as_u64).and_then(|rank| u32::try_from(rank).ok());
        let rank =
            rank.filter(|rank| *rank >= 1).ok_or_else(|| self.wrong("r", "must be a whole number of at least 1"))?;
        let alpha = self.fields.get("lora_alpha").and_then(Value::as_f64).filter(|alpha| alpha.is_finite());
        let alpha = alpha.ok_or_else(|| self.wrong("lora_alpha", "must be a number"))?;
        let dropout = match self.fields.get("lora_dropout") {
            None | Some(Value::Null) => 0.0,
            Some(value) => value
                .as_f64()
                .filter(|dropout| (0.0..1.0).contains(dropout))
                .ok_or_else(|| self.wrong("lora_dropout", format!("is {value}, but must lie in [0, 1)")))?,
        };
        Ok(LoraSettings { rank, alpha, dropout, targets: self.targets()? })
    }

    fn targets(&self) -> Result<Vec<Projection>, PolicyError> {
        const KEY: &str = "target_modules";
        let expected = || format!("expected a list of names out of {}", Projection::names());
        let names = match self.fields.get(KEY) {
            Some(Value::String(all)) if all == "all-linear" => return Ok(Projection::ALL.to_vec()),
            Some(Value::Array(names)) if !names.is_empty() => names,
            Some(other) => return Err(self.wrong(KEY, format!("is {other}; {}", expected()))),
            None => return Err(self.wrong(KEY, format!("is missing; {}", expected()))),
        };
        let mut targets = Vec::new();
        for name in names {
            let known = name.as_str().and_then(Projection::named);
            targets.push(known.ok_or_else(|| self.wrong(KEY, format!("names {name}; {}", expected())))?);
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(targets)
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
