//! Rows of values at the same step, or at the same cost.

use slhf_record::Record;

use super::row::{Row, RowWithRuns};
use crate::failure::Failure;
use crate::output;
use crate::verb::budget::{Budget, Histories, Spending, evaluated_prompts, histories};

/// The values after `step` steps: of every run that got so far, finished or not.
pub(super) fn at_step(record: &mut Record, rows: Vec<RowWithRuns>, step: u64) -> Result<Vec<Row>, Failure> {
    let wanted = i64::try_from(step).unwrap_or(i64::MAX);
    let exactly = |history: &[(i64, f64)]| history.iter().find(|(step, _)| *step == wanted).map(|(_, value)| *value);
    let found = with_values(record, rows, &mut |histories| {
        let values = histories.iter().filter_map(|(key, history)| Some((key.clone(), exactly(history)?)));
        values.collect()
    })?;
    if found.iter().all(|row| row.seeds == 0) {
        return Err(Failure::bad_input(format!(
            "no run recorded a metric after exactly {step} steps: --at-step takes a multiple of evaluation.every"
        )));
    }
    Ok(found)
}

/// The values when so much had been spent on the policy that they describe, between two recorded ones by linear interpolation. Runs that never spent as
/// much, and metrics that were not recorded on both sides, are left out.
pub(super) fn at_budget(record: &mut Record, rows: Vec<RowWithRuns>, budget: &Budget) -> Result<Vec<Row>, Failure> {
    let mut spent_most: f64 = 0.0;
    let mut counts = false;
    let found = with_values(record, rows, &mut |histories| {
        let spending = Spending::of(budget.currency, histories);
        counts |= spending.steps() > 1;
        spent_most = spent_most.max(spending.last().unwrap_or(0.0));
        let at = |key: &str, history: &[(i64, f64)]| spending.value(key, history, budget.amount);
        histories.iter().filter_map(|(key, history)| Some((key.clone(), at(key, history)?))).collect()
    })?;
    if found.iter().all(|row| row.seeds == 0) {
        let name = budget.currency.name();
        let why = if counts {
            format!("the most that was spent is {}", output::number(spent_most))
        } else {
            "its runs do not count them (games count steps)".to_owned()
        };
        return Err(Failure::bad_input(format!("no run spent {} {name}: {why}", output::number(budget.amount))));
    }
    let short = found.iter().map(|row| row.unfinished).sum::<usize>();
    if short > 0 {
        output::say(format!("note: {short} runs did not spend as much and are left out"));
    }
    Ok(found.into_iter().map(|row| Row { unfinished: 0, ..row }).collect())
}

/// Replaces the values of rows; runs without any are counted as unfinished.
fn with_values(
    record: &mut Record,
    rows: Vec<RowWithRuns>,
    values: &mut dyn FnMut(&Histories) -> Vec<(String, f64)>,
) -> Result<Vec<Row>, Failure> {
    let mut found = Vec::with_capacity(rows.len());
    for (mut row, runs) in rows {
        row.metrics.clear();
        row.seeds_of.clear();
        row.seeds = 0;
        row.unfinished = 0;
        row.prompts = evaluated_prompts(record, runs.iter().map(|(run, _)| *run))?;
        for (run, seed) in runs {
            let own = values(&histories(record, run)?);
            row.seeds += usize::from(!own.is_empty());
            row.unfinished += usize::from(own.is_empty());
            for (key, value) in own {
                row.seeds_of.entry(key.clone()).or_default().push(seed);
                row.metrics.entry(key).or_default().push(value);
            }
        }
        found.push(row);
    }
    Ok(found)
}
