//! The decoder as training and scoring see it: whole sequences, no cache, projections apart so that each may have an
//! adapter. Sequences are padded on the right: attention is causal, so padding is seen by no token that counts.

use std::collections::HashMap;

use slhf_torch_shim::{CausalAttention, TreeAttention, causal_attention, tree_attention};
use tch::{Device, Kind, TchError, Tensor};

use super::output::OutputMatrix;
use super::packed::PackedLinear;
use super::{Branches, Ropes, norms, operators, rotate};
use crate::Projection;
use crate::parameters::{Agent, LoraSettings, Parameters};
use slhf_model::{ModelConfig, Reach};

/// Matrices of one layer.
#[derive(Debug)]
pub(crate) enum PlainWeights {
    /// By [`Projection`].
    Apart(Vec<Tensor>),
    /// As the model's file packs them.
    Packed(Box<PackedWeights>),
}

/// q-k-v, output, gate-up, down.
#[derive(Debug)]
pub(crate) struct PackedWeights {
    pub(crate) matrices: [PackedLinear; 4],
    pub(crate) biases: [Option<Tensor>; 4],
}

/// Weights of one layer.
#[derive(Debug)]
pub(crate) struct PlainLayer {
    pub(crate) attention_norm: Tensor,
    pub(crate) weights: PlainWeights,
    /// Of q, k, v and the output.
    pub(crate) biases: [Option<Tensor>; 4],
    pub(crate) query_key_norms: Option<(Tensor, Tensor)>,
    pub(crate) feed_forward_norm: Tensor,
    /// Of what the attention and the feed-forward network give.
    pub(crate) output_norms: Option<(Tensor, Tensor)>,
}

/// Weights of a model: views of a [`super::Decoder`], or trained leaves.
#[derive(Debug)]
pub(crate) struct PlainModel {
    pub(crate) embedding: Tensor,
    pub(crate) layers: Vec<PlainLayer>,
    pub(crate) norm: Tensor,
    pub(crate) head: OutputMatrix,
}

/// One agent's adapters.
#[derive(Debug)]
pub(crate) struct Adapters {
    /// By layer and [`Projection`]: A and B.
    pub(crate) pairs: Vec<[Option<(Tensor, Tensor)>; 7]>,
    pub(crate) scale: f64,
    pub(crate) dropout: f64,
}

impl Adapters {
    pub(crate) fn of(
        parameters: &Parameters,
        agent: Agent,
        settings: &LoraSettings,
        config: &ModelConfig,
    ) -> Result<Self, TchError> {
        let mut found = parameters.of(agent).map(|parameter| parameter.tensor.shallow_clone());
        let mut pairs = Vec::with_capacity(config.layers);
        for _ in 0..config.layers {
            let mut layer = [const { None }; 7];
            for &target in &settings.targets {
                // The list is A, B, A, B, … in this very order (`Parameters::lora`).
                let (Some(a), Some(b)) = (found.next(), found.next()) else {
                    return Err(TchError::Convert(format!("the {} has no adapters", agent.name())));
                };
                layer[target as usize] = Some((a, b));
            }
            pairs.push(layer);
        }
        Ok(Self { pairs, scale: settings.scale(), dropout: settings.dropout })
    }

    /// The same adapters as they answer.
    pub(crate) fn without_dropout(&self) -> Self {
        let clone =
            |pair: &Option<(Tensor, Tensor)>| pair.as_ref().map(|(a, b)| (a.shallow_clone(), b.shallow_clone()));
        let pairs = self.pairs.iter().map(|layer| layer.each_ref().map(clone)).collect();
        Self { pairs, scale: self.scale, dropout: 0.0 }
    }

    /// A and B of one projection.
    pub(crate) fn pair(&self, layer: usize, projection: Projection) -> Option<(&Tensor, &Tensor)> {
        self.pairs[layer][projection as usize].as_ref().map(|(a, b)| (a, b))
    }
}

/// Which layer of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) ropes: &'a Ropes,
    pub(crate) adapters: Option<&'a Adapters>,
    /// Sequences in the batch.
    pub(crate) rows: i64,
    /// Tokens of each, padding included.
    pub(crate) length: i64,
    /// Tokens of each, without padding.
    pub(crate) lengths: &'a [usize],
    /// Of sequences that are trees.
    pub(crate) branches: Option<&'a Branches>,
}

impl Depth<'_> {
    /// What layer `index` turns queries and keys by: `[length, head]`, or `[rows, length, head]`.
    pub(super) fn tables(&self, index: usize) -> Result<(Tensor, Tensor), TchError> {
        let rope = self.ropes.of(self.config.reach(index));
        match self.branches {
            Some(branches) => branches.tables(rope),
            None => rope.tables_of(self.lengths, self.length),
        }
    }
}

