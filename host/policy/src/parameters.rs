//! What is trained: named f32 leaf tensors, each with the agent it belongs to.

use serde::{Deserialize, Serialize};
use slhf_plan::AdapterPlan;
use slhf_random::{Place, Purpose, uniforms};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::Projection;
use slhf_model::ModelConfig;

/// A reward model's head as a parameter beside adapters, under PEFT's name of a module that is saved as a whole.
pub const HEAD_PARAMETER: &str = "base_model.model.score.weight";

/// Whose a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Agent {
    /// One set of parameters plays both roles.
    Shared,
    /// The Leader's own.
    Leader,
    /// The Follower's own.
    Follower,
}

impl Agent {
    /// As messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Leader => "leader",
            Self::Follower => "follower",
        }
    }
}

/// Low-rank adapters: `W x + alpha / rank · B A x` (Hu et al., arXiv 2106.09685).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraSettings {
    /// Rows of A, columns of B.
    pub rank: u32,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Probability that an input of A is dropped in training.
    pub dropout: f64,
    /// Which linear layers have one, in the order of [`Projection::ALL`].
    pub targets: Vec<Projection>,
}

impl LoraSettings {
    /// What `B A x` is multiplied by.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha / f64::from(self.rank)
    }

    fn of(plan: &AdapterPlan) -> Result<Option<Self>, PolicyError> {
        let AdapterPlan::Lora { lora_r, lora_alpha, lora_dropout, lora_target_modules } = plan else {
            return Ok(None);
        };
        let wrong = |key: &'static str, problem: String| PolicyError::Setting { key, problem };
        if *lora_r == 0 {
            return Err(wrong("lora_r", "is 0, but an adapter has a rank of at least 1".into()));
        }
        if !lora_alpha.is_finite() {
            return Err(wrong("lora_alpha", format!("is {lora_alpha}, but must be finite")));
        }
        if !(0.0..1.0).contains(lora_dropout) {
            return Err(wrong("lora_dropout", format!("is {lora_dropout}, but must lie in [0, 1)")));
        }
        let mut targets = Vec::new();
        for name in lora_target_modules {
            targets.push(Projection::named(name).ok_or_else(|| {
                wrong("lora_target_modules", format!("names `{name}`, but these exist: {}", Projection::names()))
            })?);
        }
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            return Err(wrong(
                "lora_target_modules",
                format!("is empty; name at least one of {}", Projection::names()),
            ));
        }
        Ok(Some(Self { rank: *lora_r, alpha: *lora_alpha, dropout: *lora_dropout, targets }))
    }
}

/// What kind of parameters are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Training {
    /// Low-rank adapters; the model's own weights stay as they are.
    Lora(LoraSettings),
    /// All weights.
    Full,
}

impl Training {
    /// The checked form of a plan.
    pub fn of(plan: &AdapterPlan) -> Result<Self, PolicyError> {
        Ok(LoraSettings::of(plan)?.map_or(Self::Full, Self::Lora))
    }
}

/// One trained tensor.
#[derive(Debug)]
pub struct Parameter {
    /// PEFT's name (`base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`), or for full training the model's
    /// own (`model.layers.0.self_attn.q_proj.weight`).
    pub name: String,
    /// Whose it is.
    pub agent: Agent,
    /// An f32 leaf that requires a gradient, on the engine's device. An update changes it in place (under `no_grad`)
    /// and then tells the engine (`Engine::parameters_changed`).
    pub tensor: Tensor,
}

impl Parameter {
    /// A leaf from values; `values` is copied.
    pub fn new(name: String, agent: Agent, values: &Tensor, device: Device) -> Result<Self, PolicyError> {
        let doing = || format!("make a trained parameter of `{name}`");
        let leaf = || -> Result<Tensor, TchError> {
            let mut leaf = Tensor::f_empty(values.size(), (Kind::Float, device))?;
            leaf.f_copy_(values)?;
            Ok(leaf)
        };
        let leaf = no_grad(leaf).map_err(PolicyError::torch(doing()))?;
        let tensor = leaf.f_set_requires_grad(true).map_err(PolicyError::torch(doing()))?;
        Ok(Self { name, agent, tensor })
    }

