//! A language model that plays Leader, Follower and reference: it generates, scores and is trained.

use serde::{Deserialize, Serialize};
use slhf_plan::{ModelPrecision, Sampling};
use tch::{Device, Kind, Tensor, no_grad, no_grad_guard};

use crate::PolicyError;
use crate::adapter::StoredAdapter;
use crate::cache::Cache;
use crate::decoder::{Decoder, Ropes};
use crate::generate::{GenerateCounts, GenerateLayout, GenerateRow, Generated, Generator};
use crate::parameters::{Agent, Parameters, Training};
use crate::weights::packed;
use slhf_model::{ModelConfig, StoredModel};

/// Who answers or is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Player {
    /// π
    Leader,
    /// ω
    Follower,
    /// The frozen start of both: adapters off.
    Reference,
}

/// Where and how an engine computes.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Of weights and activations.
    pub device: Device,
    /// Likewise.
    pub precision: ModelPrecision,
    /// Recompute each layer's activations in the backward pass.
    pub activation_checkpointing: bool,
    /// What is trained; `None`: the model only generates and scores.
    pub training: Option<Training>,
    /// `[Shared]`, or `[Leader, Follower]` for adapters of their own.
    pub agents: Vec<Agent>,
    /// Adapters start from it, and dropout.
    pub seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: ModelConfig,
    pub(crate) settings: EngineSettings,
    pub(crate) base: Decoder,
    pub(crate) ropes: Ropes,
    parameters: Option<Parameters>,
    /// The generating copy of one agent's weights. There is never more than one, and none during training.
    copy: Option<(Agent, Decoder)>,
    /// What the last call of `generate` read, and under whose weights (`None`: the reference's).
    cache: Option<(Option<Agent>, Cache)>,
    version: u64,
}

impl Engine {
    /// Puts a model on its device. `take` gives each tensor of the configuration by its Hugging Face name (such as
    /// `Weights::take`); with full training the model is there twice, because the reference stays.
    pub fn load(
        config: ModelConfig,
        settings: EngineSettings,
        take: &mut dyn FnMut(&str) -> Result<Tensor, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let kind = match settings.precision {
            ModelPrecision::F32 => Kind::Float,
            ModelPrecision::Bf16 => Kind::BFloat16,
        };
        let device = settings.device;
        let mut started = Vec::new();
        let full = settings.training == Some(Training::Full);
        let mut take = |name: &str| -> Result<Tensor, PolicyError> {
            let tensor = take(name)?;
            if full {
                started.push((name.to_owned(), tensor.shallow_clone()));
            }
            Ok(tensor)
        };
        let base = Decoder::load(&config, (kind, device), &mut take)?;
        let parameters = match &settings.training {
            None => None,
            Some(Training::Lora(lora)) => {
                Some(Parameters::lora(&config, lora.clone(), &settings.agents, settings.seed, device)?)
            }
            Some(Training::Full) => {
                let names = config.tensors();
                started.sort_by_key(|(name, _)| names.iter().position(|(known, _)| known == name));
                Some(Parameters::full(&started, &settings.agents, device)?)
            }
        };
        let ropes = Ropes::new(&config, device);
        Ok(Self { config, settings, base, ropes, parameters, copy: None, cache: None, version: 0 })
    }

    /// Takes weights as the files pack them in the place of those that were loaded from the same files. Says whether it did: not where all
    /// weights are trained, nor on another device than a CPU, nor in bf16, nor on a processor without such products.
    ///
    /// # Errors
    /// The files cannot be read, or there is no memory.
    pub fn pack(&mut self, stored: &mut StoredModel) -> Result<bool, PolicyError> {
        let is_full = self.parameters.as_ref().is_some_and(|parameters| *parameters.training() == Training::Full);
        if is_full || self.settings.device != Device::Cpu || self.settings.precision != ModelPrecision::F32 {
            return Ok(false);
        }
        self.forget();
        self.base.pack(&self.config, &mut |name| packed(stored, name))
    }

