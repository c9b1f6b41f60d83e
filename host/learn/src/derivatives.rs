//! The losses of the methods with one policy, as pure functions of one answer or one pair: what is the same on finite games
//! and on language models. A *derivative* is ∂loss/∂log π(y); `h` is the difference of two answers' log π − log `π_ref`, `moved`
//! an answer's log π less the same when it was sampled.

use slhf_plan::{Labels, ScaleRewards};

/// Keeps GRPO's division from one by zero; the usual value of its users.
pub(crate) const STANDARD_DEVIATION_FLOOR: f64 = 1e-4;

/// Log-ratios beyond which k3 is held: exp(40) is 2e17.
pub(crate) const RATIO_MAX: f64 = 40.0;

/// σ
pub(crate) fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-value))
}

/// −log σ without overflow.
pub(crate) fn softplus_of_minus(value: f64) -> f64 {
    (-value).max(0.0) + libm::log1p(libm::exp(-value.abs()))
}

/// The label of a pair from the verdicts in both orders: `½ [p(y ≻ z) + 1 − p(z ≻ y)]`, rounded to who wins where labels are
/// hard.
pub(crate) fn label(verdict: f64, reversed: f64, labels: Labels) -> f64 {
    rounded(0.5 * (verdict + 1.0 - reversed), labels)
}

/// A label as it is, or as who wins.
pub(crate) fn rounded(won: f64, labels: Labels) -> f64 {
    match labels {
        Labels::Soft => won,
        // 0.4 + 1 − 0.4 is not 1 in f64.
        Labels::Hard if (won - 0.5).abs() <= slhf_game::TIE_TOLERANCE => 0.5,
        Labels::Hard if won > 0.5 => 1.0,
        Labels::Hard => 0.0,
    }
}

/// DPO (arXiv 2305.18290, equation 7): of the pairs' `−ℓ log σ(β h) − (1 − ℓ) log σ(−β h)`, in the first answer.
pub(crate) fn dpo_derivative(beta: f64, h: f64, label: f64) -> f64 {
    -2.0 * beta * (label - logistic(beta * h))
}

/// IPO (arXiv 2310.12036, equation 17) times β/4: of the pairs' `β/4 [h − (ℓ − ½)/β]²`, in the first answer, with
/// `margin` = β h. INPO's is the same with its own margin.
pub(crate) fn ipo_derivative(margin: f64, label: f64) -> f64 {
    margin - (label - 0.5)
}

/// INPO (arXiv 2407.00617, equations 9 to 11): one answer's share of η h, `η (log π − log π_t) + τ (log π_t − log π_ref)`.
pub(crate) fn inpo_margin(eta: f64, tau: f64, moved: f64, log_ratio: f64) -> f64 {
    eta * moved + tau * (log_ratio - moved)
}

/// SPPO (arXiv 2405.00675, equation 4.6) over 2η: derivative of `1/(2η) [moved − η (p̂ − ½)]²`.
pub(crate) fn sppo_derivative(eta: f64, moved: f64, label: f64) -> f64 {
    moved / eta - (label - 0.5)
}

/// The ratios that PPO's clipped surrogate learns from, as GRPO has it (arXiv 2402.03300, equation 3), and with a bound of its own
/// above 1 as DAPO has it (arXiv 2503.14476, equation 10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClipRange {
    low: f64,
    high: f64,
}

/// Where a ratio lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clip {
    /// The surrogate is not flat.
    Learned,
    /// It is flat: below the range with a negative advantage.
    Low,
    /// It is flat: above the range with a positive advantage.
    High,
}

impl ClipRange {
    /// [1 − ε, 1 + ε], or [1 − ε, 1 + `epsilon_high`].
    pub(crate) fn new(epsilon: f64, epsilon_high: Option<f64>) -> Self {
        Self { low: 1.0 - epsilon, high: 1.0 + epsilon_high.unwrap_or(epsilon) }
    }

    fn held(self, ratio: f64) -> f64 {
        ratio.clamp(self.low, self.high)
    }

    /// `−min[ρ A, clip(ρ) A]`
    pub(crate) fn loss(self, ratio: f64, advantage: f64) -> f64 {
        -(ratio * advantage).min(self.held(ratio) * advantage)
    }

    /// Whether the loss is flat.
    pub(crate) fn clip(self, ratio: f64, advantage: f64) -> Clip {
        let is_flat = self.held(ratio) * advantage < ratio * advantage;
        if is_flat && advantage > 0.0 {
            Clip::High
        } else if is_flat {
            Clip::Low
        } else {
            Clip::Learned
        }
    }

    /// Derivative of the loss in log ρ; 0 where it is flat.
    pub(crate) fn derivative(self, ratio: f64, advantage: f64) -> f64 {
        if self.clip(ratio, advantage) == Clip::Learned { -ratio * advantage } else { 0.0 }
    }
}