    /// ∂loss/∂parameter as accumulated so far; `None` before the first backward pass.
    #[must_use]
    pub fn gradient(&self) -> Option<Tensor> {
        let gradient = self.tensor.f_grad().ok()?;
        gradient.defined().then_some(gradient)
    }

    /// One of zeros where there is none: libtorch makes its memory in a backward pass alone, here of one that is zero.
    fn make_gradient(&self) -> Result<(), TchError> {
        if self.gradient().is_none() {
            let nothing = self.tensor.f_zeros_like()?.f_detach()?;
            self.tensor.f_mul(&nothing)?.f_sum(Kind::Float)?.f_backward()?;
        }
        Ok(())
    }

    /// Forgets the accumulated gradient.
    pub fn clear_gradient(&mut self) -> Result<(), PolicyError> {
        match self.gradient() {
            None => Ok(()),
            Some(mut gradient) => no_grad(|| gradient.f_zero_())
                .map(|_| ())
                .map_err(PolicyError::torch(format!("clear the gradient of `{}`", self.name))),
        }
    }

    /// Overwrites the values; the shape must be the same.
    pub fn assign(&mut self, values: &Tensor) -> Result<(), PolicyError> {
        if values.size() != self.tensor.size() {
            return Err(PolicyError::Parameter {
                name: self.name.clone(),
                problem: format!("has the shape {:?}, not {:?}", self.tensor.size(), values.size()),
            });
        }
        no_grad(|| self.tensor.f_copy_(values))
            .map_err(PolicyError::torch(format!("overwrite the parameter `{}`", self.name)))
    }
}

/// All that is trained in a run, in a fixed order: by agent, then as the model lists its layers.
#[derive(Debug)]
pub struct Parameters {
    training: Training,
    list: Vec<Parameter>,
}

impl Parameters {
    /// Fresh adapters as PEFT starts them: A uniform in ±1/√(inputs) (Kaiming with a = √5), B zero, so that every
    /// agent starts as the model itself. A's numbers depend on the seed, the agent and the parameter's place only.
    pub fn lora(
        config: &ModelConfig,
        settings: LoraSettings,
        agents: &[Agent],
        seed: u64,
        device: Device,
    ) -> Result<Self, PolicyError> {
        let rank = i64::from(settings.rank);
        let mut list = Vec::new();
        for &agent in agents {
            let mut index = 0;
            for layer in 0..config.layers {
                for &target in &settings.targets {
                    let [outputs, inputs] = target.shape(config);
                    let prefix = format!("base_model.model.{}", target.path(layer));
                    let a = kaiming_uniform([rank, inputs], seed, index, agent)?;
                    let b = Tensor::f_zeros([outputs, rank], (Kind::Float, Device::Cpu))
                        .map_err(PolicyError::torch(format!("make the adapter of {prefix}")))?;
                    list.push(Parameter::new(format!("{prefix}.lora_A.weight"), agent, &a, device)?);
                    list.push(Parameter::new(format!("{prefix}.lora_B.weight"), agent, &b, device)?);
                    index += 1;
                }
            }
        }
        Ok(Self { training: Training::Lora(settings), list })
    }

    /// All weights of a model as parameters of one agent each; `weights` are (name, values) in the model's order.
    pub fn full(weights: &[(String, Tensor)], agents: &[Agent], device: Device) -> Result<Self, PolicyError> {
        let mut list = Vec::new();
        for &agent in agents {
            for (name, values) in weights {
                list.push(Parameter::new(name.clone(), agent, values, device)?);
            }
        }
        Ok(Self { training: Training::Full, list })
    }

    /// Puts another parameter behind the others.
    pub(crate) fn push(&mut self, parameter: Parameter) {
        self.list.push(parameter);
    }

