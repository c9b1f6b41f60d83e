//! Adam (Kingma & Ba, arXiv 1412.6980), with the constants that language models use.

/// β₁
pub(crate) const FIRST_DECAY: f64 = 0.9;
/// β₂
pub(crate) const SECOND_DECAY: f64 = 0.999;
/// ε
pub(crate) const EPSILON: f64 = 1e-8;

/// What the moments are divided by at one update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction {
    /// learning rate / (1 − β₁^t)
    pub(crate) rate: f64,
    /// 1 / √(1 − β₂^t)
    pub(crate) root: f64,
}

impl Correction {
    /// For the `update`-th update (from 1).
    pub(crate) fn of(rate: f64, update: u64) -> Self {
        let t = i32::try_from(update).unwrap_or(i32::MAX);
        Self { rate: rate / (1.0 - FIRST_DECAY.powi(t)), root: 1.0 / (1.0 - SECOND_DECAY.powi(t)).sqrt() }
    }
}

/// One ascending update of plain slices.
#[expect(clippy::inline_always, reason = "compiled for the registers of who calls")]
#[inline(always)]
pub(crate) fn ascend(
    logits: &mut [f64],
    first: &mut [f64],
    second: &mut [f64],
    correction: Correction,
    gradient: &[f64],
) {
    for (((logit, first), second), gradient) in logits.iter_mut().zip(first).zip(second).zip(gradient) {
        *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * gradient;
        *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * (gradient * gradient);
        *logit += correction.rate * *first / (second.sqrt() * correction.root + EPSILON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_in_the_gradients_direction() {
        let (mut logits, mut first, mut second) = ([0.0, 1.0], [0.0; 2], [0.0; 2]);
        ascend(&mut logits, &mut first, &mut second, Correction::of(0.1, 1), &[3.0, -0.02]);
        assert!((logits[0] - 0.1).abs() < 1e-8);
        assert!((logits[1] - 0.9).abs() < 1e-6);
    }
}
