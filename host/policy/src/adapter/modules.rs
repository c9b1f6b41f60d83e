//! An adapter's tensors, sorted by the module of the model that they belong to.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_model::{AdapterForm, AdapterSettings, ModelError, SafetensorsFile, tensor_error};
use tch::{Kind, Tensor};

use crate::weights::ReadTensor as _;
use crate::{ModelConfig, PolicyError, Projection};

pub(super) const EMBEDDING: &str = "model.embed_tokens";
pub(super) const OUTPUT: &str = "lm_head";
const PREFIX: &str = "base_model.model.";

/// Low-rank matrices of one module.
#[derive(Debug)]
pub(super) struct Pair {
    /// `[rank, inputs]`
    pub(super) a: Tensor,
    /// `[outputs, rank]`
    pub(super) b: Tensor,
    /// What their product is multiplied by.
    pub(super) scale: f64,
    /// Lengths of the sum's rows, `[outputs]` (`DoRA`).
    pub(super) magnitude: Option<Tensor>,
}

/// All tensors of an adapter, f32 on the CPU.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// By layer and projection.
    pub(super) layers: BTreeMap<(usize, Projection), Pair>,
    /// On the embedding: a token's row gets `scale · B A[:, token]`.
    pub(super) embedding: Option<Pair>,
    pub(super) output: Option<Pair>,
    /// Tensors of the model that were trained as a whole, by their names in the model.
    pub(super) whole: BTreeMap<String, Tensor>,
    /// The embedding of a tied model, which is its output matrix too, as it was when the adapter was trained.
    pub(super) tied_base: Option<Tensor>,
}

/// What a tensor is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    A,
    B,
    Magnitude,
}

const PARTS: [(&str, Part); 6] = [
    (".lora_A.weight", Part::A),
    (".lora_B.weight", Part::B),
    (".lora_embedding_A", Part::A),
    (".lora_embedding_B", Part::B),
    (".lora_magnitude_vector", Part::Magnitude),
    (".lora_magnitude_vector.weight", Part::Magnitude),
];

/// A module that may have an adapter, and its weight's shape `[outputs, inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Module {
    Layer(usize, Projection),
    Embedding,
    Output,
}

impl Module {
    fn of(name: &str, config: &ModelConfig) -> Option<Self> {
        match name {
            EMBEDDING => return Some(Self::Embedding),
            OUTPUT => return Some(Self::Output),
            _ => {}
        }
        let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let layer = layer.parse().ok().filter(|layer| *layer < config.layers)?;
        let projection = Projection::named(rest.rsplit('.').next()?)?;
        (projection.path(layer) == name).then_some(Self::Layer(layer, projection))
    }

    /// Of the adapter: an embedding takes a token and gives a row.
    fn shape(self, config: &ModelConfig) -> [i64; 2] {
        let (rows, width) = (config.vocabulary_size as i64, config.hidden_size as i64);
        match self {
            Self::Layer(_, projection) => projection.shape(config),
            Self::Embedding => [width, rows],
            Self::Output => [rows, width],
        }
    }
}

/// `config` is the model's, with as many rows of the embedding as the adapter was trained with.
pub(super) fn read(
    path: &Path,
    file: &mut SafetensorsFile,
    settings: &AdapterSettings,
    config: &ModelConfig,
) -> Result<Modules, PolicyError> {
    let known: BTreeMap<String, Vec<i64>> = whole_shapes(config);
    let mut parts: BTreeMap<Module, [Option<Tensor>; 3]> = BTreeMap::new();
    let mut modules = Modules::default();
    let names: Vec<String> = file.entries().iter().map(|entry| entry.name.clone()).collect();
    for full in names {
        let stray =
            || tensor_error(path, &full, "belongs to no module of this model; take the model that it was trained on");
        let name = full.strip_prefix(PREFIX).ok_or_else(stray)?;
        let tensor =
            file.tensor(&full)?.f_to_kind(Kind::Float).map_err(PolicyError::torch("read an adapter as f32"))?;
        if let Some((module, part)) = PARTS.iter().find_map(|(end, part)| Some((name.strip_suffix(end)?, *part))) {
            let module = Module::of(module, config).ok_or_else(stray)?;
            parts.entry(module).or_default()[part as usize] = Some(tensor);
            continue;
        }
        if name.ends_with(".original_module.weight") {
            // What the module was before it was trained as a whole.
            continue;
        }
        let is_base = name.contains(".base_layer.");
        let whole = name.replace(".base_layer.", ".").replace(".modules_to_save.", ".");
        let shape = known.get(&whole).ok_or_else(stray)?;
        if tensor.size() != *shape {
            let problem = format!("has shape {:?}, but the model's has {shape:?}", tensor.size());
            return Err(tensor_error(path, &full, problem).into());
        }
        let is_tied =
            config.tied_embeddings && [EMBEDDING, OUTPUT].iter().any(|module| whole == format!("{module}.weight"));
        if is_base && is_tied {
            modules.tied_base = Some(tensor);
            continue;
        }
        if modules.whole.get(&whole).is_some_and(|other| !other.equal(&tensor)) {
            return Err(tensor_error(path, &full, "is in the file twice, with different numbers").into());
        }
        modules.whole.insert(whole, tensor);
    }
    let finding = Finding { path, settings, config };
    for (module, found) in parts {
        let pair = finding.pair(module, found)?;
        match module {
            Module::Layer(layer, projection) => {
                modules.layers.insert((layer, projection), pair);
            }
            Module::Embedding => modules.embedding = Some(pair),
            Module::Output => modules.output = Some(pair),
        }
    }
    finding.all_there(&modules)?;
    Ok(modules)
}

