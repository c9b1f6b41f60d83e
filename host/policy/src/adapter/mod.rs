//! Low-rank adapters as files, in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.

mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::atomic_folder::{AtomicFolder, write_error};
use crate::tensor_file::write_tensors;
use crate::weights::ReadTensor as _;
use crate::{Agent, LoraSettings, ModelConfig, Parameters, PolicyError, Training};
use slhf_model::{SafetensorsFile, tensor_error};

const CONFIG_FILE: &str = "adapter_config.json";
const WEIGHTS_FILE: &str = "adapter_model.safetensors";

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
    out.write_bytes(CONFIG_FILE, settings::to_json(lora, base_model).as_bytes())?;
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

/// An adapter folder, read and verified against the model that it is for.
#[derive(Debug)]
pub struct StoredAdapter {
    path: PathBuf,
    lora: LoraSettings,
    base_model: Option<String>,
    tensors: BTreeMap<String, Tensor>,
}

impl StoredAdapter {
    /// Reads a PEFT folder. What this decoder cannot honour (another kind of adapter, `DoRA`, patterns of ranks, further
    /// trained modules, …) is an error that names the field; a missing, surplus or misshapen tensor names file and tensor.
    pub fn open(folder: &Path, config: &ModelConfig) -> Result<Self, PolicyError> {
        let (lora, base_model) = settings::read(&folder.join(CONFIG_FILE))?;
        let path = folder.join(WEIGHTS_FILE);
        if !path.exists() {
            let problem = format!("{WEIGHTS_FILE} is missing; expected a folder as PEFT saves it");
            return Err(PolicyError::File { path: folder.to_owned(), problem });
        }
        let mut file = SafetensorsFile::open(&path)?;
        let expected = expected_shapes(config, &lora);
        if let Some(entry) = file.entries().iter().find(|entry| !expected.contains_key(&entry.name)) {
            let problem = format!("belongs to no module that {CONFIG_FILE} names as a target of this model");
            return Err(tensor_error(&path, &entry.name, problem).into());
        }
        let mut tensors = BTreeMap::new();
        for (name, shape) in expected {
            let Some(entry) = file.find(&name) else {
                return Err(tensor_error(&path, &name, format!("is missing; expected it with shape {shape:?}")).into());
            };
            if entry.shape != shape {
                let problem = format!("has shape {:?}, but r and the model make it {shape:?}", entry.shape);
                return Err(tensor_error(&path, &name, problem).into());
            }
            let values = file.tensor(&name)?.f_to_kind(Kind::Float);
            tensors.insert(name, values.map_err(PolicyError::torch("read an adapter as f32"))?);
        }
        Ok(Self { path, lora, base_model, tensors })
    }

    /// Rank, scale, targets.
    pub fn settings(&self) -> &LoraSettings {
        &self.lora
    }

    /// What it says it was trained on.
    pub fn base_model(&self) -> Option<&str> {
        self.base_model.as_deref()
    }

    /// As parameters: every agent starts with these values.
    pub fn parameters(
        &self,
        config: &ModelConfig,
        agents: &[Agent],
        device: Device,
    ) -> Result<Parameters, PolicyError> {
        let mut parameters = Parameters::lora(config, self.lora.clone(), agents, 0, device)?;
        for agent in agents {
            self.assign(&mut parameters, *agent)?;
        }
        Ok(parameters)
    }

    /// Overwrites one agent's adapter, which must have the same rank, scale and targets.
    pub fn assign(&self, parameters: &mut Parameters, agent: Agent) -> Result<(), PolicyError> {
        let same = matches!(parameters.training(), Training::Lora(lora)
            if lora.rank == self.lora.rank && lora.targets == self.lora.targets && lora.scale() == self.lora.scale());
        if !same {
            let problem = "this adapter has another rank, lora_alpha or other targets than the run".to_owned();
            return Err(PolicyError::File { path: self.path.clone(), problem });
        }
        for parameter in parameters.iter_mut().filter(|parameter| parameter.agent == agent) {
            let values = self.tensors.get(&parameter.name);
            parameter.assign(values.ok_or_else(|| tensor_error(&self.path, &parameter.name, "is missing"))?)?;
        }
        Ok(())
    }
}

/// Names and shapes as PEFT gives them.
fn expected_shapes(config: &ModelConfig, lora: &LoraSettings) -> BTreeMap<String, Vec<i64>> {
    let rank = i64::from(lora.rank);
    let mut shapes = BTreeMap::new();
    for layer in 0..config.layers {
        for target in &lora.targets {
            let [outputs, inputs] = target.shape(config);
            let prefix = format!("base_model.model.{}", target.path(layer));
            shapes.insert(format!("{prefix}.lora_A.weight"), vec![rank, inputs]);
            shapes.insert(format!("{prefix}.lora_B.weight"), vec![outputs, rank]);
        }
    }
    shapes
}
