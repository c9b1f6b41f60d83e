//! One forward and backward pass of a micro-batch.
//!
//! With shared parameters `[x][y][instruction][y′]` goes through the model once: attention is causal, so the same pass
//! gives log π(y | x) and log π(y′ | x, y, instruction). With separate adapters the Leader reads `[x][y]` and the
//! Follower all of it. The reference is a pass without gradients over the model's own weights.

use slhf_plan::{FollowerReference, PairScores, PairWeights, Passed, TokenScores};
use tch::{TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::batch::{Key, Padded, Sequences};
use crate::decoder::{Adapters, Decoder, OutputMatrix, PlainModel};
use crate::engine::Engine;
use crate::head::{HeadInput, HeadScores, HeadSettings};
use crate::parameters::{Agent, HEAD_PARAMETER, Parameters, Training};
use crate::trace::{DropoutSeed, Forward, Trace};

/// One pair to be trained on, as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingPair {
    /// x, rendered, up to where the answer begins.
    pub prompt: Vec<u32>,
    /// y as sampled.
    pub leader: Vec<u32>,
    /// What stands between y and y′: y's end tokens where it was cut, and the instruction turn. In no loss.
    pub follow_up: Vec<u32>,
    /// y′ as sampled; `None` for a method with one policy.
    pub follower: Option<Vec<u32>>,
}

/// How a pass is made.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// What a method makes of a forward pass: called once, one entry a pair, in order.
pub type Weigh<'a, E> = dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, E> + 'a;

/// One policy's part of a pass.
struct Job {
    agent: Agent,
    sequences: Sequences,
}

/// A job after its forward pass.
struct Forwarded {
    agent: Agent,
    sequences: Sequences,
    batch: Padded,
    model: PlainModel,
    adapters: Option<Adapters>,
    pass: u32,
    trace: Trace,
    hidden: Tensor,
    reference: Tensor,
    scores: HeadScores,
    /// What is told of the policy where dropout makes `scores` those of another one.
    undropped: Option<HeadScores>,
}

impl Forwarded {
    /// What is told of the policy.
    fn told(&self) -> &HeadScores {
        self.undropped.as_ref().unwrap_or(&self.scores)
    }
}

impl Engine {
    /// Forward pass, `weigh` on what it found (called once, one entry a pair, in order), backward pass: gradients
    /// accumulate in the parameters.
    pub fn pass<E: From<PolicyError>>(
        &mut self,
        pairs: &[TrainingPair],
        settings: &PassSettings,
        weigh: &mut Weigh<'_, E>,
    ) -> Result<Passed, E> {
        // Their memory is worth more now than their contents: an update follows, and makes them stale.
        self.forget();
        self.check_predicts()?;
        self.check_pass(pairs, settings)?;
        if pairs.is_empty() {
            weigh(&[])?;
            return Ok(Passed::default());
        }
        let doing = |what: &str| PolicyError::torch(format!("run the {what} pass of {} pairs", pairs.len()));
        let jobs = self.jobs(pairs);
        let (references, mut passed) = self.references(pairs, &jobs, settings).map_err(doing("reference's"))?;
        let mut forwarded = Vec::with_capacity(jobs.len());
        for (index, (job, reference)) in jobs.into_iter().zip(references).enumerate() {
            self.count(&job.sequences, true, &mut passed);
            let job = self.forward(job, reference, index as u32, settings).map_err(doing("forward"))?;
            if job.undropped.is_some() {
                self.count(&job.sequences, false, &mut passed);
            }
            forwarded.push(job);
        }
        let scores = gather(pairs, &forwarded);
        let weights = weigh(&scores)?;
        check_weights(&scores, &weights, settings)?;
        for job in forwarded {
            self.backward(job, &weights, settings).map_err(doing("backward"))?;
        }
        Ok(passed)
    }

