//! The forward pass that remembers enough for a backward pass: all of it, or only each layer's input.

use slhf_random::{Place, Purpose, uniforms};
use tch::{TchError, Tensor, no_grad};

use crate::batch::Padded;
use crate::decoder::{Adapters, Depth, PlainModel, Ropes};
use slhf_model::ModelConfig;

/// Where dropout's masks come from: libtorch's own generator, seeded anew before each layer and each recomputation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DropoutSeed {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) micro_batch: u32,
    /// Which pass of the micro-batch.
    pub(crate) pass: u32,
}

/// What a pass needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) ropes: &'a Ropes,
    pub(crate) model: &'a PlainModel,
    pub(crate) adapters: Option<&'a Adapters>,
    pub(crate) batch: &'a Padded,
    pub(crate) dropout: DropoutSeed,
}

/// A forward pass.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Normed hidden states where the batch is read, `[n, hidden]`.
    pub(crate) hidden: Tensor,
    /// With checkpoints: each layer's input, and what the last layer gave as a leaf.
    checkpoints: Option<(Vec<Tensor>, Tensor)>,
}

impl Forward<'_> {
    fn depth(&self) -> Depth<'_> {
        let Padded { rows, length, .. } = *self.batch;
        let (lengths, branches) = (&self.batch.lengths, self.batch.branches.as_ref());
        Depth { config: self.config, ropes: self.ropes, adapters: self.adapters, rows, length, lengths, branches }
    }

    fn layer(&self, hidden: &Tensor, index: usize) -> Result<Tensor, TchError> {
        if self.adapters.is_some_and(|adapters| adapters.dropout > 0.0) {
            let DropoutSeed { seed, step, micro_batch, pass } = self.dropout;
            let place = Place { purpose: Purpose::Dropout, step, round: micro_batch };
            let [uniform, _] = uniforms(seed, place, pass << 16 | index as u32);
            tch::manual_seed((uniform * (1_i64 << 53) as f64) as i64);
        }
        self.model.layers[index].forward(hidden, index, self.depth())
    }

    fn finish(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        self.model.finish(&hidden.f_index_select(0, &self.batch.read)?, self.config)
    }

    /// Remembers everything (in the mode of gradients that is set).
    pub(crate) fn whole(&self) -> Result<Trace, TchError> {
        let mut hidden = self.model.embed(&self.batch.tokens, self.config)?;
        for index in 0..self.model.layers.len() {
            hidden = self.layer(&hidden, index)?;
        }
        Ok(Trace { hidden: self.finish(&hidden)?, checkpoints: None })
    }

    /// Remembers each layer's input.
    pub(crate) fn checkpointed(&self) -> Result<Trace, TchError> {
        let mut inputs = Vec::with_capacity(self.model.layers.len());
        let last = no_grad(|| -> Result<Tensor, TchError> {
            let mut hidden = self.model.embed(&self.batch.tokens, self.config)?;
            for index in 0..self.model.layers.len() {
                let output = self.layer(&hidden, index)?;
                inputs.push(std::mem::replace(&mut hidden, output));
            }
            hidden.f_detach()
        })?;
        let last = last.f_set_requires_grad(true)?;
        Ok(Trace { hidden: self.finish(&last)?, checkpoints: Some((inputs, last)) })
    }

    /// Adds to the leaves' gradients what `gradient` `[n, hidden]` = ∂loss/∂`hidden` makes of them.
    pub(crate) fn backward(&self, trace: Trace, gradient: &Tensor) -> Result<(), TchError> {
        pull_back(&trace.hidden, gradient)?;
        let Some((mut inputs, last)) = trace.checkpoints else { return Ok(()) };
        let mut gradient = last.f_grad()?;
        while let Some(input) = inputs.pop() {
            let leaf = input.f_detach()?.f_set_requires_grad(true)?;
            pull_back(&self.layer(&leaf, inputs.len())?, &gradient)?;
            gradient = leaf.f_grad()?;
        }
        if self.model.embedding.requires_grad() {
            pull_back(&self.model.embed(&self.batch.tokens, self.config)?, &gradient)?;
        }
        Ok(())
    }
}

/// tch has no backward pass that starts from a gradient: that of ⟨output, gradient⟩ is the same.
fn pull_back(output: &Tensor, gradient: &Tensor) -> Result<(), TchError> {
    output.f_mul(&gradient.f_detach()?.f_to_kind(output.kind())?)?.f_sum(output.kind())?.f_backward()
}
