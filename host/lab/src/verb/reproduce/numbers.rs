//! All numbers of two computations, step by step.

use std::collections::BTreeMap;
use std::fmt;

use slhf_plan::MetricKey;
use slhf_record::Record;

use crate::failure::Failure;
use crate::output::{Cell, Column, Table, visible};

/// A number of a step, or the hash of a file.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Hash(String),
}

impl Value {
    /// To the bit; NaN is NaN.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (a, b) => a == b,
        }
    }

    fn cell(&self) -> Cell {
        match self {
            Self::Number(value) => Cell::Exact(*value),
            Self::Hash(hash) => Cell::text(hash),
        }
    }
}

/// By step and key, of one kind of things that a run leaves.
type Values = BTreeMap<(i64, String), Value>;

/// Reads the values of a run.
type Read = fn(&mut Record, i64) -> Result<Values, Failure>;

/// The first place where two computations differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    step: i64,
    key: String,
    recorded: Option<Value>,
    computed: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), |value| value.cell().for_people());
        let (recorded, computed) = (shown(&self.recorded), shown(&self.computed));
        write!(
            formatter,
            "the first difference is at step {}: {} is {recorded} in the record, and {computed} when computed again",
            self.step,
            visible(&self.key)
        )
    }
}

/// What was compared of one kind of things.
#[derive(Debug)]
struct Part {
    name: &'static str,
    compared: usize,
    different: usize,
    first: Option<Difference>,
}

/// Two computations of one run.
#[derive(Debug)]
pub(super) struct Comparison(Vec<Part>);

impl Comparison {
    /// Of the recorded run up to the last step that it recorded, and of the second computation.
    pub(super) fn between(recorded: (&mut Record, i64), computed: (&mut Record, i64)) -> Result<Self, Failure> {
        let kinds: [(&'static str, Read); 3] = [("metrics", metrics), ("evaluations", evaluations), ("files", files)];
        let parts = kinds.into_iter().map(|(name, read)| {
            let before = read(&mut *recorded.0, recorded.1)?;
            let mut now = read(&mut *computed.0, computed.1)?;
            drop_later_additions(&before, &mut now);
            Ok(part(name, &before, &now))
        });
        parts.collect::<Result<Vec<_>, Failure>>().map(Self)
    }

    /// How many numbers were compared.
    pub(super) fn compared(&self) -> usize {
        self.0.iter().map(|part| part.compared).sum()
    }

    /// The first difference of all.
    pub(super) fn first(&self) -> Option<&Difference> {
        self.0.iter().filter_map(|part| part.first.as_ref()).min_by_key(|difference| difference.step)
    }

    /// One row a kind of things.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(vec![
            Column::text("what"),
            Column::number("compared"),
            Column::number("different"),
            Column::number("first_step").titled("first at step"),
            Column::text("key"),
            Column::text("recorded"),
            Column::text("computed").titled("computed again"),
        ]);
        for part in &self.0 {
            let mut row = vec![part.name.into(), Cell::count(part.compared), Cell::count(part.different)];
            if let Some(first) = &part.first {
                let value = |value: &Option<Value>| value.as_ref().map_or(Cell::Empty, Value::cell);
                row.extend([first.step.into(), Cell::text(&first.key), value(&first.recorded), value(&first.computed)]);
            }
            table.push(row);
        }
        table
    }
}

/// Metrics that labs of before did not record.
const LATER: [MetricKey; 4] = [
    MetricKey::ClipRatioLow,
    MetricKey::ClipRatioHigh,
    MetricKey::SamplingLogprobDifference,
    MetricKey::SamplingLogprobDifferenceMax,
];

/// Labs of before recorded the policies of games at their ends alone, and not every metric: what only a newer one says is no
/// difference.
fn drop_later_additions(before: &Values, now: &mut Values) {
    for added in LATER {
        if !before.keys().any(|(_, key)| key == added.name()) {
            now.retain(|(_, key), _| key != added.name());
        }
    }
    let is_policy = |key: &str| key.starts_with("probability ");
    let last = before.keys().filter(|(_, key)| is_policy(key)).map(|(step, _)| *step).max();
    let first = before.keys().filter(|(_, key)| is_policy(key)).map(|(step, _)| *step).min();
    if let Some(end) = last.filter(|_| first == last) {
        now.retain(|(step, key), _| !is_policy(key) || *step >= end);
    }
}