    /// Whether all products with the model's own weights are those of packed ones, in which a row's result does not depend on the other rows.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.base.is_packed()
    }

    /// The same model with an adapter over it, beside this one: the weights are shared, but for a reward model's head that the adapter
    /// brings. `None`: the adapter changes the weights themselves, which cannot be shared.
    ///
    /// # Errors
    /// The adapter cannot be put on the device.
    pub fn beside(&self, adapter: &StoredAdapter) -> Result<Option<Self>, PolicyError> {
        let (mut config, head) = match adapter.edits() {
            None => (self.config.clone(), None),
            Some(edits) => match edits.head_alone() {
                Some(head) => (edits.config().clone(), Some(head)),
                None => return Ok(None),
            },
        };
        config.end_tokens.clone_from(&self.config.end_tokens);
        let device = self.settings.device;
        let put = |head: &Tensor| {
            no_grad(|| head.f_to_device(device)?.f_to_kind(self.base.embedding.kind())?.f_detach()?.f_contiguous())
        };
        let head = head.map(put).transpose().map_err(PolicyError::torch("put an adapter's head on its device"))?;
        let parameters = adapter.parameters(&config, &[Agent::Shared], device)?;
        Ok(Some(Self {
            ropes: Ropes::new(&config, device),
            settings: self.settings.clone(),
            base: self.base.beside(head),
            config,
            parameters,
            copy: None,
            cache: None,
            version: 0,
        }))
    }

    /// Whether both read the same memory of weights.
    #[must_use]
    pub fn shares_weights_with(&self, other: &Self) -> bool {
        self.base.is_at(&other.base)
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> Device {
        self.settings.device
    }

    /// Other tokens that end an answer: a chat template may close its turns with one that the configuration lacks.
    pub fn set_end_tokens(&mut self, tokens: Vec<u32>) {
        self.config.end_tokens = tokens;
    }

    /// What is trained.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters> {
        self.parameters.as_ref()
    }

    /// What is trained, to be changed in place. Call [`Engine::parameters_changed`] afterwards.
    pub fn parameters_mut(&mut self) -> Option<&mut Parameters> {
        self.parameters.as_mut()
    }

    /// Takes up other adapters: of a file, of another run.
    pub fn set_parameters(&mut self, parameters: Parameters) {
        self.parameters = Some(parameters);
        self.parameters_changed();
    }

    /// Says that parameters have other values now: what was computed from the old ones is forgotten.
    pub fn parameters_changed(&mut self) {
        self.version += 1;
        self.forget();
    }

    /// How often the parameters have changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Bytes of weights that one decoding step reads.
    #[must_use]
    pub fn bytes_of_a_step(&self) -> u64 {
        self.decoder(self.agent(Player::Leader)).bytes_of_a_step()
    }

    /// Frees the cache and the generating copy of the weights.
    pub fn forget(&mut self) {
        self.copy = None;
        self.cache = None;
    }

    /// Frees the cache.
    pub(crate) fn forget_read(&mut self) {
        self.cache = None;
    }

    /// Whose parameters a player uses; `None`: the model's own.
    #[must_use]
    pub fn agent(&self, player: Player) -> Option<Agent> {
        let agents = self.parameters.as_ref()?.agents();
        let own = match player {
            Player::Leader => Agent::Leader,
            Player::Follower => Agent::Follower,
            Player::Reference => return None,
        };
        [Agent::Shared, own].into_iter().find(|agent| agents.contains(agent))
    }

    /// Samples one answer a row, in order. Where all contexts begin with what the last call read under the same
    /// weights, its cache is continued; `counts` says so.
    pub fn generate(
        &mut self,
        player: Player,
        rows: &[GenerateRow],
        seed: u64,
        sampling: &Sampling,
    ) -> Result<(Vec<Generated>, GenerateCounts), PolicyError> {
        let layout = self.layout(player, rows);
        self.generate_within(player, rows, &layout, (seed, sampling))
    }

    /// Where tokens lie in the cache of [`Engine::generate`].
    #[must_use]
    pub fn layout(&self, player: Player, rows: &[GenerateRow]) -> GenerateLayout {
        let agent = self.agent(player);
        let kept = self.cache.as_ref().filter(|(owner, _)| *owner == agent).map(|(_, cache)| cache);
        GenerateLayout::of(kept, rows)
    }

    /// [`Engine::generate`] of a part of some rows, by the layout of all of them: to the bits that it has among them.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn generate_within(
        &mut self,
        player: Player,
        rows: &[GenerateRow],
        layout: &GenerateLayout,
        (seed, sampling): (u64, &Sampling),
    ) -> Result<(Vec<Generated>, GenerateCounts), PolicyError> {
        self.check_rows(rows, sampling)?;
        if rows.is_empty() {
            // Of rows that are computed elsewhere: what was read before them is no longer the last that was read.
            self.forget_read();
            return Ok((Vec::new(), GenerateCounts::default()));
        }
        let _guard = no_grad_guard();
        let agent = self.agent(player);
        self.prepare_copy(agent)?;
        let mut kept = match self.cache.take() {
            Some((owner, cache)) if owner == agent => Some(cache),
            _ => None,
        };
        let answered = self
            .generator(self.decoder(agent), seed, sampling)
            .generate(rows, layout, &mut kept)
            .map_err(PolicyError::torch(format!("generate {} responses", rows.len())))?;
        self.cache = kept.map(|cache| (agent, cache));
        Ok(answered)
    }

    /// Floating-point operations of generating: 2 for each weight a token goes through, attention by the squares of the
    /// lengths; as [`slhf_plan::Passed`] counts a pass.
    #[must_use]
    pub fn operations_of(&self, counts: &GenerateCounts) -> f64 {
        let (layers, head) = Decoder::matrix_numbers(&self.config);
        let width = (self.config.heads * self.config.head_size * self.config.layers) as f64;
        2.0 * (layers * counts.read as f64 + head * counts.predicted as f64 + width * counts.squares as f64)
    }

    /// What can be answered at all.
    pub(crate) fn check_rows(&self, rows: &[GenerateRow], sampling: &Sampling) -> Result<(), PolicyError> {
        check_sampling(sampling)?;
        self.check_predicts()?;
        for (index, row) in rows.iter().enumerate() {
            self.check_to_answer(
                &format!("row {index} to respond to"),
                &row.context,
                sampling.max_new_tokens as usize,
            )?;
        }
        Ok(())
    }

    /// The generating weights of an agent, once they are prepared; `None`: the model's own.
    pub(crate) fn decoder(&self, agent: Option<Agent>) -> &Decoder {
        match &self.copy {
            Some((owner, decoder)) if Some(*owner) == agent => decoder,
            _ => &self.base,
        }
    }

    pub(crate) fn generator<'a>(&'a self, decoder: &'a Decoder, seed: u64, sampling: &'a Sampling) -> Generator<'a> {
        let end_tokens = &self.config.end_tokens;
        Generator { config: &self.config, decoder, ropes: &self.ropes, end_tokens, sampling, seed }
    }

    pub(crate) fn prepare_copy(&mut self, agent: Option<Agent>) -> Result<(), PolicyError> {
        let (Some(agent), Some(parameters)) = (agent, &self.parameters) else { return Ok(()) };
        if self.copy.as_ref().is_some_and(|(owner, _)| *owner == agent) {
            return Ok(());
        }
        // Gone before the other one is made.
        self.copy = None;
        let decoder = self
            .base
            .with_parameters(&self.config, parameters, agent)
            .map_err(PolicyError::torch(format!("join the {} parameters with the model", agent.name())))?;
        self.copy = Some((agent, decoder));
        Ok(())
    }

    /// Tokens that the model can score, with room for `further` ones.
    pub(crate) fn check_tokens(&self, what: &str, tokens: &[u32], further: usize) -> Result<(), PolicyError> {
        let wrong = |problem: String| Err(PolicyError::Request { what: what.to_owned(), problem });
        if tokens.is_empty() {
            return wrong("has no tokens, but a model needs at least one to begin with".into());
        }
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= self.config.vocabulary_size) {
            let size = self.config.vocabulary_size;
            return wrong(format!("has the token {token}, but the model's vocabulary has {size}"));
        }
        let (length, context) = (tokens.len() + further, self.config.positions_max());
        if length > context {
            return wrong(format!("needs {length} positions, but the model has {context}; shorten it"));
        }
        Ok(())
    }

    /// Tokens that the model can answer with `further` ones.
    fn check_to_answer(&self, what: &str, tokens: &[u32], further: usize) -> Result<(), PolicyError> {
        let (length, most) = (tokens.len() + further, self.config.generated_positions_max());
        if length > most && length <= self.config.positions_max() && most < self.config.positions_max() {
            let problem = format!(
                "needs {length} positions, but this model generates within {most} positions only: longer texts turn otherwise \
                 (its rotary positions are \"dynamic\" or \"longrope\"), so that what was sampled would not be what is \
                 trained; shorten it"
            );
            return Err(PolicyError::Request { what: what.to_owned(), problem });
        }
        self.check_tokens(what, tokens, further)
    }
}

fn check_sampling(sampling: &Sampling) -> Result<(), PolicyError> {
    let wrong = |key, problem: String| Err(PolicyError::Setting { key, problem });
    if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
        return wrong("temperature", format!("is {}, but must be at least 0", sampling.temperature));
    }
    if !(0.0..=1.0).contains(&sampling.top_p) {
        return wrong("top_p", format!("is {}, but must lie between 0 and 1", sampling.top_p));
    }
    if sampling.max_new_tokens == 0 {
        return wrong("max_new_tokens", "is 0, but a response has at least one token".into());
    }
    Ok(())
}
