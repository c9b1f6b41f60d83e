//! Low-rank adapters as files, in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.

mod edits;
mod modules;
mod uniform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use slhf_model::{
    ADAPTER_CONFIG_FILE as CONFIG_FILE, ADAPTER_WEIGHTS_FILE as WEIGHTS_FILE, open_adapter, tensor_error,
};
use tch::{Device, Tensor};

use crate::atomic_folder::{AtomicFolder, write_error};
use crate::tensor_file::write_tensors;
use crate::{Agent, HEAD_PARAMETER, LoraSettings, ModelConfig, Parameters, PolicyError, Training};

pub use edits::WeightEdits;

/// Writes one agent's adapter into a folder that does not exist yet: it is there whole or not at all. `base_model` is
/// what PEFT and vLLM look the base up by: a path or a name. Returns the files' names and sizes in bytes.
pub fn save_adapter(
    folder: &Path,
    parameters: &Parameters,
    agent: Agent,
    base_model: &str,
) -> Result<Vec<(String, u64)>, PolicyError> {
    let Training::Lora(lora) = parameters.training() else {
        let problem = "is `full`, and all weights are no adapter; export the model instead".to_owned();
        return Err(PolicyError::Setting { key: "adapter.kind", problem });
    };
    let tensors: Vec<(String, Tensor)> =
        parameters.of(agent).map(|one| (one.name.clone(), one.tensor.shallow_clone())).collect();
    if tensors.is_empty() {
        let what = format!("the adapter of the {}", agent.name());
        return Err(PolicyError::Request { what, problem: "is not among what was trained".to_owned() });
    }
    let mut out = AtomicFolder::create(folder)?;
    let has_head = tensors.iter().any(|(name, _)| name == HEAD_PARAMETER);
    let task = if has_head { Task::Scores } else { Task::Predicts };
    out.write_bytes(CONFIG_FILE, to_json(lora, base_model, task).as_bytes())?;
    out.write(WEIGHTS_FILE, |file| {
        // `format` is PEFT's; the rest tells whoever finds the file what it is.
        let metadata = [
            ("format", "pt".to_owned()),
            ("slhf-lab", "adapter 1".to_owned()),
            ("holds", format!("the low-rank adapter of the {} policy", agent.name())),
        ];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        write_tensors(file, &tensors, &metadata).map_err(write_error(&folder.join(WEIGHTS_FILE)))
    })?;
    out.finish()
}

/// What a model does with an adapter.
#[derive(Clone, Copy)]
enum Task {
    Predicts,
    /// It has a reward head, which is saved with the adapter.
    Scores,
}

fn to_json(lora: &LoraSettings, base_model: &str, task: Task) -> String {
    let (task_type, saved) = match task {
        Task::Predicts => ("CAUSAL_LM", json!(null)),
        Task::Scores => ("SEQ_CLS", json!(["score"])),
    };
    let targets: Vec<&str> = lora.targets.iter().map(|target| target.name()).collect();
    let fields = json!({
        "peft_type": "LORA",
        "task_type": task_type,
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
        "modules_to_save": saved,
        "layers_to_transform": null,
        "layers_pattern": null,
    });
    format!("{fields:#}\n")
}

/// An adapter folder, read and verified against the model that it is for.
///
/// What it does is kept in two parts: low-rank matrices of one rank and scale on the projections of all layers, which
/// stay beside the weights, and everything else (`DoRA`, matrices on the embedding, weights that were trained as a whole, a
/// vocabulary of another size), which is put into the weights when they are loaded.
#[derive(Debug)]
pub struct StoredAdapter {
    path: PathBuf,
    lora: Option<LoraSettings>,
    base_model: Option<String>,
    /// A and B of `lora`, by PEFT's names.
    tensors: BTreeMap<String, Tensor>,
    edits: WeightEdits,
}

impl StoredAdapter {
    /// Reads a PEFT folder. Where adapters are and of which rank is said by the tensors. What this decoder cannot honour is
    /// an error that names the field; a missing, surplus or misshapen tensor names file and tensor.
    pub fn open(folder: &Path, config: &ModelConfig) -> Result<Self, PolicyError> {
        let (settings, mut file) = open_adapter(folder)?;
        let path = folder.join(WEIGHTS_FILE);
        let resized = edits::resized(&path, &file, config)?;
        let mut modules = modules::read(&path, &mut file, &settings, &resized)?;
        let pairs = std::mem::take(&mut modules.layers);
        let (decomposed, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
            pairs.into_iter().partition(|(_, pair)| pair.magnitude.is_some());
        let uniform =
            uniform::of(plain, &settings, config).map_err(PolicyError::torch("bring an adapter to one rank"))?;
        let (lora, tensors) = match uniform {
            None => (None, BTreeMap::new()),
            Some((lora, tensors)) => (Some(lora), tensors),
        };
        let base_model = settings.base_model.clone();
        let edits = WeightEdits::new([&folder.join(CONFIG_FILE), &path], modules, decomposed, &settings, resized)?;
        Ok(Self { path, lora, base_model, tensors, edits })
    }

    /// Rank, scale and targets of what stays beside the weights, if there is any.
    pub fn settings(&self) -> Option<&LoraSettings> {
        self.lora.as_ref()
    }

    /// What it says it was trained on.
    pub fn base_model(&self) -> Option<&str> {
        self.base_model.as_deref()
    }

    /// What is put into the weights when they are loaded; `None`: the adapter stays beside them as a whole.
    pub fn edits(&self) -> Option<&WeightEdits> {
        Some(&self.edits).filter(|edits| !edits.is_empty())
    }

    /// As parameters: every agent starts with these values. `None`: all of it is in the weights.
    pub fn parameters(
        &self,
        config: &ModelConfig,
        agents: &[Agent],
        device: Device,
    ) -> Result<Option<Parameters>, PolicyError> {
        let Some(lora) = &self.lora else { return Ok(None) };
        let mut parameters = Parameters::lora(config, lora.clone(), agents, 0, device)?;
        for agent in agents {
            self.assign(&mut parameters, *agent)?;
        }
        Ok(Some(parameters))
    }

    /// Overwrites one agent's adapter, which has the same rank, scale and targets.
    fn assign(&self, parameters: &mut Parameters, agent: Agent) -> Result<(), PolicyError> {
        for parameter in parameters.iter_mut().filter(|parameter| parameter.agent == agent) {
            let values = self.tensors.get(&parameter.name);
            parameter.assign(values.ok_or_else(|| tensor_error(&self.path, &parameter.name, "is missing"))?)?;
        }
        Ok(())
    }
}
