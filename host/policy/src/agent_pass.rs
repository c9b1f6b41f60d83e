//! One policy's part of a pass: forward, what it says of each scored token, backward from one coefficient a token.

use serde::{Deserialize, Serialize};
use slhf_plan::{FollowerReference, Passed};
use tch::{TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::batch::{Extent, Padded};
use crate::decoder::{Adapters, Decoder, OutputMatrix, PlainModel};
use crate::engine::Engine;
use crate::head::{HeadInput, HeadScores, HeadSettings};
use crate::parameters::{Agent, HEAD_PARAMETER, Parameters, Training};
use crate::trace::{DropoutSeed, Forward, Trace};

/// How a pass is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassSettings {
    /// Logits are divided by it, as in sampling; above 0.
    pub temperature: f64,
    /// Compute the KL divergence over the whole vocabulary, too.
    pub exact_kl: bool,
    /// What the Follower's reference is conditioned on.
    pub follower_reference: FollowerReference,
    /// Where dropout's masks come from.
    pub step: u64,
    /// Likewise.
    pub micro_batch: u32,
}

/// What a policy is to read.
#[derive(Debug)]
pub(crate) struct AgentBatch {
    pub(crate) agent: Agent,
    pub(crate) batch: Padded,
    /// The reference's hidden states before the scored tokens, `[n, hidden]`, where it is asked.
    pub(crate) reference: Option<Tensor>,
    /// How many of the likeliest tokens each scored one was drawn from, 0 for all, `[n]`; `None`: all from all.
    pub(crate) supports: Option<Tensor>,
    /// Which policy's of the pass: dropout's masks are its own.
    pub(crate) pass: u32,
}

/// A policy's part after its forward pass.
#[derive(Debug)]
pub(crate) struct AgentPass {
    of: AgentBatch,
    model: PlainModel,
    adapters: Option<Adapters>,
    trace: Trace,
    hidden: Tensor,
    scores: HeadScores,
    /// What is told of the policy where dropout makes `scores` those of another one.
    undropped: Option<HeadScores>,
}

impl AgentPass {
    /// What is told of the policy.
    pub(crate) fn told(&self) -> &HeadScores {
        self.undropped.as_ref().unwrap_or(&self.scores)
    }

    /// Whether the policy was read once more, without dropout.
    pub(crate) fn was_read_twice(&self) -> bool {
        self.undropped.is_some()
    }
}

impl Engine {
    /// Whether a pass can be made at all.
    pub(crate) fn check_trains(&self, temperature: f64) -> Result<(), PolicyError> {
        check_temperature(temperature, "in training")?;
        if self.parameters().is_none() {
            let problem = "trains nothing; load the engine with adapters or full training".to_owned();
            return Err(PolicyError::Request { what: "this engine".to_owned(), problem });
        }
        Ok(())
    }

    /// A trained policy: the weights that a pass goes through, and its adapters.
    pub(crate) fn policy(&self, agent: Agent) -> Result<(PlainModel, Option<Adapters>), TchError> {
        let Some(parameters) = self.parameters() else { return Ok((self.base.plain(&self.config)?, None)) };
        match parameters.training() {
            Training::Full => {
                let kind = self.base.embedding.kind();
                Ok((PlainModel::trained(&self.config, parameters, agent, kind)?, None))
            }
            Training::Lora(lora) => {
                let adapters = Adapters::of(parameters, agent, lora, &self.config)?;
                let mut model = self.base.plain(&self.config)?;
                if let Some(head) = parameters.get(agent, HEAD_PARAMETER) {
                    model.head = OutputMatrix::new(head.tensor.shallow_clone());
                }
                Ok((model, Some(adapters)))
            }
        }
    }

