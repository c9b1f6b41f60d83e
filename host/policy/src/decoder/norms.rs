//! Weights of norms as they are multiplied with, and the scale of embeddings: what a family adds to what its files hold.

use half::bf16;
use tch::{Kind, TchError, Tensor, no_grad};

use crate::PolicyError;
use slhf_model::ModelConfig;

/// 1 + weight where the family means that, differentiably. The sum is taken in f32.
pub(super) fn multiplied(config: &ModelConfig, weight: &Tensor) -> Result<Tensor, TchError> {
    if !config.norms_add_one() {
        return Ok(weight.shallow_clone());
    }
    weight.f_to_kind(Kind::Float)?.f_add_scalar(1.0)?.f_to_kind(weight.kind())
}

/// Of a model that is being loaded.
pub(super) fn loaded(config: &ModelConfig, weight: &Tensor) -> Result<Tensor, PolicyError> {
    no_grad(|| multiplied(config, weight)).map_err(PolicyError::torch("add 1 to the weights of a norm"))
}

/// Attention divides by √`head_size`; where the model means another number, the norm of the queries (already as it is
/// multiplied with) takes the quotient in: the rotation that follows is linear.
pub(super) fn of_queries(config: &ModelConfig, norm: &Tensor) -> Result<Tensor, TchError> {
    let factor = (config.head_size as f64 / config.attention_divisor).sqrt();
    if factor == 1.0 { Ok(norm.shallow_clone()) } else { norm.f_mul_scalar(factor) }
}

/// Rows of the embedding matrix, scaled; `tokens` `[n]` → `[n, hidden]`.
pub(super) fn embedded(config: &ModelConfig, embedding: &Tensor, tokens: &Tensor) -> Result<Tensor, TchError> {
    let rows = Tensor::f_embedding(embedding, tokens, -1, false, false)?;
    if config.embedding_scale() == 1.0 {
        return Ok(rows);
    }
    // In bf16 the reference rounds the scale as well, and models were trained so.
    let scale = config.embedding_scale() as f32;
    let scale = if rows.kind() == Kind::BFloat16 { bf16::from_f32(scale).to_f32() } else { scale };
    rows.f_mul_scalar(f64::from(scale))
}

/// Both of a pair, sharing their storage.
pub(super) fn both((one, other): &(Tensor, Tensor)) -> (Tensor, Tensor) {
    (one.shallow_clone(), other.shallow_clone())
}

/// Both of a pair, without their history.
pub(super) fn detached(pair: Option<&(Tensor, Tensor)>) -> Result<Option<(Tensor, Tensor)>, TchError> {
    match pair {
        Some((one, other)) => Ok(Some((one.f_detach()?, other.f_detach()?))),
        None => Ok(None),
    }
}
