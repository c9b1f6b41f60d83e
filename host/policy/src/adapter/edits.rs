//! What an adapter changes in the weights themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slhf_model::{
    AdapterSettings, HEAD_TENSOR, ModelError, RewardHead, SafetensorsEntry, SafetensorsFile, tensor_error,
};
use tch::{Kind, TchError, Tensor, no_grad};

use super::modules::{EMBEDDING, Modules, OUTPUT, Pair};
use crate::weights::Weights;
use crate::{ModelConfig, PolicyError, Projection};

/// Changes of the weights, made when they are loaded: in f32, and rounded once to the precision that is loaded.
#[derive(Debug)]
pub struct WeightEdits {
    /// The adapter's weights, for messages.
    path: PathBuf,
    /// Of the model with these changes.
    config: ModelConfig,
    /// The base model's output matrix is its embedding.
    was_tied: bool,
    /// Where the output matrix of a tied model comes from.
    output_source: OutputSource,
    /// In the place of the embedding, before anything else.
    tied_base: Option<Tensor>,
    /// In the place of the model's tensors of these names.
    whole: BTreeMap<String, Tensor>,
    decomposed: BTreeMap<(usize, Projection), Pair>,
    embedding: Option<Pair>,
    output: Option<Pair>,
}

/// Of a model whose output matrix is its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputSource {
    /// What becomes of the embedding.
    NewEmbedding,
    /// The embedding as it was, with what the adapter does to the output matrix.
    OldEmbedding,
    /// A whole matrix of the adapter.
    Own,
}

/// The model's configuration with as many rows of the embedding as the adapter has of it.
pub(super) fn resized(path: &Path, file: &SafetensorsFile, config: &ModelConfig) -> Result<ModelConfig, PolicyError> {
    let mut rows = None;
    for module in [EMBEDDING, OUTPUT] {
        let Some(entry) = whole(file, module) else { continue };
        let found = entry.shape.first().copied().unwrap_or(0);
        match rows {
            Some(other) if other != found => {
                let problem = format!("has {found} rows, but the adapter's other matrix of the vocabulary has {other}");
                return Err(tensor_error(path, &entry.name, problem).into());
            }
            _ => rows = Some(found),
        }
        let is_other = found != config.vocabulary_size as i64;
        if module == OUTPUT && is_other && !config.tied_embeddings && whole(file, EMBEDDING).is_none() {
            let problem = format!(
                "has {found} rows, but the model's vocabulary has {}, and the adapter holds no embedding of the new size: \
                 save it with save_embedding_layers=True",
                config.vocabulary_size
            );
            return Err(tensor_error(path, &entry.name, problem).into());
        }
    }
    let mut resized = config.clone();
    if let Some(head) = file.entries().iter().find(|entry| is_head(&entry.name)) {
        resized.reward = Some(head_of(config, head, path)?);
    }
    if let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()) {
        resized.vocabulary_size = rows;
    }
    let ends = config.end_tokens.iter().chain(&config.beginning_token);
    if let Some(token) = ends.into_iter().find(|token| **token as usize >= resized.vocabulary_size) {
        let problem = format!("has {} rows, but a token of beginning or end is {token}", resized.vocabulary_size);
        return Err(tensor_error(path, EMBEDDING, problem).into());
    }
    Ok(resized)
}

/// Whether a tensor is the head of a reward model, under any of the names that PEFT gives it.
fn is_head(name: &str) -> bool {
    [HEAD_TENSOR, "score.modules_to_save.weight"].iter().any(|end| name.strip_prefix("base_model.model.") == Some(end))
}

