//! Models of random weights: for tests, and for benchmarks of shapes whose weights are not at hand.

use tch::{Device, Kind, Tensor};

use crate::PolicyError;
use slhf_model::{Family, ModelConfig, RopeConfig, RopeScaling};

/// The shape of a well-known model: `135m` (`SmolLM2`), `0.5b`, `1.5b` (Qwen2.5), `8b` (Llama 3.1).
#[must_use]
pub fn known_shape(name: &str) -> Option<ModelConfig> {
    let llama = Family::Llama;
    let (family, sizes, vocabulary_size, theta, tied_embeddings) = match name {
        "135m" => (llama, [576, 1536, 30, 9, 3, 64], 49_152, 100_000.0, true),
        "0.5b" => (Family::Qwen2, [896, 4864, 24, 14, 2, 64], 151_936, 1e6, true),
        "1.5b" => (Family::Qwen2, [1536, 8960, 28, 12, 2, 128], 151_936, 1e6, true),
        "8b" => (llama, [4096, 14_336, 32, 32, 8, 128], 128_256, 500_000.0, false),
        _ => return None,
    };
    let [hidden_size, intermediate_size, layers, heads, key_value_heads, head_size] = sizes;
    Some(ModelConfig {
        family,
        hidden_size,
        intermediate_size,
        layers,
        heads,
        key_value_heads,
        head_size,
        vocabulary_size,
        norm_epsilon: 1e-5,
        rope: RopeConfig { theta, scaling: RopeScaling::None },
        context_length: 8192,
        tied_embeddings,
        attention_bias: family == Family::Qwen2,
        output_bias: false,
        query_key_norms: false,
        attention_divisor: head_size as f64,
        windows: None,
        end_tokens: vec![2],
        beginning_token: None,
        padding_token: None,
        reward: None,
    })
}

/// One random tensor of a configuration by its name: norms around 1, everything else normal with deviation
/// `deviation`. Drawn from libtorch's own generator: call [`tch::manual_seed`] before the first.
pub fn random_tensor(config: &ModelConfig, name: &str, deviation: f64) -> Result<Tensor, PolicyError> {
    let known = config.tensors().into_iter().find(|(known, _)| known == name);
    let (_, shape) = known.ok_or_else(|| PolicyError::Parameter {
        name: name.to_owned(),
        problem: "is no tensor of this configuration".to_owned(),
    })?;
    let centre = if name.contains("norm") { 1.0 } else { 0.0 };
    Tensor::f_randn(shape.as_slice(), (Kind::Float, Device::Cpu))
        .and_then(|normal| normal.f_mul_scalar(deviation)?.f_add_scalar(centre))
        .map_err(PolicyError::torch(format!("draw the tensor `{name}`")))
}
