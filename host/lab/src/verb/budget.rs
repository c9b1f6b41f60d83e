//! What runs spend, and their values when so much had been spent: for `compare --at` and for pages of results.

use std::collections::BTreeMap;
use std::str::FromStr;

use slhf_record::{CurvePoint, Record};

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
    /// The metrics that count it.
    pub(super) fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Steps => &[],
            Self::TokensGenerated => &[TOKENS_GENERATED],
            Self::TokensTrained => &[TOKENS_TRAINED],
            Self::Tokens => &[TOKENS_GENERATED, TOKENS_TRAINED],
            Self::Flops => &[FLOPS],
            Self::Seconds => &[STEP_TIME],
        }
    }

    /// As the command line names it.
    pub(super) fn name(self) -> &'static str {
        CURRENCIES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| *name)
    }
}

/// What had been spent after each step that is known.
pub(super) enum Spent {
    /// The steps themselves.
    Steps,
    /// (step, spent), in their order.
    Counted(Vec<(f64, f64)>),
}

impl Spent {
    /// Between two known steps by linear interpolation.
    pub(super) fn after(&self, step: i64) -> Option<f64> {
        match self {
            Self::Steps => Some(step as f64),
            Self::Counted(known) => interpolated(known, step as f64),
        }
    }
}

/// What a run spent, of the curves of [`Currency::metrics`].
pub(super) fn spent_by_step<'a>(currency: Currency, of: impl Fn(&str) -> &'a [CurvePoint]) -> Spent {
    if currency == Currency::Steps {
        return Spent::Steps;
    }
    let counted = |key: &str| {
        let count = |point: &CurvePoint| Counted { step: point.step, last: point.last, total: point.total };
        of(key).iter().map(count).collect()
    };
    Spent::Counted(spent(currency, counted).into_iter().map(|(step, spent)| (step as f64, spent)).collect())
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
        found.entry(value.name.key(&value.subject)).or_default().push((value.step, value.value));
    }
    Ok(found)
}

/// On how many prompts every evaluation of these runs rests, the least of them.
pub(super) fn evaluated_prompts(
    record: &mut Record,
    runs: impl Iterator<Item = i64>,
) -> Result<BTreeMap<String, usize>, Failure> {
    let mut least = BTreeMap::new();
    for run in runs {
        for value in record.evaluations(run).map_err(Failure::failed)? {
            let Some(prompts) = usize::try_from(value.n).ok().filter(|prompts| *prompts > 0) else { continue };
            let known = least.entry(value.name.key(&value.subject)).or_insert(prompts);
            *known = prompts.min(*known);
        }
    }
    Ok(least)
}

/// What one run had spent, and which of it belongs to the policy that a value describes.
///
/// A step of a language model samples, measures what it sampled, and then updates. Its KL, rewards, lengths and losses are
/// those of the policy that it began with, which had cost what was spent *before* the step; an evaluation, and what is
/// counted, is of the policy after it. Games are measured after the step.
#[derive(Clone, Debug)]
pub(super) struct Spending {
    /// After each recorded step.
    after: BTreeMap<i64, f64>,
    /// Before the first step; `None`: a reward model was fit by then, and what that cost is in no step of its own.
    start: Option<f64>,
    measured_before_update: bool,
}

/// Beginnings of the names of what a step of a language model measures before it updates.
const OF_SAMPLES: [&str; 6] = ["rewards/", "objective/", "completions/", "loss/", "frac_reward_zero_std", "grad_norm"];
/// Every step of a language model counts them, and nothing else does.
const TOKENS_TRAINED: &str = "num_tokens";
const TOKENS_GENERATED: &str = "num_tokens_generated";
const FLOPS: &str = "num_flops";
const STEP_TIME: &str = "step_time";
/// Whose evaluations stand where a reward model was fit.
const FITTED: &str = " reward model";

