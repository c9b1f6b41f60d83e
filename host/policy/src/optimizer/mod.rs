//! One optimizer step over named parameters, agent by agent.

mod gradients;
mod shard;
mod state;

use slhf_plan::ModelOptimizer;
use slhf_torch_shim::{AdamwLists, AdamwStep, fused_adamw};
use tch::{Tensor, no_grad};

use crate::{Agent, Parameter, Parameters, PolicyError};
use gradients::{AgentGradients, shim, zeros_like};
use shard::Piece;
pub use shard::Share;
pub use state::ShareMoments;

/// How far an agent moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgentRate {
    /// Whose parameters.
    pub agent: Agent,
    /// η ≥ 0
    pub learning_rate: f64,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerStep<'a> {
    /// Who moves, and how far: at most one entry an agent. Who is not named keeps parameters and moments.
    pub rates: &'a [AgentRate],
    /// Largest norm of one agent's gradient; 0: not clipped.
    pub max_grad_norm: f64,
}

/// The norm of one agent's gradient before clipping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgentNorm {
    /// Whose.
    pub agent: Agent,
    /// L2, over all of the agent's parameters.
    pub norm: f64,
}

/// A first-order rule with its state: moments and a step count an agent, so that agents with their own parameters are
/// decoupled.
#[derive(Debug)]
pub struct Optimizer {
    rule: ModelOptimizer,
    share: Share,
    groups: Vec<Group>,
}

/// One agent's state; `exp_avg` and `exp_avg_sq` in the order of the pieces, empty without moments.
#[derive(Debug)]
struct Group {
    agent: Agent,
    steps: u64,
    pieces: Vec<Piece>,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
}

/// A step whose gradients were read.
#[derive(Debug)]
pub struct BegunOptimizerStep {
    gradients: Vec<AgentGradients>,
}

impl BegunOptimizerStep {
    /// The sum of squares of each named agent's gradient, as far as it is in this share; finite.
    #[must_use]
    pub fn squares(&self) -> Vec<f64> {
        self.gradients.iter().map(|gradients| gradients.square).collect()
    }
}

/// Rows of a parameter that move.
#[derive(Debug)]
struct Moved {
    name: String,
    tensor: Tensor,
}

impl Optimizer {
    /// With moments of zero.
    pub fn new(rule: ModelOptimizer, parameters: &Parameters) -> Result<Self, PolicyError> {
        Self::of_share(rule, parameters, Share::WHOLE)
    }

    /// That of one of several processes, which moves its share alone: see [`Optimizer::begin_step`].
    pub fn of_share(rule: ModelOptimizer, parameters: &Parameters, share: Share) -> Result<Self, PolicyError> {
        check_rule(&rule)?;
        let mut groups = Vec::new();
        for agent in parameters.agents() {
            let pieces = share.pieces(parameters, agent);
            let owned: Vec<&Parameter> = parameters.of(agent).collect();
            let zeros = || -> Result<Vec<Tensor>, PolicyError> {
                match rule {
                    ModelOptimizer::Adamw { .. } => {
                        pieces.iter().map(|piece| zeros_like(owned[piece.index], *piece)).collect()
                    }
                    ModelOptimizer::Sgd => Ok(Vec::new()),
                }
            };
            let (exp_avg, exp_avg_sq) = (zeros()?, zeros()?);
            groups.push(Group { agent, steps: 0, pieces, exp_avg, exp_avg_sq });
        }
        Ok(Self { rule, share, groups })
    }

    /// Which share of the parameters it moves.
    #[must_use]
    pub fn share(&self) -> Share {
        self.share
    }

    /// Steps that an agent has taken.
    pub fn steps(&self, agent: Agent) -> u64 {
        self.groups.iter().find(|group| group.agent == agent).map_or(0, |group| group.steps)
    }

