//! Triples in which each beats the next.

use super::{Triples, rate, scale};

/// The share, and whether the cycles are stronger than noise makes them. The null is a field that one scale holds: the
/// Bradley–Terry fit's probabilities, with the noise that the bootstrap found around the observed rates.
pub(super) fn triples(policies: usize, observed: &[f64], resampled: &[Vec<f64>]) -> Triples {
    let total = if policies < 3 { 0 } else { policies * (policies - 1) * (policies - 2) / 6 };
    let (intransitive, strength) = cycles(policies, observed);
    let fitted = scale::fitted(policies, observed);
    let mut as_strong = 1;
    for rates in resampled {
        let null: Vec<f64> =
            fitted.iter().zip(rates).zip(observed).map(|((fit, drawn), seen)| fit + drawn - seen).collect();
        as_strong += usize::from(cycles(policies, &null).1 >= strength);
    }
    let p_value = if total == 0 { 1.0 } else { f64::from(as_strong as u32) / (resampled.len() + 1) as f64 };
    Triples { total, intransitive, p_value }
}

/// How many cycles, and the sum over them of the weakest margin: a cycle by a hair counts for a hair.
fn cycles(policies: usize, rates: &[f64]) -> (usize, f64) {
    let (mut count, mut strength) = (0, 0.0);
    let margin = |i, j| rate(policies, rates, i, j) - 0.5;
    for i in 0..policies {
        for j in i + 1..policies {
            for k in j + 1..policies {
                let (a, b, c) = (margin(i, j), margin(j, k), margin(k, i));
                let weakest = if a > 0.0 { a.min(b).min(c) } else { (-a).min(-b).min(-c) };
                if weakest > 0.0 {
                    count += 1;
                    strength += weakest;
                }
            }
        }
    }
    (count, strength)
}
