//! Tokens that go through a model, and the operations of it, as the engine counts them.

use slhf_plan::ModelShape;

/// Some sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// Tokens that go through the blocks.
    pub(super) tokens: f64,
    /// Places whose logits are computed.
    pub(super) predicted: f64,
    /// Σ length², or what it grew by, for the operations of attention.
    pub(super) squares: f64,
}

/// What a pass does with every number of a matrix and every place of attention, in forward passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pass {
    /// Forward alone.
    Read,
    /// Forward and backward through frozen matrices with adapters.
    TrainAdapters,
    /// Forward and backward, and the gradient of every matrix.
    TrainAll,
}

impl Pass {
    fn matrices(self) -> f64 {
        match self {
            Self::Read => 1.0,
            Self::TrainAdapters => 2.0,
            Self::TrainAll => 3.0,
        }
    }

    fn attention(self) -> f64 {
        match self {
            Self::Read => 1.0,
            Self::TrainAdapters | Self::TrainAll => 3.0,
        }
    }
}

impl Flow {
    /// One sequence that is read from its beginning.
    pub(super) fn of(tokens: f64, predicted: f64) -> Self {
        Self::after(0.0, tokens, predicted)
    }

    /// One sequence of which so many tokens were read `before`.
    pub(super) fn after(before: f64, tokens: f64, predicted: f64) -> Self {
        Self { tokens, predicted, squares: (before + tokens).powi(2) - before.powi(2) }
    }

    pub(super) fn times(self, count: f64) -> Self {
        Self { tokens: count * self.tokens, predicted: count * self.predicted, squares: count * self.squares }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            predicted: self.predicted + other.predicted,
            squares: self.squares + other.squares,
        }
    }

    /// Floating-point operations of it: 2 a number and token (see [`slhf_plan::Passed`]).
    pub(super) fn operations(self, shape: &ModelShape, pass: Pass) -> f64 {
        let numbers = shape.block_numbers() * self.tokens + shape.output_numbers() * self.predicted;
        2.0 * pass.matrices() * numbers + 2.0 * pass.attention() * shape.attention_width() * self.squares
    }
}
