//! An agent's accumulated gradient as one vector: its norm, whether it is finite, clipping.

use slhf_torch_shim::{ShimError, norms, scale};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::shard::Piece;
use crate::{Agent, Parameter, Parameters, PolicyError};

/// Added to the norm before the division, as torch's `clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

#[derive(Debug)]
pub(super) struct AgentGradients {
    pub(super) agent: Agent,
    /// One a piece; they share memory with the parameters' own.
    pub(super) tensors: Vec<Tensor>,
    /// The sum of their squares; finite.
    pub(super) square: f64,
}

impl AgentGradients {
    pub(super) fn of(parameters: &Parameters, agent: Agent, pieces: &[Piece]) -> Result<Self, PolicyError> {
        let owned: Vec<&Parameter> = parameters.of(agent).collect();
        let owned: Vec<&Parameter> = pieces.iter().filter_map(|piece| owned.get(piece.index).copied()).collect();
        let gradient = |(parameter, piece): (&&Parameter, &Piece)| {
            // The kernels want contiguous ones; autograd nearly always makes them so.
            let of = |gradient: Tensor| -> Result<Tensor, TchError> { piece.of(&gradient)?.f_contiguous() };
            match parameter.gradient() {
                Some(gradient) => {
                    of(gradient).map_err(PolicyError::torch(format!("read the gradient of `{}`", parameter.name)))
                }
                None => zeros_like(parameter, *piece),
            }
        };
        let tensors: Vec<Tensor> = owned.iter().zip(pieces).map(gradient).collect::<Result<_, _>>()?;
        let each = norms(&tensors.iter().collect::<Vec<_>>()).map_err(shim(agent))?;
        let each = numbers(&each)?;
        let mut square = sum_of_squares(&each);
        if !square.is_finite() {
            refuse_infinite(&owned, agent, &tensors, &each)?;
            // All numbers are finite; only their squares are too large for f32.
            square = sum_of_squares(&tensors.iter().map(norm_in_f64).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { agent, tensors, square })
    }

    /// Scales the gradient, which has this norm with what others have of it, down to norm `max`, if it is longer. 0: never.
    pub(super) fn clip(&self, norm: f64, max: f64) -> Result<(), PolicyError> {
        if max == 0.0 || norm <= max {
            return Ok(());
        }
        let factor = max / (norm + CLIP_EPSILON);
        scale(&self.tensors.iter().collect::<Vec<_>>(), factor).map_err(shim(self.agent))
    }
}

fn sum_of_squares(norms: &[f64]) -> f64 {
    norms.iter().map(|norm| norm * norm).sum()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, PolicyError> {
    tensor
        .f_to_device(Device::Cpu)
        .and_then(|one| one.f_to_kind(Kind::Double))
        .and_then(|one| Vec::<f64>::try_from(&one))
        .map_err(PolicyError::torch("read the norms of gradients"))
}

fn norm_in_f64(tensor: &Tensor) -> Result<f64, PolicyError> {
    no_grad(|| tensor.f_to_kind(Kind::Double).and_then(|one| one.f_norm()).and_then(|one| one.f_double_value(&[])))
        .map_err(PolicyError::torch("take the norm of a gradient"))
}

/// An error for the first parameter whose gradient holds a number that is not finite.
fn refuse_infinite(
    parameters: &[&Parameter],
    agent: Agent,
    tensors: &[Tensor],
    norms: &[f64],
) -> Result<(), PolicyError> {
    let suspects = parameters.iter().zip(tensors).zip(norms).filter(|(_, norm)| !norm.is_finite());
    for ((parameter, gradient), _) in suspects {
        let count = |what: Result<Tensor, TchError>| {
            what.and_then(|mask| mask.f_sum(Kind::Int64)).and_then(|sum| sum.f_int64_value(&[]))
        };
        let counted = || Ok((count(gradient.f_isnan())?, count(gradient.f_isinf())?));
        let (nan, infinite) = no_grad(counted)
            .map_err(PolicyError::torch(format!("look through the gradient of `{}`", parameter.name)))?;
        if nan + infinite > 0 {
            let problem = format!("has {nan} NaN and {infinite} infinite of {} numbers", gradient.numel());
            return Err(PolicyError::Gradient { agent: agent.name(), name: parameter.name.clone(), problem });
        }
    }
    Ok(())
}

pub(super) fn zeros_like(parameter: &Parameter, piece: Piece) -> Result<Tensor, PolicyError> {
    no_grad(|| piece.of(&parameter.tensor)?.f_zeros_like())
        .map_err(PolicyError::torch(format!("make the moments of `{}`", parameter.name)))
}

pub(super) fn shim(agent: Agent) -> impl FnOnce(ShimError) -> PolicyError {
    move |source| PolicyError::Optimizer { agent: agent.name(), source }
}
