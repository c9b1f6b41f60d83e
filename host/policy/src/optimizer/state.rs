//! Trained parameters and moments as bytes, bit for bit.

use std::collections::BTreeMap;

use ::safetensors::{Dtype, SafeTensors};
use slhf_plan::ModelOptimizer;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::shard::{Piece, Share, write};
use super::{Group, Optimizer};
use crate::atomic_folder::write_error;
use crate::tensor_file::write_tensors;
use crate::{KeptParameters, Parameter, Parameters, PolicyError};

/// Before the safetensors body; the last byte is the format's version.
const HEADER: [u8; 8] = *b"SLHFTRN\x01";

impl Optimizer {
    /// Parameters of all agents, their moments and step counts: eight bytes of header, then a safetensors file with
    /// `<agent>/<parameter>` and, under moments, `<agent>/<parameter>/exp_avg` and `…/exp_avg_sq`.
    pub fn save(&self, parameters: &Parameters) -> Result<Vec<u8>, PolicyError> {
        self.save_with(parameters, &KeptParameters::default())
    }

    /// As [`Optimizer::save`], with copies that were kept as `kept/<times ago>/<agent>/<parameter>`; without any the bytes are the same.
    pub fn save_with(&self, parameters: &Parameters, kept: &KeptParameters) -> Result<Vec<u8>, PolicyError> {
        if self.share != Share::WHOLE {
            return Err(state("is one of several processes, and has not all moments"));
        }
        let mut tensors = Vec::new();
        let mut metadata = BTreeMap::from([("rule".to_owned(), rule_name(&self.rule).to_owned())]);
        for group in &self.groups {
            metadata.insert(steps_key(group), group.steps.to_string());
            for (index, parameter) in parameters.of(group.agent).enumerate() {
                let name = format!("{}/{}", group.agent.name(), parameter.name);
                for (moment, list) in group.moments() {
                    if let Some(values) = list.get(index) {
                        tensors.push((format!("{name}/{moment}"), values.shallow_clone()));
                    }
                }
                tensors.push((name, parameter.tensor.shallow_clone()));
            }
        }
        if !kept.is_empty() {
            metadata.insert(KEPT.to_owned(), kept.len().to_string());
        }
        for (index, copy) in kept.iter().enumerate() {
            let named = |own: &Parameter| (kept_name(index + 1, own), own.tensor.shallow_clone());
            tensors.extend(copy.iter().map(named));
        }
        let mut bytes = HEADER.to_vec();
        let path = std::path::Path::new("the training state");
        write_tensors(&mut bytes, &tensors, &metadata).map_err(write_error(path))?;
        Ok(bytes)
    }

    /// Takes up what [`Optimizer::save`] gave. Everything is checked before anything is changed; accumulated gradients
    /// are forgotten.
    pub fn restore(&mut self, parameters: &mut Parameters, bytes: &[u8]) -> Result<(), PolicyError> {
        self.restore_with(parameters, &mut KeptParameters::default(), bytes)
    }

    /// As [`Optimizer::restore`], with the copies that were kept.
    pub fn restore_with(
        &mut self,
        parameters: &mut Parameters,
        kept: &mut KeptParameters,
        bytes: &[u8],
    ) -> Result<(), PolicyError> {
        let saved = Saved::read(bytes)?;
        saved.check_rule(&self.rule)?;
        let steps: Vec<u64> = self.groups.iter().map(|group| saved.steps(group)).collect::<Result<_, _>>()?;
        let mut copies = Vec::new();
        let mut expected = 0;
        for group in &self.groups {
            for (index, parameter) in parameters.of(group.agent).enumerate() {
                let name = format!("{}/{}", group.agent.name(), parameter.name);
                for (moment, list) in self.rule_moments(group) {
                    let values = saved.tensor(&format!("{name}/{moment}"), &parameter.tensor)?;
                    // A share keeps some rows of it, or none.
                    let place = group.pieces.iter().position(|piece| piece.index == index);
                    if let Some((piece, target)) = place.and_then(|place| Some((group.pieces[place], list.get(place)?)))
                    {
                        copies.push((target.shallow_clone(), rows(piece, &values)?));
                    }
                    expected += 1;
                }
                expected += 1;
                copies.push((parameter.tensor.shallow_clone(), saved.tensor(&name, &parameter.tensor)?));
            }
        }
        let earlier = saved.kept(parameters)?;
        expected += earlier.iter().map(Vec::len).sum::<usize>();
        if saved.tensors.len() != expected {
            return Err(saved.surplus(parameters, expected));
        }
        for (mut target, values) in copies {
            no_grad(|| target.f_copy_(&values)).map_err(PolicyError::torch("take up the saved training state"))?;
        }
        for (group, steps) in self.groups.iter_mut().zip(steps) {
            group.steps = steps;
        }
        kept.set(earlier);
        parameters.clear_gradients()
    }
}

