//! From hidden states to log-probabilities, in chunks: `[all tokens, vocabulary]` never exists.
//!
//! Where a token was drawn from a part of the vocabulary (`top_k`, `top_p`), p and `p_ref` are of that part, and renormalized.
//!
//! With z = W h / T, p = softmax(z), l = log p, r = log `p_ref` and the answer's token y,
//! `∂ l_y / ∂h = (W_y − pᵀW) / T` and `∂ KL / ∂h = ((p ⊙ (l − r))ᵀ W − KL · pᵀW) / T`: what a token's weight will be
//! multiplied by is computed in the one forward pass, so that the backward pass needs no logits at all.

use slhf_torch_shim::{Logits, score_rows};
use tch::{Device, Kind, TchError, Tensor};

use crate::decoder::OutputMatrix;

/// Numbers of one chunk of logits.
const CHUNK_NUMBERS: i64 = 1 << 23;

/// What is asked of the output layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadSettings {
    pub(crate) temperature: f64,
    /// The KL divergence over the whole vocabulary, too.
    pub(crate) exact_kl: bool,
    /// Whether a backward pass follows.
    pub(crate) gradients: bool,
}

/// Per scored token.
#[derive(Debug, Default)]
pub(crate) struct HeadScores {
    pub(crate) policy: Vec<f64>,
    pub(crate) reference: Vec<f64>,
    pub(crate) exact_kl: Vec<f64>,
    pub(crate) entropy: Vec<f64>,
    /// ∂ log π(y) / ∂h, `[n, hidden]`, f32.
    score_slopes: Option<Tensor>,
    /// ∂ KL / ∂h, `[n, hidden]`, f32.
    kl_slopes: Option<Tensor>,
}

/// The hidden states of a policy and of its reference, and what was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadInput<'a> {
    pub(crate) head: &'a OutputMatrix,
    /// `[n, hidden]`
    pub(crate) hidden: &'a Tensor,
    /// The reference's output matrix and hidden states.
    pub(crate) reference: Option<(&'a OutputMatrix, &'a Tensor)>,
    /// `[n]`
    pub(crate) targets: &'a Tensor,
    /// How many of the likeliest tokens each target was drawn from, 0 for all, `[n]`; `None`: all of them from all tokens.
    pub(crate) supports: Option<&'a Tensor>,
}

/// Logits of all tokens over the temperature.
fn scaled_logits(hidden: &Tensor, head: &OutputMatrix, temperature: f64) -> Result<Tensor, TchError> {
    let logits = head.logits(hidden)?.f_to_kind(Kind::Float)?;
    if temperature == 1.0 { Ok(logits) } else { { logits }.f_div_scalar_(temperature) }
}

/// Whether each token is outside of its row's support, `[rows, vocabulary]`: the `supports` likeliest tokens, and the target, which rounding
/// may have put behind them.
fn outside(logits: &Tensor, supports: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    let largest = supports.f_max()?.f_int64_value(&[])?.clamp(1, logits.size()[1]);
    let (likeliest, _) = logits.f_topk(largest, -1, true, true)?;
    let last = likeliest.f_gather(1, &supports.f_sub_scalar(1)?.f_clamp_(0, largest - 1)?.f_unsqueeze(1)?, false)?;
    let last = last.f_masked_fill(&supports.f_eq(0)?.f_unsqueeze(1)?, f64::NEG_INFINITY)?;
    let outside = logits.f_lt_tensor(&last)?;
    { outside }.f_scatter_value_(1, targets, 0)
}

/// Log-probabilities within the support; outside of it 0, where probabilities are 0, so that products with them are 0.
fn within(logits: Tensor, outside: Option<&Tensor>) -> Result<(Tensor, Tensor), TchError> {
    let Some(outside) = outside else {
        let sums = logits.f_logsumexp([-1], true)?;
        let logs = { logits }.f_sub_(&sums)?;
        let probabilities = logs.f_exp()?;
        return Ok((logs, probabilities));
    };
    let logits = { logits }.f_masked_fill_(outside, f64::NEG_INFINITY)?;
    let sums = logits.f_logsumexp([-1], true)?;
    let logs = { logits }.f_sub_(&sums)?;
    let probabilities = logs.f_exp()?;
    Ok(({ logs }.f_masked_fill_(outside, 0.0)?, probabilities))
}

fn rows_of_a_chunk(head: &OutputMatrix) -> i64 {
    (CHUNK_NUMBERS / head.numbers.size()[0].max(1)).max(16)
}

