//! Logistic regression on probabilities, weighted, with an L1 penalty and no intercept, for a handful of features.

/// Change of every coefficient below which a fit stands.
const TOLERANCE: f64 = 1e-9;
/// Rounds over the coefficients after which it is left as it is.
const ROUNDS_MAX: usize = 1000;

/// One observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observation<const N: usize> {
    pub(crate) features: [f64; N],
    /// What is predicted, in [0, 1].
    pub(crate) target: f64,
    pub(crate) weight: f64,
}

/// σ
pub(crate) fn sigmoid(value: f64) -> f64 {
    if value >= 0.0 { 1.0 / (1.0 + (-value).exp()) } else { value.exp() / (1.0 + value.exp()) }
}

/// Cross-entropy of a prediction σ(z) for a target.
pub(crate) fn cross_entropy(z: f64, target: f64) -> f64 {
    let softplus = z.max(0.0) + (-z.abs()).exp().ln_1p();
    softplus - target * z
}

pub(crate) fn dot<const N: usize>(features: &[f64; N], coefficients: &[f64; N]) -> f64 {
    features.iter().zip(coefficients).map(|(x, w)| x * w).sum()
}

/// Minimises `Σ_j |w_j| + strength · Σ_i weight_i · cross_entropy(w · x_i, target_i)` over the coefficients that are free,
/// from `start`: the objective of liblinear's L1-regularised logistic regression (Fan et al. 2008), whose C is `strength`.
/// Newton steps one coordinate at a time, each soft-thresholded and halved until the objective falls.
pub(crate) fn fit<const N: usize>(
    observations: &[Observation<N>],
    strength: f64,
    start: [f64; N],
    free: [bool; N],
) -> [f64; N] {
    let mut coefficients = start;
    let mut predictors: Vec<f64> = observations.iter().map(|one| dot(&one.features, &coefficients)).collect();
    for _ in 0..ROUNDS_MAX {
        let mut largest: f64 = 0.0;
        for coordinate in (0..N).filter(|&coordinate| free[coordinate]) {
            let moved = descend(observations, &mut predictors, strength, (coordinate, coefficients[coordinate]));
            coefficients[coordinate] += moved;
            largest = largest.max(moved.abs());
        }
        if largest < TOLERANCE {
            break;
        }
    }
    coefficients
}

/// The step of one coordinate; the predictors follow it.
fn descend<const N: usize>(
    observations: &[Observation<N>],
    predictors: &mut [f64],
    strength: f64,
    (coordinate, value): (usize, f64),
) -> f64 {
    let (mut slope, mut curvature) = (0.0, 1e-12);
    for (one, &z) in observations.iter().zip(predictors.iter()) {
        let (p, x) = (sigmoid(z), one.features[coordinate]);
        slope += strength * one.weight * (p - one.target) * x;
        curvature += strength * one.weight * p * (1.0 - p) * x * x;
    }
    let mut step = soft_threshold(value - slope / curvature, 1.0 / curvature) - value;
    let loss = |step: f64| {
        let moved = observations.iter().zip(predictors.iter());
        let data: f64 =
            moved.map(|(one, z)| one.weight * cross_entropy(z + step * one.features[coordinate], one.target)).sum();
        strength * data + (value + step).abs()
    };
    let before = loss(0.0);
    while step.abs() > TOLERANCE && loss(step) > before {
        step *= 0.5;
    }
    for (one, z) in observations.iter().zip(predictors.iter_mut()) {
        *z += step * one.features[coordinate];
    }
    step
}

fn soft_threshold(value: f64, threshold: f64) -> f64 {
    value.signum() * (value.abs() - threshold).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation<const N: usize>(features: [f64; N], target: f64) -> Observation<N> {
        Observation { features, target, weight: 1.0 }
    }

    #[test]
    fn a_constant_alone_is_the_log_odds_of_the_mean_shrunk_by_the_penalty() {
        let data: Vec<_> = [0.9, 0.7, 0.8].map(|target| observation([1.0], target)).to_vec();
        // At the optimum strength · Σ (p − target) = −1.
        let [constant] = fit(&data, 50.0, [0.0], [true]);
        assert!((3.0 * sigmoid(constant) - 2.4 + 1.0 / 50.0).abs() < 1e-9);
        assert_eq!(fit(&data, 0.1, [0.0], [true]), [0.0]);
    }

    #[test]
    fn every_slope_is_within_the_penalty_at_the_optimum() {
        let data: Vec<_> = (0..200)
            .map(|i| {
                let x = f64::from(i % 17) / 8.0 - 1.0;
                let d = f64::from(i % 5) - 2.0;
                Observation { features: [x, d, 1.0], target: sigmoid(0.8 * x - 0.3 * d + 0.1), weight: 1.0 + x * x }
            })
            .collect();
        for strength in [0.05, 1.0, 1e4] {
            let found = fit(&data, strength, [0.0; 3], [true; 3]);
            for (coordinate, &value) in found.iter().enumerate() {
                let slope: f64 = data
                    .iter()
                    .map(|one| {
                        let error = sigmoid(dot(&one.features, &found)) - one.target;
                        strength * one.weight * error * one.features[coordinate]
                    })
                    .sum();
                if value == 0.0 {
                    assert!(slope.abs() <= 1.0 + 1e-6);
                } else {
                    assert!((slope + value.signum()).abs() < 1e-4, "{strength}: {slope} at {value}");
                }
            }
        }
        let exact = fit(&data, 1e9, [0.0; 3], [true; 3]);
        assert!(exact.iter().zip([0.8, -0.3, 0.1]).all(|(a, b)| (a - b).abs() < 1e-6), "{exact:?}");
        // A coefficient that is held stays where it is.
        assert_eq!(fit(&data, 1.0, [0.25, 0.0, 0.0], [false, true, true])[0], 0.25);
    }
}
