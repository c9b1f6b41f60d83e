//! From logits to a token: one uniform a row, the inverse of the distribution function in f64.

use serde::{Deserialize, Serialize};
use slhf_plan::Sampling;
use slhf_torch_shim::{draw_tokens, has_one_token_operators};
use tch::{Device, Kind, TchError, Tensor};

/// How a token was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// Of the token in the distribution that it was drawn from: with the temperature, among the tokens that `top_k` and `top_p` leave; 0 for the
    /// likeliest token at temperature 0.
    pub log_probability: f64,
    /// How many of the likeliest tokens it was drawn from; 0: all.
    pub support: u32,
}

/// One token a row, and how it was drawn.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) tokens: Vec<u32>,
    pub(crate) draws: Vec<Draw>,
}

/// Chooses one token a row of `logits` `[rows, vocabulary]`; `uniforms` has one number in [0, 1) a row.
pub(crate) fn choose(logits: &Tensor, uniforms: &[f64], sampling: &Sampling) -> Result<Chosen, TchError> {
    let likeliest = || logits.f_argmax(-1, false);
    if sampling.temperature == 0.0 {
        let tokens = whole_numbers(&likeliest()?)?;
        return Ok(Chosen { draws: vec![Draw { log_probability: 0.0, support: 1 }; tokens.len()], tokens });
    }
    if sampling.top_p >= 1.0 && is_whole(sampling.top_k, logits) && draws(logits) {
        let drawn = draw_tokens(logits, uniforms, sampling.temperature);
        let drawn = drawn.map_err(|error| TchError::Torch(error.to_string()))?;
        let draw = |log_probability| Draw { log_probability, support: 0 };
        return Ok(Chosen {
            tokens: drawn.tokens.into_iter().map(|token| u32::try_from(token).unwrap_or(u32::MAX)).collect(),
            draws: drawn.log_probabilities.into_iter().map(draw).collect(),
        });
    }
    let mut scaled = logits.f_to_kind(Kind::Double)?;
    if sampling.temperature != 1.0 {
        scaled = scaled.f_div_scalar_(sampling.temperature)?;
    }
    let scaled = keep_likeliest(scaled, sampling)?;
    let largest = scaled.f_amax([-1], true)?;
    let above = { scaled }.f_sub_(&largest)?;
    let sums = above.f_exp()?.f_cumsum(-1, None)?;
    let vocabulary = sums.size()[1];
    let total = sums.f_narrow(1, vocabulary - 1, 1)?;
    let drawn = Tensor::f_from_slice(uniforms)?.f_view([uniforms.len() as i64, 1])?.f_to_device(logits.device())?;
    // The first token whose sum is above u · total. Where rounding lifts u · total to the total there is none.
    let found = drawn.f_mul(&total)?.f_searchsorted(&sums, false, true, "right", None::<&Tensor>)?;
    let last = likeliest()?.f_unsqueeze(1)?;
    let found = found.f_where_self(&found.f_lt(vocabulary)?, &last)?;
    let scores = above.f_gather(1, &found, false)?.f_sub_(&total.f_log()?)?;
    let is_cut = sampling.top_p < 1.0 || !is_whole(sampling.top_k, logits);
    let left = || above.f_isfinite()?.f_sum_dim_intlist([-1_i64].as_slice(), false, Kind::Int64);
    let supports = if is_cut { whole_numbers(&left()?)? } else { vec![0; uniforms.len()] };
    let scores = numbers(&scores.f_view([-1])?)?;
    let draw = |(log_probability, support)| Draw { log_probability, support };
    Ok(Chosen {
        tokens: whole_numbers(&found.f_view([-1])?)?,
        draws: scores.into_iter().zip(supports).map(draw).collect(),
    })
}

/// Whether every token may come.
fn is_whole(top_k: u32, logits: &Tensor) -> bool {
    top_k == 0 || i64::from(top_k) >= logits.size()[1]
}

/// Whether the shim's operator takes this.
fn draws(logits: &Tensor) -> bool {
    logits.device() == Device::Cpu && logits.kind() == Kind::Float && has_one_token_operators()
}

