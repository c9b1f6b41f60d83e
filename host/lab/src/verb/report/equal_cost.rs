//! The cells side by side where each had spent equally much, as `compare --at` reads them: at equal steps the method that does
//! more in a step looks better for it.

use std::collections::{BTreeMap, BTreeSet};

use slhf_plan::EvaluationName;
use slhf_record::{ComparedCell, Comparison, Record};
use slhf_report::{Block, Table, escape};

use super::text::{finished, inline};
use crate::failure::Failure;
use crate::output::number;
use crate::over_seeds::{OverSeeds, Quantity, step_prompts};
use crate::verb::budget::{Currency, Histories, Spending, evaluated_prompts, histories};

/// Below it there is nothing to read between.
const STEPS_MIN: usize = 2;
/// Cells whose costs are no further apart have spent the same.
const EQUAL_WITHIN: f64 = 0.01;
/// From here on an amount is easier to read as `1e13`.
const PLAIN_MAX: f64 = 1e6;
const VERDICTS: &str = "rewards/probabilities";
const DIVERGENCE: &str = "objective/kl_leader";

/// What is held equal: the currency, what it is called, and how it is shown.
struct Cost {
    currency: Currency,
    noun: &'static str,
    /// One of `noun` in the currency's own unit.
    unit: f64,
}

const COSTS: [Cost; 3] = [
    Cost { currency: Currency::Tokens, noun: "tokens, sampled and trained together", unit: 1.0 },
    Cost { currency: Currency::Flops, noun: "TFLOP of sampling and training", unit: 1e12 },
    Cost { currency: Currency::Seconds, noun: "seconds of training steps, on a machine as busy as it was", unit: 1.0 },
];

/// A cell with the histories of its finished runs.
struct Histored<'a> {
    cell: &'a ComparedCell,
    runs: Vec<Histories>,
    /// On how many prompts an evaluation rests, the least of them.
    prompts: BTreeMap<String, usize>,
}

impl Histored<'_> {
    /// Of its longest run.
    fn steps(&self) -> usize {
        self.runs.iter().map(|run| Spending::of(Currency::Tokens, run).steps()).max().unwrap_or(0)
    }

    /// `1.5 ± 0.2 (3)`
    fn shown(&self, key: &str, values: &[f64]) -> String {
        let prompts = self.prompts.get(key).copied().or_else(|| step_prompts(key, &self.cell.parameters));
        OverSeeds::new(values, Quantity::of(key, values, prompts)).map_or_else(String::new, |found| found.text())
    }

    fn spendings(&self, currency: Currency) -> impl Iterator<Item = Spending> {
        self.runs.iter().map(move |run| Spending::of(currency, run))
    }
}

/// A table at the largest budget that every run reached, for each kind of cost that they differ in.
pub(super) fn blocks(record: &mut Record, comparison: &Comparison) -> Result<Vec<Block>, Failure> {
    let mut cells = Vec::new();
    for cell in &comparison.cells {
        let mut runs = Vec::new();
        for run in finished(cell) {
            runs.push(histories(record, run.summary.run)?);
        }
        if !runs.is_empty() {
            let prompts = evaluated_prompts(record, finished(cell).map(|run| run.summary.run))?;
            cells.push(Histored { cell, runs, prompts });
        }
    }
    let (trained, others): (Vec<Histored<'_>>, Vec<Histored<'_>>) =
        cells.into_iter().partition(|cell| cell.steps() >= STEPS_MIN);
    let mut found = vec![Block::Heading("At an equal cost".to_owned())];
    if trained.len() < 2 {
        let mut said = vec!["There are no two cells with steps of training to compare.".to_owned()];
        said.extend(left_out(&others));
        found.push(Block::Text(said.join(" ")));
        return Ok(found);
    }
    let tables: Vec<Block> = COSTS.iter().flat_map(|cost| at(cost, &trained, &comparison.experiment)).collect();
    let said: Vec<String> = preface(&tables).into_iter().chain(left_out(&others)).collect();
    if !said.is_empty() {
        found.push(Block::Text(said.join(" ")));
    }
    found.extend(tables);
    Ok(found)
}