/// Of what may be trained as a whole. The output matrix is there even where the model has none of its own.
fn whole_shapes(config: &ModelConfig) -> BTreeMap<String, Vec<i64>> {
    let mut known: BTreeMap<String, Vec<i64>> = config.tensors().into_iter().collect();
    let embedding = vec![config.vocabulary_size as i64, config.hidden_size as i64];
    known.entry(format!("{OUTPUT}.weight")).or_insert(embedding);
    known
}

struct Finding<'a> {
    path: &'a Path,
    settings: &'a AdapterSettings,
    config: &'a ModelConfig,
}

impl Finding<'_> {
    fn name(module: Module) -> String {
        match module {
            Module::Layer(layer, projection) => projection.path(layer),
            Module::Embedding => EMBEDDING.to_owned(),
            Module::Output => OUTPUT.to_owned(),
        }
    }

    fn tensor(module: Module, part: Part) -> String {
        let end = match (module, part) {
            (Module::Embedding, Part::A) => "lora_embedding_A",
            (Module::Embedding, Part::B) => "lora_embedding_B",
            (_, Part::A) => "lora_A.weight",
            (_, Part::B) => "lora_B.weight",
            (_, Part::Magnitude) => "lora_magnitude_vector",
        };
        format!("{PREFIX}{}.{end}", Self::name(module))
    }

    fn pair(&self, module: Module, found: [Option<Tensor>; 3]) -> Result<Pair, PolicyError> {
        let [outputs, inputs] = module.shape(self.config);
        let wrong = |part, problem: String| tensor_error(self.path, &Self::tensor(module, part), problem);
        let [a, b, magnitude] = found;
        let missing = |part| wrong(part, "is missing, although the module has others".to_owned());
        let (a, b) = (a.ok_or_else(|| missing(Part::A))?, b.ok_or_else(|| missing(Part::B))?);
        let rank = a.size().first().copied().unwrap_or(0);
        if rank < 1 || a.size() != [rank, inputs] {
            let problem = format!("has shape {:?}, but the model makes it [rank, {inputs}]", a.size());
            return Err(wrong(Part::A, problem).into());
        }
        if b.size() != [outputs, rank] {
            let problem = format!("has shape {:?}, but the model and lora_A make it {:?}", b.size(), [outputs, rank]);
            return Err(wrong(Part::B, problem).into());
        }
        let is_decomposed = self.settings.form == AdapterForm::Decomposed;
        if module == Module::Embedding && is_decomposed {
            let problem = "is of an embedding, and use_dora is true; both together are not supported".to_owned();
            return Err(wrong(Part::A, problem).into());
        }
        let magnitude = match (is_decomposed, magnitude) {
            (false, None) => None,
            (false, Some(_)) => {
                return Err(wrong(Part::Magnitude, "is there, but use_dora is not true".to_owned()).into());
            }
            (true, None) => return Err(missing(Part::Magnitude).into()),
            (true, Some(lengths)) if lengths.size() == [outputs] => Some(lengths),
            (true, Some(lengths)) => {
                let problem = format!("has shape {:?}, but the model makes it [{outputs}]", lengths.size());
                return Err(wrong(Part::Magnitude, problem).into());
            }
        };
        let scale = self.settings.scale(&Self::name(module), rank);
        Ok(Pair { a, b, scale, magnitude })
    }

    /// What the configuration promises for every layer.
    fn all_there(&self, modules: &Modules) -> Result<(), PolicyError> {
        let promised = self.settings.everywhere.iter().flatten();
        for &projection in promised {
            for layer in 0..self.config.layers {
                if !modules.layers.contains_key(&(layer, projection)) {
                    let name = Self::tensor(Module::Layer(layer, projection), Part::A);
                    let problem = format!("is missing, although target_modules names {}", projection.name());
                    return Err(tensor_error(self.path, &name, problem).into());
                }
            }
        }
        if modules.layers.is_empty()
            && modules.embedding.is_none()
            && modules.output.is_none()
            && modules.whole.is_empty()
        {
            let problem = "holds no tensor of an adapter".to_owned();
            return Err(PolicyError::Model(ModelError::File { path: self.path.to_owned(), problem }));
        }
        Ok(())
    }
}
