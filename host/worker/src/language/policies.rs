//! Leader, Follower and reference on one engine, as training wants them.

use std::collections::HashMap;
use std::sync::Arc;

use slhf_learn::Cause;
use slhf_learn::language::{
    Agents, Answer, AnswerSet, Draw, ExactKl, Features, Generation, GradientNorms, LanguagePolicies, Pair, PassPlace,
    PolicyName, Prompt, Request, ScoredBy, Update,
};
use slhf_plan::{
    AnswerSetScores, AnswerSetWeights, FollowerReference, KlGradient, LanguageMethod, LanguagePlan, PairScores,
    PairWeights, Passed, Sampling, TrainedOn,
};
use slhf_policy::{
    Agent, AgentNorm, AgentRate, AnswerTree, BegunOptimizerStep, Engine, GenerateCounts, GenerateLayout, GenerateRow,
    Generated, KeptParameters, Optimizer, OptimizerStep, PassSettings, Player, PolicyError, ReferenceShare, Share,
    ShareMoments, Supports, Tokens, TrainingPair, TurnTokens,
};

use tch::Tensor;

use crate::error::WorkerError;
use crate::language::load;
use crate::language::sampler::ServedSampler;
use crate::ranks::Speaker;

/// An engine with its tokens and its optimizer.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) engine: Engine,
    pub(super) tokens: Tokens,
    /// `None` for a method that trains nothing.
    optimizer: Option<Optimizer>,
    /// The turn that asks for a better answer; `None` for a method that never asks.
    turn: Option<TurnTokens>,
    pass: PassSettings,
    trained_on: TrainedOn,
    /// Parameters of steps before, of a method that plays against them.
    kept: KeptParameters,
    /// Rendered prompts: every step asks for the same ones again.
    prompts: HashMap<u32, Arc<[u32]>>,
    /// Who samples in the engine's place.
    sampler: Option<ServedSampler>,
}

impl Policies {
    /// Loads the plan's model; the policies stand at their start.
    pub(crate) fn load(plan: &LanguagePlan) -> Result<Self, WorkerError> {
        Self::load_share(plan, Share::WHOLE)
    }

    /// Likewise, to move a share of what is trained.
    pub(crate) fn load_share(plan: &LanguagePlan, share: Share) -> Result<Self, WorkerError> {
        let (engine, tokens) = load::trained(plan)?;
        let training = plan.method.training();
        let follower_reference = match &plan.method {
            LanguageMethod::StackelbergGda(method) => method.players.follower_reference,
            _ => FollowerReference::Context,
        };
        Ok(Self {
            optimizer: engine
                .parameters()
                .map(|parameters| Optimizer::of_share(training.optimizer, parameters, share))
                .transpose()?,
            turn: plan.method.instruction().map(|instruction| tokens.turn(instruction)).transpose()?,
            pass: PassSettings {
                temperature: training.sampling.temperature,
                exact_kl: training.kl_gradient == KlGradient::Exact,
                follower_reference,
                step: 0,
                micro_batch: 0,
            },
            trained_on: training.trained_on,
            kept: KeptParameters::default(),
            engine,
            tokens,
            prompts: HashMap::new(),
            sampler: None,
        })
    }

    /// From here on a server samples, where there is one.
    pub(super) fn sampled_by(&mut self, sampler: Option<ServedSampler>) {
        self.sampler = sampler;
    }

    /// Nothing more is to be sampled.
    pub(super) fn end_sampling(&mut self) {
        if let Some(mut sampler) = self.sampler.take() {
            sampler.end();
        }
    }

    /// That several processes give the bits of one where they are to: products do not depend on how many rows there are.
    pub(crate) fn may_be_divided(&self) -> Result<(), WorkerError> {
        if self.is_sharded() || self.engine.is_packed() { Ok(()) } else { Err(WorkerError::NotPacked) }
    }

