//! What explains that a server says other log-probabilities than the trainer: another distribution, or rounding.

/// Of how many standard errors a slope must be away from 0 to be more than rounding.
const STANDARD_ERRORS: f64 = 4.0;

/// Whether what a server said is what `other` would have said, and not `own` with rounding: the slope of `said − own` on `other − own`, through
/// the origin, is 1 in the one case and 0 in the other, however large the rounding of a token is. True from one half on, if rounding
/// leaves that much to be seen. One entry a token, in nats.
pub(super) fn is_explained(said: &[f64], own: &[f64], other: &[f64]) -> bool {
    let (mut squares, mut products, mut count) = (0.0, 0.0, 0_u32);
    let tokens = || said.iter().zip(own).zip(other).map(|((said, own), other)| (said - own, other - own));
    for (difference, step) in tokens() {
        squares += step * step;
        products += difference * step;
        count += 1;
    }
    let slope = products / squares;
    if count < 2 || !slope.is_finite() || !(0.5..=2.0).contains(&slope) {
        return false;
    }
    let residuals: f64 = tokens().map(|(difference, step)| (difference - slope * step).powi(2)).sum();
    let error = (residuals / f64::from(count - 1) / squares).sqrt();
    slope > STANDARD_ERRORS * error
}

#[cfg(test)]
mod tests {
    use slhf_random::SplitMix64;

    use super::*;

    /// How many of 200 servers are called wrong: 128 tokens drawn at a temperature from normal logits of a spread, with rounding of `noise` nats.
    fn share(draws: &mut SplitMix64, is_raw: bool, (temperature, spread, noise): (f64, f64, f64)) -> f64 {
        let log_softmax = |logits: &[f64], temperature: f64, token: usize| {
            let largest = logits.iter().fold(f64::MIN, |one, two| one.max(*two)) / temperature;
            let sum: f64 = logits.iter().map(|logit| (logit / temperature - largest).exp()).sum();
            logits[token] / temperature - largest - sum.ln()
        };
        let mut called = 0;
        for _ in 0..200 {
            let (mut said, mut own, mut raw) = (vec![], vec![], vec![]);
            for _ in 0..128 {
                let logits: Vec<f64> = (0..24).map(|_| spread * draws.normal()).collect();
                let (uniform, mut sum, mut token) = (draws.uniform(), 0.0, 0);
                for index in 0..logits.len() {
                    token = index;
                    sum += log_softmax(&logits, temperature, index).exp();
                    if sum > uniform {
                        break;
                    }
                }
                own.push(log_softmax(&logits, temperature, token));
                raw.push(log_softmax(&logits, 1.0, token));
                let right = if is_raw { raw[raw.len() - 1] } else { own[own.len() - 1] };
                said.push(right + noise * draws.normal());
            }
            called += u32::from(is_explained(&said, &own, &raw));
        }
        f64::from(called) / 200.0
    }

    #[test]
    fn rounding_hides_no_other_temperature_and_is_called_none() {
        let mut draws = SplitMix64::new(7);
        for temperature in [0.5, 0.9, 0.95, 1.2] {
            for spread in [2.5, 5.0] {
                for noise in [1e-5, 0.05] {
                    let at = (temperature, spread, noise);
                    let (power, error) = (share(&mut draws, true, at), share(&mut draws, false, at));
                    assert!(power >= 0.95, "{at:?}: found {power}");
                    assert!(error <= 0.005, "{at:?}: called wrong {error}");
                }
            }
        }
        // Where rounding is as large as all differences, nothing is claimed.
        let nothing = share(&mut draws, false, (0.99, 2.5, 0.3));
        assert!(nothing <= 0.005, "{nothing}");
    }

    #[test]
    fn what_says_nothing_explains_nothing() {
        for (said, own, other) in [
            (vec![], vec![], vec![]),
            (vec![-1.0], vec![-2.0], vec![-1.0]),
            (vec![-1.0, -1.5], vec![-2.0, -2.0], vec![-2.0, -2.0]),
            (vec![f64::NAN, -1.0], vec![-2.0, -2.0], vec![-1.0, -1.0]),
        ] {
            assert!(!is_explained(&said, &own, &other), "{said:?}");
        }
        assert!(is_explained(&[-1.0, -1.5, -0.7], &[-2.0, -2.0, -1.0], &[-1.0, -1.5, -0.7]));
    }
}