    fn check_pass(&self, pairs: &[TrainingPair], settings: &PassSettings) -> Result<(), PolicyError> {
        if !(settings.temperature.is_finite() && settings.temperature > 0.0) {
            let problem = format!("is {}, but must be above 0 in training", settings.temperature);
            return Err(PolicyError::Setting { key: "temperature", problem });
        }
        if self.parameters().is_none() {
            let problem = "trains nothing; load the engine with adapters or full training".to_owned();
            return Err(PolicyError::Request { what: "this engine".to_owned(), problem });
        }
        for (index, pair) in pairs.iter().enumerate() {
            let follower = pair.follower.as_ref().map_or(0, |follower| pair.follow_up.len() + follower.len());
            self.check_tokens(&format!("the prompt of pair {index}"), &pair.prompt, pair.leader.len() + follower)?;
            self.check_tokens(&format!("the Leader's response of pair {index}"), &pair.leader, 0)?;
            if let Some(follower) = &pair.follower {
                self.check_tokens(&format!("the instruction turn of pair {index}"), &pair.follow_up, 0)?;
                self.check_tokens(&format!("the Follower's response of pair {index}"), follower, 0)?;
            }
        }
        Ok(())
    }

    fn jobs(&self, pairs: &[TrainingPair]) -> Vec<Job> {
        let agents = self.parameters().map(Parameters::agents).unwrap_or_default();
        if agents.contains(&Agent::Shared) {
            return vec![Job {
                agent: Agent::Shared,
                sequences: packed(pairs, Roles { leader: true, follower: true }),
            }];
        }
        let mut jobs = vec![Job { agent: Agent::Leader, sequences: leaders(pairs) }];
        if pairs.iter().any(|pair| pair.follower.is_some()) {
            let sequences = packed(pairs, Roles { leader: false, follower: true });
            jobs.push(Job { agent: Agent::Follower, sequences });
        }
        jobs
    }

