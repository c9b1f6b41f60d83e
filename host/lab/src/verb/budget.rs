//! What runs spend, and their values when so much had been spent: for `compare --at` and for pages of results.

use std::collections::BTreeMap;
use std::str::FromStr;

use slhf_record::Record;

use crate::failure::Failure;

/// What is spent, as the record counts it step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Currency {
    Steps,
    /// Sampled in training.
    TokensGenerated,
    /// Passed through the trained policy.
    TokensTrained,
    /// Both.
    Tokens,
    /// Of sampling and training.
    Flops,
    /// Of whole steps, evaluations and loading not among them.
    Seconds,
}

const CURRENCIES: [(&str, Currency); 6] = [
    ("step", Currency::Steps),
    ("tokens", Currency::Tokens),
    ("tokens_generated", Currency::TokensGenerated),
    ("tokens_trained", Currency::TokensTrained),
    ("flops", Currency::Flops),
    ("seconds", Currency::Seconds),
];

/// An amount of something that runs spend: `tokens=2e6`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    pub(super) currency: Currency,
    pub(super) amount: f64,
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            let names: Vec<&str> = CURRENCIES.iter().map(|(name, _)| *name).collect();
            format!("expected {}=NUMBER, as in tokens=2e6", names.join("|"))
        };
        let (name, amount) = text.split_once('=').ok_or_else(expected)?;
        let currency = CURRENCIES.iter().find(|(known, _)| *known == name.trim()).ok_or_else(expected)?.1;
        let amount = amount.trim().parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
        Ok(Self { currency, amount: amount.ok_or_else(expected)? })
    }
}

impl Currency {
    /// As the command line names it.
    pub(super) fn name(self) -> &'static str {
        CURRENCIES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| *name)
    }
}

/// One run's values by key, in order of steps.
pub(super) type Histories = BTreeMap<String, Vec<(i64, f64)>>;

/// Of its metrics, and of its evaluations as `name subject`.
pub(super) fn histories(record: &mut Record, run: i64) -> Result<Histories, Failure> {
    let mut found = Histories::new();
    for value in record.metric_histories(run).map_err(Failure::failed)? {
        found.entry(value.key).or_default().push((value.step, value.value));
    }
    for value in record.evaluations(run).map_err(Failure::failed)? {
        found.entry(format!("{} {}", value.name, value.subject)).or_default().push((value.step, value.value));
    }
    Ok(found)
}

/// What had been spent after each recorded step.
pub(super) fn spent(currency: Currency, histories: &Histories) -> Vec<(i64, f64)> {
    let of = |key: &str| histories.get(key).cloned().unwrap_or_default();
    match currency {
        Currency::Steps => {
            let mut steps: Vec<i64> = histories.values().flatten().map(|(step, _)| *step).collect();
            steps.sort_unstable();
            steps.dedup();
            steps.into_iter().map(|step| (step, step as f64)).collect()
        }
        Currency::TokensGenerated => of("num_tokens_generated"),
        Currency::TokensTrained => of("num_tokens"),
        Currency::Tokens => {
            let trained: BTreeMap<i64, f64> = of("num_tokens").into_iter().collect();
            let generated = of("num_tokens_generated").into_iter();
            generated.filter_map(|(step, value)| Some((step, value + trained.get(&step)?))).collect()
        }
        Currency::Flops => of("num_flops"),
        Currency::Seconds => {
            let mut sum = 0.0;
            let running = |(step, seconds): (i64, f64)| {
                sum += seconds;
                (step, sum)
            };
            of("step_time").into_iter().map(running).collect()
        }
    }
}

/// The value of a metric when `amount` had been spent.
pub(super) fn interpolated(spent: &[(i64, f64)], history: &[(i64, f64)], amount: f64) -> Option<f64> {
    let costs: BTreeMap<i64, f64> = spent.iter().copied().collect();
    let priced: Vec<(f64, f64)> =
        history.iter().filter_map(|(step, value)| Some((*costs.get(step)?, *value))).collect();
    let after = priced.iter().position(|(cost, _)| *cost >= amount)?;
    let (high, above) = priced[after];
    if high == amount {
        return Some(above);
    }
    let (low, below) = *priced.get(after.checked_sub(1)?)?;
    Some(below + (above - below) * (amount - low) / (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_currency_and_an_amount() {
        let expected = Budget { currency: Currency::Tokens, amount: 2e6 };
        assert_eq!("tokens=2e6".parse::<Budget>(), Ok(expected));
        for wrong in ["tokens", "tokens=", "euros=3", "tokens=-1", "flops=inf"] {
            assert!(wrong.parse::<Budget>().unwrap_err().contains("as in tokens=2e6"), "{wrong}");
        }
    }

    #[test]
    fn values_between_two_steps_are_interpolated_and_none_is_made_up_outside() {
        let spent = [(1, 100.0), (2, 300.0), (3, 400.0)];
        let history = [(1, 1.0), (2, 2.0), (3, 4.0)];
        let check = |amount: f64, expected: Option<f64>| assert_eq!(interpolated(&spent, &history, amount), expected);
        check(100.0, Some(1.0));
        check(200.0, Some(1.5));
        check(350.0, Some(3.0));
        check(400.0, Some(4.0));
        check(50.0, None);
        check(401.0, None);
        // Evaluated at the ends only: from one end to the other.
        assert_eq!(interpolated(&spent, &[(1, 0.0), (3, 3.0)], 200.0), Some(1.0));
    }

    #[test]
    fn seconds_add_up_and_tokens_are_both_kinds() {
        let histories = Histories::from([
            ("step_time".to_owned(), vec![(1, 2.0), (2, 3.0)]),
            ("num_tokens".to_owned(), vec![(1, 10.0), (2, 20.0)]),
            ("num_tokens_generated".to_owned(), vec![(1, 1.0), (2, 2.0)]),
        ]);
        assert_eq!(spent(Currency::Seconds, &histories), [(1, 2.0), (2, 5.0)]);
        assert_eq!(spent(Currency::Tokens, &histories), [(1, 11.0), (2, 22.0)]);
        assert_eq!(spent(Currency::Flops, &histories), []);
        assert_eq!(spent(Currency::Steps, &histories), [(1, 1.0), (2, 2.0)]);
    }
}
