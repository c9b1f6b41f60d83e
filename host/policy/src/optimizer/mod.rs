//! One optimizer step over named parameters, agent by agent.

mod gradients;
mod state;

use slhf_plan::ModelOptimizer;
use slhf_torch_shim::{AdamwLists, AdamwStep, fused_adamw};
use tch::{Tensor, no_grad};

use crate::{Agent, Parameter, Parameters, PolicyError};
use gradients::{AgentGradients, shim, zeros_like};

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
    groups: Vec<Group>,
}

/// One agent's state; `exp_avg` and `exp_avg_sq` in the order of [`Parameters::of`], empty without moments.
#[derive(Debug)]
struct Group {
    agent: Agent,
    steps: u64,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
}

impl Optimizer {
    /// With moments of zero.
    pub fn new(rule: ModelOptimizer, parameters: &Parameters) -> Result<Self, PolicyError> {
        check_rule(&rule)?;
        let mut groups = Vec::new();
        for agent in parameters.agents() {
            let zeros = || -> Result<Vec<Tensor>, PolicyError> {
                match rule {
                    ModelOptimizer::Adamw { .. } => parameters.of(agent).map(zeros_like).collect(),
                    ModelOptimizer::Sgd => Ok(Vec::new()),
                }
            };
            groups.push(Group { agent, steps: 0, exp_avg: zeros()?, exp_avg_sq: zeros()? });
        }
        Ok(Self { rule, groups })
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
        self.check_step(step)?;
        let gradients: Vec<AgentGradients> =
            step.rates.iter().map(|rate| AgentGradients::of(parameters, rate.agent)).collect::<Result<_, _>>()?;
        for (rate, gradients) in step.rates.iter().zip(&gradients) {
            gradients.clip(step.max_grad_norm)?;
            let Some(group) = self.groups.iter_mut().find(|group| group.agent == rate.agent) else { continue };
            let mut owned: Vec<&mut Parameter> =
                parameters.iter_mut().filter(|parameter| parameter.agent == rate.agent).collect();
            match &self.rule {
                ModelOptimizer::Adamw { .. } => group.adamw(&self.rule, &owned, gradients, rate.learning_rate)?,
                ModelOptimizer::Sgd => descend(&mut owned, gradients, rate.learning_rate)?,
            }
            group.steps += 1;
        }
        parameters.clear_gradients()?;
        Ok(gradients.iter().map(|one| AgentNorm { agent: one.agent, norm: one.norm }).collect())
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
    /// Matrices decay, vectors (norms, biases) do not: two calls.
    fn adamw(
        &self,
        rule: &ModelOptimizer,
        parameters: &[&mut Parameter],
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
fn descend(
    parameters: &mut [&mut Parameter],
    gradients: &AgentGradients,
    learning_rate: f64,
) -> Result<(), PolicyError> {
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
