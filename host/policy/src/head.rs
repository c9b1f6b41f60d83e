//! From hidden states to log-probabilities, in chunks: `[all tokens, vocabulary]` never exists.
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
}

fn log_probabilities(hidden: &Tensor, head: &OutputMatrix, temperature: f64) -> Result<Tensor, TchError> {
    let mut logits = head.logits(hidden)?.f_to_kind(Kind::Float)?;
    if temperature != 1.0 {
        logits = logits.f_div_scalar_(temperature)?;
    }
    let sums = logits.f_logsumexp([-1], true)?;
    { logits }.f_sub_(&sums)
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
        if !exact_kl && self.head.is_scored(self.hidden) {
            return self.chunk_in_place(start, &targets, settings, scores);
        }
        let column = targets.f_unsqueeze(1)?;
        let log_policy = log_probabilities(&self.hidden.f_narrow(0, start, rows)?, self.head, temperature)?;
        scores.policy.extend(host(&log_policy.f_gather(1, &column, false)?)?);
        let policy = log_policy.f_exp()?;
        scores
            .entropy
            .extend(host(&policy.f_mul(&log_policy)?.f_sum_dim_intlist([-1_i64].as_slice(), false, None)?.f_neg()?)?);
        let mut divergence = None;
        if let Some((head, hidden)) = self.reference {
            let log_reference = log_probabilities(&hidden.f_narrow(0, start, rows)?, head, temperature)?;
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
            let log_policy = log_probabilities(&hidden, self.head, temperature)?;
            let policy = log_policy.f_exp()?;
            let weights = score.f_narrow(0, start, rows)?;
            // coefficient · (onehot − p)
            let mut slopes = policy.f_mul(&weights)?.f_neg_()?;
            let targets = self.targets.f_narrow(0, start, rows)?.f_unsqueeze(1)?;
            slopes = slopes.f_scatter_add_(1, &targets, &weights)?;
            if let (Some((head, reference)), false) = (self.reference, exact_kl.is_empty()) {
                let log_reference = log_probabilities(&reference.f_narrow(0, start, rows)?, head, temperature)?;
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
    fn loss(input: &HeadInput<'_>, temperature: f64, score: &[f64], exact_kl: &[f64]) -> Tensor {
        let logits = |hidden: &Tensor, head: &OutputMatrix| {
            (hidden.matmul(&head.numbers.tr()) / temperature).log_softmax(-1, None)
        };
        let log_policy = logits(input.hidden, input.head);
        let (head, hidden) = input.reference.unwrap();
        let log_reference = logits(hidden, head);
        let chosen = log_policy.gather(1, &input.targets.unsqueeze(1), false).squeeze_dim(1);
        let divergence =
            (log_policy.exp() * (&log_policy - log_reference)).sum_dim_intlist([-1_i64].as_slice(), false, None);
        (chosen * Tensor::from_slice(score) + divergence * Tensor::from_slice(exact_kl)).sum(None)
    }

    #[test]
    fn slopes_in_closed_form_are_those_of_autograd_over_whole_logits() {
        let hidden = 3;
        // The last has a chunk of rows and a few more. Sums over many tokens in f32 are less exact.
        for (temperature, vocabulary, rows, allowed) in
            [(1.0, 11, 17, 1e-6), (0.7, 11, 17, 1e-6), (1.3, 1 << 16, (CHUNK_NUMBERS >> 16) + 5, 1e-4)]
        {
            let head = OutputMatrix::new(wave([vocabulary, hidden], 0.37));
            let other_head = OutputMatrix::new(wave([vocabulary, hidden], 0.41));
            let (states, reference) = (wave([rows, hidden], 1.1) * 2.0, wave([rows, hidden], 0.9) * 2.0);
            let targets = (Tensor::arange(rows, (Kind::Int64, Device::Cpu)) * 7).remainder(vocabulary);
            let score: Vec<f64> = (0..rows).map(|row| (row as f64 * 0.8).cos()).collect();
            let exact_kl: Vec<f64> = (0..rows).map(|row| (row as f64 * 0.5).sin()).collect();
            let settings = HeadSettings { temperature, exact_kl: true, gradients: true };
            let input = HeadInput {
                head: &head,
                hidden: &states,
                reference: Some((&other_head, &reference)),
                targets: &targets,
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
            };
            loss(&wide, temperature, &score, &exact_kl).backward();
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
