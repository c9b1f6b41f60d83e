//! The mean of a recorded quantity over the trainings of a cell, with the interval that befits it.

use std::collections::BTreeMap;

use slhf_plan::EvaluationName;
use slhf_record::{ComparedCell, ComparedRun, ParameterValue, RunStatus};
use slhf_report::ROUNDING;
use slhf_statistics::{Level, Sample, share_over_seeds};

use crate::output::{Cell, half_width, number, share};

/// Beginnings of the names of a step's metrics that are shares of its samples.
const STEP_SHARES: [&str; 2] = ["completions/eos_rate_", "rewards/probabilities"];
/// How many prompts a step samples.
const PROMPTS_PER_STEP: &str = "method.prompts_per_step";

/// What a value is, as far as its interval is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// A number without bounds: Student's t over seeds.
    Number,
    /// An exact probability: Student's t over seeds, cut at 0 and 1.
    Probability,
    /// A share of so many prompts in every run: see [`share_over_seeds`].
    Share {
        /// The least of the runs'.
        prompts: usize,
    },
}

/// Values of one quantity, one a training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OverSeeds {
    /// Over the trainings.
    pub(crate) mean: f64,
    /// 95 % over other trainings; of a share of one training: over prompts.
    pub(crate) interval: Option<(f64, f64)>,
    /// How many.
    pub(crate) trainings: usize,
    /// What they are.
    pub(crate) quantity: Quantity,
}

impl Quantity {
    /// Of the values of `key`, which rest on `prompts` prompts each; `None`: exact, or not counted.
    pub(crate) fn of(key: &str, values: &[f64], prompts: Option<usize>) -> Self {
        let is_share =
            EvaluationName::split_key(key).0.is_share() || STEP_SHARES.iter().any(|share| key.starts_with(share));
        let all_within = values.iter().all(|value| (0.0..=1.0).contains(value));
        match prompts {
            Some(prompts) if is_share && all_within && prompts > 0 => Self::Share { prompts },
            _ => Self::Number,
        }
    }
}

impl OverSeeds {
    /// `None` without a value. Values that are not finite have a mean and no interval.
    pub(crate) fn new(values: &[f64], quantity: Quantity) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let (mean, interval) = match quantity {
            Quantity::Share { prompts } => share_over_seeds(values, prompts)
                .map_or_else(|| students(values), |(share, interval)| (share, Some((interval.low, interval.high)))),
            Quantity::Number => students(values),
            Quantity::Probability => {
                let (mean, interval) = students(values);
                (mean, interval.map(|(low, high)| (low.max(0.0), high.min(1.0))))
            }
        };
        Some(Self { mean, interval, trainings: values.len(), quantity })
    }

    /// As a cell of a table.
    pub(crate) fn cell(self) -> Cell {
        match (self.quantity, self.interval) {
            (Quantity::Share { .. }, Some(interval)) => Cell::Share { share: self.mean, interval, n: self.trainings },
            _ => Cell::Estimate { mean: self.mean, interval: self.interval, n: self.trainings },
        }
    }

    /// As a page shows it: `0.681 ± 0.013 (3)`, of a share `0.906 [0.671, 0.979] (3)`.
    pub(crate) fn text(&self) -> String {
        if self.mean.is_finite() { format!("{} ({})", self.value_text(), self.trainings) } else { self.value_text() }
    }

    /// Likewise, without the number of trainings.
    pub(crate) fn value_text(&self) -> String {
        match (self.quantity, self.interval) {
            _ if !self.mean.is_finite() => "–".to_owned(),
            (Quantity::Share { .. }, Some(interval)) => share(self.mean, interval),
            // Cut at 0 or 1.
            (Quantity::Probability, Some(interval)) if !is_even(self.mean, interval) => share(self.mean, interval),
            // Differences of rounding mean nothing.
            // A mean of 0 between values that differ is no rounding.
            (_, Some((low, high))) if is_rounding(self.mean) && high - low < 10.0 * ROUNDING => {
                format!("< {}", number(ROUNDING))
            }
            (_, Some((low, high))) if high - low < 2.0 * ROUNDING => number(self.mean),
            (_, Some((low, high))) => format!("{} ± {}", number(self.mean), half_width((high - low) / 2.0)),
            (_, None) if is_rounding(self.mean) => format!("< {}", number(ROUNDING)),
            (_, None) => number(self.mean),
        }
    }
}

/// Not 0, and too small to be told from it.
fn is_rounding(value: f64) -> bool {
    value != 0.0 && value.abs() < ROUNDING
}

fn is_even(mean: f64, (low, high): (f64, f64)) -> bool {
    ((high - mean) - (mean - low)).abs() <= 1e-9 * (high - low)
}

fn students(values: &[f64]) -> (f64, Option<(f64, f64)>) {
    let plain = values.iter().sum::<f64>() / values.len() as f64;
    Sample::new(values.to_vec()).map_or((plain, None), |sample| {
        (sample.mean(), sample.mean_interval(Level::PERCENT_95).map(|interval| (interval.low, interval.high)))
    })
}

