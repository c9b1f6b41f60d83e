//! The decoder as generation sees it: some new tokens of some rows, after what the cache holds.

use slhf_torch_shim::{CachedAttention, DecodeLayer, PackedMatrix};
use tch::{TchError, Tensor};

use super::linear::Linear;
use super::packed::PackedLinear;
use super::{Decoder, Layer, norms, operators, rotate};
use crate::cache::Cache;
use slhf_model::{Activation, ModelConfig, Reach};

/// Where the new tokens stand and what they see, in the layers that see equally far.
#[derive(Debug)]
pub(crate) struct Sight {
    /// Of each token: `[rows, new, 1, head]`.
    pub(crate) cosines: Tensor,
    /// Likewise.
    pub(crate) sines: Tensor,
    /// What each new token may see, `[rows, 1, new, slots]`, 0 or −∞; `None`: the cache was empty and attention is
    /// causal.
    pub(crate) mask: Option<Tensor>,
    /// For one new token a row: what it may see of all slots, `[cached rows, 1, 1, capacity]`, where that is not the
    /// cache's own mask.
    pub(crate) all_slots: Option<Tensor>,
}

/// New tokens of the first `rows` rows of a cache.
#[derive(Debug)]
pub(crate) struct StepInput<'a> {
    /// `[rows · new]`
    pub(crate) tokens: &'a Tensor,
    /// In layers that see everything.
    pub(crate) full: &'a Sight,
    /// In layers with a window, where there are such.
    pub(crate) window: Option<&'a Sight>,
    /// Rows that take part.
    pub(crate) rows: i64,
    /// New tokens of each.
    pub(crate) new: i64,
}

impl StepInput<'_> {
    fn sight(&self, reach: Reach) -> &Sight {
        match (reach, self.window) {
            (Reach::Window, Some(window)) => window,
            _ => self.full,
        }
    }
}

impl Decoder {
    /// Appends the new tokens at the cache's cursor (which the caller then moves) and gives their last hidden states,
    /// `[rows · new, hidden]`, before the final norm.
    pub(crate) fn step(&self, config: &ModelConfig, cache: &Cache, input: &StepInput<'_>) -> Result<Tensor, TchError> {
        let mut hidden = norms::embedded(config, &self.embedding, input.tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.step(config, &hidden, cache, index, input)?;
        }
        Ok(hidden)
    }

    /// Logits of hidden states, `[n, hidden]` → `[n, vocabulary]`.
    pub(crate) fn logits(&self, config: &ModelConfig, hidden: &Tensor) -> Result<Tensor, TchError> {
        let normed = operators::norm(hidden, &self.norm, config)?;
        self.head.logits(&normed)
    }
}

impl Layer {
    fn step(
        &self,
        config: &ModelConfig,
        hidden: &Tensor,
        cache: &Cache,
        index: usize,
        input: &StepInput<'_>,
    ) -> Result<Tensor, TchError> {
        if input.new == 1 && operators::are_ours(hidden) {
            let attention = self.cached_attention(config, cache, index, input);
            if let Some(result) = self.decode(config, hidden, attention)? {
                return Ok(result);
            }
        }
        let normed = operators::norm(hidden, &self.attention_norm, config)?;
        let joined = self.query_key_value.apply(&normed, None)?;
        let attended = if input.new == 1 && operators::are_ours(&joined) {
            operators::attend_one(&joined, &self.cached_attention(config, cache, index, input))?
        } else {
            self.attend(config, &joined, cache, index, input)?
        };
        let hidden = match &self.output_norms {
            None => self.output.apply(&attended, Some(hidden))?,
            Some((norm, _)) => operators::norm(&self.output.apply(&attended, None)?, norm, config)?.f_add_(hidden)?,
        };
        let normed = operators::norm(&hidden, &self.feed_forward_norm, config)?;
        let gated = operators::gate(&self.gate_up.apply(&normed, None)?, config)?;
        match &self.output_norms {
            None => self.down.apply(&gated, Some(&hidden)),
            Some((_, norm)) => operators::norm(&self.down.apply(&gated, None)?, norm, config)?.f_add_(&hidden),
        }
    }