fn host(values: &Tensor) -> Result<Vec<f64>, TchError> {
    let values = values.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut out = vec![0.0; values.numel()];
    values.f_copy_data(&mut out, values.numel())?;
    Ok(out)
}

impl HeadInput<'_> {
    /// To be called without tracking of gradients.
    pub(crate) fn scores(&self, settings: HeadSettings) -> Result<HeadScores, TchError> {
        let count = self.hidden.size()[0];
        let mut scores = HeadScores::default();
        let (mut score_slopes, mut kl_slopes) = (Vec::new(), Vec::new());
        let step = rows_of_a_chunk(self.head);
        let mut start = 0;
        while start < count {
            let rows = step.min(count - start);
            let slopes = self.chunk(start, rows, settings, &mut scores)?;
            score_slopes.extend(slopes.0);
            kl_slopes.extend(slopes.1);
            start += rows;
        }
        let joined =
            |slopes: Vec<Tensor>| if slopes.is_empty() { Ok(None) } else { Tensor::f_cat(&slopes, 0).map(Some) };
        scores.score_slopes = joined(score_slopes)?;
        scores.kl_slopes = joined(kl_slopes)?;
        Ok(scores)
    }

    fn chunk(
        &self,
        start: i64,
        rows: i64,
        settings: HeadSettings,
        scores: &mut HeadScores,
    ) -> Result<(Option<Tensor>, Option<Tensor>), TchError> {
        let HeadSettings { temperature, exact_kl, gradients } = settings;
        let targets = self.targets.f_narrow(0, start, rows)?;
        if !exact_kl && self.supports.is_none() && self.head.is_scored(self.hidden) {
            return self.chunk_in_place(start, &targets, settings, scores);
        }
        let column = targets.f_unsqueeze(1)?;
        let (log_policy, policy, outside) = self.policy(start, rows, temperature)?;
        scores.policy.extend(host(&log_policy.f_gather(1, &column, false)?)?);
        scores
            .entropy
            .extend(host(&policy.f_mul(&log_policy)?.f_sum_dim_intlist([-1_i64].as_slice(), false, None)?.f_neg()?)?);
        let mut divergence = None;
        if let Some((head, hidden)) = self.reference {
            let logits = scaled_logits(&hidden.f_narrow(0, start, rows)?, head, temperature)?;
            let (log_reference, _) = within(logits, outside.as_ref())?;
            scores.reference.extend(host(&log_reference.f_gather(1, &column, false)?)?);
            if exact_kl {
                let terms = policy.f_mul(&{ log_policy }.f_sub_(&log_reference)?)?;
                let sums = terms.f_sum_dim_intlist([-1_i64].as_slice(), true, None)?;
                scores.exact_kl.extend(host(&sums)?);
                divergence = Some((terms, sums));
            }
        }
        if !gradients {
            return Ok((None, None));
        }
        let through = |rows: &Tensor| self.head.back(rows);
        let mean = through(&policy)?;
        let kl_slopes = match divergence {
            Some((terms, sums)) => Some(through(&terms)?.f_sub_(&mean.f_mul(&sums)?)?.f_div_scalar_(temperature)?),
            None => None,
        };
        let chosen = self.head.numbers.f_index_select(0, &targets)?.f_to_kind(Kind::Float)?;
        Ok((Some({ chosen }.f_sub_(&mean)?.f_div_scalar_(temperature)?), kl_slopes))
    }

    /// The policy's log-probabilities and probabilities in some rows, and what is outside of their supports.
    fn policy(&self, start: i64, rows: i64, temperature: f64) -> Result<(Tensor, Tensor, Option<Tensor>), TchError> {
        let logits = scaled_logits(&self.hidden.f_narrow(0, start, rows)?, self.head, temperature)?;
        let targets = self.targets.f_narrow(0, start, rows)?.f_unsqueeze(1)?;
        let of_rows = |supports: &Tensor| outside(&logits, &supports.f_narrow(0, start, rows)?, &targets);
        let outside = self.supports.map(of_rows).transpose()?;
        let (logs, probabilities) = within(logits, outside.as_ref())?;
        Ok((logs, probabilities, outside))
    }

    /// The same without the divergence over the vocabulary: the logits become the probabilities in their place.
    fn chunk_in_place(
        &self,
        start: i64,
        targets: &Tensor,
        settings: HeadSettings,
        scores: &mut HeadScores,
    ) -> Result<(Option<Tensor>, Option<Tensor>), TchError> {
        let HeadSettings { temperature, gradients, .. } = settings;
        let rows = targets.size()[0];
        let scored = |logits: &mut Tensor, becomes| {
            score_rows(logits, targets, temperature, becomes).map_err(|error| TchError::Torch(error.to_string()))
        };
        if let Some((head, hidden)) = self.reference {
            let found = scored(&mut head.logits(&hidden.f_narrow(0, start, rows)?)?, Logits::Stay)?;
            scores.reference.extend(found.log_probabilities);
        }
        let mut policy = self.head.logits(&self.hidden.f_narrow(0, start, rows)?)?;
        let becomes = if gradients { Logits::BecomeProbabilities } else { Logits::Stay };
        let found = scored(&mut policy, becomes)?;
        scores.policy.extend(found.log_probabilities);
        scores.entropy.extend(found.entropies);
        if !gradients {
            return Ok((None, None));
        }
        let mean = self.head.back(&policy)?;
        let chosen = self.head.numbers.f_index_select(0, targets)?;
        Ok((Some({ chosen }.f_sub_(&mean)?.f_div_scalar_(temperature)?), None))
    }

    /// ∂loss/∂`head` of full training, `[vocabulary, hidden]`; weights as in [`HeadScores::gradient`].
    pub(crate) fn head_gradient(
        &self,
        settings: HeadSettings,
        score: &[f64],
        exact_kl: &[f64],
    ) -> Result<Tensor, TchError> {
        let temperature = settings.temperature;
        let mut total =
            Tensor::f_zeros(self.head.numbers.size().as_slice(), (Kind::Float, self.head.numbers.device()))?;
        let (count, step) = (self.hidden.size()[0], rows_of_a_chunk(self.head));
        let score = column(score, self.head.numbers.device())?;
        let mut start = 0;
        while start < count {
            let rows = step.min(count - start);
            let hidden = self.hidden.f_narrow(0, start, rows)?;
            let (log_policy, policy, outside) = self.policy(start, rows, temperature)?;
            let weights = score.f_narrow(0, start, rows)?;
            // coefficient · (onehot − p)
            let mut slopes = policy.f_mul(&weights)?.f_neg_()?;
            let targets = self.targets.f_narrow(0, start, rows)?.f_unsqueeze(1)?;
            slopes = slopes.f_scatter_add_(1, &targets, &weights)?;
            if let (Some((head, reference)), false) = (self.reference, exact_kl.is_empty()) {
                let logits = scaled_logits(&reference.f_narrow(0, start, rows)?, head, temperature)?;
                let (log_reference, _) = within(logits, outside.as_ref())?;
                let ratio = { log_policy }.f_sub_(&log_reference)?;
                let sums = policy.f_mul(&ratio)?.f_sum_dim_intlist([-1_i64].as_slice(), true, None)?;
                let range = start as usize..(start + rows) as usize;
                let weights = column(&exact_kl[range], self.head.numbers.device())?;
                slopes = slopes.f_add_(&policy.f_mul(&{ ratio }.f_sub_(&sums)?)?.f_mul_(&weights)?)?;
            }
            let slopes = slopes.f_div_scalar_(temperature)?;
            total = total.f_addmm_(&slopes.f_tr()?, &hidden.f_to_kind(Kind::Float)?)?;
            start += rows;
        }
        Ok(total)
    }
}

