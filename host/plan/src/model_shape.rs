//! The shape of a decoder-only transformer, by the names of its `config.json`: what parameters and operations are counted from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Larger than any model has.
const SIZE_MAX: u64 = 1 << 28;
/// Blocks of the deepest model worth believing.
const LAYERS_MAX: u64 = 4096;

/// A model's shape, under the names of its `config.json`. With it a plan is priced where the model itself is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width inside the gated feed-forward network.
    pub intermediate_size: u64,
    /// Transformer blocks.
    pub num_hidden_layers: u64,
    /// Heads of queries.
    pub num_attention_heads: u64,
    /// Heads of keys and values; default: as many as of queries.
    pub num_key_value_heads: Option<u64>,
    /// Width of a head; default: `hidden_size / num_attention_heads`.
    pub head_dim: Option<u64>,
    /// Rows of the embedding matrix.
    pub vocab_size: u64,
    /// Whether the output matrix is the embedding matrix; default: false.
    pub tie_word_embeddings: Option<bool>,
}

impl ModelShape {
    /// What is wrong with it: the key and the problem.
    ///
    /// # Errors
    /// A size is 0 or larger than any model's, or the heads do not divide.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let heads = self.num_attention_heads;
        let sizes = [
            ("hidden_size", self.hidden_size, SIZE_MAX),
            ("intermediate_size", self.intermediate_size, SIZE_MAX),
            ("num_hidden_layers", self.num_hidden_layers, LAYERS_MAX),
            ("num_attention_heads", heads, SIZE_MAX),
            ("num_key_value_heads", self.key_value_heads(), SIZE_MAX),
            ("head_dim", self.head_dim.unwrap_or(1), SIZE_MAX),
            ("vocab_size", self.vocab_size, SIZE_MAX),
        ];
        if let Some((key, size, most)) = sizes.into_iter().find(|(_, size, most)| *size == 0 || size > most) {
            return Err((key, format!("{size}; expected 1 to {most}")));
        }
        if !heads.is_multiple_of(self.key_value_heads()) {
            let problem = format!("{}; expected a divisor of the {heads} heads of queries", self.key_value_heads());
            return Err(("num_key_value_heads", problem));
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            let problem = format!("missing; hidden_size {} is no multiple of {heads} heads", self.hidden_size);
            return Err(("head_dim", problem));
        }
        Ok(())
    }

    fn key_value_heads(&self) -> u64 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    fn head_width(&self) -> f64 {
        self.head_dim.map_or(self.hidden_size as f64 / self.num_attention_heads as f64, |width| width as f64)
    }

    /// Numbers in the matrices of all blocks: what every token goes through.
    #[must_use]
    pub fn block_numbers(&self) -> f64 {
        let [hidden, intermediate, heads, of_keys] =
            [self.hidden_size, self.intermediate_size, self.num_attention_heads, self.key_value_heads()]
                .map(|size| size as f64);
        let attention = 2.0 * hidden * self.head_width() * (heads + of_keys);
        (attention + 3.0 * hidden * intermediate) * self.num_hidden_layers as f64
    }

    /// Numbers in the output matrix: what every predicted token goes through besides.
    #[must_use]
    pub fn output_numbers(&self) -> f64 {
        self.hidden_size as f64 * self.vocab_size as f64
    }

    /// Width of attention over all layers: a row of n tokens costs 2 n² times as many operations.
    #[must_use]
    pub fn attention_width(&self) -> f64 {
        self.num_attention_heads as f64 * self.head_width() * self.num_hidden_layers as f64
    }

    /// All parameters but biases and the norms of single heads, which are less than a thousandth.
    #[must_use]
    pub fn parameters(&self) -> f64 {
        let matrices = if self.tie_word_embeddings.unwrap_or(false) { 1.0 } else { 2.0 };
        let norms = self.hidden_size as f64 * (2.0 * self.num_hidden_layers as f64 + 1.0);
        self.block_numbers() + matrices * self.output_numbers() + norms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sizes: [u64; 6], tied: bool) -> ModelShape {
        let [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, of_keys, vocab_size] = sizes;
        ModelShape {
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: Some(of_keys),
            head_dim: None,
            vocab_size,
            tie_word_embeddings: Some(tied),
        }
    }

    /// Counts of parameters as published with the models.
    #[test]
    fn parameters_are_those_of_published_models() {
        for (name, shape, expected) in [
            ("SmolLM2-135M", shape([576, 1536, 30, 9, 3, 49152], true), 134_515_008.0),
            ("Qwen2.5-0.5B", shape([896, 4864, 24, 14, 2, 151_936], true), 494_032_768.0),
            ("Qwen2.5-1.5B", shape([1536, 8960, 28, 12, 2, 151_936], true), 1_543_714_304.0),
            ("Qwen2.5-3B", shape([2048, 11008, 36, 16, 2, 151_936], true), 3_085_938_688.0),
            ("Llama-3.1-8B", shape([4096, 14336, 32, 32, 8, 128_256], false), 8_030_261_248.0),
        ] {
            assert_eq!(shape.check(), Ok(()), "{name}");
            let found = shape.parameters();
            assert!((found / expected - 1.0_f64).abs() < 1e-4, "{name}: {found} and {expected}");
        }
    }

    #[test]
    fn a_shape_that_no_model_has_is_refused_by_its_key() {
        let good = shape([8, 16, 2, 4, 2, 32], true);
        let check = |bad: ModelShape, key: &str| assert_eq!(bad.check().unwrap_err().0, key);
        check(ModelShape { hidden_size: 0, ..good.clone() }, "hidden_size");
        check(ModelShape { vocab_size: u64::MAX, ..good.clone() }, "vocab_size");
        check(ModelShape { num_hidden_layers: 5000, ..good.clone() }, "num_hidden_layers");
        check(ModelShape { num_key_value_heads: Some(3), ..good.clone() }, "num_key_value_heads");
        check(ModelShape { hidden_size: 9, ..good.clone() }, "head_dim");
        assert_eq!(ModelShape { hidden_size: 9, head_dim: Some(2), ..good }.check(), Ok(()));
    }
}