    /// Whether each of several processes moves its own share of what is trained.
    pub(crate) fn is_sharded(&self) -> bool {
        self.optimizer.as_ref().is_some_and(|optimizer| optimizer.share() != Share::WHOLE)
    }

    /// The gradients of what an update moves, in its memory.
    pub(crate) fn gradients(&mut self, update: &Update) -> Result<Vec<Tensor>, WorkerError> {
        let agents: Vec<Agent> = self.rates(update).iter().map(|rate| rate.agent).collect();
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        Ok(parameters.gradients_of(&agents)?)
    }

    /// The first half of an update: nothing has changed yet.
    pub(crate) fn begin_update(&self, update: &Update) -> Result<BegunOptimizerStep, WorkerError> {
        let (rates, parameters) = (self.rates(update), self.engine.parameters().ok_or(WorkerError::NothingTrained)?);
        let step = OptimizerStep { rates: &rates, max_grad_norm: update.max_grad_norm };
        Ok(self.optimizer.as_ref().ok_or(WorkerError::NothingTrained)?.begin_step(parameters, &step)?)
    }

    /// The second half: this share has moved after it. `squares`: of the gradients' norms, over all shares.
    pub(crate) fn end_update(
        &mut self,
        update: &Update,
        begun: &BegunOptimizerStep,
        squares: &[f64],
    ) -> Result<GradientNorms, WorkerError> {
        let rates = self.rates(update);
        let step = OptimizerStep { rates: &rates, max_grad_norm: update.max_grad_norm };
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        let optimizer = self.optimizer.as_mut().ok_or(WorkerError::NothingTrained)?;
        let norms = optimizer.end_step(parameters, begun, (&step, squares))?;
        self.engine.parameters_changed();
        Ok(named(&norms))
    }

    /// The moments of this share.
    pub(crate) fn share_moments(&self) -> Result<ShareMoments, WorkerError> {
        Ok(self.optimizer.as_ref().ok_or(WorkerError::NothingTrained)?.share_moments()?)
    }

    /// As [`LanguagePolicies::save`], with the moments of all shares.
    pub(crate) fn save_shares(&self, shares: &[ShareMoments]) -> Result<Vec<u8>, WorkerError> {
        let parameters = self.engine.parameters().ok_or(WorkerError::NothingTrained)?;
        let optimizer = self.optimizer.as_ref().ok_or(WorkerError::NothingTrained)?;
        Ok(optimizer.whole(parameters, shares)?.save_with(parameters, &self.kept)?)
    }

    /// What is left when training is over.
    pub(crate) fn into_parts(self) -> (Engine, Tokens) {
        (self.engine, self.tokens)
    }

    fn prompt(&mut self, prompt: &Prompt) -> Result<Arc<[u32]>, PolicyError> {
        if let Some(known) = self.prompts.get(&prompt.id) {
            return Ok(Arc::clone(known));
        }
        let tokens: Arc<[u32]> = self.tokens.prompt(&prompt.messages)?.into();
        self.prompts.insert(prompt.id, Arc::clone(&tokens));
        Ok(tokens)
    }

    fn follow_up(&self, previous: &Answer) -> Result<Vec<u32>, WorkerError> {
        let turn = self.turn.as_ref().ok_or(WorkerError::NoFollower)?;
        Ok(turn.after(&previous.tokens))
    }