    /// The reference's hidden states before each job's scored tokens.
    fn references(
        &self,
        pairs: &[TrainingPair],
        jobs: &[Job],
        settings: &PassSettings,
    ) -> Result<(Vec<Tensor>, Passed), TchError> {
        let mut passed = Passed::default();
        let both = pairs.iter().any(|pair| pair.follower.is_some());
        let apart = both && settings.follower_reference == FollowerReference::Prompt;
        let first = if apart { leaders(pairs) } else { packed(pairs, Roles { leader: true, follower: true }) };
        let second = apart.then(|| followers_from_prompts(pairs));
        let model = self.base.plain(&self.config)?;
        let mut hidden = Vec::new();
        for sequences in [Some(&first), second.as_ref()].into_iter().flatten() {
            self.count(sequences, false, &mut passed);
            let batch = sequences.padded(self.device())?;
            hidden.push(no_grad(|| self.forward_of(&model, None, &batch, None).whole())?.hidden);
        }
        let hidden = Tensor::f_cat(&hidden, 0)?;
        let mut references = Vec::new();
        for job in jobs {
            let missing = || TchError::Convert("the reference did not read every response".to_owned());
            let places = first.places(second.as_ref(), &job.sequences).ok_or_else(missing)?;
            references.push(hidden.f_index_select(0, &Tensor::f_from_slice(&places)?.f_to_device(self.device())?)?);
        }
        Ok((references, passed))
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

    fn forward(&self, job: Job, reference: Tensor, pass: u32, settings: &PassSettings) -> Result<Forwarded, TchError> {
        let Job { agent, sequences } = job;
        let (model, adapters) = self.policy(agent)?;
        let batch = sequences.padded(self.device())?;
        let forward = self.forward_of(&model, adapters.as_ref(), &batch, Some((settings, pass)));
        let trace = if self.settings.activation_checkpointing { forward.checkpointed()? } else { forward.whole()? };
        let hidden = trace.hidden.f_detach()?;
        let scores = no_grad(|| {
            let input = self.head_input(&model, &hidden, &reference, &batch);
            input.scores(head_settings(settings))
        })?;
        let undropped = match &adapters {
            Some(dropping) if dropping.dropout > 0.0 => {
                Some(no_grad(|| self.undropped_scores((&model, dropping), &batch, &reference, settings))?)
            }
            _ => None,
        };
        Ok(Forwarded { agent, sequences, batch, model, adapters, pass, trace, hidden, reference, scores, undropped })
    }

    /// The policy is the network without dropout: it is what answers, and a KL divergence estimated under masks would be
    /// of another one.
    fn undropped_scores(
        &self,
        (model, dropping): (&PlainModel, &Adapters),
        batch: &Padded,
        reference: &Tensor,
        settings: &PassSettings,
    ) -> Result<HeadScores, TchError> {
        let adapters = dropping.without_dropout();
        let hidden = self.forward_of(model, Some(&adapters), batch, None).whole()?.hidden;
        let without_gradients = HeadSettings { gradients: false, ..head_settings(settings) };
        self.head_input(model, &hidden, reference, batch).scores(without_gradients)
    }

    fn head_input<'a>(
        &'a self,
        model: &'a PlainModel,
        hidden: &'a Tensor,
        reference: &'a Tensor,
        batch: &'a Padded,
    ) -> HeadInput<'a> {
        HeadInput { head: &model.head, hidden, reference: Some((&self.base.head, reference)), targets: &batch.targets }
    }

    fn backward(&self, job: Forwarded, weights: &[PairWeights], settings: &PassSettings) -> Result<(), TchError> {
        let (mut score, mut exact_kl) = (Vec::new(), Vec::new());
        for span in &job.sequences.spans {
            let pair = &weights[span.key.pair];
            let weights = if span.key.follower { pair.follower.as_ref() } else { Some(&pair.leader) };
            let or_zeros = |values: Option<&Vec<f64>>| match values {
                Some(values) if !values.is_empty() => values.clone(),
                _ => vec![0.0; span.length],
            };
            score.extend(or_zeros(weights.map(|weights| &weights.score)));
            exact_kl.extend(or_zeros(weights.map(|weights| &weights.exact_kl)));
        }
        let Some(gradient) = no_grad(|| job.scores.gradient(&score, &exact_kl))? else { return Ok(()) };
        if job.model.head.numbers.requires_grad() {
            let exact_kl = if settings.exact_kl { exact_kl.as_slice() } else { &[] };
            let slope = no_grad(|| {
                let input = self.head_input(&job.model, &job.hidden, &job.reference, &job.batch);
                input.head_gradient(head_settings(settings), &score, exact_kl)
            })?;
            // The leaf in f32, not its copy in the precision of the activations.
            let name = self.config.head_tensor().unwrap_or("model.embed_tokens.weight");
            if let Some(leaf) = self.parameters().and_then(|parameters| parameters.get(job.agent, name)) {
                leaf.tensor.f_mul(&slope)?.f_sum(tch::Kind::Float)?.f_backward()?;
            }
        }
        let forward = self.forward_of(&job.model, job.adapters.as_ref(), &job.batch, Some((settings, job.pass)));
        forward.backward(job.trace, &gradient)
    }

    /// Adds what a pass over sequences costs.
    pub(crate) fn count(&self, sequences: &Sequences, trained: bool, passed: &mut Passed) {
        let full = self.parameters().is_some_and(|parameters| *parameters.training() == Training::Full);
        // Forward 1; backward 1 for the inputs and, in full training, 1 for the weights. Attention: forward 1, backward 2.
        let (linear, attention) = match (trained, full) {
            (false, _) => (1.0, 1.0),
            (true, false) => (2.0, 3.0),
            (true, true) => (3.0, 3.0),
        };
        let (layers, head) = Decoder::matrix_numbers(&self.config);
        let width = (self.config.heads * self.config.head_size * self.config.layers) as f64;
        let weights = layers * sequences.tokens() as f64 + head * sequences.scored() as f64;
        passed.operations += 2.0 * linear * weights + 2.0 * attention * width * sequences.squares();
        passed.forward_passes += 1;
        if trained {
            passed.tokens += sequences.tokens() as u64;
        }
    }
}

