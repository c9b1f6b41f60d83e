//! Losses on the values of a reward head, with their derivatives in closed form.
//!
//! With z the logit of "the first is better" and p its label, −p log σ(z) − (1 − p) log σ(−z) has ∂/∂z = σ(z) − p, for soft labels as for
//! hard ones. What follows is the chain rule from z to the values.

use slhf_plan::{AttributeLoss, RewardHeadPlan};

use super::pairs::{PairTarget, RatingTarget};

/// What a pair of values costs, and what its values are to blame for.
#[derive(Clone, Debug, PartialEq)]
pub struct PairLoss {
    /// In nats; of regression half of squared units.
    pub loss: f64,
    /// ∂loss/∂value of the first and of the second response.
    pub gradients: [Vec<f64>; 2],
}

/// The loss of a head.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardLoss {
    head: RewardHeadPlan,
}

impl RewardLoss {
    /// Of a head.
    #[must_use]
    pub fn of(head: &RewardHeadPlan) -> Self {
        Self { head: head.clone() }
    }

    /// Whether anything is known of a pair that this head can be fit to.
    #[must_use]
    pub fn learns_from(&self, target: &PairTarget) -> bool {
        match &self.head {
            RewardHeadPlan::Attributes { .. } => target.ratings.iter().any(Option::is_some),
            _ => target.first_is_better.is_some(),
        }
    }

    /// Logits of "the first is better" with their labels: one, or with attributes one a label.
    #[must_use]
    pub fn logits(&self, [first, second]: [&[f64]; 2], target: &PairTarget) -> Vec<Option<(f64, f64)>> {
        match &self.head {
            RewardHeadPlan::BradleyTerry { .. } => {
                vec![target.first_is_better.map(|label| (first[0] - second[0], label))]
            }
            RewardHeadPlan::GeneralPreference { tau, .. } => {
                vec![target.first_is_better.map(|label| (turned(first, second) / tau, label))]
            }
            RewardHeadPlan::Attributes { .. } => {
                let each = first.iter().zip(second).zip(&target.ratings);
                each.map(|((one, other), rating)| rating.map(|rating| (one - other, rating.first_is_better))).collect()
            }
        }
    }

    /// The loss of a pair; a target that says nothing costs nothing.
    #[must_use]
    pub fn pair(&self, values: [&[f64]; 2], target: &PairTarget) -> PairLoss {
        match &self.head {
            RewardHeadPlan::BradleyTerry { margin, centering } => {
                let Some(label) = target.first_is_better else { return nothing(values) };
                scalar([values[0][0], values[1][0]], (label, margin * target.strength), *centering)
            }
            RewardHeadPlan::GeneralPreference { tau, .. } => {
                let Some(label) = target.first_is_better else { return nothing(values) };
                general(values, label, *tau)
            }
            RewardHeadPlan::Attributes { loss, centering, .. } => {
                let known = target.ratings.iter().flatten().count().max(1) as f64;
                let mut whole = nothing(values);
                for (place, rating) in target.ratings.iter().enumerate() {
                    let Some(rating) = rating else { continue };
                    let both = [values[0][place], values[1][place]];
                    let one = match loss {
                        AttributeLoss::BradleyTerry => scalar(both, (rating.first_is_better, 0.0), *centering),
                        AttributeLoss::Regression => squares(both, rating),
                    };
                    whole.loss += one.loss / known;
                    for side in 0..2 {
                        whole.gradients[side][place] = one.gradients[side][0] / known;
                    }
                }
                whole
            }
        }
    }
}

fn nothing([first, second]: [&[f64]; 2]) -> PairLoss {
    PairLoss { loss: 0.0, gradients: [vec![0.0; first.len()], vec![0.0; second.len()]] }
}

/// −p log σ(z) − (1 − p) log σ(−z) and its derivative by z.
fn cross_entropy(z: f64, p: f64) -> (f64, f64) {
    (p * softplus(-z) + (1.0 - p) * softplus(z), sigmoid(z) - p)
}

/// Bradley–Terry: z = r − r′ − m towards the better response, and c (r + r′)².
fn scalar([r, s]: [f64; 2], (label, margin): (f64, f64), centering: f64) -> PairLoss {
    // The better one must be ahead by the margin, whichever stands first.
    let towards = if label > 0.5 {
        1.0
    } else if label < 0.5 {
        -1.0
    } else {
        0.0
    };
    let (loss, by_z) = cross_entropy(r - s - towards * margin, label);
    let pull = 2.0 * centering * (r + s);
    PairLoss { loss: loss + centering * (r + s).powi(2), gradients: [vec![by_z + pull], vec![pull - by_z]] }
}

/// ½ (r − a)² + ½ (r′ − a′)²
fn squares(values: [f64; 2], rating: &RatingTarget) -> PairLoss {
    let errors = [values[0] - rating.values[0], values[1] - rating.values[1]];
    PairLoss {
        loss: 0.5 * errors.iter().map(|error| error * error).sum::<f64>(),
        gradients: errors.map(|error| vec![error]),
    }
}

/// ⟨R v, w⟩ of blocks ((0, −1), (1, 0)): Σ v₁ w₂ − v₂ w₁.
fn turned(v: &[f64], w: &[f64]) -> f64 {
    v.chunks_exact(2).zip(w.chunks_exact(2)).map(|(v, w)| v[0] * w[1] - v[1] * w[0]).sum()
}