impl Spending {
    pub(super) fn of(currency: Currency, histories: &Histories) -> Self {
        let was_fit = histories.keys().any(|key| key.ends_with(FITTED));
        let counts_fit = !matches!(currency, Currency::Steps | Currency::Seconds | Currency::TokensTrained);
        let counted = |key: &str| {
            let count = |(step, value): &(i64, f64)| Counted { step: *step, last: *value, total: *value };
            histories.get(key).into_iter().flatten().map(count).collect()
        };
        let steps = || histories.values().flatten().map(|(step, _)| (*step, *step as f64)).collect();
        Self {
            after: if currency == Currency::Steps { steps() } else { spent(currency, counted) },
            start: (!was_fit || !counts_fit).then_some(0.0),
            measured_before_update: histories.contains_key(TOKENS_TRAINED),
        }
    }

    /// Steps after which it is known.
    pub(super) fn steps(&self) -> usize {
        self.after.len()
    }

    /// In the end.
    pub(super) fn last(&self) -> Option<f64> {
        self.after.values().next_back().copied()
    }

    /// On the last policy of which both a step's metrics and an evaluation may be read: the one that the last step began
    /// with.
    pub(super) fn last_measured(&self) -> Option<f64> {
        let (step, _) = self.after.last_key_value()?;
        if self.measured_before_update { self.up_to(step - 1) } else { self.last() }
    }

    /// After so many steps.
    fn up_to(&self, steps: i64) -> Option<f64> {
        self.after.get(&steps).copied().or(if steps == 0 { self.start } else { None })
    }

    /// What had been spent on the policy that the value of `key` at `step` describes.
    fn of_policy(&self, key: &str, step: i64) -> Option<f64> {
        let before = self.measured_before_update && OF_SAMPLES.iter().any(|prefix| key.starts_with(prefix));
        self.up_to(if before { step - 1 } else { step })
    }

    /// The value of `key` when `amount` had been spent, between two recorded ones by linear interpolation.
    pub(super) fn value(&self, key: &str, history: &[(i64, f64)], amount: f64) -> Option<f64> {
        let priced = history.iter().filter_map(|(step, value)| Some((self.of_policy(key, *step)?, *value)));
        interpolated(&priced.collect::<Vec<_>>(), amount)
    }

    /// How many steps had been taken by then.
    pub(super) fn step(&self, amount: f64) -> Option<f64> {
        let start = self.start.filter(|_| !self.after.contains_key(&0)).map(|spent| (spent, 0.0));
        let steps = self.after.iter().map(|(step, spent)| (*spent, *step as f64));
        interpolated(&start.into_iter().chain(steps).collect::<Vec<_>>(), amount)
    }
}

/// A counter after a step: its value there, and the sum of its values since the step before.
#[derive(Clone, Copy)]
struct Counted {
    step: i64,
    last: f64,
    total: f64,
}

/// What had been spent after each recorded step, by the metrics that count it.
fn spent(currency: Currency, of: impl Fn(&str) -> Vec<Counted>) -> BTreeMap<i64, f64> {
    let lasts = |key: &str| of(key).into_iter().map(|count| (count.step, count.last)).collect::<BTreeMap<i64, f64>>();
    match currency {
        Currency::Steps => BTreeMap::new(),
        Currency::TokensGenerated => lasts(TOKENS_GENERATED),
        Currency::TokensTrained => lasts(TOKENS_TRAINED),
        Currency::Tokens => {
            let trained = lasts(TOKENS_TRAINED);
            let both = |(step, value): (i64, f64)| Some((step, value + trained.get(&step)?));
            lasts(TOKENS_GENERATED).into_iter().filter_map(both).collect()
        }
        Currency::Flops => lasts(FLOPS),
        Currency::Seconds => {
            let mut sum = 0.0;
            let running = |count: Counted| {
                sum += count.total;
                (count.step, sum)
            };
            of(STEP_TIME).into_iter().map(running).collect()
        }
    }
}

