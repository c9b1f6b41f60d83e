//! Which metrics are shown.

use std::collections::BTreeSet;

use slhf_plan::EvaluationName;

use super::row::Row;
use crate::failure::Failure;
use crate::running::gap_metrics;

/// What was asked for, by name or by its beginning; else the gaps that any row has; else everything.
pub(super) fn metric_keys(rows: &[Row], asked: &[String]) -> Result<Vec<String>, Failure> {
    let recorded: BTreeSet<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    let mut keys: Vec<String> = Vec::new();
    for asked in asked {
        let begins = |key: &&String| key.starts_with(asked.as_str()) && !asked.is_empty();
        let meant: Vec<&String> =
            if recorded.contains(asked) { vec![asked] } else { recorded.iter().copied().filter(begins).collect() };
        if meant.is_empty() {
            return Err(unknown(asked, "metric", recorded.iter().map(|key| key.as_str())));
        }
        keys.extend(meant.into_iter().filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>());
    }
    if !asked.is_empty() {
        return Ok(keys);
    }
    let gaps: Vec<String> = gap_metrics().map(str::to_owned).filter(|key| recorded.contains(key)).collect();
    if !gaps.is_empty() {
        return Ok(gaps);
    }
    let win_rates: Vec<String> =
        recorded.iter().filter(|key| is_trained_win_rate(key)).map(|key| (*key).clone()).collect();
    Ok(if win_rates.is_empty() { recorded.into_iter().cloned().collect() } else { win_rates })
}

/// How often somebody's responses win, by the judge of training.
fn is_trained_win_rate(key: &str) -> bool {
    EvaluationName::split_key(key).0 == EvaluationName::WIN_RATE
}

/// What to say of a key that no row has.
pub(super) fn unknown<'a>(key: &str, noun: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let nearest = slhf_words::nearest(key, known.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
    let all = || {
        let some = slhf_words::known(key, known.iter().copied());
        if known.is_empty() { "; there is none".to_owned() } else { format!("; there are {some}") }
    };
    Failure::bad_input(format!("no row has a {noun} \"{key}\"{}", nearest.unwrap_or_else(all)))
}
