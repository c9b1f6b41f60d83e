//! `slhf-lab compare`: cells side by side: what differs between them, and what came of it, over the seeds.

mod at;
mod difference;
mod gather;
mod keys;
mod order;
mod row;
mod table;

use clap::Args;
use slhf_record::OpenMode;

pub(super) use table::parameter;

use self::gather::{Wanted, gather};
use self::keys::metric_keys;
use self::order::{Direction, sort};
use self::table::{only_changed, table};
use super::budget::Budget;
use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output;

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments (name, or name#3 for its third execution) or runs [default: the experiment that was run last]
    #[arg(value_name = "EXPERIMENT|RUN")]
    subjects: Vec<String>,
    /// Leave out columns that are the same in all rows
    #[arg(long)]
    only_changed: bool,
    /// Sort by a metric (smallest first) or a parameter
    #[arg(long, value_name = "KEY")]
    sort: Option<String>,
    /// Largest first
    #[arg(long, requires = "sort")]
    descending: bool,
    /// Only the first N rows
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Metrics and evaluations to show, or the beginnings of their names, separated by commas [default: the gaps, or the win rates on held-out prompts; all where there are none]
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Test whether the metrics of two cells differ: paired by seed where they share seeds, else Welch's test
    #[arg(long, num_args = 2, value_names = ["CELL", "CELL"], conflicts_with_all = ["only_changed", "sort", "top"])]
    test: Option<Vec<String>>,
    /// Values after so many steps instead of the last ones
    #[arg(long, value_name = "STEP")]
    at_step: Option<u64>,
    /// Values at an equal budget, interpolated between steps, as in `tokens=2e6`: `tokens`, `tokens_generated`, `tokens_trained`,
    /// `flops`, `seconds` or `step`
    #[arg(long, value_name = "BUDGET", conflicts_with = "at_step")]
    at: Option<Budget>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let wanted = Wanted { subjects: &arguments.subjects, at_step: arguments.at_step, at: arguments.at.as_ref() };
    let mut rows = gather(&mut record, wanted)?;
    let keys = metric_keys(&rows, &arguments.metrics)?;
    if let Some(cells) = &arguments.test {
        return output::print_table(&difference::table(&rows, cells, &keys)?, arguments.format.format);
    }
    if let Some(key) = &arguments.sort {
        let direction = if arguments.descending { Direction::Descending } else { Direction::Ascending };
        sort(&mut rows, key, direction)?;
    }
    let mut table = table(&rows, &keys);
    if arguments.only_changed {
        table = only_changed(&table);
    }
    // After the columns were chosen: what differs is what differs between all rows.
    table.rows.truncate(arguments.top.unwrap_or(usize::MAX));
    output::print_measured(table, arguments.format.format)?;
    let unfinished: usize = rows.iter().map(|row| row.unfinished).sum();
    if unfinished > 0 {
        output::say(format!("note: {unfinished} runs are not finished and left out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use slhf_record::ParameterValue;

    use super::row::Row;
    use super::*;

    fn row(label: &str, kappa: f64, gaps: &[f64]) -> Row {
        Row {
            experiment: "e".into(),
            execution: 1,
            label: label.into(),
            seeds: gaps.len(),
            unfinished: 0,
            parameters: BTreeMap::from([
                ("schedule.kappa.value".to_owned(), ParameterValue::Float(kappa)),
                ("method.steps".to_owned(), ParameterValue::Integer(100)),
            ]),
            metrics: BTreeMap::from([
                ("stackelberg_gap".to_owned(), gaps.to_vec()),
                ("entropy".to_owned(), vec![1.0; gaps.len()]),
            ]),
            seeds_of: BTreeMap::from([("stackelberg_gap".to_owned(), (1..).take(gaps.len()).collect())]),
            prompts: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_differs_is_a_column_and_gaps_come_first() {
        let rows = [row("a", 1.0, &[0.1, 0.2]), row("b", 5.0, &[0.3])];
        let keys = metric_keys(&rows, &[]).unwrap();
        let table = table(&rows, &keys);
        let columns: Vec<&str> = table.columns.iter().map(|column| column.key.as_str()).collect();
        assert_eq!(columns, ["cell", "seeds", "schedule.kappa.value", "stackelberg_gap"]);
    }

    #[test]
    fn sorting_takes_metrics_and_parameters_and_puts_the_empty_last() {
        let mut rows = vec![row("none", 9.0, &[]), row("high", 1.0, &[0.9]), row("low", 5.0, &[0.1])];
        let labels = |rows: &[Row]| rows.iter().map(|row| row.label.clone()).collect::<Vec<_>>();
        sort(&mut rows, "stackelberg_gap", Direction::Ascending).unwrap();
        assert_eq!(labels(&rows), ["low", "high", "none"]);
        sort(&mut rows, "stackelberg_gap", Direction::Descending).unwrap();
        assert_eq!(labels(&rows), ["high", "low", "none"]);
        sort(&mut rows, "schedule.kappa.value", Direction::Ascending).unwrap();
        assert_eq!(labels(&rows), ["high", "low", "none"]);
    }

    #[test]
    fn rounding_noise_keeps_its_order() {
        let mut rows =
            vec![row("a", 1.0, &[3e-16]), row("b", 2.0, &[-1e-17]), row("c", 3.0, &[0.0]), row("d", 4.0, &[1e-3])];
        sort(&mut rows, "stackelberg_gap", Direction::Ascending).unwrap();
        assert_eq!(rows.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_beginning_names_all_metrics_that_have_it() {
        let rows = [row("a", 1.0, &[0.1])];
        let keys = |asked: &[&str]| metric_keys(&rows, &asked.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(keys(&["stack", "entropy", "e"]).unwrap(), ["stackelberg_gap", "entropy"]);
        assert!(keys(&[""]).is_err());
    }

    #[test]
    fn two_cells_are_tested_by_seed_where_they_share_some() {
        let rows = [row("a=1", 1.0, &[0.1, 0.2, 0.4]), row("a=2", 5.0, &[0.3, 0.5, 0.6]), row("b", 5.0, &[0.3])];
        let keys = vec!["stackelberg_gap".to_owned()];
        let cells = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
        let tested = difference::table(&rows, &cells("a=1", "a=2"), &keys).unwrap();
        assert_eq!(tested.rows[0][5], output::Cell::text("paired by seed"));
        let mut apart = [row("a=1", 1.0, &[0.1, 0.2, 0.4]), row("a=2", 5.0, &[0.3, 0.5, 0.6])];
        apart[1].seeds_of.insert("stackelberg_gap".to_owned(), vec![7, 8, 9]);
        let tested = difference::table(&apart, &cells("a=1", "a=2"), &keys).unwrap();
        assert_eq!(tested.rows[0][5], output::Cell::text("Welch"));
        for (first, second, what) in [("a", "b", "2 cells"), ("c", "b", "no cell"), ("b", "b", "twice")] {
            let sentence = difference::table(&rows, &cells(first, second), &keys).unwrap_err().sentences().remove(0);
            assert!(sentence.contains(what), "{sentence}");
        }
    }

    #[test]
    fn an_unknown_key_is_met_with_the_nearest() {
        let rows = [row("a", 1.0, &[0.1])];
        let failure = metric_keys(&rows, &["stackleberg_gap".to_owned()]).unwrap_err();
        let sentence = failure.sentences().remove(0);
        assert!(sentence.ends_with("did you mean \"stackelberg_gap\"?"), "{sentence}");
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn what_all_rows_share_goes_away_when_asked() {
        let rows = [row("a", 1.0, &[0.1]), row("b", 5.0, &[0.1])];
        let narrow = only_changed(&table(&rows, &["stackelberg_gap".to_owned()]));
        let columns: Vec<&str> = narrow.columns.iter().map(|column| column.key.as_str()).collect();
        assert_eq!(columns, ["cell", "schedule.kappa.value"]);
    }

    #[test]
    fn an_execution_is_named_behind_a_hash() {
        assert_eq!(slhf_comparison::split_execution("cycle#3"), ("cycle", Some(3)));
        assert_eq!(slhf_comparison::split_execution("cycle"), ("cycle", None));
        assert_eq!(slhf_comparison::split_execution("c#x"), ("c#x", None));
    }
}