    /// The rendered prompt of each request.
    pub(crate) fn prompts_of(&mut self, requests: &[Request<'_>]) -> Result<Vec<Arc<[u32]>>, WorkerError> {
        let mut prompts = Vec::with_capacity(requests.len());
        for request in requests {
            prompts.push(self.prompt(request.prompt)?);
        }
        Ok(prompts)
    }

    /// What each request continues.
    pub(crate) fn rows(&mut self, requests: &[Request<'_>]) -> Result<Vec<GenerateRow>, WorkerError> {
        let mut rows = Vec::with_capacity(requests.len());
        for request in requests {
            rows.push(GenerateRow { context: self.context(request)?, row: request.row });
        }
        Ok(rows)
    }

    /// Where the tokens of rows lie.
    pub(crate) fn layout(&self, speaker: Speaker, rows: &[GenerateRow]) -> GenerateLayout {
        match speaker {
            Speaker::Player(player) => self.engine.layout(player, rows),
            Speaker::Mixture(_) => Engine::mixture_layout(rows),
        }
    }

    /// One answer a row, in order, and what they cost. `layout`: of these rows, and of those that are sampled elsewhere.
    pub(crate) fn sample(
        &mut self,
        speaker: Speaker,
        rows: &[GenerateRow],
        layout: &GenerateLayout,
        how: (u64, &Sampling),
    ) -> Result<(Vec<Generated>, GenerateCounts), WorkerError> {
        Ok(match speaker {
            Speaker::Player(player) => self.engine.generate_within(player, rows, layout, how)?,
            Speaker::Mixture(share) => {
                let share = ReferenceShare::new(share).ok_or(WorkerError::ReferenceShare { share })?;
                self.engine.generate_mixture((Player::Leader, share), rows, layout, how)?
            }
        })
    }

    /// As the loop knows them.
    pub(crate) fn answers(&self, generated: Vec<Generated>) -> Result<Vec<Answer>, WorkerError> {
        let mut answers = Vec::with_capacity(generated.len());
        for one in generated {
            let text = self.tokens.decode(&one.tokens)?.into();
            let draws = one.draws.iter().map(drawn).collect();
            answers.push(Answer { tokens: one.tokens.into(), finished: one.finished, text, draws });
        }
        Ok(answers)
    }

    /// How passes are made, from this one on.
    pub(crate) fn pass_settings(&self, place: PassPlace) -> PassSettings {
        PassSettings { step: place.step, micro_batch: place.micro_batch, ..self.pass }
    }

    /// As tokens.
    pub(crate) fn training_pairs(&mut self, pairs: &[Pair<'_>]) -> Result<Vec<TrainingPair>, WorkerError> {
        pairs.iter().map(|pair| self.training_pair(pair)).collect()
    }

    fn context(&mut self, request: &Request<'_>) -> Result<Vec<u32>, WorkerError> {
        let mut context = self.prompt(request.prompt)?.to_vec();
        if let Some(previous) = request.previous {
            context.extend_from_slice(&previous.tokens);
            context.extend(self.follow_up(previous)?);
        }
        Ok(context)
    }

    fn training_pair(&mut self, pair: &Pair<'_>) -> Result<TrainingPair, WorkerError> {
        let follow_up = match pair.follower {
            Some(_) => self.follow_up(pair.leader)?,
            None => Vec::new(),
        };
        Ok(TrainingPair {
            prompt: self.prompt(pair.prompt)?.to_vec(),
            leader: pair.leader.tokens.to_vec(),
            follow_up,
            follower: pair.follower.map(|answer| answer.tokens.to_vec()),
            supports: Supports {
                leader: self.supports(pair.leader),
                follower: pair.follower.map(|answer| self.supports(answer)).unwrap_or_default(),
            },
        })
    }

    /// Of how many tokens each of an answer was drawn, where training is on that support.
    fn supports(&self, answer: &Answer) -> Vec<u32> {
        match self.trained_on {
            TrainedOn::Vocabulary => Vec::new(),
            TrainedOn::Sampled => answer.draws.iter().map(|draw| draw.support).collect(),
        }
    }

    /// Closed sets as trees of tokens: shared beginnings are read once.
    pub(crate) fn trees(&mut self, sets: &[AnswerSet<'_>]) -> Result<Vec<AnswerTree>, WorkerError> {
        let mut trees = Vec::with_capacity(sets.len());
        for set in sets {
            let follow_ups = match &self.turn {
                Some(turn) => set.answers.iter().map(|answer| turn.after(&answer.tokens)).collect(),
                None => Vec::new(),
            };
            trees.push(AnswerTree {
                prompt: self.prompt(set.prompt)?.to_vec(),
                answers: set.answers.iter().map(|answer| answer.tokens.to_vec()).collect(),
                follow_ups,
            });
        }
        Ok(trees)
    }

    /// What `read` finds of the policies as they were kept so many times ago.
    fn by_kept<T>(
        &mut self,
        times_ago: usize,
        read: impl FnOnce(&mut Engine) -> Result<T, PolicyError>,
    ) -> Result<T, WorkerError> {
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        self.kept.exchange(times_ago, parameters)?;
        self.engine.parameters_changed();
        let found = read(&mut self.engine);
        // Back in their places, whatever was found.
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        self.kept.exchange(times_ago, parameters)?;
        self.engine.parameters_changed();
        Ok(found?)
    }

    /// Whose parameters an update moves, and how far.
    fn rates(&self, update: &Update) -> Vec<AgentRate> {
        let agents = self.engine.parameters().map(slhf_policy::Parameters::agents).unwrap_or_default();
        let rate = |agent| {
            let (is_moved, learning_rate) = match agent {
                Agent::Shared => (true, update.leader_learning_rate),
                Agent::Leader => (update.agents != Agents::Follower, update.leader_learning_rate),
                Agent::Follower => (update.agents != Agents::Leader, update.follower_learning_rate),
            };
            is_moved.then_some(AgentRate { agent, learning_rate })
        };
        agents.into_iter().filter_map(rate).collect()
    }
}

impl LanguagePolicies for Policies {
    fn generate(&mut self, requests: &[Request<'_>], seed: u64, sampling: &Sampling) -> Result<Generation, Cause> {
        let mut generation = Generation { answers: Vec::with_capacity(requests.len()), operations: 0.0 };
        for same in requests.chunk_by(|one, other| one.policy == other.policy) {
            let rows = self.rows(same)?;
            let speaker = speaker(same[0].policy)?;
            if let Some(sampler) = &mut self.sampler {
                let Speaker::Player(player) = speaker else { return Err(WorkerError::SampledMixture.into()) };
                let generated = sampler.sample(&mut self.engine, player, &rows, (seed, sampling))?;
                generation.answers.extend(self.answers(generated)?);
                continue;
            }
            let layout = self.layout(speaker, &rows);
            let (generated, counts) = self.sample(speaker, &rows, &layout, (seed, sampling))?;
            generation.operations += self.engine.operations_of(&counts);
            generation.answers.extend(self.answers(generated)?);
        }
        Ok(generation)
    }

    fn pass(
        &mut self,
        pairs: &[Pair<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        let pairs = self.training_pairs(pairs)?;
        let settings = self.pass_settings(PassPlace { step, micro_batch });
        self.engine.pass::<Cause>(&pairs, &settings, weigh)
    }

    fn score(&mut self, pairs: &[Pair<'_>], exact_kl: ExactKl) -> Result<(Vec<PairScores>, Passed), Cause> {
        let pairs = self.training_pairs(pairs)?;
        let settings = PassSettings { exact_kl: exact_kl == ExactKl::Computed, ..self.pass };
        Ok(self.engine.score(&pairs, &settings)?)
    }

    fn keep(&mut self, most: usize) -> Result<(), Cause> {
        let parameters = self.engine.parameters().ok_or(WorkerError::NothingTrained)?;
        Ok(self.kept.keep(parameters, most)?)
    }

    fn score_by_kept(&mut self, times_ago: usize, pairs: &[Pair<'_>]) -> Result<(Vec<f64>, Passed), Cause> {
        let pairs = self.training_pairs(pairs)?;
        let settings = self.pass;
        let (found, passed) = self.by_kept(times_ago, |engine| engine.read_responses(&pairs, &settings))?;
        Ok((found.iter().map(|tokens| tokens.iter().sum()).collect(), passed))
    }

    fn pass_sets(
        &mut self,
        sets: &[AnswerSet<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[AnswerSetScores]) -> Result<Vec<AnswerSetWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        let trees = self.trees(sets)?;
        let settings = self.pass_settings(PassPlace { step, micro_batch });
        self.engine.pass_trees::<Cause>(&trees, &settings, weigh)
    }

    fn score_sets(&mut self, sets: &[AnswerSet<'_>], by: ScoredBy) -> Result<(Vec<AnswerSetScores>, Passed), Cause> {
        let trees = self.trees(sets)?;
        let PassSettings { temperature, follower_reference, .. } = self.pass;
        Ok(match by {
            ScoredBy::Policies => self.engine.score_trees(&trees, temperature)?,
            ScoredBy::Kept(times_ago) => self.by_kept(times_ago, |engine| engine.score_trees(&trees, temperature))?,
            ScoredBy::Reference => self.engine.score_trees_of_reference(&trees, temperature, follower_reference)?,
        })
    }

    fn features(&mut self, answers: &[(&Prompt, &Answer)]) -> Result<Features, Cause> {
        let contexts = answers.iter().map(|(prompt, _)| self.prompt(prompt)).collect::<Result<Vec<_>, _>>()?;
        let whole: Vec<(&[u32], &[u32])> =
            contexts.iter().zip(answers).map(|(context, (_, answer))| (&context[..], &answer.tokens[..])).collect();
        let found = self.engine.last_hidden_states(Player::Reference, &whole)?;
        Ok(Features { vectors: found.states, operations: found.passed.operations })
    }

    fn update(&mut self, update: &Update) -> Result<GradientNorms, Cause> {
        let rates = self.rates(update);
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        let step = OptimizerStep { rates: &rates, max_grad_norm: update.max_grad_norm };
        let optimizer = self.optimizer.as_mut().ok_or(WorkerError::NothingTrained)?;
        let norms = optimizer.step(parameters, &step)?;
        self.engine.parameters_changed();
        Ok(named(&norms))
    }

    /// Nothing for a method that trains nothing.
    fn save(&self) -> Result<Vec<u8>, Cause> {
        match (&self.optimizer, self.engine.parameters()) {
            (Some(optimizer), Some(parameters)) => Ok(optimizer.save_with(parameters, &self.kept)?),
            _ => Ok(Vec::new()),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        if let (Some(optimizer), Some(parameters)) = (&mut self.optimizer, self.engine.parameters_mut()) {
            optimizer.restore_with(parameters, &mut self.kept, state)?;
            self.engine.parameters_changed();
        }
        Ok(())
    }
}

/// As the loop knows them.
fn named(norms: &[AgentNorm]) -> GradientNorms {
    let norm = |wanted| norms.iter().find(|norm| norm.agent == wanted).map(|norm| norm.norm);
    let shared = norm(Agent::Shared);
    // Nobody's gradient has no norm.
    GradientNorms {
        leader: shared.or(norm(Agent::Leader)).unwrap_or(0.0),
        follower: shared.or(norm(Agent::Follower)).unwrap_or(0.0),
    }
}

/// As the loop knows it.
fn drawn(draw: &slhf_policy::Draw) -> Draw {
    Draw { log_probability: draw.log_probability, support: draw.support }
}

/// How the engine answers in a policy's name.
pub(crate) fn speaker(policy: PolicyName) -> Result<Speaker, WorkerError> {
    Ok(match policy {
        // A mixture without the reference has the same numbers, and needs no second model.
        PolicyName::Leader | PolicyName::Mixture { reference_share: 0.0 } => Speaker::Player(Player::Leader),
        PolicyName::Follower => Speaker::Player(Player::Follower),
        PolicyName::Reference => Speaker::Player(Player::Reference),
        PolicyName::Mixture { reference_share } => Speaker::mixture(
            ReferenceShare::new(reference_share).ok_or(WorkerError::ReferenceShare { share: reference_share })?,
        ),
    })
}