/// The value at `amount` between (spent, value)s in order of what was spent.
fn interpolated(priced: &[(f64, f64)], amount: f64) -> Option<f64> {
    let after = priced.partition_point(|(cost, _)| *cost < amount);
    let (high, above) = *priced.get(after)?;
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
        let check = |priced: &[(f64, f64)], amount: f64, expected: Option<f64>| {
            assert_eq!(interpolated(priced, amount), expected, "{priced:?} at {amount}");
        };
        let priced = [(100.0, 1.0), (300.0, 2.0), (400.0, 4.0)];
        check(&priced, 100.0, Some(1.0));
        check(&priced, 200.0, Some(1.5));
        check(&priced, 350.0, Some(3.0));
        check(&priced, 400.0, Some(4.0));
        check(&priced, 50.0, None);
        check(&priced, 401.0, None);
        // Evaluated at the ends only: from one end to the other.
        check(&[(100.0, 0.0), (400.0, 3.0)], 200.0, Some(1.0));
    }

    /// Three steps of 100 tokens each: what a step measures of its samples had cost what was spent before it.
    #[test]
    fn a_value_stands_beside_what_its_own_policy_had_cost() {
        let counted = |each: f64| (1..=3).map(|step| (step, each * step as f64)).collect::<Vec<_>>();
        let mut histories = Histories::from([
            ("num_tokens".to_owned(), counted(60.0)),
            ("num_tokens_generated".to_owned(), counted(40.0)),
            ("step_time".to_owned(), vec![(1, 2.0), (2, 2.0), (3, 2.0)]),
        ]);
        let spending = Spending::of(Currency::Tokens, &histories);
        assert_eq!((spending.last_measured(), spending.last()), (Some(200.0), Some(300.0)));
        let history = [(1, 0.0), (2, 1.0), (3, 2.0)];
        for key in ["objective/kl_leader", "rewards/mean", "rewards/probabilities", "completions/mean_length"] {
            let at = |amount| spending.value(key, &history, amount);
            assert_eq!([0.0, 50.0, 200.0, 201.0].map(at), [Some(0.0), Some(0.5), Some(2.0), None], "{key}");
        }
        // An evaluation, and what is counted, is of the policy after the step; the reference has cost nothing.
        let at = |key: &str, amount| spending.value(key, &[(0, 0.5), (2, 0.7), (3, 0.8)], amount);
        assert_eq!(
            [0.0, 100.0, 300.0].map(|amount| at("win_rate leader/reference", amount)),
            [Some(0.5), Some(0.6), Some(0.8)]
        );
        assert_eq!(at("epoch", 200.0), Some(0.7));
        assert_eq!([50.0, 300.0].map(|amount| spending.step(amount)), [Some(0.5), Some(3.0)]);

        // What a fit cost before the first step is not known: nothing is said of the policy that began.
        histories.insert("accuracy reward model".to_owned(), vec![(0, 0.7)]);
        let fitted = Spending::of(Currency::Tokens, &histories);
        assert_eq!(fitted.value("objective/kl_leader", &history, 50.0), None);
        assert_eq!(fitted.value("objective/kl_leader", &history, 150.0), Some(1.5));
        assert_eq!(Spending::of(Currency::Seconds, &histories).value("objective/kl_leader", &history, 1.0), Some(0.5));
    }

    #[test]
    fn games_are_measured_after_the_step() {
        let histories = Histories::from([("objective/kl_leader".to_owned(), vec![(0, 0.0), (10, 1.0)])]);
        let spending = Spending::of(Currency::Steps, &histories);
        assert_eq!(spending.value("objective/kl_leader", &histories["objective/kl_leader"], 10.0), Some(1.0));
    }

    #[test]
    fn seconds_add_up_and_tokens_are_both_kinds() {
        let histories = Histories::from([
            ("step_time".to_owned(), vec![(1, 2.0), (2, 3.0)]),
            ("num_tokens".to_owned(), vec![(1, 10.0), (2, 20.0)]),
            ("num_tokens_generated".to_owned(), vec![(1, 1.0), (2, 2.0)]),
        ]);
        let check = |currency, expected: &[(i64, f64)]| {
            assert_eq!(Spending::of(currency, &histories).after, expected.iter().copied().collect(), "{currency:?}");
        };
        check(Currency::Seconds, &[(1, 2.0), (2, 5.0)]);
        check(Currency::Tokens, &[(1, 11.0), (2, 22.0)]);
        check(Currency::Flops, &[]);
        check(Currency::Steps, &[(1, 1.0), (2, 2.0)]);
    }
}