/// The head of an adapter: its rows say how many labels there are, and the base model how they are called, if it has as many.
fn head_of(config: &ModelConfig, entry: &SafetensorsEntry, path: &Path) -> Result<RewardHead, PolicyError> {
    let width = config.hidden_size as i64;
    match (entry.shape.as_slice(), &config.reward) {
        ([rows, columns], Some(head)) if *rows == head.labels.len() as i64 && *columns == width => Ok(head.clone()),
        ([rows, columns], None) if (1..=RewardHead::LABELS_MAX as i64).contains(rows) && *columns == width => {
            Ok(RewardHead::unnamed(*rows as usize))
        }
        (shape, head) => {
            let rows = head.as_ref().map_or_else(|| "labels".to_owned(), |head| head.labels.len().to_string());
            let problem = format!("has shape {shape:?}, but the model makes it [{rows}, {width}]");
            Err(tensor_error(path, &entry.name, problem).into())
        }
    }
}

/// Whether a tensor of a module of this name, or of one whose name ends so, was trained as a whole.
fn is_there(whole: &BTreeMap<String, Tensor>, module: &str) -> bool {
    let modules = whole.keys().filter_map(|name| name.rsplit_once('.').map(|(module, _)| module));
    modules.into_iter().any(|name| name == module || name.ends_with(&format!(".{module}")))
}

/// A module's whole weight, under either of the names that PEFT gives it.
fn whole<'a>(file: &'a SafetensorsFile, module: &str) -> Option<&'a SafetensorsEntry> {
    let found = |end: &str| file.find(&format!("base_model.model.{module}.{end}"));
    found("weight").or_else(|| found("base_layer.weight"))
}

impl WeightEdits {
    pub(super) fn new(
        [config_file, weights_file]: [&Path; 2],
        modules: Modules,
        decomposed: BTreeMap<(usize, Projection), Pair>,
        settings: &AdapterSettings,
        resized: ModelConfig,
    ) -> Result<Self, PolicyError> {
        let Modules { embedding, output, whole, tied_base, .. } = modules;
        if let Some(missing) = settings.saved_modules.iter().find(|module| !is_there(&whole, module)) {
            let problem = format!("names {missing}, but adapter_model.safetensors holds no tensor of such a module");
            let key = "modules_to_save".to_owned();
            return Err(PolicyError::Model(ModelError::Config { path: config_file.to_owned(), key, problem }));
        }
        let (embedding_name, output_name) = (format!("{EMBEDDING}.weight"), format!("{OUTPUT}.weight"));
        let was_tied = resized.tied_embeddings;
        if was_tied && settings.is_kept_tied && (embedding.is_some() || output.is_some()) {
            let problem = "is true for low-rank matrices on the embedding of a tied model; that is not supported";
            let key = "ensure_weight_tying".to_owned();
            return Err(PolicyError::Model(ModelError::Config {
                path: config_file.to_owned(),
                key,
                problem: problem.to_owned(),
            }));
        }
        let own_embedding = embedding.is_some()
            || whole.contains_key(&embedding_name) && settings.has_saved(EMBEDDING) && !settings.is_kept_tied;
        let output_source = match whole.get(&output_name) {
            Some(matrix) if whole.get(&embedding_name).is_none_or(|other| !other.equal(matrix)) => OutputSource::Own,
            None if own_embedding || output.is_some() => OutputSource::OldEmbedding,
            _ => OutputSource::NewEmbedding,
        };
        let mut config = resized;
        config.tied_embeddings = was_tied && output_source == OutputSource::NewEmbedding;
        let path = weights_file.to_owned();
        Ok(Self { path, config, was_tied, output_source, tied_base, whole, decomposed, embedding, output })
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
            && self.tied_base.is_none()
            && self.decomposed.is_empty()
            && self.embedding.is_none()
            && self.output.is_none()
    }

    /// The head that takes the place of the model's, where nothing else is changed.
    #[must_use]
    pub fn head_alone(&self) -> Option<&Tensor> {
        let is_plain = self.tied_base.is_none()
            && self.decomposed.is_empty()
            && self.embedding.is_none()
            && self.output.is_none()
            && self.whole.len() == 1;
        if is_plain { self.whole.get(HEAD_TENSOR) } else { None }
    }

