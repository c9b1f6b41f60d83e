//! A layer in training and scoring over packed weights: joined projections, one node of the graph for each part.

use slhf_torch_shim::{SplitHeads, split_heads};
use tch::{TchError, Tensor};

use super::packed::PackedTraining;
use super::plain::{Depth, PackedWeights, PlainLayer, PlainWeights, attended};
use super::{operators, rotate};
use crate::Projection;
use slhf_model::Activation;

impl PlainLayer {
    /// `[rows · length, hidden]` → the same, through layer `index`.
    pub(crate) fn forward(&self, hidden: &Tensor, index: usize, depth: Depth<'_>) -> Result<Tensor, TchError> {
        match &self.weights {
            PlainWeights::Apart(weights) => self.forward_apart(weights, hidden, index, depth),
            PlainWeights::Packed(weights) => PackedLayer { layer: self, weights, index, depth }.forward(hidden),
        }
    }
}

/// A layer over packed weights, and where it stands.
struct PackedLayer<'a> {
    layer: &'a PlainLayer,
    weights: &'a PackedWeights,
    index: usize,
    depth: Depth<'a>,
}

/// A joined matrix of a layer.
#[derive(Clone, Copy)]
enum Matrix {
    QueryKeyValue,
    Output,
    GateUp,
    Down,
}

impl Matrix {
    fn projections(self) -> &'static [Projection] {
        match self {
            Self::QueryKeyValue => &[Projection::QProj, Projection::KProj, Projection::VProj],
            Self::Output => &[Projection::OProj],
            Self::GateUp => &[Projection::GateProj, Projection::UpProj],
            Self::Down => &[Projection::DownProj],
        }
    }
}

impl PackedLayer<'_> {
    /// `[rows · length, hidden]` → the same.
    fn forward(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        let (layer, config) = (self.layer, self.depth.config);
        let normed = operators::trained_norm(hidden, &layer.attention_norm, config)?;
        let attended = self.attend(&self.linear(Matrix::QueryKeyValue, &normed, None)?)?;
        let output_norms = layer.output_norms.as_ref();
        let hidden = self.added(Matrix::Output, &attended, hidden, output_norms.map(|(norm, _)| norm))?;
        let normed = operators::trained_norm(&hidden, &layer.feed_forward_norm, config)?;
        let joined = self.linear(Matrix::GateUp, &normed, None)?;
        let gated = match config.activation() {
            Activation::Silu => slhf_torch_shim::trained_gate(&joined).map_err(operators::torch)?,
            Activation::GeluTanh => {
                let half = config.intermediate_size as i64;
                operators::activated(&joined.f_narrow(1, 0, half)?, config)?.f_mul(&joined.f_narrow(1, half, half)?)?
            }
        };
        self.added(Matrix::Down, &gated, &hidden, output_norms.map(|(_, norm)| norm))
    }

    /// What a block gives, normed where the family does that, and what it is added to.
    fn added(
        &self,
        matrix: Matrix,
        input: &Tensor,
        hidden: &Tensor,
        norm: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        match norm {
            None => self.linear(matrix, input, Some(hidden)),
            Some(norm) => {
                let output = self.linear(matrix, input, None)?;
                operators::trained_norm(&output, norm, self.depth.config)?.f_add(hidden)
            }
        }
    }

    fn linear(&self, matrix: Matrix, input: &Tensor, add: Option<&Tensor>) -> Result<Tensor, TchError> {
        let adapters = self.depth.adapters;
        let pair = |&projection: &Projection| adapters.and_then(|adapters| adapters.pair(self.index, projection));
        let pairs: Vec<Option<(&Tensor, &Tensor)>> = matrix.projections().iter().map(pair).collect();
        self.weights.matrices[matrix as usize].train(&PackedTraining {
            input,
            adapters: &pairs,
            scale: adapters.map_or(1.0, |adapters| adapters.scale),
            dropout: adapters.map_or(0.0, |adapters| adapters.dropout),
            bias: self.weights.biases[matrix as usize].as_ref(),
            add,
        })
    }

    /// `joined` `[rows · length, q-k-v]` → `[rows · length, heads · size]`.
    fn attend(&self, joined: &Tensor) -> Result<Tensor, TchError> {
        let Depth { config, rows, length, .. } = self.depth;
        let (heads, pairs, size) = (config.heads as i64, config.key_value_heads as i64, config.head_size as i64);
        let (cosines, sines) = self.depth.tables(self.index)?;
        let headed = |tensor: &Tensor, count: i64| tensor.f_view([rows, length, count, size]);
        let Some((query_norm, key_norm)) = &self.layer.query_key_norms else {
            let places = |table: &Tensor| table.f_reshape([-1, size])?.f_contiguous();
            let (cosines, sines) = (places(&cosines)?, places(&sines)?);
            let split = SplitHeads { joined, cosines: &cosines, sines: &sines, heads, pairs, size };
            let [queries, keys, values] = split_heads(&split).map_err(operators::torch)?;
            let [queries, keys, values] = [headed(&queries, heads)?, headed(&keys, pairs)?, headed(&values, pairs)?];
            return attended([&queries, &keys, &values], self.index, self.depth);
        };
        let (cosines, sines) = (cosines.f_unsqueeze(-2)?, sines.f_unsqueeze(-2)?);
        let joined = headed(joined, heads + 2 * pairs)?;
        let part = |first: i64, count: i64| joined.f_narrow(2, first, count);
        let queries = part(0, heads)?.f_rms_norm([size], Some(query_norm), config.norm_epsilon)?;
        let keys = part(heads, pairs)?.f_rms_norm([size], Some(key_norm), config.norm_epsilon)?;
        let (queries, keys) = (rotate(&queries, &cosines, &sines)?, rotate(&keys, &cosines, &sines)?);
        attended([&queries, &keys, &part(heads + pairs, pairs)?], self.index, self.depth)
    }
}
