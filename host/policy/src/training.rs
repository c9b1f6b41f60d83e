//! One forward and backward pass of a micro-batch.
//!
//! With shared parameters `[x][y][instruction][y′]` goes through the model once: attention is causal, so the same pass
//! gives log π(y | x) and log π(y′ | x, y, instruction). With separate adapters the Leader reads `[x][y]` and the
//! Follower all of it. The reference is a pass without gradients over the model's own weights.

use serde::{Deserialize, Serialize};
use slhf_plan::{FollowerReference, PairScores, PairWeights, Passed, TokenScores};
use tch::{TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::agent_pass::{AgentBatch, AgentPass, PassSettings};
use crate::batch::{Key, Sequences};
use crate::engine::Engine;
use crate::head::HeadScores;
use crate::parameters::Agent;

/// One pair to be trained on, as tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingPair {
    /// x, rendered, up to where the answer begins.
    pub prompt: Vec<u32>,
    /// y as sampled.
    pub leader: Vec<u32>,
    /// What stands between y and y′: y's end tokens where it was cut, and the instruction turn. In no loss.
    pub follow_up: Vec<u32>,
    /// y′ as sampled; `None` for a method with one policy.
    pub follower: Option<Vec<u32>>,
    /// What they were drawn from.
    pub supports: Supports,
}

/// Of how many of the likeliest tokens each token of an answer was drawn; 0: of all. Log-probabilities and divergences are then within that
/// support, renormalized. Empty: all tokens of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supports {
    /// One a token of y.
    pub leader: Vec<u32>,
    /// One a token of y′.
    pub follower: Vec<u32>,
}

/// What a method makes of a forward pass: called once, one entry a pair, in order.
pub type Weigh<'a, E> = dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, E> + 'a;

/// One policy's part of a pass.
struct Job {
    agent: Agent,
    sequences: Sequences,
}

/// A job after its forward pass.
#[derive(Debug)]
struct Forwarded {
    sequences: Sequences,
    pass: AgentPass,
}

/// A pass of pairs that went forward, and waits for the weights of what it found.
#[derive(Debug)]
pub struct BegunPass {
    forwarded: Vec<Forwarded>,
    scores: Vec<PairScores>,
    passed: Passed,
    settings: PassSettings,
}

impl BegunPass {
    /// One entry a pair, in order.
    #[must_use]
    pub fn scores(&self) -> &[PairScores] {
        &self.scores
    }

    /// What both halves of the pass cost.
    #[must_use]
    pub fn passed(&self) -> Passed {
        self.passed
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
        let begun = self.begin_pass(pairs, settings)?;
        let weights = weigh(&begun.scores)?;
        Ok(self.end_pass(begun, &weights)?)
    }

    /// The first half of [`Engine::pass`]: forward. What it holds is a pass's memory; the parameters must not change before its end.
    ///
    /// # Errors
    /// As [`Engine::pass`].
    pub fn begin_pass(&mut self, pairs: &[TrainingPair], settings: &PassSettings) -> Result<BegunPass, PolicyError> {
        // Their memory is worth more now than their contents: an update follows, and makes them stale.
        self.forget();
        self.check_predicts()?;
        self.check_pass(pairs, settings)?;
        let (forwarded, scores) = (Vec::new(), vec![PairScores::default(); pairs.len()]);
        let mut begun = BegunPass { forwarded, scores, passed: Passed::default(), settings: *settings };
        if pairs.is_empty() {
            return Ok(begun);
        }
        let doing = |what: &str| PolicyError::torch(format!("run the {what} pass of {} pairs", pairs.len()));
        let jobs = self.jobs(pairs);
        let (references, passed) = self.references(pairs, &jobs, settings).map_err(doing("reference's"))?;
        begun.passed = passed;
        for (index, (job, reference)) in jobs.into_iter().zip(references).enumerate() {
            let Job { agent, sequences } = job;
            self.count(&sequences.extent(), true, &mut begun.passed);
            let batch = sequences.padded(self.device()).map_err(doing("forward"))?;
            let supports = self.supports(pairs, &sequences).map_err(doing("forward"))?;
            let of = AgentBatch { agent, batch, reference: Some(reference), supports, pass: index as u32 };
            let pass = self.forward(of, settings).map_err(doing("forward"))?;
            if pass.was_read_twice() {
                self.count(&sequences.extent(), false, &mut begun.passed);
            }
            gather(&sequences, pass.told(), &mut begun.scores);
            begun.forwarded.push(Forwarded { sequences, pass });
        }
        Ok(begun)
    }