/// −∞ for every token outside of the `top_k` likeliest and outside of the smallest set that reaches `top_p`.
fn keep_likeliest(scaled: Tensor, sampling: &Sampling) -> Result<Tensor, TchError> {
    let mut scaled = scaled;
    let vocabulary = scaled.size()[1];
    let top_k = i64::from(sampling.top_k);
    if top_k > 0 && top_k < vocabulary {
        let (values, _) = scaled.f_topk(top_k, -1, true, true)?;
        let smallest = values.f_narrow(1, top_k - 1, 1)?;
        let unlikely = scaled.f_lt_tensor(&smallest)?;
        scaled = scaled.f_masked_fill_(&unlikely, f64::NEG_INFINITY)?;
    }
    if sampling.top_p < 1.0 {
        let (sorted, order) = scaled.f_sort(-1, true)?;
        let probabilities = sorted.f_softmax(-1, None)?;
        // A token stays while the likelier ones do not reach `top_p` yet: the likeliest always does.
        let before = probabilities.f_cumsum(-1, None)?.f_sub(&probabilities)?;
        let unlikely = before.f_ge(sampling.top_p)?;
        let _ = unlikely.f_narrow(1, 0, 1)?.f_zero_()?;
        let scattered = unlikely.f_zeros_like()?.f_scatter_(1, &order, &unlikely)?;
        scaled = scaled.f_masked_fill_(&scattered, f64::NEG_INFINITY)?;
    }
    Ok(scaled)
}

fn numbers(values: &Tensor) -> Result<Vec<f64>, TchError> {
    let values = values.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_contiguous()?;
    let mut taken = vec![0.0; values.numel()];
    values.f_copy_data(&mut taken, values.numel())?;
    Ok(taken)
}

fn whole_numbers(indices: &Tensor) -> Result<Vec<u32>, TchError> {
    let indices = indices.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_contiguous()?;
    let mut values = vec![0_i64; indices.numel()];
    indices.f_copy_data(&mut values, indices.numel())?;
    Ok(values.into_iter().map(|value| u32::try_from(value).unwrap_or(u32::MAX)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFORMS: u32 = 1000;

    /// How often each token comes out when the uniforms are spread evenly.
    fn shares(logits: &[f32], sampling: Sampling) -> Vec<f64> {
        let rows: Vec<f32> = logits.repeat(UNIFORMS as usize);
        let logits_of_rows = Tensor::from_slice(&rows).view([i64::from(UNIFORMS), logits.len() as i64]);
        let uniforms: Vec<f64> = (0..UNIFORMS).map(|i| (f64::from(i) + 0.5) / f64::from(UNIFORMS)).collect();
        let mut shares = vec![0.0; logits.len()];
        for token in choose(&logits_of_rows, &uniforms, &sampling).unwrap_or_default().tokens {
            shares[token as usize] += 1.0 / f64::from(UNIFORMS);
        }
        shares
    }

    #[test]
    fn tokens_come_as_often_as_their_probabilities_say() {
        let logits = [0.5_f64, 0.3, 0.15, 0.05].map(|p| p.ln() as f32);
        let plain = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 1 };
        let check = |sampling, expected: [f64; 4]| {
            for (found, expected) in shares(&logits, sampling).iter().zip(expected) {
                assert!((found - expected).abs() < 0.0021, "{found} instead of {expected} with {sampling:?}");
            }
        };
        check(plain, [0.5, 0.3, 0.15, 0.05]);
        check(Sampling { temperature: 0.0, ..plain }, [1.0, 0.0, 0.0, 0.0]);
        // p² normalised: 0.25, 0.09, 0.0225, 0.0025 over 0.365.
        check(Sampling { temperature: 0.5, ..plain }, [0.6849, 0.2466, 0.0616, 0.0068]);
        check(Sampling { top_k: 1, ..plain }, [1.0, 0.0, 0.0, 0.0]);
        check(Sampling { top_k: 2, ..plain }, [0.625, 0.375, 0.0, 0.0]);
        check(Sampling { top_k: 9, ..plain }, [0.5, 0.3, 0.15, 0.05]);
        check(Sampling { top_p: 0.0, ..plain }, [1.0, 0.0, 0.0, 0.0]);
        check(Sampling { top_p: 0.4, ..plain }, [1.0, 0.0, 0.0, 0.0]);
        check(Sampling { top_p: 0.7, ..plain }, [0.625, 0.375, 0.0, 0.0]);
        check(Sampling { top_p: 0.9, ..plain }, [0.5263, 0.3158, 0.1579, 0.0]);
        // The two likeliest first, and of 0.625 and 0.375 the first reaches 0.6.
        check(Sampling { top_k: 2, top_p: 0.6, ..plain }, [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_uniform_next_to_one_still_gives_a_token_that_is_possible() {
        let logits = Tensor::from_slice(&[0.0_f32, 0.0, f32::NEG_INFINITY]).view([1, 3]);
        let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 1 };
        let tokens = choose(&logits, &[1.0 - f64::EPSILON / 2.0], &sampling).unwrap_or_default();
        assert_eq!(tokens.tokens, [1]);
    }
}