fn column(values: &[f64], device: Device) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_to_kind(Kind::Float)?.f_to_device(device)?.f_unsqueeze(1)
}

impl HeadScores {
    /// ∂loss/∂h, given ∂loss/∂log π(y) and ∂loss/∂KL (or nothing) of every scored token.
    pub(crate) fn gradient(&self, score: &[f64], exact_kl: &[f64]) -> Result<Option<Tensor>, TchError> {
        let Some(slopes) = &self.score_slopes else { return Ok(None) };
        let mut gradient = slopes.f_mul(&column(score, slopes.device())?)?;
        if let (Some(slopes), false) = (&self.kl_slopes, exact_kl.is_empty()) {
            gradient = gradient.f_addcmul_(slopes, &column(exact_kl, slopes.device())?)?;
        }
        Ok(Some(gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::no_grad;

    const PLACE: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn wave(shape: [i64; 2], factor: f64) -> Tensor {
        (Tensor::arange(shape[0] * shape[1], PLACE) * factor).sin().reshape(shape)
    }

    /// `Σ score · log π(y) + Σ exact_kl · KL` over whole logits in f64, with gradients by libtorch.
    fn loss(input: &HeadInput<'_>, cut: Option<&Tensor>, temperature: f64, [score, exact_kl]: [&[f64]; 2]) -> Tensor {
        let scaled = |hidden: &Tensor, head: &OutputMatrix| hidden.matmul(&head.numbers.tr()) / temperature;
        let policy = scaled(input.hidden, input.head);
        // A logit so low has no probability, and no gradient.
        let logs = |logits: Tensor| match cut {
            Some(cut) => logits.masked_fill(cut, -1e9).log_softmax(-1, None),
            None => logits.log_softmax(-1, None),
        };
        let log_policy = logs(policy);
        let (head, hidden) = input.reference.unwrap();
        let log_reference = logs(scaled(hidden, head));
        let chosen = log_policy.gather(1, &input.targets.unsqueeze(1), false).squeeze_dim(1);
        let divergence =
            (log_policy.exp() * (&log_policy - log_reference)).sum_dim_intlist([-1_i64].as_slice(), false, None);
        (chosen * Tensor::from_slice(score) + divergence * Tensor::from_slice(exact_kl)).sum(None)
    }

    /// The so many likeliest tokens of each row (0: all) by their places in its order, and the target.
    fn likeliest(logits: &Tensor, sizes: &Tensor, targets: &Tensor) -> Tensor {
        let places = logits.argsort(-1, true).argsort(-1, false);
        let sizes = sizes.where_scalarother(&sizes.ne(0), logits.size()[1]).unsqueeze(1);
        places.lt_tensor(&sizes).scatter_value(1, &targets.unsqueeze(1), 1)
    }

    #[test]
    fn slopes_in_closed_form_are_those_of_autograd_over_whole_logits() {
        let hidden = 3;
        // The last has a chunk of rows and a few more. Sums over many tokens in f32 are less exact.
        for (temperature, vocabulary, rows, allowed, cut) in [
            (1.0, 11, 17, 1e-6, None),
            (0.7, 11, 17, 1e-6, None),
            (1.3, 1 << 16, (CHUNK_NUMBERS >> 16) + 5, 1e-4, None),
            (0.7, 11, 17, 1e-6, Some(4)),
            (1.3, 1 << 12, (CHUNK_NUMBERS >> 12) + 5, 1e-4, Some(50)),
        ] {
            let head = OutputMatrix::new(wave([vocabulary, hidden], 0.37));
            let other_head = OutputMatrix::new(wave([vocabulary, hidden], 0.41));
            let (states, reference) = (wave([rows, hidden], 1.1) * 2.0, wave([rows, hidden], 0.9) * 2.0);
            let targets = (Tensor::arange(rows, (Kind::Int64, Device::Cpu)) * 7).remainder(vocabulary);
            let sizes = cut.map(|cut| Tensor::arange(rows, (Kind::Int64, Device::Cpu)).remainder(3) * cut);
            let score: Vec<f64> = (0..rows).map(|row| (row as f64 * 0.8).cos()).collect();
            let exact_kl: Vec<f64> = (0..rows).map(|row| (row as f64 * 0.5).sin()).collect();
            let settings = HeadSettings { temperature, exact_kl: true, gradients: true };
            let input = HeadInput {
                head: &head,
                hidden: &states,
                reference: Some((&other_head, &reference)),
                targets: &targets,
                supports: sizes.as_ref(),
            };
            let (found, found_head) = no_grad(|| {
                let scores = input.scores(settings).unwrap();
                let gradient = scores.gradient(&score, &exact_kl).unwrap().unwrap();
                (gradient, input.head_gradient(settings, &score, &exact_kl).unwrap())
            });

            let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
            let wide_head = OutputMatrix::new(double(&head.numbers).set_requires_grad(true));
            let wide_states = double(&states).set_requires_grad(true);
            let (wide_other, wide_reference) = (OutputMatrix::new(double(&other_head.numbers)), double(&reference));
            let wide = HeadInput {
                head: &wide_head,
                hidden: &wide_states,
                reference: Some((&wide_other, &wide_reference)),
                targets: &targets,
                supports: sizes.as_ref(),
            };
            // By the same logits: those of f64 may have another order where they are nearly equal.
            let logits = states.matmul(&head.numbers.tr());
            let cut = sizes.as_ref().map(|sizes| likeliest(&logits, sizes, &targets).logical_not());
            loss(&wide, cut.as_ref(), temperature, [&score, &exact_kl]).backward();
            for (what, found, expected) in
                [("hidden states", found, wide_states.grad()), ("output matrix", found_head, wide_head.numbers.grad())]
            {
                let worst = (double(&found) - &expected).abs().max().double_value(&[]);
                let largest = expected.abs().max().double_value(&[]);
                assert!(worst <= allowed * largest, "{what} at T = {temperature}: off by {worst} of {largest}");
            }
        }
    }
}
