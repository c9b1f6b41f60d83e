//! What training needs of policies and judges.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use slhf_plan::{
    AnswerSetScores, AnswerSetWeights, Message, PairScores, PairWeights, Passed, PromptId, Sampling, VerdictAttribute,
};
use slhf_random::Row;

use crate::Cause;

/// A prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Its number in the data: part of every random stream, so that it must not depend on the order.
    pub id: u32,
    /// Which prompt it is for records and readers, whatever its number.
    pub identity: PromptId,
    /// The conversation; the last message is the user's.
    pub messages: Arc<[Message]>,
    /// JSON object of the data row, for judges.
    pub metadata: Arc<str>,
}

/// Which policy answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolicyName {
    /// π
    Leader,
    /// ω
    Follower,
    /// The frozen start of both (adapters off).
    Reference,
    /// `π^(1−m) · π_ref^m`, token by token: Nash-MD's opponent.
    Mixture {
        /// m, in [0, 1].
        reference_share: f64,
    },
}

/// A sampled answer: what was sampled is what is trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// As sampled, the end-of-sequence token included where it was sampled. Never empty.
    pub tokens: Arc<[u32]>,
    /// Whether the last token is an end-of-sequence token.
    pub finished: bool,
    /// Decoded, without the end-of-sequence token.
    pub text: Arc<str>,
    /// How each token was drawn; empty for an answer that nobody sampled.
    pub draws: Arc<[Draw]>,
}

/// How a token was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Of the token, in the distribution that it was drawn from: with the temperature, among the tokens that `top_k` and `top_p` leave.
    pub log_probability: f64,
    /// How many of the likeliest tokens it was drawn from; 0: all.
    pub support: u32,
}

/// An answer to be sampled.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Who answers.
    pub policy: PolicyName,
    /// To what.
    pub prompt: &'a Prompt,
    /// The answer that is to be improved: its tokens, closed by the template's end tokens if it was cut, and the
    /// instruction turn follow the prompt. `None`: the prompt is answered itself.
    pub previous: Option<&'a Answer>,
    /// The row's own random stream.
    pub row: Row,
}

/// One pair to be trained on.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// x
    pub prompt: &'a Prompt,
    /// y
    pub leader: &'a Answer,
    /// y′ given x, y and the instruction; `None` for a method with one policy.
    pub follower: Option<&'a Answer>,
}

/// A closed set of answers to a prompt.
#[derive(Clone, Copy, Debug)]
pub struct AnswerSet<'a> {
    /// x
    pub prompt: &'a Prompt,
    /// The answers, two or more; each ends by itself.
    pub answers: &'a [Answer],
}

/// Whose scores of closed sets are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoredBy {
    /// Leader and Follower as they stand.
    Policies,
    /// The frozen start of both.
    Reference,
    /// The policies as they were kept so many times ago, from 1 ([`LanguagePolicies::keep`]).
    Kept(usize),
}

/// Whose parameters an update moves. With shared parameters there is one set: `Both`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Agents {
    /// Both.
    Both,
    /// The Leader's.
    Leader,
    /// The Follower's.
    Follower,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Whose.
    pub agents: Agents,
    /// The Leader's learning rate (the only one with shared parameters).
    pub leader_learning_rate: f64,
    /// The Follower's.
    pub follower_learning_rate: f64,
    /// Largest norm of one agent's gradient; 0: not clipped.
    pub max_grad_norm: f64,
}

/// Norms before clipping. With shared parameters both are the norm of the one gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradientNorms {
    /// The Leader's.
    pub leader: f64,
    /// The Follower's.
    pub follower: f64,
}

/// What was sampled, and what it cost.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// One a request, in order.
    pub answers: Vec<Answer>,
    /// Floating-point operations, of all models that read along.
    pub operations: f64,
}

/// What the reference makes of answers that it reads, and what that cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// φ(x, y), one vector an answer, in order, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Floating-point operations of reading.
    pub operations: f64,
}

/// Whether scores have KL divergences over the whole vocabulary, which cost a pass over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactKl {
    /// One a token.
    Computed,
    /// None.
    LeftOut,
}

/// Policies that are never asked.
const NO_SCORES: &str = "these policies score no responses that they are not trained on";
/// Policies that are never asked what they were.
const NOTHING_KEPT: &str = "these policies keep none of their earlier ones";
/// Policies that are never given any.
const NO_SETS: &str = "these policies know no closed sets of responses";