/// On how many prompts the value of `key` rests in each of these runs, the least of them.
pub(crate) fn prompts_of<'a>(
    key: &str,
    runs: impl Iterator<Item = &'a ComparedRun>,
    parameters: &BTreeMap<String, ParameterValue>,
) -> Option<usize> {
    let evaluated = runs.filter_map(|run| run.prompts.get(key).copied()).min();
    evaluated.and_then(|prompts| usize::try_from(prompts).ok()).or_else(|| step_prompts(key, parameters))
}

/// Of a share of a training step's samples.
pub(crate) fn step_prompts(key: &str, parameters: &BTreeMap<String, ParameterValue>) -> Option<usize> {
    if !STEP_SHARES.iter().any(|share| key.starts_with(share)) {
        return None;
    }
    match parameters.get(PROMPTS_PER_STEP) {
        Some(ParameterValue::Integer(prompts)) => usize::try_from(*prompts).ok(),
        _ => None,
    }
}

/// Of a cell's finished runs, by their latest values.
pub(crate) fn latest(cell: &ComparedCell, key: &str) -> Option<OverSeeds> {
    let finished = || cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished);
    let values: Vec<f64> = finished().filter_map(|run| run.metrics.get(key).map(|(_, value)| *value)).collect();
    let quantity = Quantity::of(key, &values, prompts_of(key, finished(), &cell.parameters));
    OverSeeds::new(&values, quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_seeds(values: &[f64], quantity: Quantity) -> OverSeeds {
        OverSeeds::new(values, quantity).expect("values")
    }

    #[test]
    fn a_mean_has_an_interval_where_there_are_seeds_enough() {
        let found = over_seeds(&[1.0, 2.0, 3.0], Quantity::Number);
        let (low, high) = found.interval.expect("three values");
        assert!((found.mean - 2.0).abs() < 1e-12 && low < 1.0 && high > 3.0 && found.trainings == 3);
        assert_eq!(over_seeds(&[2.5], Quantity::Number).cell(), Cell::Estimate { mean: 2.5, interval: None, n: 1 });
        assert_eq!(OverSeeds::new(&[], Quantity::Number), None);
        assert_eq!(over_seeds(&[f64::INFINITY, 1.0], Quantity::Number).interval, None);
    }

    #[test]
    fn a_share_has_a_width_and_stays_within_0_and_1() {
        for (values, prompts) in [
            (&[1.0, 1.0, 1.0][..], 64),
            (&[0.0], 64),
            (&[0.5, 0.5, 0.5], 64),
            (&[0.98, 1.0, 0.9], 64),
            (&[0.0, 0.01, 0.08], 64),
        ] {
            let found = over_seeds(values, Quantity::Share { prompts });
            let (low, high) = found.interval.expect("a share");
            assert!((0.0..=found.mean).contains(&low) && (found.mean..=1.0).contains(&high), "{values:?}: {found:?}");
            assert!(high - low > 0.05, "{values:?}: {found:?}");
        }
        let cut = over_seeds(&[0.98, 1.0, 0.9], Quantity::Probability).interval.expect("three");
        assert!(cut.1 <= 1.0 && over_seeds(&[0.98, 1.0, 0.9], Quantity::Number).interval.expect("three").1 > 1.0);
    }

    #[test]
    fn rounding_is_named_and_hides_no_interval() {
        for (values, expected) in [
            (&[3e-16, 5e-16, 4e-16][..], "< 1e-15"),
            (&[3e-17], "< 1e-15"),
            (&[0.0, 0.0, 0.0], "0"),
            (&[0.25, 0.25, 0.25 + 1e-16], "0.25"),
            // Their mean is 0, and they are not.
            (&[-1.0, 0.0, 1.0], "0 ± 2.5"),
        ] {
            assert_eq!(over_seeds(values, Quantity::Number).value_text(), expected, "{values:?}");
        }
        // As far from 0 as the sum of three decimals is.
        assert!(over_seeds(&[-0.1, 0.3, -0.2], Quantity::Number).value_text().contains('±'));
    }

    #[test]
    fn a_share_is_told_by_its_name() {
        let share = Quantity::Share { prompts: 8 };
        for (key, values, prompts, expected) in [
            ("win_rate leader/reference", &[0.5][..], Some(8), share),
            ("win_rate[brief] leader/reference", &[0.5], Some(8), share),
            ("win_rate[my judge] leader/reference", &[0.5], Some(8), share),
            ("eos_rate leader", &[1.0], Some(8), share),
            ("measure[checks]/followed leader", &[0.25, 0.5], Some(8), share),
            ("measure[words] leader", &[0.25, 12.5], Some(8), Quantity::Number),
            ("completions/eos_rate_leader", &[0.5], Some(8), share),
            // Exact, over all actions of a game.
            ("win_rate/reference", &[0.5], Some(8), Quantity::Number),
            ("win_rate leader/reference", &[0.5], None, Quantity::Number),
            ("mean_length leader", &[0.5], Some(8), Quantity::Number),
        ] {
            assert_eq!(Quantity::of(key, values, prompts), expected, "{key}");
        }
    }
}