impl PlainModel {
    /// The leaves of a full training, in the precision of the activations.
    pub(crate) fn trained(
        config: &ModelConfig,
        parameters: &Parameters,
        agent: Agent,
        kind: Kind,
    ) -> Result<Self, TchError> {
        let mut found = HashMap::new();
        for parameter in parameters.of(agent) {
            found.insert(parameter.name.as_str(), parameter.tensor.f_to_kind(kind)?);
        }
        let mut take = |name: &str| {
            let missing = || TchError::Convert(format!("the {} has no trained tensor `{name}`", agent.name()));
            found.remove(name).ok_or_else(missing)
        };
        let embedding = take("model.embed_tokens.weight")?;
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            layers.push(PlainLayer::trained(config, layer, &mut take)?);
        }
        let norm = norms::multiplied(config, &take("model.norm.weight")?)?;
        let head = match config.head_tensor() {
            None => embedding.shallow_clone(),
            Some(name) => take(name)?,
        };
        Ok(Self { embedding, layers, norm, head: OutputMatrix::new(head) })
    }

    /// `tokens` `[rows · length]` → `[rows · length, hidden]`
    pub(crate) fn embed(&self, tokens: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
        norms::embedded(config, &self.embedding, tokens)
    }

    /// The final norm.
    pub(crate) fn finish(&self, hidden: &Tensor, config: &ModelConfig) -> Result<Tensor, TchError> {
        if self.layers.last().is_some_and(|layer| matches!(layer.weights, PlainWeights::Packed(_))) {
            return operators::trained_norm(hidden, &self.norm, config);
        }
        hidden.f_rms_norm([config.hidden_size as i64], Some(&self.norm), config.norm_epsilon)
    }
}

impl PlainLayer {
    fn trained(
        config: &ModelConfig,
        index: usize,
        take: &mut dyn FnMut(&str) -> Result<Tensor, TchError>,
    ) -> Result<Self, TchError> {
        let mut weights = Vec::with_capacity(Projection::ALL.len());
        let mut biases = [const { None }; 4];
        for projection in Projection::ALL {
            let path = projection.path(index);
            weights.push(take(&format!("{path}.weight"))?);
            let has_bias = match projection {
                Projection::QProj | Projection::KProj | Projection::VProj => config.attention_bias,
                Projection::OProj => config.output_bias,
                _ => false,
            };
            if has_bias {
                biases[projection as usize] = Some(take(&format!("{path}.bias"))?);
            }
        }
        let mut norm = |name: &str| norms::multiplied(config, &take(&format!("model.layers.{index}.{name}.weight"))?);
        let query_key_norms = if config.query_key_norms {
            Some((norms::of_queries(config, &norm("self_attn.q_norm")?)?, norm("self_attn.k_norm")?))
        } else {
            None
        };
        let output_norms = if config.has_output_norms() {
            Some((norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?))
        } else {
            None
        };
        let (attention_norm, feed_forward_norm) = (norm("input_layernorm")?, norm(config.feed_forward_norm())?);
        let weights = PlainWeights::Apart(weights);
        Ok(Self { attention_norm, weights, biases, query_key_norms, feed_forward_norm, output_norms })
    }

    /// Through layer `index`, its projections apart.
    pub(super) fn forward_apart(
        &self,
        weights: &[Tensor],
        hidden: &Tensor,
        index: usize,
        depth: Depth<'_>,
    ) -> Result<Tensor, TchError> {
        let config = depth.config;
        let width = [config.hidden_size as i64];
        let normed = hidden.f_rms_norm(width, Some(&self.attention_norm), config.norm_epsilon)?;
        let attended =
            self.project(weights, Projection::OProj, &self.attend(weights, &normed, index, depth)?, index, depth)?;
        let hidden = hidden.f_add(&match &self.output_norms {
            Some((norm, _)) => attended.f_rms_norm(width, Some(norm), config.norm_epsilon)?,
            None => attended,
        })?;
        let normed = hidden.f_rms_norm(width, Some(&self.feed_forward_norm), config.norm_epsilon)?;
        let gate = operators::activated(&self.project(weights, Projection::GateProj, &normed, index, depth)?, config)?;
        let gated = gate.f_mul(&self.project(weights, Projection::UpProj, &normed, index, depth)?)?;
        let down = self.project(weights, Projection::DownProj, &gated, index, depth)?;
        hidden.f_add(&match &self.output_norms {
            Some((_, norm)) => down.f_rms_norm(width, Some(norm), config.norm_epsilon)?,
            None => down,
        })
    }