/// z = ⟨R v, w⟩ / τ; ∂z/∂v = Rᵀw / τ, ∂z/∂w = R v / τ.
fn general([v, w]: [&[f64]; 2], label: f64, tau: f64) -> PairLoss {
    let (loss, by_z) = cross_entropy(turned(v, w) / tau, label);
    let scale = by_z / tau;
    let of_first = w.chunks_exact(2).flat_map(|w| [scale * w[1], -scale * w[0]]).collect();
    let of_second = v.chunks_exact(2).flat_map(|v| [-scale * v[1], scale * v[0]]).collect();
    PairLoss { loss, gradients: [of_first, of_second] }
}

/// log(1 + eᶻ) without overflow.
pub(super) fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

pub(super) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads() -> Vec<RewardHeadPlan> {
        let labels = vec!["a".to_owned(), "b".to_owned()];
        let attributes = |loss, centering| RewardHeadPlan::Attributes { labels: labels.clone(), loss, centering };
        vec![
            RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 },
            RewardHeadPlan::BradleyTerry { margin: 0.7, centering: 0.01 },
            RewardHeadPlan::GeneralPreference { blocks: 1, tau: 0.5 },
            RewardHeadPlan::GeneralPreference { blocks: 3, tau: 1.5 },
            attributes(AttributeLoss::Regression, 0.0),
            attributes(AttributeLoss::BradleyTerry, 0.02),
        ]
    }

    fn target(label: f64, strength: f64, ratings: [f64; 4]) -> PairTarget {
        let rating =
            |values: [f64; 2]| RatingTarget { values, first_is_better: f64::from(u8::from(values[0] > values[1])) };
        let [a, b, c, d] = ratings;
        PairTarget { first_is_better: Some(label), strength, ratings: vec![Some(rating([a, b])), Some(rating([c, d]))] }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::with_cases(64)
        })]

        /// Every derivative is what central differences of the loss say.
        #[test]
        fn gradients_are_those_of_the_loss(
            numbers in proptest::collection::vec(-3.0..3.0_f64, 12),
            label in 0.0..=1.0_f64,
            strength in 0.0..2.0_f64,
            ratings in proptest::array::uniform4(0.0..5.0_f64),
        ) {
            const STEP: f64 = 1e-6;
            // At one half the better side, and with it the margin, changes.
            prop_assume!((label - 0.5).abs() > 1e-6);
            let target = target(label, strength, ratings);
            for head in heads() {
                let loss = RewardLoss::of(&head);
                let many = head.labels().len();
                let mut values = [numbers[..many].to_vec(), numbers[6..6 + many].to_vec()];
                let found = loss.pair([&values[0], &values[1]], &target);
                for side in 0..2 {
                    for place in 0..many {
                        let start = values[side][place];
                        let mut at = |value: f64| {
                            values[side][place] = value;
                            loss.pair([&values[0], &values[1]], &target).loss
                        };
                        let quotient = (at(start + STEP) - at(start - STEP)) / (2.0 * STEP);
                        values[side][place] = start;
                        let derivative = found.gradients[side][place];
                        prop_assert!((derivative - quotient).abs() < 1e-6, "{head:?} {side} {place}: {derivative}, {quotient}");
                    }
                }
            }
        }

        /// A pair the other way round is the same pair.
        #[test]
        fn a_pair_has_no_direction(numbers in proptest::collection::vec(-3.0..3.0_f64, 12), label in 0.0..=1.0_f64) {
            let there = target(label, 1.0, [1.0, 2.0, 4.0, 3.0]);
            let back = target(1.0 - label, 1.0, [2.0, 1.0, 3.0, 4.0]);
            for head in heads() {
                let loss = RewardLoss::of(&head);
                let many = head.labels().len();
                let (v, w) = (&numbers[..many], &numbers[6..6 + many]);
                let (one, other) = (loss.pair([v, w], &there), loss.pair([w, v], &back));
                prop_assert!((one.loss - other.loss).abs() < 1e-9);
                for (first, second) in one.gradients[0].iter().zip(&other.gradients[1]) {
                    prop_assert!((first - second).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn losses_are_the_published_ones() {
        let hard = PairTarget { first_is_better: Some(1.0), strength: 1.0, ratings: Vec::new() };
        let of = |head| RewardLoss::of(&head).pair([&[1.0], &[-0.5]], &hard).loss;
        let plain = of(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 });
        assert!((plain + sigmoid(1.5).ln()).abs() < 1e-12);
        // Llama 2: −log σ(r − r′ − m).
        let with_margin = of(RewardHeadPlan::BradleyTerry { margin: 1.0, centering: 0.0 });
        assert!((with_margin + sigmoid(0.5).ln()).abs() < 1e-12);
        let centered = of(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.01 });
        assert!((centered - plain - 0.01 * 0.25).abs() < 1e-12);
        // Far from 0 nothing overflows.
        assert_eq!((softplus(-1e4), softplus(1e4)), (0.0, 1e4));
        assert_eq!((sigmoid(-1e4), sigmoid(1e4)), (0.0, 1.0));
    }

    #[test]
    fn a_general_preference_can_go_round_and_a_zero_vector_cannot_leave() {
        let (sin, cos) = (2.0 * std::f64::consts::PI / 3.0).sin_cos();
        let [a, b, c] = [[1.0, 0.0], [cos, sin], [cos, -sin]];
        for (first, second) in [(a, b), (b, c), (c, a)] {
            assert!(turned(&first, &second) > 0.8, "{first:?} {second:?}");
            assert_eq!(turned(&first, &second), -turned(&second, &first));
        }
        let head = RewardHeadPlan::GeneralPreference { blocks: 1, tau: 1.0 };
        let hard = PairTarget { first_is_better: Some(1.0), ..PairTarget::default() };
        let stuck = RewardLoss::of(&head).pair([&[0.0, 0.0], &[0.0, 0.0]], &hard);
        assert!(stuck.gradients.iter().flatten().all(|number| *number == 0.0), "{stuck:?}");
    }
}