/// How the tables are to be read; nothing where there is none.
fn preface(tables: &[Block]) -> Vec<String> {
    let columns_of = |block: &Block| match block {
        Block::Table(table) => table.columns.clone(),
        _ => Vec::new(),
    };
    let columns: Vec<String> = tables.iter().flat_map(columns_of).collect();
    if columns.is_empty() {
        return Vec::new();
    }
    let mut said = vec![
        "Values at equal spending on the policy that they describe, interpolated linearly between two recorded steps (a step computes \
         metrics from its samples before it updates). A budget is the largest that every run of every trained cell reached: the \
         minimum over runs of what had been spent before the last step, rounded down to two digits. A value that one of a cell's \
         runs lacks is left out. A cell that is read before its last step has not reached the end of its schedule."
            .to_owned(),
    ];
    if columns.iter().any(|column| column == VERDICTS) {
        said.push(format!(
            "`{VERDICTS}` is the mean verdict of a step: on the Leader's responses against the Follower's under SLHF, on the \
             policy's against the mixture's under Nash-MD; for responses of one policy against each other it does \
             not depend on the policy (½, except for the judge's position bias)."
        ));
    }
    if columns.iter().any(|column| column == DIVERGENCE) {
        said.push(format!(
            "`{DIVERGENCE}` is the divergence from the reference in nats per response, estimated on the responses of one step, and as noisy as that."
        ));
    }
    let win_rates = if columns.iter().any(|column| is_win_rate(column)) {
        "Win rates during training may be over fewer held-out prompts (`evaluation.prompts`) than the last one."
    } else {
        "No win rate on held-out prompts was recorded on both sides of a budget; `evaluation.every` evaluates during training."
    };
    said.push(win_rates.to_owned());
    said
}