/// What GRPO divides the advantages of a group by whose rewards have this variance.
pub(crate) fn divisor(variance: f64, scale: ScaleRewards) -> f64 {
    match scale {
        ScaleRewards::Group => variance.max(0.0).sqrt() + STANDARD_DEVIATION_FLOOR,
        ScaleRewards::None => 1.0,
    }
}

/// k3 = `π_ref/π − log(π_ref/π) − 1` (Schulman, "Approximating KL divergence"; GRPO, equation 4): derivative in log π, of the
/// log-ratio log π − log `π_ref`; held beyond [`RATIO_MAX`].
pub(crate) fn k3_derivative(log_ratio: f64) -> f64 {
    -libm::expm1((-log_ratio).clamp(-RATIO_MAX, RATIO_MAX))
}

/// What its mean under π is KL(`π_ref` ‖ π), from r = log π − log `π_ref`: `1 − e^(−r) − r e^(−r)`, nowhere below 0.
pub(crate) fn forward_share(log_ratio: f64) -> f64 {
    let inverse = (-log_ratio).clamp(-RATIO_MAX, RATIO_MAX);
    inverse * libm::exp(inverse) - libm::expm1(inverse)
}

/// The mean of the others of a group of `count` whose values sum to `sum`; needs two.
pub(crate) fn mean_of_others(sum: f64, own: f64, count: usize) -> f64 {
    (sum - own) / (count.max(2) - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Derivatives against central differences of the losses that their docs write.
    #[test]
    fn derivatives_are_those_of_the_losses() {
        let check = |name: &str, at: f64, stated: f64, loss: &dyn Fn(f64) -> f64| {
            let step = 1e-5;
            let derivative = (loss(at + step) - loss(at - step)) / (2.0 * step);
            assert!((stated - derivative).abs() < 1e-9, "{name}: {stated} is not {derivative}");
        };
        let (beta, label, eta) = (0.3, 0.8, 2.0);
        let dpo = |h: f64| -label * logistic(beta * h).ln() - (1.0 - label) * logistic(-beta * h).ln();
        let ipo = |h: f64| 0.25 * beta * (h - (label - 0.5) / beta).powi(2);
        let sppo = |moved: f64| (moved - eta * (label - 0.5)).powi(2) / (2.0 * eta);
        for at in [-1.5, 0.2, 0.9] {
            // Of pairs: twice the derivative.
            check("dpo", at, 0.5 * dpo_derivative(beta, at, label), &dpo);
            check("ipo", at, 0.5 * ipo_derivative(beta * at, label), &ipo);
            check("k3", at, k3_derivative(at), &|log_ratio: f64| (-log_ratio).exp() + log_ratio - 1.0);
            check("sppo", at, sppo_derivative(eta, at, label), &sppo);
        }
        for (advantage, epsilon_high, high) in
            [(-1.0, None, 1.2), (1.0, None, 1.2), (-1.0, Some(0.6), 1.6), (1.0, Some(0.6), 1.6)]
        {
            let surrogate = |log_ratio: f64| {
                let ratio = log_ratio.exp();
                -(ratio * advantage).min(ratio.clamp(0.8, high) * advantage)
            };
            let range = ClipRange::new(0.2, epsilon_high);
            for at in [-0.5_f64, -0.1, 0.1, 0.4, 0.5] {
                check("clipped", at, range.derivative(at.exp(), advantage), &surrogate);
                assert!((range.loss(at.exp(), advantage) - surrogate(at)).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn a_ratio_is_clipped_on_the_side_of_its_advantage_alone() {
        let range = ClipRange::new(0.2, Some(0.4));
        let found = [(0.7, -1.0), (0.7, 1.0), (1.3, 1.0), (1.5, 1.0), (1.5, -1.0), (1.5, 0.0)];
        let expected = [Clip::Low, Clip::Learned, Clip::Learned, Clip::High, Clip::Learned, Clip::Learned];
        assert_eq!(found.map(|(ratio, advantage)| range.clip(ratio, advantage)), expected);
    }

    #[test]
    fn inpo_starts_as_ipo() {
        assert_eq!(inpo_margin(2.0, 0.5, 0.0, 0.8), 0.5 * 0.8);
        // At π_{t+1} = π_t^(1 − τ/η) π_ref^(τ/η) exp(g/η) the margins differ as g does.
        let (eta, tau, log_sampled) = (2.0, 0.5, [0.3, -0.7]);
        let margin = |index: usize, g: f64| {
            let log_policy = (1.0 - tau / eta) * log_sampled[index] + g / eta;
            inpo_margin(eta, tau, log_policy - log_sampled[index], log_policy)
        };
        assert!((margin(0, 0.9) - margin(1, 0.2) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn labels_are_of_both_orders_and_antisymmetric() {
        assert!((label(0.9, 0.3, Labels::Soft) - 0.8).abs() < 1e-15);
        assert_eq!(label(0.9, 0.3, Labels::Hard), 1.0);
        assert_eq!(label(0.3, 0.9, Labels::Hard), 0.0);
        assert_eq!(label(0.4, 0.4, Labels::Hard), 0.5);
    }
}
