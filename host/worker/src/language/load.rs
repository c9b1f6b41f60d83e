//! From a plan's model to an engine.

use std::path::{Path, PathBuf};

use slhf_plan::{LanguageMethod, LanguagePlan, ModelPrecision, ModelWeights, Parameters};
use slhf_policy::{
    Agent, Engine, EngineSettings, ModelConfig, ModelError, ReadWeights as _, StoredAdapter, StoredModel, Thinking,
    Tokens, Training,
};
use tch::Device;

use crate::environment;
use crate::error::WorkerError;

/// What an engine is loaded for.
#[derive(Debug)]
pub(crate) struct Purpose {
    pub(crate) device: Device,
    pub(crate) precision: ModelPrecision,
    pub(crate) thinking: Thinking,
    /// In the place of the model's own.
    pub(crate) chat_template: Option<String>,
    pub(crate) weights: ModelWeights,
    pub(crate) activation_checkpointing: bool,
    /// `None`: only to generate and to score.
    pub(crate) training: Option<Training>,
    pub(crate) agents: Vec<Agent>,
    /// A folder in PEFT's format: the model answers with it.
    pub(crate) adapter: Option<PathBuf>,
    pub(crate) seed: u64,
}

/// The plan's model with what it trains, at its start; the files must be those that the plan was made with.
pub(super) fn trained(plan: &LanguagePlan) -> Result<(Engine, Tokens), WorkerError> {
    let path = Path::new(&plan.model.path);
    check_files(path, &plan.model.sha256)?;
    let purpose = Purpose {
        device: environment::resolve(&plan.device.name)?,
        precision: plan.device.precision,
        thinking: thinking(plan.model.thinking),
        chat_template: plan.model.chat_template.clone(),
        weights: plan.model.weights,
        activation_checkpointing: plan.model.activation_checkpointing,
        training: plan.method.is_trained().then(|| Training::of(&plan.model.adapter)).transpose()?,
        agents: agents(&plan.method),
        adapter: None,
        seed: plan.seed,
    };
    engine(path, purpose)
}

/// The files must be those that the plan was made with.
pub(crate) fn check_files(path: &Path, expected: &str) -> Result<(), WorkerError> {
    let found = slhf_data::model_sha256(path)?.sha256;
    if found == expected {
        return Ok(());
    }
    Err(WorkerError::ModelChanged { path: path.display().to_string(), expected: expected.to_owned(), found })
}

/// Likewise of an adapter.
pub(crate) fn check_adapter(folder: &Path, expected: &str) -> Result<(), WorkerError> {
    let found = slhf_data::adapter_sha256(folder)?;
    if found == expected {
        return Ok(());
    }
    Err(WorkerError::ModelChanged { path: folder.display().to_string(), expected: expected.to_owned(), found })
}

/// A model on its device, with its tokens.
pub(crate) fn engine(path: &Path, purpose: Purpose) -> Result<(Engine, Tokens), WorkerError> {
    let mut stored = StoredModel::open(path)?;
    let mut weights = stored.weights(purpose.precision)?;
    let mut config = stored.config().clone();
    let adapter = purpose.adapter.as_deref().map(|folder| StoredAdapter::open(folder, &config)).transpose()?;
    if let Some(edits) = adapter.as_ref().and_then(StoredAdapter::edits) {
        edits.apply(&mut weights)?;
        config = edits.config().clone();
    }
    let tokens = tokens_of(&stored, &config, &purpose)?;
    let settings = EngineSettings {
        device: purpose.device,
        precision: purpose.precision,
        activation_checkpointing: purpose.activation_checkpointing,
        training: purpose.training,
        agents: purpose.agents,
        seed: purpose.seed,
    };
    let mut engine = Engine::load(config, settings, &mut |name| weights.take(name))?;
    // What an adapter edits is not what the file packs; the head of a reward model never is.
    let edits = adapter.as_ref().and_then(StoredAdapter::edits);
    if purpose.weights == ModelWeights::Packed && edits.is_none_or(|edits| edits.head_alone().is_some()) {
        engine.pack(&mut stored)?;
    }
    if let Some(adapter) = adapter
        && let Some(parameters) = adapter.parameters(engine.config(), &[Agent::Shared], purpose.device)?
    {
        engine.set_parameters(parameters);
    }
    Ok((engine, tokens))
}

/// A model that lies at `path` and is loaded already, with an adapter beside it whose weights it shares where that can be.
pub(crate) fn beside(
    base: &Engine,
    path: &Path,
    adapter: &Path,
    purpose: Purpose,
) -> Result<(Engine, Tokens), WorkerError> {
    let stored = StoredModel::open(path)?;
    let purpose = Purpose { adapter: Some(adapter.to_owned()), ..purpose };
    match base.beside(&StoredAdapter::open(adapter, stored.config())?)? {
        Some(sharing) => {
            let tokens = tokens_of(&stored, sharing.config(), &purpose)?;
            Ok((sharing, tokens))
        }
        None => engine(path, purpose),
    }
}

/// A model's tokens, or those that its adapter brings.
fn tokens_of(stored: &StoredModel, config: &ModelConfig, purpose: &Purpose) -> Result<Tokens, ModelError> {
    match purpose.adapter.as_deref().filter(|folder| has_tokens(folder)) {
        Some(folder) => with_template(
            Tokens::from_folder(folder, config, purpose.thinking)?,
            purpose.thinking,
            purpose.chat_template.as_deref(),
        ),
        None => tokens(stored, purpose.thinking, purpose.chat_template.as_deref()),
    }
}

/// A model's tokens, with the chat template that was given in the place of its own.
pub(crate) fn tokens(
    stored: &StoredModel,
    thinking: Thinking,
    chat_template: Option<&str>,
) -> Result<Tokens, ModelError> {
    with_template(stored.tokens(thinking)?, thinking, chat_template)
}

/// Whether an adapter brings the tokenizer that it was trained with, as trainers save it beside the adapter: then that one
/// counts.
pub(crate) fn has_tokens(adapter: &Path) -> bool {
    adapter.join("tokenizer.json").is_file()
}

fn with_template(tokens: Tokens, thinking: Thinking, chat_template: Option<&str>) -> Result<Tokens, ModelError> {
    match chat_template {
        Some(source) => tokens.with_template(source, thinking),
        None => Ok(tokens),
    }
}

/// A plan's `thinking` as the template takes it.
pub(crate) fn thinking(setting: bool) -> Thinking {
    if setting { Thinking::On } else { Thinking::Off }
}

/// The engine's agents for a plan.
fn agents(method: &LanguageMethod) -> Vec<Agent> {
    match method {
        LanguageMethod::StackelbergGda(method) if method.players.parameters == Parameters::Separate => {
            vec![Agent::Leader, Agent::Follower]
        }
        _ => vec![Agent::Shared],
    }
}