    /// Adapters or everything.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// In their fixed order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// In their fixed order.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.list.iter_mut()
    }

    /// How many tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is trained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Which agents have parameters, in order.
    #[must_use]
    pub fn agents(&self) -> Vec<Agent> {
        let mut agents: Vec<Agent> = self.list.iter().map(|parameter| parameter.agent).collect();
        agents.dedup();
        agents
    }

    /// One agent's, in their fixed order.
    pub fn of(&self, agent: Agent) -> impl Iterator<Item = &Parameter> {
        self.list.iter().filter(move |parameter| parameter.agent == agent)
    }

    /// The agent's parameter of that name.
    #[must_use]
    pub fn get(&self, agent: Agent, name: &str) -> Option<&Parameter> {
        self.of(agent).find(|parameter| parameter.name == name)
    }

    /// Trained numbers, of all agents.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        self.list.iter().map(|parameter| parameter.tensor.numel() as u64).sum()
    }

    /// All accumulated gradients one after the other, flat, f32; zeros where there is none.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn gradients(&self) -> Result<Tensor, PolicyError> {
        let flat = |parameter: &Parameter| match parameter.gradient() {
            Some(gradient) => gradient.f_reshape([-1]),
            None => Tensor::f_zeros([parameter.tensor.numel() as i64], (Kind::Float, parameter.tensor.device())),
        };
        no_grad(|| Tensor::f_cat(&self.list.iter().map(flat).collect::<Result<Vec<_>, _>>()?, 0))
            .map_err(PolicyError::torch("lay out gradients"))
    }

    /// The accumulated gradient of every parameter of these agents, in their fixed order, contiguous, in the parameters' own memory: what is changed
    /// in it is changed there. One that is missing is made, of zeros.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn gradients_of(&mut self, agents: &[Agent]) -> Result<Vec<Tensor>, PolicyError> {
        let mut found = Vec::new();
        for parameter in self.list.iter_mut().filter(|parameter| agents.contains(&parameter.agent)) {
            let own = || -> Result<Tensor, TchError> {
                parameter.make_gradient()?;
                let gradient = parameter.tensor.f_grad()?;
                if !gradient.is_contiguous() {
                    parameter.tensor.f_grad()?.f_set_data(&gradient.f_contiguous()?)?;
                }
                parameter.tensor.f_grad()
            };
            found.push(own().map_err(PolicyError::torch(format!("read the gradient of `{}`", parameter.name)))?);
        }
        Ok(found)
    }

    /// Adds to the accumulated gradients what another's [`Parameters::gradients`] are.
    ///
    /// # Errors
    /// It has another length; libtorch has no memory.
    pub fn add_gradients(&mut self, flat: &Tensor) -> Result<(), PolicyError> {
        let sizes: Vec<i64> = self.list.iter().map(|parameter| parameter.tensor.numel() as i64).collect();
        let add = || -> Result<(), TchError> {
            for (parameter, part) in self.list.iter().zip(flat.f_split_with_sizes(&sizes, 0)?) {
                let part = part.f_view_as(&parameter.tensor)?;
                parameter.make_gradient()?;
                let _ = no_grad(|| parameter.tensor.f_grad()?.f_add_(&part))?;
            }
            Ok(())
        };
        add().map_err(PolicyError::torch("add gradients"))
    }

    /// Forgets all accumulated gradients.
    pub fn clear_gradients(&mut self) -> Result<(), PolicyError> {
        self.list.iter_mut().try_for_each(Parameter::clear_gradient)
    }
}

impl<'a> IntoIterator for &'a Parameters {
    type Item = &'a Parameter;
    type IntoIter = std::slice::Iter<'a, Parameter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Parameters {
    type Item = &'a mut Parameter;
    type IntoIter = std::slice::IterMut<'a, Parameter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// Uniform in ±1/√inputs: what `kaiming_uniform_` with a = √5 gives a matrix `[outputs, inputs]`.
fn kaiming_uniform(shape: [i64; 2], seed: u64, index: u64, agent: Agent) -> Result<Tensor, PolicyError> {
    let count = usize::try_from(shape[0] * shape[1]).unwrap_or(0);
    let bound = 1.0 / (shape[1] as f64).sqrt();
    let round = match agent {
        Agent::Shared => 0,
        Agent::Leader => 1,
        Agent::Follower => 2,
    };
    let place = Place { purpose: Purpose::AdapterWeights, step: index, round };
    let mut values = vec![0.0_f32; count];
    for (pair, chunk) in values.chunks_mut(2).enumerate() {
        let drawn = uniforms(seed, place, pair as u32).map(|uniform| (bound * (2.0 * uniform - 1.0)) as f32);
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
    Tensor::f_from_slice(&values)
        .and_then(|flat| flat.f_view(shape))
        .map_err(PolicyError::torch("draw the start of an adapter"))
}