/// Which pass of a run: the pair is unique in it, further Follower updates of the step included. What dropout is seeded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassPlace {
    /// From 1.
    pub step: u64,
    /// Among the passes of the step, from 0.
    pub micro_batch: u32,
}

impl PassPlace {
    /// So many passes later in the step.
    #[must_use]
    pub fn after(self, passes: usize) -> Self {
        Self { micro_batch: self.micro_batch + passes as u32, ..self }
    }
}

/// What a method makes of the forward pass of one of several micro-batches, by its place among them.
pub type WeighEach<'a, Scores, Weights> = dyn FnMut(usize, &[Scores]) -> Result<Vec<Weights>, Cause> + 'a;

/// Leader, Follower and reference as one thing, because they share weights.
pub trait LanguagePolicies {
    /// Samples one answer a request, in order. Rows of a request's batch share no randomness. An implementation may
    /// keep its cache and go on from it where weights and token prefix are the same.
    fn generate(&mut self, requests: &[Request<'_>], seed: u64, sampling: &Sampling) -> Result<Generation, Cause>;

    /// One forward pass of a micro-batch, `weigh` on what it found, one backward pass: gradients accumulate.
    /// `weigh` is called exactly once, with one entry a pair, in order.
    ///
    /// (`step`, `micro_batch`) is unique in a run, further Follower updates of the step included: what dropout is seeded
    /// by. A pair's Leader may have coefficients that are all 0 (a further Follower update).
    #[expect(clippy::type_complexity, reason = "a name for it would hide what is asked and what comes back")]
    fn pass(
        &mut self,
        pairs: &[Pair<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, Cause>,
    ) -> Result<Passed, Cause>;

    /// [`LanguagePolicies::pass`] of micro-batches, the first of which is `first`, each with what `weigh` makes of it: `weigh` is called once for
    /// each, in order, with its place among them. Several may go forward before the first is weighed; gradients are added in this order.
    fn pass_each(
        &mut self,
        micro_batches: &[Vec<Pair<'_>>],
        first: PassPlace,
        weigh: &mut WeighEach<'_, PairScores, PairWeights>,
    ) -> Result<Passed, Cause> {
        let mut total = Passed::default();
        for (index, pairs) in micro_batches.iter().enumerate() {
            let PassPlace { step, micro_batch } = first.after(index);
            total.add(self.pass(pairs, step, micro_batch, &mut |scores| weigh(index, scores))?);
        }
        Ok(total)
    }

    /// Features of answers to their prompts, for a reward model: the frozen reference's last hidden state (after the final
    /// norm, before the output matrix) at the answer's last token. What is trained does not change them. One pass of all of
    /// `answers`, which are no more than a micro-batch.
    fn features(&mut self, answers: &[(&Prompt, &Answer)]) -> Result<Features, Cause>;

    /// What a pass would find of responses, as the policy stands: nothing is learned, and no dropout is in it. One entry a pair, in order;
    /// the tokens of [`Passed`] are those that the policy read.
    fn score(&mut self, _pairs: &[Pair<'_>], _exact_kl: ExactKl) -> Result<(Vec<PairScores>, Passed), Cause> {
        Err(NO_SCORES.into())
    }

    /// Keeps the policies as they stand, to be asked later beside those that were kept before; the oldest beyond `most` are forgotten.
    fn keep(&mut self, _most: usize) -> Result<(), Cause> {
        Err(NOTHING_KEPT.into())
    }

    /// log π of each pair's whole Leader response, by the policies as they were kept so many times ago, from 1. As
    /// [`LanguagePolicies::score`] else.
    fn score_by_kept(&mut self, _times_ago: usize, _pairs: &[Pair<'_>]) -> Result<(Vec<f64>, Passed), Cause> {
        Err(NOTHING_KEPT.into())
    }

    /// Forward pass over closed sets, `weigh` on what it found (called once, one entry a set, in order), backward pass: gradients
    /// accumulate. Every answer is scored after its prompt, and with a Follower every pair of answers. (`step`, `micro_batch`) as in
    /// [`LanguagePolicies::pass`].
    #[expect(clippy::type_complexity, reason = "as above")]
    fn pass_sets(
        &mut self,
        _sets: &[AnswerSet<'_>],
        _step: u64,
        _micro_batch: u32,
        _weigh: &mut dyn FnMut(&[AnswerSetScores]) -> Result<Vec<AnswerSetWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        Err(NO_SETS.into())
    }

    /// [`LanguagePolicies::pass_sets`] of micro-batches, as [`LanguagePolicies::pass_each`].
    fn pass_sets_each(
        &mut self,
        micro_batches: &[Vec<AnswerSet<'_>>],
        first: PassPlace,
        weigh: &mut WeighEach<'_, AnswerSetScores, AnswerSetWeights>,
    ) -> Result<Passed, Cause> {
        let mut total = Passed::default();
        for (index, sets) in micro_batches.iter().enumerate() {
            let PassPlace { step, micro_batch } = first.after(index);
            total.add(self.pass_sets(sets, step, micro_batch, &mut |scores| weigh(index, scores))?);
        }
        Ok(total)
    }

    /// Scores of closed sets, one entry a set, in order; nothing is learned.
    fn score_sets(&mut self, _sets: &[AnswerSet<'_>], _by: ScoredBy) -> Result<(Vec<AnswerSetScores>, Passed), Cause> {
        Err(NO_SETS.into())
    }

    /// Seconds since it was asked last that went into sending and adding gradients; `None` where one process computes.
    fn all_reduce_seconds(&mut self) -> Option<f64> {
        None
    }

    /// Clips, takes one optimizer step with what was accumulated, and clears it. A gradient that is not finite changes
    /// nothing and is an error that names the agent and the first such parameter.
    fn update(&mut self, update: &Update) -> Result<GradientNorms, Cause>;

    /// Trained parameters, those that were kept, and optimizer state, as bytes.
    fn save(&self) -> Result<Vec<u8>, Cause>;

    /// Takes up what [`LanguagePolicies::save`] gave.
    fn restore(&mut self, state: &[u8]) -> Result<(), Cause>;
}

/// Two answers to be compared.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// x
    pub prompt: &'a Prompt,
    /// The answer whose probability of being preferred is asked for.
    pub first: &'a Answer,
    /// The other one.
    pub second: &'a Answer,
    /// The only randomness a judge has.
    pub draw: u64,
}

/// An answer to be scored.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// x
    pub prompt: &'a Prompt,
    /// y
    pub answer: &'a Answer,
    /// The only randomness of who scores it.
    pub draw: u64,
}

/// What a judge said.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// p(first ≻ second), in [0, 1].
    pub probability: f64,
    /// Why.
    pub attributes: Vec<VerdictAttribute>,
}

/// What a reward plugin, or a fitted reward model, said of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reward {
    /// The reward.
    pub value: f64,
    /// Why: the criteria behind it.
    pub attributes: Vec<VerdictAttribute>,
}

/// A judge. The inner `Err` is a failure that the judge returned for an item and that the run's setting lets pass
/// (`on_failure = "skip"`); everything else ends the batch.
pub trait PairJudge {
    /// One verdict a comparison, in order.
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause>;

    /// A reward an answer, in order, for methods that want one.
    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause>;
}

/// The judge of a run that has none: a method that learns from the pairs of a file asks nobody.
#[derive(Clone, Copy, Debug)]
pub struct NobodyJudges;

/// What it says if it is asked all the same.
const NO_JUDGE: &str = "the run has no judge, and was asked for a verdict";

impl PairJudge for NobodyJudges {
    fn compare(&mut self, _: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        Err(NO_JUDGE.into())
    }

    fn score(&mut self, _: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause> {
        Err(NO_JUDGE.into())
    }
}

/// What a measure said of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its score, finite.
    pub value: f64,
    /// Its attributes by name, finite; a name may stand there several times.
    pub attributes: Vec<(String, f64)>,
}

/// Something that scores answers in evaluations, and that nobody is trained on. The inner `Err` is a failure that it
/// returned for an answer and that the run's setting lets pass.
pub trait Measure {
    /// One outcome an answer, in order.
    fn measure(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Measured, String>>, Cause>;
}

/// Who is asked in evaluations alone.
#[derive(Default)]
pub struct Evaluators {
    /// Judges, in the order of the plan's `evaluation.judges`.
    pub judges: Vec<Box<dyn PairJudge>>,
    /// Measures, in the order of the plan's `evaluation.measures`.
    pub measures: Vec<Box<dyn Measure>>,
}

impl std::fmt::Debug for Evaluators {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (judges, measures) = (self.judges.len(), self.measures.len());
        formatter.debug_struct("Evaluators").field("judges", &judges).field("measures", &measures).finish()
    }
}

/// Those who do what the loop asks for.
pub(crate) struct Players<'a> {
    pub(crate) policies: &'a mut (dyn LanguagePolicies + 'a),
    pub(crate) judge: &'a mut (dyn PairJudge + 'a),
    /// Who is asked in evaluations alone.
    pub(crate) evaluators: &'a mut Evaluators,
}