    /// The second half of [`Engine::pass`]: backward. `weights`: one entry a pair, in order.
    ///
    /// # Errors
    /// As [`Engine::pass`].
    pub fn end_pass(&mut self, begun: BegunPass, weights: &[PairWeights]) -> Result<Passed, PolicyError> {
        let BegunPass { forwarded, scores, passed, settings } = begun;
        check_weights(&scores, weights, &settings)?;
        for job in forwarded {
            let (score, exact_kl) = by_token(&job.sequences, weights);
            let doing = PolicyError::torch(format!("run the backward pass of {} pairs", scores.len()));
            self.backward(job.pass, &score, &exact_kl, &settings).map_err(doing)?;
        }
        Ok(passed)
    }

    /// What a pass would find of the policy as it stands, without gradients and without dropout: one entry a pair, in order. The tokens that
    /// are counted are those that the policy reads.
    ///
    /// # Errors
    /// As [`Engine::pass`].
    pub fn score(
        &mut self,
        pairs: &[TrainingPair],
        settings: &PassSettings,
    ) -> Result<(Vec<PairScores>, Passed), PolicyError> {
        self.forget();
        self.check_predicts()?;
        self.check_pass(pairs, settings)?;
        if pairs.is_empty() {
            return Ok((Vec::new(), Passed::default()));
        }
        let doing = || PolicyError::torch(format!("score {} pairs", pairs.len()));
        let jobs = self.jobs(pairs);
        let (references, mut passed) = self.references(pairs, &jobs, settings).map_err(doing())?;
        let mut gathered = vec![PairScores::default(); pairs.len()];
        for (index, (Job { agent, sequences }, reference)) in jobs.into_iter().zip(references).enumerate() {
            self.count(&sequences.extent(), false, &mut passed);
            passed.tokens += sequences.extent().tokens as u64;
            let batch = sequences.padded(self.device()).map_err(doing())?;
            let supports = self.supports(pairs, &sequences).map_err(doing())?;
            let of = AgentBatch { agent, batch, reference: Some(reference), supports, pass: index as u32 };
            let scores = self.scores_alone(&of, settings).map_err(doing())?;
            gather(&sequences, &scores, &mut gathered);
        }
        Ok((gathered, passed))
    }

    /// log π of every token of the Leader's responses, of the policy as it stands, without gradients and without dropout: one list a pair, in
    /// order. The reference is not asked. The tokens that are counted are those that the policy reads.
    ///
    /// # Errors
    /// As [`Engine::pass`].
    pub fn read_responses(
        &mut self,
        pairs: &[TrainingPair],
        settings: &PassSettings,
    ) -> Result<(Vec<Vec<f64>>, Passed), PolicyError> {
        self.forget();
        self.check_predicts()?;
        self.check_pass(pairs, settings)?;
        let mut passed = Passed::default();
        if pairs.is_empty() {
            return Ok((Vec::new(), passed));
        }
        let doing = || PolicyError::torch(format!("read {} responses", pairs.len()));
        let sequences = leaders(pairs);
        self.count(&sequences.extent(), false, &mut passed);
        passed.tokens += sequences.extent().tokens as u64;
        let batch = sequences.padded(self.device()).map_err(doing())?;
        let supports = self.supports(pairs, &sequences).map_err(doing())?;
        let agent = if self.is_shared() { Agent::Shared } else { Agent::Leader };
        let of = AgentBatch { agent, batch, reference: None, supports, pass: 0 };
        let settings = PassSettings { exact_kl: false, ..*settings };
        let scores = self.scores_alone(&of, &settings).map_err(doing())?;
        let mut gathered = vec![PairScores::default(); pairs.len()];
        gather(&sequences, &scores, &mut gathered);
        Ok((gathered.into_iter().map(|scores| scores.leader.policy).collect(), passed))
    }