    /// The model's configuration with these changes: its vocabulary, and whether its output matrix is the embedding.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Makes the changes.
    pub fn apply(&self, weights: &mut Weights) -> Result<(), PolicyError> {
        let (embedding, output) = (format!("{EMBEDDING}.weight"), format!("{OUTPUT}.weight"));
        let kind = weights.get(&embedding)?.kind();
        if let Some(base) = &self.tied_base {
            weights.put(embedding.clone(), no_grad(|| base.f_to_kind(kind)).map_err(failed(&embedding))?);
        }
        if self.was_tied && self.output_source == OutputSource::OldEmbedding {
            weights.put(output.clone(), weights.get(&embedding)?);
        }
        for (name, tensor) in &self.whole {
            // The output matrix of a tied model is its embedding, which may have only this one's name in the file.
            let name = if name == &output && self.config.tied_embeddings { &embedding } else { name };
            weights.put(name.clone(), no_grad(|| tensor.f_to_kind(kind)).map_err(failed(name))?);
        }
        if let Some(pair) = &self.embedding {
            let row_changes = |product: Tensor, weight: &Tensor| added(weight, &product.f_tr()?);
            let base = weights.get(&embedding)?;
            let changed = no_grad(|| pair.product().and_then(|product| row_changes(product, &base)));
            weights.put(embedding.clone(), changed.map_err(failed(&embedding))?);
        }
        let decomposed = self.decomposed.iter().map(|((layer, projection), pair)| {
            let name = format!("{}.weight", projection.path(*layer));
            (name, pair)
        });
        for (name, pair) in self.output.iter().map(|pair| (output.clone(), pair)).chain(decomposed) {
            let base = weights.get(&name)?;
            let changed = no_grad(|| pair.put_into(&base)).map_err(failed(&name))?;
            weights.put(name, changed);
        }
        self.check_rows(weights)
    }

    /// A resized vocabulary has both matrices of the new size, or the model is none.
    fn check_rows(&self, weights: &Weights) -> Result<(), PolicyError> {
        // A reward model has no output matrix.
        let tied = self.config.tied_embeddings || self.config.reward.is_some();
        for module in [EMBEDDING, OUTPUT].into_iter().take(if tied { 1 } else { 2 }) {
            let name = format!("{module}.weight");
            let (found, expected) = (weights.get(&name)?.size()[0], self.config.vocabulary_size as i64);
            if found != expected {
                let problem = format!(
                    "has {found} rows, but the adapter was trained with a vocabulary of {expected}, and it holds no such matrix \
                     of that size: save it with save_embedding_layers=True"
                );
                return Err(tensor_error(&self.path, &name, problem).into());
            }
        }
        Ok(())
    }
}

fn failed(name: &str) -> impl FnOnce(TchError) -> PolicyError {
    PolicyError::torch(format!("put the adapter into `{name}`"))
}

impl Pair {
    /// `scale · B A`
    fn product(&self) -> Result<Tensor, TchError> {
        self.b.f_matmul(&self.a)?.f_mul_scalar(self.scale)
    }

    /// `W + scale · B A`, its rows of the trained lengths where there are such (arXiv 2402.09353, equation 5).
    fn put_into(&self, weight: &Tensor) -> Result<Tensor, TchError> {
        let Some(magnitude) = &self.magnitude else { return added(weight, &self.product()?) };
        let sum = weight.f_to_kind(Kind::Float)?.f_add(&self.product()?)?;
        let lengths = sum.f_norm_scalaropt_dim(2, [1].as_slice(), true)?;
        let factors = magnitude.f_unsqueeze(1)?.f_div(&lengths)?;
        sum.f_mul(&factors)?.f_to_kind(weight.kind())
    }
}

/// In f32, rounded once.
fn added(weight: &Tensor, product: &Tensor) -> Result<Tensor, TchError> {
    weight.f_to_kind(Kind::Float)?.f_add(product)?.f_to_kind(weight.kind())
}
