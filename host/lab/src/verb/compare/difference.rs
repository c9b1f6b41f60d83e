//! Whether two cells differ: a row a metric.

use std::collections::BTreeMap;

use slhf_statistics::{Difference, DifferenceTest, Level, Sample};

use super::row::Row;
use crate::failure::Failure;
use crate::output::{Cell, Column, Table, visible};

/// Tests the first cell against the second.
pub(super) fn table(rows: &[Row], cells: &[String], keys: &[String]) -> Result<Table, Failure> {
    let [first, second] = cells else { return Err(Failure::bad_input("--test takes two cells")) };
    let (first, second) = (find(rows, first)?, find(rows, second)?);
    if std::ptr::eq(first, second) {
        return Err(Failure::bad_input(format!("--test names the cell \"{}\" twice", visible(&first.label))));
    }
    let mut table = Table::new(vec![
        Column::text("metric"),
        Column::number("difference").titled(format!("{} − {}", first.label, second.label)),
        Column::number("low").titled("95 % low"),
        Column::number("high"),
        Column::number("p"),
        Column::text("test"),
        Column::number("seeds"),
    ]);
    for key in keys {
        if let Some((found, seeds)) = difference(first, second, key) {
            let test = match found.test {
                DifferenceTest::Paired => "paired by seed",
                DifferenceTest::Welch => "Welch",
            };
            let (low, high) = found.interval.map_or((None, None), |interval| (Some(interval.low), Some(interval.high)));
            let shown = Cell::measured(key, Cell::Number(found.difference));
            let row = vec![key.as_str().into(), shown, low.into(), high.into(), found.p.into(), test.into()];
            table.push(row.into_iter().chain([Cell::Text(seeds)]).collect());
        }
    }
    if table.rows.is_empty() {
        return Err(Failure::bad_input(format!(
            "no metric has a finite value in both cells, \"{}\" and \"{}\"",
            visible(&first.label),
            visible(&second.label)
        )));
    }
    Ok(table)
}

/// The row of a label, in full or with short keys, or of a beginning of it that only one has.
fn find<'a>(rows: &'a [Row], name: &str) -> Result<&'a Row, Failure> {
    let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let short = slhf_words::short_labels(&labels);
    let named = |is_it: &dyn Fn(&str) -> bool| -> Vec<&'a Row> {
        rows.iter().zip(&short).filter(|(row, short)| is_it(&row.label) || is_it(short)).map(|(row, _)| row).collect()
    };
    let exact = named(&|label| label == name);
    let meant = if exact.is_empty() { named(&|label| label.starts_with(name)) } else { exact };
    match meant[..] {
        [row] => Ok(row),
        [] => {
            let known = slhf_words::known(name, short.iter().map(String::as_str));
            Err(Failure::bad_input(format!("no cell is named \"{}\"; there are {}", visible(name), visible(&known))))
        }
        _ => {
            Err(Failure::bad_input(format!("{} cells are named \"{}…\"; name one in full", meant.len(), visible(name))))
        }
    }
}

/// Paired where two seeds or more are shared, and the seeds that it rests on.
fn difference(first: &Row, second: &Row, key: &str) -> Option<(Difference, String)> {
    let (of_first, of_second) = (by_seed(first, key), by_seed(second, key));
    let shared = || of_first.iter().filter_map(|(seed, value)| Some((*value, *of_second.get(seed)?)));
    let (a, b): (Vec<f64>, Vec<f64>) = shared().unzip();
    if a.len() >= 2 {
        let n = a.len().to_string();
        let found = Difference::paired(&Sample::new(a).ok()?, &Sample::new(b).ok()?, Level::PERCENT_95).ok()?;
        return Some((found, n));
    }
    let sample = |values: &BTreeMap<i64, f64>| Sample::new(values.values().copied().collect()).ok();
    let found = Difference::welch(&sample(&of_first)?, &sample(&of_second)?, Level::PERCENT_95);
    Some((found, format!("{} and {}", of_first.len(), of_second.len())))
}

fn by_seed(row: &Row, key: &str) -> BTreeMap<i64, f64> {
    let values = row.metrics.get(key).into_iter().flatten().copied();
    let seeds = row.seeds_of.get(key).into_iter().flatten().copied();
    seeds.zip(values).filter(|(_, value)| value.is_finite()).collect()
}