    /// What one new token a row attends to.
    fn cached_attention<'a>(
        &'a self,
        config: &ModelConfig,
        cache: &'a Cache,
        index: usize,
        input: &'a StepInput<'_>,
    ) -> CachedAttention<'a> {
        let (keys, values, mask) = cache.stores(index);
        let sight = input.sight(config.reach(index));
        CachedAttention {
            cosines: &sight.cosines,
            sines: &sight.sines,
            norms: self.query_key_norms.as_ref().map(|(query, key)| (query, key)),
            norm_epsilon: config.norm_epsilon,
            keys,
            values,
            mask: sight.all_slots.as_ref().unwrap_or(mask),
            cursor: cache.cursor,
        }
    }

    /// All of the layer in one operator, where its weights are packed and it has no norms or activation but the usual ones.
    fn decode(
        &self,
        config: &ModelConfig,
        hidden: &Tensor,
        attention: CachedAttention<'_>,
    ) -> Result<Option<Tensor>, TchError> {
        let is_usual = self.output_norms.is_none() && config.activation() == Activation::Silu;
        let inputs = [config.hidden_size, config.heads * config.head_size, config.intermediate_size];
        let in_blocks = inputs.iter().all(|&inputs| PackedMatrix::is_in_blocks(inputs));
        let [Some(query_key_value), Some(output), Some(gate_up), Some(down)] = self.matrices().map(Linear::packed)
        else {
            return Ok(None);
        };
        if !is_usual || !in_blocks {
            return Ok(None);
        }
        let [of_qkv, of_output, of_gate_up, of_down] =
            [query_key_value, output, gate_up, down].map(PackedLinear::parts);
        let layer = DecodeLayer {
            hidden,
            attention_norm: &self.attention_norm,
            query_key_value: query_key_value.matrices(&of_qkv, self.query_key_value.bias.as_ref()),
            attention,
            output: output.matrices(&of_output, self.output.bias.as_ref()),
            feed_forward_norm: &self.feed_forward_norm,
            gate_up: gate_up.matrices(&of_gate_up, self.gate_up.bias.as_ref()),
            down: down.matrices(&of_down, self.down.bias.as_ref()),
            norm_epsilon: config.norm_epsilon,
        };
        operators::decode_layer(&layer).map(Some)
    }

    fn attend(
        &self,
        config: &ModelConfig,
        joined: &Tensor,
        cache: &Cache,
        index: usize,
        input: &StepInput<'_>,
    ) -> Result<Tensor, TchError> {
        let (heads, pairs, size) = (config.heads as i64, config.key_value_heads as i64, config.head_size as i64);
        let &StepInput { rows, new, .. } = input;
        let Sight { cosines, sines, mask, .. } = input.sight(config.reach(index));
        let joined = joined.f_view([rows, new, heads + 2 * pairs, size])?;
        let turned = match &self.query_key_norms {
            None => rotate(&joined.f_narrow(2, 0, heads + pairs)?, cosines, sines)?,
            Some((query_norm, key_norm)) => {
                let queries =
                    joined.f_narrow(2, 0, heads)?.f_rms_norm([size], Some(query_norm), config.norm_epsilon)?;
                let keys = joined.f_narrow(2, heads, pairs)?.f_rms_norm([size], Some(key_norm), config.norm_epsilon)?;
                rotate(&Tensor::f_cat(&[queries, keys], 2)?, cosines, sines)?
            }
        };
        let keys = turned.f_narrow(2, heads, pairs)?.f_transpose(1, 2)?;
        let values = joined.f_narrow(2, heads + pairs, pairs)?.f_transpose(1, 2)?;
        let (keys, values) = cache.append(index, &keys, &values)?;
        let queries = turned.f_narrow(2, 0, heads)?;
        let attended = if new == 1 {
            // The queries that share a key head stand where other queries of that head would: no key is repeated.
            let queries = queries.f_reshape([rows, pairs, heads / pairs, size])?;
            Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, mask.as_ref(), 0.0, false, None, false)?
        } else {
            let queries = queries.f_transpose(1, 2)?;
            let causal = mask.is_none();
            let shared = heads != pairs;
            Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, mask.as_ref(), 0.0, causal, None, shared)?
                .f_transpose(1, 2)?
        };
        attended.f_reshape([rows * new, heads * size])
    }
}