    fn check_pass(&self, pairs: &[TrainingPair], settings: &PassSettings) -> Result<(), PolicyError> {
        self.check_trains(settings.temperature)?;
        for (index, pair) in pairs.iter().enumerate() {
            let follower = pair.follower.as_ref().map_or(0, |follower| pair.follow_up.len() + follower.len());
            self.check_tokens(&format!("the prompt of pair {index}"), &pair.prompt, pair.leader.len() + follower)?;
            self.check_tokens(&format!("the Leader's response of pair {index}"), &pair.leader, 0)?;
            if let Some(follower) = &pair.follower {
                self.check_tokens(&format!("the instruction turn of pair {index}"), &pair.follow_up, 0)?;
                self.check_tokens(&format!("the Follower's response of pair {index}"), follower, 0)?;
            }
            check_supports(index, pair)?;
        }
        Ok(())
    }

    /// One number a scored token; nothing where all were drawn from the whole vocabulary.
    fn supports(&self, pairs: &[TrainingPair], sequences: &Sequences) -> Result<Option<Tensor>, TchError> {
        let mut sizes = Vec::new();
        for span in &sequences.spans {
            let Supports { leader, follower } = &pairs[span.key.pair].supports;
            let given = if span.key.follower { follower } else { leader };
            if given.is_empty() {
                sizes.resize(sizes.len() + span.length, 0);
            } else {
                sizes.extend(given.iter().map(|size| i64::from(*size)));
            }
        }
        if sizes.iter().all(|size| *size == 0) {
            return Ok(None);
        }
        Tensor::f_from_slice(&sizes)?.f_to_device(self.device()).map(Some)
    }

    fn jobs(&self, pairs: &[TrainingPair]) -> Vec<Job> {
        if self.is_shared() {
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
            self.count(&sequences.extent(), false, &mut passed);
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

/// Adds what was found of some sequences to the scores of their pairs.
fn gather(sequences: &Sequences, found: &HeadScores, gathered: &mut [PairScores]) {
    let mut start = 0;
    for span in &sequences.spans {
        let range = start..start + span.length;
        start = range.end;
        let part = |values: &Vec<f64>| values.get(range.clone()).map(<[f64]>::to_vec).unwrap_or_default();
        let scores = TokenScores {
            policy: part(&found.policy),
            reference: part(&found.reference),
            exact_kl: part(&found.exact_kl),
            entropy: part(&found.entropy),
        };
        let pair = &mut gathered[span.key.pair];
        if span.key.follower {
            pair.follower = Some(scores);
        } else {
            pair.leader = scores;
        }
    }
}

/// Of each scored token: its score's weight, and its KL divergence's.
fn by_token(sequences: &Sequences, weights: &[PairWeights]) -> (Vec<f64>, Vec<f64>) {
    let (mut score, mut exact_kl) = (Vec::new(), Vec::new());
    for span in &sequences.spans {
        let pair = &weights[span.key.pair];
        let weights = if span.key.follower { pair.follower.as_ref() } else { Some(&pair.leader) };
        let or_zeros = |values: Option<&Vec<f64>>| match values {
            Some(values) if !values.is_empty() => values.clone(),
            _ => vec![0.0; span.length],
        };
        score.extend(or_zeros(weights.map(|weights| &weights.score)));
        exact_kl.extend(or_zeros(weights.map(|weights| &weights.exact_kl)));
    }
    (score, exact_kl)
}

fn check_supports(index: usize, pair: &TrainingPair) -> Result<(), PolicyError> {
    let follower = pair.follower.as_ref().map_or(0, Vec::len);
    for (sizes, tokens) in [(&pair.supports.leader, pair.leader.len()), (&pair.supports.follower, follower)] {
        if !(sizes.is_empty() || sizes.len() == tokens) {
            let problem = format!("has a response of {tokens} tokens and {} supports", sizes.len());
            return Err(PolicyError::Request { what: format!("pair {index}"), problem });
        }
    }
    Ok(())
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