/// The moments of a share, laid out flat: of all agents, in the order of [`Parameters::share`].
#[derive(Debug)]
pub struct ShareMoments {
    /// First moments, and second ones; `None` for a rule without.
    pub flat: Option<[Tensor; 2]>,
}

impl Optimizer {
    /// What another process needs for [`Optimizer::whole`].
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn share_moments(&self) -> Result<ShareMoments, PolicyError> {
        let flat = |of: &dyn Fn(&Group) -> &Vec<Tensor>| -> Result<Tensor, TchError> {
            let mut parts = vec![Tensor::f_zeros([0], (Kind::Float, Device::Cpu))?];
            for tensor in self.groups.iter().flat_map(of) {
                parts.push(tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?);
            }
            Tensor::f_cat(&parts, 0)
        };
        let both = || Ok([flat(&|group| &group.exp_avg)?, flat(&|group| &group.exp_avg_sq)?]);
        let flat = match self.rule {
            ModelOptimizer::Adamw { .. } => Some(no_grad(both).map_err(PolicyError::torch("lay out moments"))?),
            ModelOptimizer::Sgd => None,
        };
        Ok(ShareMoments { flat })
    }

    /// An optimizer of all parameters with the steps of this one and the moments of all shares, in their order.
    ///
    /// # Errors
    /// A share's moments have another length.
    pub fn whole(&self, parameters: &Parameters, shares: &[ShareMoments]) -> Result<Self, PolicyError> {
        let mut whole = Self::new(self.rule, parameters)?;
        for (group, own) in whole.groups.iter_mut().zip(&self.groups) {
            group.steps = own.steps;
        }
        for (number, moments) in shares.iter().enumerate() {
            let (Some([exp_avg, exp_avg_sq]), Some(share)) =
                (&moments.flat, Share::new(number as u32, shares.len() as u32))
            else {
                continue;
            };
            for (flat, of) in [(exp_avg, Moment::First), (exp_avg_sq, Moment::Second)] {
                let mut views = Vec::new();
                for group in &whole.groups {
                    let list = of.list(group);
                    for piece in share.pieces(parameters, group.agent) {
                        views.push(rows(piece, &list[piece.index])?);
                    }
                }
                write(&mut views, flat).map_err(PolicyError::torch("take up the moments of a share"))?;
            }
        }
        Ok(whole)
    }

    /// Those that the rule has.
    fn rule_moments<'a>(&self, group: &'a Group) -> Vec<(&'static str, &'a [Tensor])> {
        match self.rule {
            ModelOptimizer::Adamw { .. } => group.moments().to_vec(),
            ModelOptimizer::Sgd => Vec::new(),
        }
    }
}

#[derive(Clone, Copy)]
enum Moment {
    First,
    Second,
}

impl Moment {
    fn list(self, group: &Group) -> &[Tensor] {
        match self {
            Self::First => &group.exp_avg,
            Self::Second => &group.exp_avg_sq,
        }
    }
}

fn rows(piece: Piece, tensor: &Tensor) -> Result<Tensor, PolicyError> {
    piece.of(tensor).map_err(PolicyError::torch("read rows of moments"))
}

impl Group {
    fn moments(&self) -> [(&'static str, &[Tensor]); 2] {
        [("exp_avg", &self.exp_avg), ("exp_avg_sq", &self.exp_avg_sq)]
    }
}

fn rule_name(rule: &ModelOptimizer) -> &'static str {
    match rule {
        ModelOptimizer::Adamw { .. } => "adamw",
        ModelOptimizer::Sgd => "sgd",
    }
}

