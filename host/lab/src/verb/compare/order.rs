//! In which order the rows stand.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use slhf_record::ParameterValue;

use super::keys::unknown;
use super::row::Row;
use crate::failure::Failure;

/// Smallest first, or largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// By a metric's mean, or by a parameter.
pub(super) fn sort(rows: &mut [Row], key: &str, direction: Direction) -> Result<(), Failure> {
    let is_metric = rows.iter().any(|row| row.metrics.contains_key(key));
    let is_parameter = rows.iter().any(|row| row.parameters.contains_key(key));
    if !is_metric && !is_parameter {
        let known: BTreeSet<&String> =
            rows.iter().flat_map(|row| row.metrics.keys().chain(row.parameters.keys())).collect();
        return Err(unknown(key, "metric or parameter", known.into_iter().map(String::as_str)));
    }
    let mean = |row: &Row| {
        row.metrics
            .get(key)
            .filter(|values| !values.is_empty())
            .map(|values| values.iter().sum::<f64>() / values.len() as f64)
            // Nothing is ranked by what is left of rounding: the order stays.
            .map(|mean| if slhf_plan::is_rounding_noise(key, mean) { 0.0 } else { mean })
    };
    rows.sort_by(
        |a, b| {
            if is_metric { by_number(mean(a), mean(b), direction) } else { by_parameter(a, b, key, direction) }
        },
    );
    Ok(())
}

/// Rows without a value come last, whatever the direction.
fn by_number(a: Option<f64>, b: Option<f64>, direction: Direction) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if direction == Direction::Descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn by_parameter(a: &Row, b: &Row, key: &str, direction: Direction) -> Ordering {
    let number = |row: &Row| match row.parameters.get(key) {
        Some(ParameterValue::Integer(value)) => Some(*value as f64),
        Some(ParameterValue::Float(value)) => Some(*value),
        _ => None,
    };
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return by_number(Some(a), Some(b), direction);
    }
    let text = |row: &Row| row.parameters.get(key).map(ToString::to_string);
    match (text(a), text(b)) {
        (Some(a), Some(b)) if direction == Direction::Descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}
