//! Pairs of training from the verdicts that were recorded as they were asked.

use std::collections::{BTreeMap, BTreeSet};

use slhf_record::{Completion, RecordedVerdict};

use super::pair::{Attribute, Pair, Side, pair};

/// Both orders of a pair: the one in which y stood first, and the other.
#[derive(Default)]
struct Orders<'a> {
    there: Option<&'a RecordedVerdict>,
    back: Option<&'a RecordedVerdict>,
}

/// A pair for every two answers that the judge compared, y the one with the lower position; then the answers that it
/// compared with none of these.
pub(super) fn pairs(completions: &[Completion], verdicts: &[RecordedVerdict]) -> Vec<Pair> {
    let mut asked: BTreeMap<(i64, i64), Orders<'_>> = BTreeMap::new();
    for verdict in verdicts {
        if verdict.first < verdict.second {
            asked.entry((verdict.first, verdict.second)).or_default().there = Some(verdict);
        } else {
            asked.entry((verdict.second, verdict.first)).or_default().back = Some(verdict);
        }
    }
    let by_position: BTreeMap<i64, &Completion> = completions.iter().map(|row| (row.position, row)).collect();
    let of = |((y, y_prime), orders): (&(i64, i64), &Orders<'_>)| {
        Some(compared(by_position.get(y)?, by_position.get(y_prime)?, orders))
    };
    let mut found: Vec<Pair> = asked.iter().filter_map(of).collect();
    let met: BTreeSet<i64> = asked.keys().flat_map(|(y, y_prime)| [*y, *y_prime]).collect();
    let alone = completions.iter().filter(|row| !met.contains(&row.position));
    found.extend(alone.map(|row| pair(row, None, (row, Side::Y, Side::Y))));
    found
}

fn compared(y: &Completion, y_prime: &Completion, orders: &Orders<'_>) -> Pair {
    let failures = [orders.there, orders.back].into_iter().flatten().filter_map(|verdict| verdict.failure.clone());
    Pair {
        probability: orders.there.and_then(|verdict| verdict.probability),
        reverse_probability: orders.back.and_then(|verdict| verdict.probability),
        failures: failures.collect(),
        attributes: attributes(orders.there, Side::Y).chain(attributes(orders.back, Side::YPrime)).collect(),
        ..pair(y, Some(y_prime), (y, Side::Y, Side::Y))
    }
}

/// With the votes for y, whoever stood first.
fn attributes(verdict: Option<&RecordedVerdict>, first: Side) -> impl Iterator<Item = Attribute> {
    let for_y = move |value: f64| if first == Side::Y { value } else { 1.0 - value };
    verdict.into_iter().flat_map(|verdict| &verdict.attributes).map(move |(name, value, reason)| Attribute {
        name: name.clone(),
        value: value.map(for_y),
        first,
        reason: reason.clone(),
    })
}