    /// Clips each named agent's gradient to `max_grad_norm`, moves its parameters, and forgets *all* accumulated
    /// gradients, those of agents that were not named included: one update ends one accumulation. A parameter without
    /// a gradient counts as one with a gradient of zero.
    ///
    /// A gradient that is not finite is an error that names the agent and its first such parameter; then nothing has
    /// changed, for no agent. Returns the norms of the named agents, in the order of `step.rates`.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        step: &OptimizerStep<'_>,
    ) -> Result<Vec<AgentNorm>, PolicyError> {
        let begun = self.begin_step(parameters, step)?;
        let squares = begun.squares();
        self.end_step(parameters, &begun, (step, &squares))
    }

    /// The first half of [`Optimizer::step`]: nothing has changed yet. Every process of several has the same accumulated gradients by now.
    pub fn begin_step(
        &self,
        parameters: &Parameters,
        step: &OptimizerStep<'_>,
    ) -> Result<BegunOptimizerStep, PolicyError> {
        self.check_step(step)?;
        let mut gradients = Vec::with_capacity(step.rates.len());
        for rate in step.rates {
            let group = self.groups.iter().find(|group| group.agent == rate.agent);
            let pieces = group.map(|group| group.pieces.as_slice()).unwrap_or_default();
            gradients.push(AgentGradients::of(parameters, rate.agent, pieces)?);
        }
        Ok(BegunOptimizerStep { gradients })
    }

    /// The second half: `squares` are [`BegunOptimizerStep::squares`], added over all shares. The parameters of this share have moved after it, and
    /// no others: [`Parameters::share`] has them for other processes.
    pub fn end_step(
        &mut self,
        parameters: &mut Parameters,
        begun: &BegunOptimizerStep,
        (step, squares): (&OptimizerStep<'_>, &[f64]),
    ) -> Result<Vec<AgentNorm>, PolicyError> {
        let mut norms = Vec::with_capacity(squares.len());
        for ((rate, gradients), square) in step.rates.iter().zip(&begun.gradients).zip(squares) {
            let norm = square.sqrt();
            gradients.clip(norm, step.max_grad_norm)?;
            norms.push(AgentNorm { agent: rate.agent, norm });
            let Some(group) = self.groups.iter_mut().find(|group| group.agent == rate.agent) else { continue };
            let mut moved = group.moved(parameters)?;
            match &self.rule {
                ModelOptimizer::Adamw { .. } => group.adamw(&self.rule, &moved, gradients, rate.learning_rate)?,
                ModelOptimizer::Sgd => descend(&mut moved, gradients, rate.learning_rate)?,
            }
            group.steps += 1;
        }
        parameters.clear_gradients()?;
        Ok(norms)
    }

    fn check_step(&self, step: &OptimizerStep<'_>) -> Result<(), PolicyError> {
        let wrong = |key, problem| Err(PolicyError::Setting { key, problem });
        if !(step.max_grad_norm >= 0.0 && step.max_grad_norm.is_finite()) {
            return wrong("max_grad_norm", format!("is {}, but must be finite and at least 0", step.max_grad_norm));
        }
        for (index, rate) in step.rates.iter().enumerate() {
            let name = rate.agent.name();
            if !(rate.learning_rate >= 0.0 && rate.learning_rate.is_finite()) {
                let problem = format!("of the {name} is {}, but must be finite and at least 0", rate.learning_rate);
                return wrong("learning_rate", problem);
            }
            if !self.groups.iter().any(|group| group.agent == rate.agent) {
                let agents: Vec<_> = self.groups.iter().map(|group| group.agent.name()).collect();
                let problem = format!("is given for the {name}, but the parameters here are: {}", agents.join(", "));
                return wrong("learning_rate", problem);
            }
            if step.rates[..index].iter().any(|earlier| earlier.agent == rate.agent) {
                return wrong("learning_rate", format!("of the {name} is given twice"));
            }
        }
        Ok(())
    }
}

impl Group {
    /// The pieces of the parameters, in their memory.
    fn moved(&self, parameters: &Parameters) -> Result<Vec<Moved>, PolicyError> {
        let owned: Vec<&Parameter> = parameters.of(self.agent).collect();
        let mut moved = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let Some(parameter) = owned.get(piece.index) else { continue };
            let doing = || format!("move the parameter `{}`", parameter.name);
            let tensor = piece.of(&parameter.tensor).map_err(PolicyError::torch(doing()))?;
            moved.push(Moved { name: parameter.name.clone(), tensor });
        }
        Ok(moved)
    }

    /// Matrices decay, vectors (norms, biases) do not: two calls.
    fn adamw(
        &self,
        rule: &ModelOptimizer,
        parameters: &[Moved],
        gradients: &AgentGradients,
        learning_rate: f64,
    ) -> Result<(), PolicyError> {
        let ModelOptimizer::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay } = *rule else {
            return Ok(());
        };
        for (matrices, weight_decay) in [(true, weight_decay), (false, 0.0)] {
            let chosen: Vec<usize> =
                (0..parameters.len()).filter(|&index| (parameters[index].tensor.dim() >= 2) == matrices).collect();
            let lists = AdamwLists {
                parameters: &chosen.iter().map(|&index| &parameters[index].tensor).collect::<Vec<_>>(),
                gradients: &chosen.iter().map(|&index| &gradients.tensors[index]).collect::<Vec<_>>(),
                exp_avg: &chosen.iter().map(|&index| &self.exp_avg[index]).collect::<Vec<_>>(),
                exp_avg_sq: &chosen.iter().map(|&index| &self.exp_avg_sq[index]).collect::<Vec<_>>(),
            };
            let step = AdamwStep {
                step: self.steps + 1,
                learning_rate,
                beta1: adam_beta1,
                beta2: adam_beta2,
                epsilon: adam_epsilon,
                weight_decay,
            };
            fused_adamw(&lists, &step).map_err(shim(self.agent))?;
        }
        Ok(())
    }
}

/// θ ← θ − η g
fn descend(parameters: &mut [Moved], gradients: &AgentGradients, learning_rate: f64) -> Result<(), PolicyError> {
    for (parameter, gradient) in parameters.iter_mut().zip(&gradients.tensors) {
        no_grad(|| {
            let change = gradient.f_mul_scalar(-learning_rate)?;
            parameter.tensor.f_add_(&change).map(|_| ())
        })
        .map_err(PolicyError::torch(format!("move the parameter `{}`", parameter.name)))?;
    }
    Ok(())
}

fn check_rule(rule: &ModelOptimizer) -> Result<(), PolicyError> {
    let ModelOptimizer::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay } = *rule else {
        return Ok(());
    };
    for (key, value) in [("adam_beta1", adam_beta1), ("adam_beta2", adam_beta2)] {
        if !(0.0..1.0).contains(&value) {
            return Err(PolicyError::Setting { key, problem: format!("is {value}, but must lie in [0, 1)") });
        }
    }
    for (key, value) in [("adam_epsilon", adam_epsilon), ("weight_decay", weight_decay)] {
        if !(value >= 0.0 && value.is_finite()) {
            let problem = format!("is {value}, but must be finite and at least 0");
            return Err(PolicyError::Setting { key, problem });
        }
    }
    Ok(())
}