    pub(crate) fn forward_of<'a>(
        &'a self,
        model: &'a PlainModel,
        adapters: Option<&'a Adapters>,
        batch: &'a Padded,
        place: Option<(&PassSettings, u32)>,
    ) -> Forward<'a> {
        let (step, micro_batch, pass) = place.map_or((0, 0, 0), |(at, pass)| (at.step, at.micro_batch, pass));
        let dropout = DropoutSeed { seed: self.settings.seed, step, micro_batch, pass };
        Forward { config: &self.config, ropes: &self.ropes, model, adapters, batch, dropout }
    }

    /// The forward pass of a policy, with gradients to come.
    pub(crate) fn forward(&self, of: AgentBatch, settings: &PassSettings) -> Result<AgentPass, TchError> {
        let (model, adapters) = self.policy(of.agent)?;
        let forward = self.forward_of(&model, adapters.as_ref(), &of.batch, Some((settings, of.pass)));
        let trace = if self.settings.activation_checkpointing { forward.checkpointed()? } else { forward.whole()? };
        let hidden = trace.hidden.f_detach()?;
        let scores = no_grad(|| self.head_input(&model, &hidden, &of).scores(head_settings(settings)))?;
        let undropped = match &adapters {
            Some(dropping) if dropping.dropout > 0.0 => {
                Some(no_grad(|| self.undropped_scores((&model, Some(dropping)), &of, settings))?)
            }
            _ => None,
        };
        Ok(AgentPass { of, model, adapters, trace, hidden, scores, undropped })
    }

    /// The policy is the network without dropout: it is what answers, and a KL divergence estimated under masks would be
    /// of another one.
    fn undropped_scores(
        &self,
        (model, dropping): (&PlainModel, Option<&Adapters>),
        of: &AgentBatch,
        settings: &PassSettings,
    ) -> Result<HeadScores, TchError> {
        let adapters = dropping.map(Adapters::without_dropout);
        let hidden = self.forward_of(model, adapters.as_ref(), &of.batch, None).whole()?.hidden;
        let without_gradients = HeadSettings { gradients: false, ..head_settings(settings) };
        self.head_input(model, &hidden, of).scores(without_gradients)
    }

    /// What a pass would tell of a policy, without one: no gradients, no dropout.
    pub(crate) fn scores_alone(&self, of: &AgentBatch, settings: &PassSettings) -> Result<HeadScores, TchError> {
        let (model, adapters) = self.policy(of.agent)?;
        no_grad(|| self.undropped_scores((&model, adapters.as_ref()), of, settings))
    }

    fn head_input<'a>(&'a self, model: &'a PlainModel, hidden: &'a Tensor, of: &'a AgentBatch) -> HeadInput<'a> {
        let reference = of.reference.as_ref().map(|reference| (&self.base.head, reference));
        HeadInput { head: &model.head, hidden, reference, targets: &of.batch.targets, supports: of.supports.as_ref() }
    }

    /// The backward pass: ∂loss/∂log π of each scored token, and of each one's KL divergence over the vocabulary, which is empty or
    /// zeros where that was not computed.
    pub(crate) fn backward(
        &self,
        pass: AgentPass,
        score: &[f64],
        exact_kl: &[f64],
        settings: &PassSettings,
    ) -> Result<(), TchError> {
        let Some(gradient) = no_grad(|| pass.scores.gradient(score, exact_kl))? else { return Ok(()) };
        if pass.model.head.numbers.requires_grad() {
            let exact_kl = if settings.exact_kl { exact_kl } else { &[] };
            let slope = no_grad(|| {
                let input = self.head_input(&pass.model, &pass.hidden, &pass.of);
                input.head_gradient(head_settings(settings), score, exact_kl)
            })?;
            // The leaf in f32, not its copy in the precision of the activations.
            let name = self.config.head_tensor().unwrap_or("model.embed_tokens.weight");
            if let Some(leaf) = self.parameters().and_then(|parameters| parameters.get(pass.of.agent, name)) {
                leaf.tensor.f_mul(&slope)?.f_sum(tch::Kind::Float)?.f_backward()?;
            }
        }
        let place = Some((settings, pass.of.pass));
        let forward = self.forward_of(&pass.model, pass.adapters.as_ref(), &pass.of.batch, place);
        forward.backward(pass.trace, &gradient)
    }

    /// Whose parameters a pass moves: one set's, or the Leader's and the Follower's.
    pub(crate) fn is_shared(&self) -> bool {
        self.parameters().map(Parameters::agents).unwrap_or_default().contains(&Agent::Shared)
    }

    /// Adds what a pass costs.
    pub(crate) fn count(&self, extent: &Extent, trained: bool, passed: &mut Passed) {
        let full = self.parameters().is_some_and(|parameters| *parameters.training() == Training::Full);
        // Forward 1; backward 1 for the inputs and, in full training, 1 for the weights. Attention: forward 1, backward 2.
        let (linear, attention) = match (trained, full) {
            (false, _) => (1.0, 1.0),
            (true, false) => (2.0, 3.0),
            (true, true) => (3.0, 3.0),
        };
        let (layers, head) = Decoder::matrix_numbers(&self.config);
        let width = (self.config.heads * self.config.head_size * self.config.layers) as f64;
        let weights = layers * extent.tokens as f64 + head * extent.scored as f64;
        passed.operations += 2.0 * linear * weights + 2.0 * attention * width * extent.squares;
        passed.forward_passes += 1;
        if trained {
            passed.tokens += extent.tokens as u64;
        }
    }
}

/// A temperature by which logits are divided; `when`: behind what it must be.
pub(crate) fn check_temperature(temperature: f64, when: &str) -> Result<(), PolicyError> {
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    let problem = format!("is {temperature}, but must be above 0 {when}");
    Err(PolicyError::Setting { key: "temperature", problem })
}

fn head_settings(settings: &PassSettings) -> HeadSettings {
    HeadSettings { temperature: settings.temperature, exact_kl: settings.exact_kl, gradients: true }
}