    fn attend(&self, weights: &[Tensor], normed: &Tensor, index: usize, depth: Depth<'_>) -> Result<Tensor, TchError> {
        let Depth { config, rows, length, .. } = depth;
        let (heads, pairs, size) = (config.heads as i64, config.key_value_heads as i64, config.head_size as i64);
        let (cosines, sines) = depth.tables(index)?;
        let (cosines, sines) = (cosines.f_unsqueeze(-2)?, sines.f_unsqueeze(-2)?);
        let headed = |projection, heads: i64| {
            self.project(weights, projection, normed, index, depth)?.f_view([rows, length, heads, size])
        };
        let (mut queries, mut keys) = (headed(Projection::QProj, heads)?, headed(Projection::KProj, pairs)?);
        if let Some((query_norm, key_norm)) = &self.query_key_norms {
            queries = queries.f_rms_norm([size], Some(query_norm), config.norm_epsilon)?;
            keys = keys.f_rms_norm([size], Some(key_norm), config.norm_epsilon)?;
        }
        let queries = rotate(&queries, &cosines, &sines)?;
        let keys = rotate(&keys, &cosines, &sines)?;
        attended([&queries, &keys, &headed(Projection::VProj, pairs)?], index, depth)
    }

    /// `W x + b`, and the adapter's `scale · B A dropout(x)`.
    fn project(
        &self,
        weights: &[Tensor],
        projection: Projection,
        input: &Tensor,
        index: usize,
        depth: Depth<'_>,
    ) -> Result<Tensor, TchError> {
        let bias = self.biases.get(projection as usize).and_then(Option::as_ref);
        let output = input.f_linear(&weights[projection as usize], bias)?;
        let Some(adapters) = depth.adapters else { return Ok(output) };
        let Some((a, b)) = adapters.pair(index, projection) else { return Ok(output) };
        let kind = input.kind();
        let low = if adapters.dropout > 0.0 {
            input.f_dropout(adapters.dropout, true)?.f_linear::<&Tensor>(&a.f_to_kind(kind)?, None)?
        } else {
            input.f_linear::<&Tensor>(&a.f_to_kind(kind)?, None)?
        };
        output.f_addmm(&low.f_mul_scalar(adapters.scale)?, &b.f_to_kind(kind)?.f_tr()?)
    }
}

/// Attention of each token to what is before it in its text: of queries `[rows, length, heads, size]` over keys and values `[rows, length, pairs, size]` → `[rows · length, heads ·
/// size]`.
pub(super) fn attended(
    [queries, keys, values]: [&Tensor; 3],
    index: usize,
    depth: Depth<'_>,
) -> Result<Tensor, TchError> {
    let Depth { config, rows, length, lengths, branches, .. } = depth;
    let (heads, pairs, size) = (config.heads as i64, config.key_value_heads as i64, config.head_size as i64);
    let windows = config.windows.as_ref().filter(|_| config.reach(index) == Reach::Window);
    let window = windows.map(|windows| windows.positions as i64);
    if operators::are_ours(queries) {
        let by_token = |part: &Tensor, count: i64| part.f_reshape([rows * length, count, size])?.f_contiguous();
        let (queries, keys, values) = (by_token(queries, heads)?, by_token(keys, pairs)?, by_token(values, pairs)?);
        let (queries, keys, values) = (&queries, &keys, &values);
        let attended = match branches {
            Some(branches) => {
                let seen = branches.keys(config.reach(index));
                tree_attention(&TreeAttention { queries, keys, values, lengths, length, seen })
            }
            None => causal_attention(&CausalAttention { queries, keys, values, lengths, length, window }),
        };
        return attended.map_err(operators::torch);
    }
    // libtorch's fast attention has no gradient for shared key heads everywhere: they are repeated.
    let repeated = |tensor: &Tensor| -> Result<Tensor, TchError> {
        let tensor = tensor.f_transpose(1, 2)?;
        if heads == pairs {
            return Ok(tensor);
        }
        let group = [rows, pairs, heads / pairs, length, size];
        tensor.f_unsqueeze(2)?.f_expand(group, false)?.f_reshape([rows, heads, length, size])
    };
    let (queries, keys, values) = (queries.f_transpose(1, 2)?, repeated(keys)?, repeated(values)?);
    let mask = match (branches, window) {
        (Some(branches), _) => Some(branches.mask(config.reach(index))?.shallow_clone()),
        (None, Some(window)) if length > window => Some(window_of(window, length, queries.device())?),
        _ => None,
    };
    let causal = mask.is_none();
    let attended = Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, mask, 0.0, causal, None, false)?;
    attended.f_transpose(1, 2)?.f_reshape([rows * length, heads * size])
}

/// Whether a token sees another: one of the last `positions`, itself included. `[length, length]`
fn window_of(positions: i64, length: i64, device: Device) -> Result<Tensor, TchError> {
    Tensor::f_ones([length, length], (Kind::Bool, device))?.f_tril(0)?.f_triu(1 - positions)
}
