//! From logits to tokens, and to what they say of tokens, on a CPU.

use tch::{Device, Kind, Tensor};

use crate::ShimError;
use crate::foreign::{checked, slhf_draw_tokens, slhf_score_rows};
use crate::one_token::Operands;

/// One token a row.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnTokens {
    /// `[rows]`
    pub tokens: Vec<i64>,
    /// Of these tokens, in the distribution that they were drawn from, `[rows]`.
    pub log_probabilities: Vec<f64>,
}

/// One token a row of `logits` `[rows, vocabulary]`: the first at which the distribution function of
/// `softmax(logits / temperature)` is above the row's number of `uniforms`, each in [0, 1). Sums are in f64. The temperature is above 0.
///
/// # Errors
/// `logits` is no f32 matrix on a CPU that has these operators, or `uniforms` has not one number a row.
pub fn draw_tokens(logits: &Tensor, uniforms: &[f64], temperature: f64) -> Result<DrawnTokens, ShimError> {
    const DOING: &str = "draw tokens";
    let list = [logits];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[uniforms.len() as i64, -1])?;
    if logits.size()[1] == 0 {
        return Err(operands.refused(0, "without columns".to_owned(), "a logit a token".to_owned()));
    }
    let (mut tokens, mut log_probabilities) = (vec![0; uniforms.len()], vec![0.0; uniforms.len()]);
    checked(DOING, |message, capacity| {
        // SAFETY: `logits` lives for the whole call, a contiguous f32 matrix on the CPU with columns and with as many rows as
        // `uniforms`, `tokens` and `log_probabilities` have numbers; `message` is written within its bounds.
        unsafe {
            let (uniforms, tokens, scores) = (uniforms.as_ptr(), tokens.as_mut_ptr(), log_probabilities.as_mut_ptr());
            slhf_draw_tokens(logits.as_ptr(), uniforms, temperature, tokens, scores, message, capacity)
        }
    })?;
    Ok(DrawnTokens { tokens, log_probabilities })
}

/// What becomes of the logits that [`score_rows`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// They stay.
    Stay,
    /// Their probabilities stand in their place.
    BecomeProbabilities,
}

/// What [`score_rows`] finds, one number a row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowScores {
    /// Of the row's target under `softmax(logits / temperature)`.
    pub log_probabilities: Vec<f64>,
    /// Of that distribution.
    pub entropies: Vec<f64>,
}

/// Scores `targets` `[rows]` by `logits` `[rows, vocabulary]`. The temperature is above 0.
///
/// # Errors
/// `logits` is no f32 matrix on a CPU that has these operators, or a target is none of its columns.
pub fn score_rows(
    logits: &mut Tensor,
    targets: &Tensor,
    temperature: f64,
    becomes: Logits,
) -> Result<RowScores, ShimError> {
    const DOING: &str = "score rows of logits";
    let rows = targets.numel();
    {
        let list = [&*logits];
        let operands = Operands::new(DOING, &list)?;
        operands.shape(0, &[rows as i64, -1])?;
        if targets.kind() != Kind::Int64 || targets.device() != Device::Cpu || !targets.is_contiguous() {
            let found = format!("with targets of type {:?} on {:?}", targets.kind(), targets.device());
            return Err(operands.refused(0, found, "contiguous 64-bit targets on the CPU".to_owned()));
        }
    }
    let (mut log_probabilities, mut entropies) = (vec![0.0; rows], vec![0.0; rows]);
    let keeps = i32::from(becomes == Logits::BecomeProbabilities);
    checked(DOING, |message, capacity| {
        let (scores, spreads) = (log_probabilities.as_mut_ptr(), entropies.as_mut_ptr());
        // SAFETY: both tensors live for the whole call; `logits` is a contiguous f32 matrix on the CPU, borrowed mutably, with as many rows as
        // `targets`, `scores` and `spreads` have numbers; `message` is written within its bounds.
        unsafe {
            let (logits, targets) = (logits.as_mut_ptr(), targets.as_ptr());
            slhf_score_rows(logits, targets, temperature, keeps, scores, spreads, message, capacity)
        }
    })?;
    Ok(RowScores { log_probabilities, entropies })
}