fn part(name: &'static str, before: &Values, now: &Values) -> Part {
    let last = before.keys().map(|(step, _)| *step).max().unwrap_or(-1);
    let is_wanted = |place: &&(i64, String)| place.0 <= last;
    let places: std::collections::BTreeSet<&(i64, String)> =
        before.keys().chain(now.keys()).filter(is_wanted).collect();
    let is_different = |place: &&&(i64, String)| match (before.get(**place), now.get(**place)) {
        (Some(a), Some(b)) => !a.is_same(b),
        _ => true,
    };
    let mut different = places.iter().filter(is_different);
    let first = different.next().map(|place| Difference {
        step: place.0,
        key: place.1.clone(),
        recorded: before.get(*place).cloned(),
        computed: now.get(*place).cloned(),
    });
    let count = usize::from(first.is_some()) + different.count();
    Part { name, compared: places.len(), different: count, first }
}

/// Of every step, without what the machine alone decides.
fn metrics(record: &mut Record, run: i64) -> Result<Values, Failure> {
    let rows = record.metric_histories(run).map_err(Failure::failed)?;
    let wanted = rows.into_iter().filter(|row| !is_of_machine(&row.key));
    Ok(wanted.map(|row| ((row.step, row.key), Value::Number(row.value))).collect())
}

/// Records of earlier versions name metrics that this one does not know.
fn is_of_machine(key: &str) -> bool {
    let by_name = || key == "step_time" || ["timing/", "perf/", "memory/"].iter().any(|prefix| key.starts_with(prefix));
    MetricKey::parse(key).map_or_else(by_name, MetricKey::is_of_machine)
}

fn evaluations(record: &mut Record, run: i64) -> Result<Values, Failure> {
    let rows = record.evaluations(run).map_err(Failure::failed)?;
    Ok(rows.into_iter().map(|row| ((row.step, row.name.key(&row.subject)), Value::Number(row.value))).collect())
}

/// Adapters and models. A checkpoint names its run and is no file of the policy alone.
fn files(record: &mut Record, run: i64) -> Result<Values, Failure> {
    let rows = record.artefacts(run).map_err(Failure::failed)?;
    let wanted = rows.into_iter().filter(|row| row.kind != "checkpoint");
    Ok(wanted.map(|row| ((row.step, row.kind), Value::Hash(row.sha256))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(i64, &str, f64)]) -> Values {
        of.iter().map(|(step, key, value)| ((*step, (*key).to_owned()), Value::Number(*value))).collect()
    }

    #[test]
    fn policies_on_the_way_are_compared_where_both_recorded_them() {
        let end = values(&[(20, "probability leader/a", 0.5), (20, "win_rate a/b", 0.5), (10, "win_rate a/b", 0.5)]);
        let mut now = end.clone();
        now.insert((10, "probability leader/a".to_owned()), Value::Number(0.75));
        let way = now.clone();
        drop_later_additions(&end, &mut now);
        assert_eq!(part("evaluations", &end, &now).different, 0);
        let mut clipped = end.clone();
        for added in LATER {
            clipped.insert((20, added.name().to_owned()), Value::Number(0.25));
        }
        assert_eq!(part("metrics", &clipped, &end).different, LATER.len());
        drop_later_additions(&end, &mut clipped);
        assert_eq!(part("metrics", &end, &clipped).different, 0);
        let mut other = way.clone();
        other.insert((10, "probability leader/a".to_owned()), Value::Number(0.7));
        drop_later_additions(&way, &mut other);
        assert_eq!(part("evaluations", &way, &other).different, 1);
    }

    #[test]
    fn the_first_difference_is_named_and_the_others_are_counted() {
        let recorded = values(&[(0, "a", 1.0), (10, "a", f64::NAN), (10, "b", 2.0), (20, "a", 3.0)]);
        let same = part("metrics", &recorded, &recorded.clone());
        assert_eq!((same.compared, same.different, same.first), (4, 0, None));
        let mut other = recorded.clone();
        other.insert((10, "b".to_owned()), Value::Number(2.5));
        other.remove(&(20, "a".to_owned()));
        // The second computation went further.
        other.insert((30, "a".to_owned()), Value::Number(4.0));
        let found = part("metrics", &recorded, &other);
        assert_eq!((found.compared, found.different), (4, 2));
        let sentence = found.first.expect("a difference").to_string();
        assert_eq!(sentence, "the first difference is at step 10: b is 2 in the record, and 2.5 when computed again");
        assert!(is_of_machine("perf/another") && is_of_machine("step_time") && !is_of_machine("leader_gap"));
    }
}
