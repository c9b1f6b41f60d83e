//! Sampling from the geometric mixture of a policy and the reference, token by token.
//!
//! Both models read every token, each with a cache of its own, so that a token costs two decoding steps and never a
//! pass over the text so far.

use slhf_plan::Sampling;
use tch::{TchError, no_grad_guard};

use crate::PolicyError;
use crate::engine::{Engine, Player};
use crate::generate::{GenerateCounts, GenerateLayout, GenerateRow, Generated, Generator, Reader, weighted_sum};

/// How much of a mixture is the reference: 0 is the policy itself, 1 the reference.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct ReferenceShare(f64);

impl ReferenceShare {
    /// `None` outside of [0, 1].
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// In [0, 1].
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Engine {
    /// Where tokens lie in the caches of [`Engine::generate_mixture`].
    #[must_use]
    pub fn mixture_layout(rows: &[GenerateRow]) -> GenerateLayout {
        if rows.is_empty() { GenerateLayout::NONE } else { GenerateLayout::anew(rows) }
    }

    /// Samples one answer a row from `softmax((1 − m) · logits(player) + m · logits(reference))`, m being the share:
    /// the regularised policy π^{1−m} μ^m / Z of Nash-MD (Munos et al. 2023, arXiv 2312.00886, equation 4) taken token
    /// by token (section 7.2). Nothing is kept for a later call. `layout`: [`Engine::mixture_layout`] of all rows that are computed apart.
    pub fn generate_mixture(
        &mut self,
        (player, share): (Player, ReferenceShare),
        rows: &[GenerateRow],
        layout: &GenerateLayout,
        (seed, sampling): (u64, &Sampling),
    ) -> Result<(Vec<Generated>, GenerateCounts), PolicyError> {
        self.check_rows(rows, sampling)?;
        self.forget_read();
        if rows.is_empty() {
            return Ok((Vec::new(), GenerateCounts::default()));
        }
        let _guard = no_grad_guard();
        let agent = self.agent(player);
        self.prepare_copy(agent)?;
        let policy = self.generator(self.decoder(agent), seed, sampling);
        let reference = self.generator(&self.base, seed, sampling);
        answer_together([(&policy, 1.0 - share.0), (&reference, share.0)], rows, layout)
            .map_err(PolicyError::torch(format!("generate {} responses of a mixture", rows.len())))
    }
}

fn answer_together(
    [(policy, own), (reference, other)]: [(&Generator<'_>, f64); 2],
    rows: &[GenerateRow],
    layout: &GenerateLayout,
) -> Result<(Vec<Generated>, GenerateCounts), TchError> {
    let mut counts = GenerateCounts::default();
    let (mut policy_cache, policy_logits) = policy.prefill(rows, layout.longest(), &mut counts)?;
    let (mut reference_cache, reference_logits) = reference.prefill(rows, layout.longest(), &mut counts)?;
    let logits = weighted_sum(vec![(own, policy_logits), (other, reference_logits)])?;
    let mut readers = [
        Reader { generator: policy, cache: &mut policy_cache, share: own },
        Reader { generator: reference, cache: &mut reference_cache, share: other },
    ];
    let generated = policy.answer(rows, &mut readers, logits, &mut counts)?;
    Ok((generated, counts))
}