fn head_settings(settings: &PassSettings) -> HeadSettings {
    HeadSettings { temperature: settings.temperature, exact_kl: settings.exact_kl, gradients: true }
}

/// Whose answers are scored.
#[derive(Clone, Copy)]
struct Roles {
    leader: bool,
    follower: bool,
}

/// `[x][y][instruction][y′]`, or `[x][y]` of a pair without a Follower.
fn packed(pairs: &[TrainingPair], roles: Roles) -> Sequences {
    let mut sequences = Sequences::default();
    for (index, pair) in pairs.iter().enumerate() {
        let key = |follower| Key { pair: index, follower };
        let leader = roles.leader.then(|| key(false));
        let mut parts: Vec<(&[u32], Option<Key>)> = vec![(&pair.prompt, None), (&pair.leader, leader)];
        if let Some(follower) = &pair.follower {
            parts.push((&pair.follow_up, None));
            parts.push((follower, roles.follower.then(|| key(true))));
        } else if leader.is_none() {
            continue;
        }
        sequences.push(&parts);
    }
    sequences
}

/// `[x][y]`
fn leaders(pairs: &[TrainingPair]) -> Sequences {
    let mut sequences = Sequences::default();
    for (index, pair) in pairs.iter().enumerate() {
        sequences.push(&[(&pair.prompt, None), (&pair.leader, Some(Key { pair: index, follower: false }))]);
    }
    sequences
}

/// `[x][y′]`
fn followers_from_prompts(pairs: &[TrainingPair]) -> Sequences {
    let mut sequences = Sequences::default();
    for (index, pair) in pairs.iter().enumerate() {
        if let Some(follower) = &pair.follower {
            sequences.push(&[(&pair.prompt, None), (follower, Some(Key { pair: index, follower: true }))]);
        }
    }
    sequences
}

fn gather(pairs: &[TrainingPair], jobs: &[Forwarded]) -> Vec<PairScores> {
    let mut gathered = vec![PairScores::default(); pairs.len()];
    for job in jobs {
        let mut start = 0;
        for span in &job.sequences.spans {
            let range = start..start + span.length;
            start = range.end;
            let part = |values: &Vec<f64>| values.get(range.clone()).map(<[f64]>::to_vec).unwrap_or_default();
            let scores = TokenScores {
                policy: part(&job.told().policy),
                reference: part(&job.told().reference),
                exact_kl: part(&job.told().exact_kl),
                entropy: part(&job.told().entropy),
            };
            let pair = &mut gathered[span.key.pair];
            if span.key.follower {
                pair.follower = Some(scores);
            } else {
                pair.leader = scores;
            }
        }
    }
    gathered
}

fn check_weights(scores: &[PairScores], weights: &[PairWeights], settings: &PassSettings) -> Result<(), PolicyError> {
    let wrong = |what: String, problem: String| Err(PolicyError::Request { what, problem });
    if scores.len() != weights.len() {
        return wrong("a pass".into(), format!("of {} pairs got the weights of {}", scores.len(), weights.len()));
    }
    for (index, (scores, weights)) in scores.iter().zip(weights).enumerate() {
        let answers =
            [(Some(&scores.leader), Some(&weights.leader)), (scores.follower.as_ref(), weights.follower.as_ref())];
        for (scores, weights) in answers {
            let Some(weights) = weights else { continue };
            let tokens = scores.map_or(0, |scores| scores.policy.len());
            let fits = |values: &[f64]| values.len() == tokens;
            if !(weights.score.is_empty() || fits(&weights.score)) {
                let found = weights.score.len();
                return wrong(
                    format!("pair {index}"),
                    format!("has a response of {tokens} tokens and {found} weights"),
                );
            }
            if !(weights.exact_kl.is_empty() || fits(&weights.exact_kl) && settings.exact_kl) {
                let problem = "has weights on an exact KL divergence that was not computed, or not one a token";
                return wrong(format!("pair {index}"), problem.to_owned());
            }
        }
    }
    Ok(())
}
