//! Which rows of the trained parameters one of several processes keeps the optimizer's state of, and moves.
//!
//! ZeRO-1 (Rajbhandari et al., arXiv 1910.02054): every process has all parameters and all gradients; moments are divided.

use tch::{Kind, TchError, Tensor, no_grad};

use crate::{Agent, Parameter, Parameters, PolicyError};

/// One of so many equal shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    number: u32,
    of: u32,
}

impl Share {
    /// Everything.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Share `number`, from 0, of `of`; `None` where there is no such one.
    #[must_use]
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (number < of).then_some(Self { number, of })
    }

    /// The rows of one agent's parameters that are in it, in their order. A row belongs to the share in which its first number lies when all
    /// numbers of the agent stand in a line: shares differ by less than a row.
    pub(super) fn pieces(self, parameters: &Parameters, agent: Agent) -> Vec<Piece> {
        let numbers = |parameter: &Parameter| parameter.tensor.numel() as u64;
        let all: u64 = parameters.of(agent).map(numbers).sum();
        let bound = |share: u32| (u128::from(all) * u128::from(share)).div_ceil(u128::from(self.of)) as u64;
        let (first, end) = (bound(self.number), bound(self.number + 1));
        let (mut before, mut pieces) = (0, Vec::new());
        for (index, parameter) in parameters.of(agent).enumerate() {
            let rows = parameter.tensor.size().first().copied().unwrap_or(1).max(1) as u64;
            let row = (numbers(parameter) / rows).max(1);
            let row_from = |number: u64| number.saturating_sub(before).div_ceil(row).min(rows);
            let (from, to) = (row_from(first), row_from(end));
            if from < to {
                pieces.push(Piece { index, first: from as i64, rows: (to - from) as i64 });
            }
            before += numbers(parameter);
        }
        pieces
    }
}

/// Rows of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which one, in the order of [`Parameters::of`].
    pub(super) index: usize,
    /// The first row.
    first: i64,
    /// How many.
    rows: i64,
}

impl Piece {
    /// The rows of a parameter, or of a tensor of its shape, in the same memory.
    pub(super) fn of(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        tensor.f_detach()?.f_narrow(0, self.first, self.rows)
    }
}

/// The pieces of one share, of all agents.
fn all_pieces(parameters: &Parameters, share: Share) -> Vec<(Agent, Piece)> {
    let of = |agent| share.pieces(parameters, agent).into_iter().map(move |piece| (agent, piece));
    parameters.agents().into_iter().flat_map(of).collect()
}

impl Parameters {
    /// The values of a share, flat.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn share(&self, share: Share) -> Result<Tensor, PolicyError> {
        let views = self.views(share)?;
        let flat = || -> Result<Tensor, TchError> {
            if views.is_empty() {
                return Tensor::f_zeros([0], (Kind::Float, tch::Device::Cpu));
            }
            Tensor::f_cat(&views.iter().map(|view| view.f_reshape([-1])).collect::<Result<Vec<_>, _>>()?, 0)
        };
        no_grad(flat).map_err(PolicyError::torch("lay out a share of the parameters"))
    }

    /// Overwrites the values of a share by another process's [`Parameters::share`].
    ///
    /// # Errors
    /// It has another length.
    pub fn take_share(&mut self, share: Share, flat: &Tensor) -> Result<(), PolicyError> {
        write(&mut self.views(share)?, flat).map_err(PolicyError::torch("take up a share of the parameters"))
    }

    /// How many numbers a share has.
    ///
    /// # Errors
    /// libtorch's.
    pub fn numbers_of(&self, share: Share) -> Result<u64, PolicyError> {
        Ok(self.views(share)?.iter().map(|view| view.numel() as u64).sum())
    }

    fn views(&self, share: Share) -> Result<Vec<Tensor>, PolicyError> {
        let view = |(agent, piece): (Agent, Piece)| {
            let parameter = self.of(agent).nth(piece.index);
            parameter
                .map(|one| piece.of(&one.tensor).map_err(PolicyError::torch(format!("read rows of `{}`", one.name))))
        };
        all_pieces(self, share).into_iter().filter_map(view).collect()
    }
}

/// Puts what is laid out flat into tensors, one after the other.
pub(super) fn write(tensors: &mut [Tensor], flat: &Tensor) -> Result<(), TchError> {
    let sizes: Vec<i64> = tensors.iter().map(|tensor| tensor.numel() as i64).collect();
    no_grad(|| {
        for (tensor, part) in tensors.iter_mut().zip(flat.f_split_with_sizes(&sizes, 0)?) {
            tensor.f_copy_(&part.f_view_as(&*tensor)?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Every number is in exactly one share, whatever their number, and shares are even but for a row.
    #[test]
    fn shares_cover_every_row_once() {
        let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let weights: Vec<(String, Tensor)> = [&[5, 3][..], &[4], &[1, 7], &[6, 2, 2], &[1]]
            .iter()
            .enumerate()
            .map(|(index, shape)| (format!("w{index}"), tensor(shape)))
            .collect();
        let agents = [Agent::Leader, Agent::Follower];
        let mut parameters = Parameters::full(&weights, &agents, Device::Cpu).expect("parameters");
        for of in 1..=9 {
            let shares: Vec<Share> = (0..of).map(|number| Share::new(number, of).expect("one")).collect();
            let lengths: Vec<u64> =
                shares.iter().map(|&share| parameters.numbers_of(share).expect("counted")).collect();
            assert_eq!(lengths.iter().sum::<u64>(), parameters.numbers(), "{of}");
            assert!(
                lengths.iter().max() <= lengths.iter().min().map(|least| least + 2 * 2 * 7).as_ref(),
                "{lengths:?}"
            );
            for (&share, &length) in shares.iter().zip(&lengths) {
                let flat = parameters.share(share).expect("laid out");
                assert_eq!(flat.numel() as u64, length);
                parameters.take_share(share, &(flat + 1.0)).expect("taken");
            }
            // Each number was moved once by each `of`.
            for parameter in &parameters {
                let values = Vec::<f32>::try_from(parameter.tensor.detach().reshape([-1])).expect("f32");
                assert!(values.iter().all(|value| (value - of as f32).abs() < 1e-6), "{values:?}");
            }
        }
        assert_eq!(Share::new(2, 2), None);
    }
}
