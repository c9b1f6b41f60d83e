//! One forward and backward pass of a reward model's head over a micro-batch of texts.
//!
//! Whoever trains sees the values and says ∂loss/∂value; the head's matrix and what lies below it get their gradients here.

use slhf_model::{HEAD_TENSOR, ModelConfig};
use slhf_plan::{FollowerReference, Passed};
use slhf_random::{Place, Purpose, fill_normal};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::agent_pass::PassSettings;
use crate::batch::Sequences;
use crate::engine::Engine;
use crate::parameters::{Agent, HEAD_PARAMETER, Parameter, Training};
use crate::reading::last_that_counts;

/// Where a pass stands in a run: what dropout is seeded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePass {
    /// The step, from 1.
    pub step: u64,
    /// Within the step.
    pub micro_batch: u32,
}

/// What a loss makes of the values: called once, one row a text in the order of the labels, and the same shape back: ∂loss/∂value.
pub type WeighValues<'a, E> = dyn FnMut(&[Vec<f64>]) -> Result<Vec<Vec<f64>>, E> + 'a;

/// Standard deviation of a head's start, transformers' `initializer_range`.
const HEAD_DEVIATION: f64 = 0.02;

/// The start of a new head, `[labels, hidden]`: normal around 0, never 0 itself, since a general preference could not leave it
/// (arXiv 2410.02197). A function of the seed and the shape.
pub fn drawn_head(config: &ModelConfig, seed: u64) -> Result<Tensor, PolicyError> {
    let shape = [config.head_rows() as i64, config.hidden_size as i64];
    let mut normal = vec![0.0; config.head_rows() * config.hidden_size];
    fill_normal(seed, Place { purpose: Purpose::HeadWeights, step: 0, round: 0 }, &mut normal);
    let values: Vec<f32> = normal.into_iter().map(|number| (HEAD_DEVIATION * number) as f32).collect();
    Tensor::f_from_slice(&values)
        .and_then(|flat| flat.f_view(shape))
        .map_err(PolicyError::torch("draw the start of a head"))
}

impl Engine {
    /// Trains the head, too: with adapters it becomes a parameter of its own, as it stands. A full training has it already.
    pub fn train_head(&mut self) -> Result<(), PolicyError> {
        if self.config.reward.is_none() {
            let problem = "has no reward head to train (`score.weight`)".to_owned();
            return Err(PolicyError::Request { what: "the model".to_owned(), problem });
        }
        let (head, device) = (self.base.head.numbers.shallow_clone(), self.device());
        let Some(parameters) = self.parameters_mut() else {
            let problem = "trains nothing; load the engine with adapters or full training".to_owned();
            return Err(PolicyError::Request { what: "this engine".to_owned(), problem });
        };
        if *parameters.training() != Training::Full {
            let leaf = Parameter::new(HEAD_PARAMETER.to_owned(), Agent::Shared, &head, device)?;
            parameters.push(leaf);
        }
        Ok(())
    }

    /// Forward pass of texts, `weigh` on their values (each at the last token that is no padding, as in [`Engine::values`]), backward
    /// pass: gradients accumulate in the parameters.
    pub fn value_pass<E: From<PolicyError>>(
        &mut self,
        texts: &[&[u32]],
        place: ValuePass,
        weigh: &mut WeighValues<'_, E>,
    ) -> Result<Passed, E> {
        self.forget();
        let labels = self.config.reward.as_ref().map_or(0, |head| head.labels.len());
        let name = if self.parameters().is_some_and(|all| *all.training() == Training::Full) {
            HEAD_TENSOR
        } else {
            HEAD_PARAMETER
        };
        let leaf = self.parameters().and_then(|parameters| parameters.get(Agent::Shared, name));
        let Some(leaf) = leaf.map(|leaf| leaf.tensor.shallow_clone()) else {
            let problem = "has no head that is trained; call `train_head` first".to_owned();
            return Err(PolicyError::Request { what: "this engine".to_owned(), problem }.into());
        };
        for (index, text) in texts.iter().enumerate() {
            self.check_tokens(&format!("text {index}"), text, 0)?;
        }
        let mut passed = Passed::default();
        if texts.is_empty() {
            weigh(&[])?;
            return Ok(passed);
        }
        let doing = |what: &str| PolicyError::torch(format!("run the {what} pass of {} texts", texts.len()));
        let mut sequences = Sequences::default();
        for text in texts {
            sequences.push(&[(*text, None)]);
        }
        self.count(&sequences.extent(), true, &mut passed);
        let settings = PassSettings {
            temperature: 1.0,
            exact_kl: false,
            follower_reference: FollowerReference::Context,
            step: place.step,
            micro_batch: place.micro_batch,
        };
        let (model, adapters) = self.policy(Agent::Shared).map_err(doing("forward"))?;
        let batch = self.padded_to_last(&sequences, texts).map_err(doing("forward"))?;
        let forward = self.forward_of(&model, adapters.as_ref(), &batch, Some((&settings, 0)));
        let trace = if self.settings.activation_checkpointing { forward.checkpointed() } else { forward.whole() };
        let trace = trace.map_err(doing("forward"))?;
        let hidden = no_grad(|| trace.hidden.f_detach()?.f_to_kind(Kind::Float)).map_err(doing("forward"))?;
        let values =
            no_grad(|| rows_of(&hidden.f_linear::<&Tensor>(&leaf, None)?, labels)).map_err(doing("forward"))?;
        let gradients = weigh(&values)?;
        if gradients.len() != texts.len() || gradients.iter().any(|row| row.len() != labels) {
            let problem = format!("of {} texts with {labels} values got gradients of another shape", texts.len());
            return Err(PolicyError::Request { what: "a pass".to_owned(), problem }.into());
        }
        let flat: Vec<f32> = gradients.iter().flatten().map(|value| *value as f32).collect();
        let backward = || -> Result<(), TchError> {
            let (below, of_head) = no_grad(|| -> Result<_, TchError> {
                let gradient = Tensor::f_from_slice(&flat)?
                    .f_view([texts.len() as i64, labels as i64])?
                    .f_to_device(self.device())?;
                Ok((gradient.f_matmul(&leaf)?, gradient.f_tr()?.f_matmul(&hidden)?))
            })?;
            leaf.f_mul(&of_head)?.f_sum(Kind::Float)?.f_backward()?;
            forward.backward(trace, &below)
        };
        backward().map_err(doing("backward"))?;
        Ok(passed)
    }

    fn padded_to_last(&self, sequences: &Sequences, texts: &[&[u32]]) -> Result<crate::batch::Padded, TchError> {
        let length = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let last =
            |(row, text): (usize, &&[u32])| (row * length + last_that_counts(text, self.config.padding_token)) as i64;
        let places: Vec<i64> = texts.iter().enumerate().map(last).collect();
        sequences.padded_to(self.device(), &places)
    }
}

fn rows_of(values: &Tensor, labels: usize) -> Result<Vec<Vec<f64>>, TchError> {
    let flat: Vec<f64> =
        Vec::try_from(values.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_contiguous()?.f_reshape([-1])?)?;
    Ok(flat.chunks_exact(labels.max(1)).map(<[f64]>::to_vec).collect())
}