/// Who is in no table, and why.
fn left_out(others: &[Histored<'_>]) -> Vec<String> {
    let named = |wanted: fn(usize) -> bool| {
        let cells = others.iter().filter(|cell| wanted(cell.steps()));
        cells.map(|cell| inline(&cell.cell.label)).collect::<Vec<_>>()
    };
    let (untrained, short) = (named(|steps| steps == 0), named(|steps| steps > 0));
    let mut said = Vec::new();
    if !untrained.is_empty() {
        said.push(format!("Without training, and so without a cost of it: {}.", untrained.join(", ")));
    }
    if !short.is_empty() {
        said.push(format!("Left out for recording one step alone: {}.", short.join(", ")));
    }
    said
}

/// One kind of cost: a sentence and a table, or a sentence where all spent the same.
fn at(cost: &Cost, trained: &[Histored<'_>], experiment: &str) -> Vec<Block> {
    let spendings: Vec<Spending> = trained.iter().flat_map(|cell| cell.spendings(cost.currency)).collect();
    let least = |of: fn(&Spending) -> Option<f64>| {
        let values = spendings.iter().map(of).collect::<Option<Vec<f64>>>()?;
        values.into_iter().reduce(f64::min).filter(|least| *least > 0.0 && least.is_finite())
    };
    let (Some(measured), Some(total)) = (least(Spending::last_measured), least(Spending::last)) else {
        return Vec::new();
    };
    let most = spendings.iter().filter_map(Spending::last).fold(total, f64::max);
    if most - total <= EQUAL_WITHIN * most {
        return vec![Block::Text(format!(
            "All trained runs spent the same within {} %: {} to {} {}. What was measured at the end is at an equal cost.",
            number(100.0 * EQUAL_WITHIN),
            number(total / cost.unit),
            number(most / cost.unit),
            cost.noun,
        ))];
    }
    let budget = rounded_down(measured);
    let name = cost.currency.name();
    let amount = if budget < PLAIN_MAX { budget.to_string() } else { format!("{budget:e}") };
    let sentence = format!(
        "**At {} {}** (`slhf-lab compare {} --at {name}={amount}`).",
        number(budget / cost.unit),
        cost.noun,
        escape::code(experiment),
    );
    vec![Block::Text(sentence), table(cost.currency, budget, trained)]
}

/// Of responses to held-out prompts, by any judge.
fn is_win_rate(key: &str) -> bool {
    matches!(EvaluationName::split_key(key).0, EvaluationName::WinRate { .. })
}

fn table(currency: Currency, budget: f64, trained: &[Histored<'_>]) -> Block {
    let all: BTreeSet<&String> = trained.iter().flat_map(|cell| &cell.runs).flat_map(Histories::keys).collect();
    let mut win_rates: Vec<&str> = all.iter().map(|key| key.as_str()).filter(|key| is_win_rate(key)).collect();
    // Stable: by judge, the Leader's first.
    win_rates.sort_by_key(|key| {
        let (name, subject) = EvaluationName::split_key(key);
        (name.to_string(), !subject.starts_with("leader"))
    });
    // Of all of a cell's runs, or of none: those that can be read would be a choice among its seeds.
    let values = |cell: &Histored<'_>, key: &str| -> Vec<f64> {
        let of = |(run, spending): (&Histories, Spending)| spending.value(key, run.get(key)?, budget);
        cell.runs.iter().zip(cell.spendings(currency)).map(of).collect::<Option<_>>().unwrap_or_default()
    };
    let keys: Vec<&str> = [VERDICTS, DIVERGENCE]
        .into_iter()
        .chain(win_rates)
        .filter(|key| trained.iter().any(|cell| !values(cell, key).is_empty()))
        .collect();
    let rows = trained.iter().map(|cell| {
        let steps: Vec<f64> = cell.spendings(currency).filter_map(|spending| spending.step(budget)).collect();
        let own = [cell.cell.label.clone(), cell.shown("step", &steps)];
        own.into_iter().chain(keys.iter().map(|key| cell.shown(key, &values(cell, key)))).collect()
    });
    let columns = ["cell", "step"].into_iter().chain(keys.iter().copied()).map(str::to_owned).collect();
    Block::Table(Table { columns, rows: rows.collect() })
}

/// To two significant digits, towards 0; of a number above 0.
fn rounded_down(value: f64) -> f64 {
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    let rounded = (value / unit).floor() * unit;
    // Without what the multiplication left behind the second digit.
    format!("{rounded:.1e}").parse().unwrap_or(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &Cost = &COSTS[0];

    fn cell(label: &str) -> ComparedCell {
        ComparedCell { label: label.to_owned(), settings: Vec::new(), runs: Vec::new(), parameters: BTreeMap::new() }
    }

    /// A run of three steps that spends as many tokens in each, half of them sampled.
    fn run(tokens_per_step: f64) -> Histories {
        let after = |each: f64| (1..=3).map(|step| (step, step as f64 * each)).collect::<Vec<_>>();
        Histories::from([
            ("num_tokens".to_owned(), after(0.5 * tokens_per_step)),
            ("num_tokens_generated".to_owned(), after(0.5 * tokens_per_step)),
            (DIVERGENCE.to_owned(), after(1.0)),
            ("win_rate leader/reference".to_owned(), vec![(1, 0.25), (3, 0.75)]),
            ("win_rate follower(leader)/leader".to_owned(), vec![(3, 0.75)]),
        ])
    }

    fn blocks_of(tokens_per_step: [[f64; 2]; 2]) -> Vec<Block> {
        let cells = ["a", "b"].map(cell);
        let prompts = BTreeMap::from([("win_rate leader/reference".to_owned(), 32)]);
        let trained: Vec<Histored<'_>> = cells
            .iter()
            .zip(tokens_per_step)
            .map(|(cell, tokens)| Histored { cell, runs: tokens.map(run).into(), prompts: prompts.clone() })
            .collect();
        at(TOKENS, &trained, "e")
    }

    #[test]
    fn cells_are_read_where_all_had_spent_as_much() {
        let blocks = blocks_of([[100.0; 2], [200.0; 2]]);
        let [Block::Text(sentence), Block::Table(Table { columns, rows })] = blocks.as_slice() else {
            panic!("a sentence and a table: {blocks:?}")
        };
        // What `a` had spent before its last step, whose metrics are of the policy before its update.
        assert!(sentence.ends_with("(`slhf-lab compare e --at tokens=200`)."), "{sentence}");
        // Who was evaluated at the end alone has no value on the way.
        assert_eq!(columns, &["cell", "step", DIVERGENCE, "win_rate leader/reference"]);
        assert_eq!(rows[0], ["a", "2 (2)", "3 (2)", "0.500 [0.043, 0.957] (2)"]);
        assert_eq!(rows[1], ["b", "1 (2)", "2 (2)", "0.250 [0.011, 0.906] (2)"]);
    }

    /// The mean of a cell's runs is what only some of them reached.
    #[test]
    fn a_budget_is_one_that_every_run_reached() {
        let blocks = blocks_of([[50.0, 150.0], [200.0; 2]]);
        let [Block::Text(sentence), Block::Table(Table { rows, .. })] = blocks.as_slice() else {
            panic!("a sentence and a table: {blocks:?}")
        };
        assert!(sentence.contains("--at tokens=100`"), "{sentence}");
        assert!(
            rows.iter().all(|row| row[1..].iter().all(|value| value.is_empty() || value.ends_with("(2)"))),
            "{rows:?}"
        );
        // Equal means of runs that are not equal are no equal cost.
        let blocks = blocks_of([[50.0, 150.0], [100.0; 2]]);
        assert!(matches!(blocks.as_slice(), [_, Block::Table(_)]), "{blocks:?}");
    }

    #[test]
    fn equal_costs_are_said_and_not_tabled() {
        let blocks = blocks_of([[100.0; 2], [100.9; 2]]);
        let [Block::Text(sentence)] = blocks.as_slice() else { panic!("a sentence: {blocks:?}") };
        assert!(sentence.starts_with("All trained runs spent the same within 1 %: 300 to 302.7 tokens"), "{sentence}");
    }

    #[test]
    fn a_budget_has_two_digits_and_is_no_larger_than_what_was_spent() {
        let cases =
            [(14_379.0, 14_000.0), (14_000.0, 14_000.0), (9.999e12, 9.9e12), (99.9, 99.0), (0.0356, 0.035), (7.0, 7.0)];
        for (spent, expected) in cases {
            assert_eq!(rounded_down(spent).to_bits(), f64::to_bits(expected), "{spent}");
        }
    }
}
