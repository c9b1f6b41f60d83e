//! What was trained, put into the weights: W + alpha / rank · B A, or the trained weights themselves.

use std::collections::BTreeSet;

use tch::{Device, Kind, Tensor, no_grad};

use crate::{Agent, Parameters, PolicyError, Training, Weights};

pub(super) struct Merge<'a> {
    weights: Weights,
    trained: Option<(&'a Parameters, Agent)>,
    /// Names of the agent's parameters that are in no written tensor yet.
    left: BTreeSet<&'a str>,
}

impl<'a> Merge<'a> {
    /// `weights` in f32.
    pub(super) fn new(weights: Weights, trained: Option<(&'a Parameters, Agent)>) -> Result<Self, PolicyError> {
        let mut left = BTreeSet::new();
        if let Some((parameters, agent)) = trained {
            left.extend(parameters.of(agent).map(|parameter| parameter.name.as_str()));
            if left.is_empty() {
                let what = format!("what was trained of the {}", agent.name());
                return Err(PolicyError::Request { what, problem: "is empty; name another agent".to_owned() });
            }
        }
        Ok(Self { weights, trained, left })
    }

    /// The merged tensor of this name on the CPU.
    pub(super) fn take(&mut self, name: &str, kind: Kind) -> Result<Tensor, PolicyError> {
        if let Some(whole) = self.whole(name) {
            return no_grad(|| whole.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind))
                .map_err(PolicyError::torch(format!("write what was trained of `{name}`")));
        }
        let base = self.weights.take(name)?;
        let merged = match self.trained.map(|(parameters, agent)| (parameters, agent, parameters.training())) {
            None | Some((_, _, Training::Full)) => Ok(base),
            Some((parameters, agent, Training::Lora(lora))) => {
                let prefix = format!("base_model.model.{}", name.strip_suffix(".weight").unwrap_or(name));
                let a = self.used(parameters, agent, &format!("{prefix}.lora_A.weight"));
                let b = self.used(parameters, agent, &format!("{prefix}.lora_B.weight"));
                match (a, b) {
                    (Some(a), Some(b)) => add_product(base, &a, &b, lora.scale()),
                    _ => Ok(base),
                }
            }
        };
        merged
            .and_then(|tensor| no_grad(|| tensor.f_to_kind(kind)))
            .map_err(PolicyError::torch(format!("merge what was trained into `{name}`")))
    }

    /// Nothing that was trained may be lost on the way.
    pub(super) fn finish(self) -> Result<(), PolicyError> {
        match self.left.first() {
            None => Ok(()),
            Some(name) => Err(PolicyError::Parameter {
                name: (*name).to_owned(),
                problem: "belongs to no weight of the model it is to be merged into".to_owned(),
            }),
        }
    }

    /// What was trained in the place of the tensor of this name: in full training all, beside adapters a head.
    fn whole(&mut self, name: &str) -> Option<Tensor> {
        let (parameters, agent) = self.trained?;
        match parameters.training() {
            Training::Full => self.used(parameters, agent, name),
            Training::Lora(_) => self.used(parameters, agent, &format!("base_model.model.{name}")),
        }
    }

    fn used(&mut self, parameters: &'a Parameters, agent: Agent, name: &str) -> Option<Tensor> {
        let parameter = parameters.get(agent, name)?;
        self.left.remove(name);
        Some(parameter.tensor.shallow_clone())
    }
}

fn add_product(mut base: Tensor, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor, tch::TchError> {
    no_grad(|| {
        let (a, b) = (a.f_to_device(Device::Cpu)?, b.f_to_device(Device::Cpu)?);
        base.f_add_(&b.f_matmul(&a)?.f_mul_scalar(scale)?)
    })
}