/// How many copies were kept, in the metadata; absent where none was.
const KEPT: &str = "kept";

fn kept_name(back: usize, parameter: &Parameter) -> String {
    format!("{KEPT}/{back}/{}/{}", parameter.agent.name(), parameter.name)
}

fn steps_key(group: &Group) -> String {
    format!("steps/{}", group.agent.name())
}

fn state(problem: impl Into<String>) -> PolicyError {
    PolicyError::State { problem: problem.into() }
}

/// The bytes, parsed.
struct Saved<'a> {
    tensors: SafeTensors<'a>,
    metadata: std::collections::HashMap<String, String>,
}

impl<'a> Saved<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, PolicyError> {
        let Some((header, body)) = bytes.split_first_chunk::<8>() else {
            return Err(state(format!("has only {} bytes; it was cut short", bytes.len())));
        };
        if header[..7] != HEADER[..7] {
            return Err(state("does not begin as one; it is another file"));
        }
        if header[7] != HEADER[7] {
            let problem = format!("is of version {}, but this build reads version {}", header[7], HEADER[7]);
            return Err(state(problem));
        }
        let damaged = |error: ::safetensors::SafeTensorError| state(format!("is damaged: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(body).map_err(damaged)?;
        let tensors = SafeTensors::deserialize(body).map_err(damaged)?;
        Ok(Self { tensors, metadata: metadata.metadata().clone().unwrap_or_default() })
    }

    fn check_rule(&self, rule: &ModelOptimizer) -> Result<(), PolicyError> {
        let (found, expected) = (self.metadata.get("rule").map_or("nothing", String::as_str), rule_name(rule));
        if found == expected {
            return Ok(());
        }
        Err(state(format!("is of the optimizer `{found}`, but this run's is `{expected}`")))
    }

    fn steps(&self, group: &Group) -> Result<u64, PolicyError> {
        let steps = self.metadata.get(&steps_key(group)).and_then(|steps| steps.parse().ok());
        steps.ok_or_else(|| state(format!("has no step count of the {}", group.agent.name())))
    }

    /// The copies that were kept, the last first.
    fn kept(&self, parameters: &Parameters) -> Result<Vec<Vec<Parameter>>, PolicyError> {
        let count = match self.metadata.get(KEPT) {
            None => 0,
            Some(count) => {
                count.parse().map_err(|_| state(format!("says `{count}` of how many policies were kept")))?
            }
        };
        let copy = |own: &Parameter, back| {
            let values = self.tensor(&kept_name(back, own), &own.tensor)?;
            Parameter::new(own.name.clone(), own.agent, &values, own.tensor.device())
        };
        (1..=count).map(|back| parameters.iter().map(|own| copy(own, back)).collect()).collect()
    }

    /// The values for a parameter or moment, on the CPU.
    fn tensor(&self, name: &str, like: &Tensor) -> Result<Tensor, PolicyError> {
        let view = self.tensors.tensor(name).map_err(|_| state(format!("lacks the tensor `{name}`")))?;
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        if view.dtype() != Dtype::F32 || shape != like.size() {
            return Err(state(format!(
                "holds `{name}` as {:?} of shape {shape:?}, but this run's is F32 of shape {:?}",
                view.dtype(),
                like.size()
            )));
        }
        Tensor::f_from_data_size(view.data(), &shape, Kind::Float)
            .map_err(PolicyError::torch(format!("read `{name}` from the saved training state")))
    }

    /// All that is wanted is there, and more.
    fn surplus(&self, parameters: &Parameters, expected: usize) -> PolicyError {
        let known = |name: &str| {
            parameters
                .iter()
                .any(|parameter| name.starts_with(&format!("{}/{}", parameter.agent.name(), parameter.name)))
        };
        let first = self.tensors.names().into_iter().filter(|name| !known(name)).min().unwrap_or_default().to_owned();
        let found = self.tensors.len();
        state(format!("holds {found} tensors, but this run has {expected}; `{first}` is not among them"))
    }
}
