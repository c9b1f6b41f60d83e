//! The price of a plan, for `run --dry-run`: tokens, operations, hours of a GPU, tokens of servers.

use clap::Args;
use slhf_experiment::{self as experiment, Experiment, Price};

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};

/// The dense peak of bf16 of one H100 SXM.
const PEAK_TFLOPS: f64 = 989.0;
/// What good trainers of language models reach of it.
const MFU: f64 = 0.4;
/// The memory bandwidth of one H100 SXM, in TB/s.
const PEAK_BANDWIDTH: f64 = 3.35;
/// What sampling reaches of it, reading all weights for every token of a batch.
const MBU: f64 = 0.5;

/// How fast a GPU is taken to be.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Rates {
    /// With --dry-run: peak of the priced GPU, in TFLOP/s [default: 989, an H100 in bf16]
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = above_zero)]
    peak_tflops: Option<f64>,
    /// With --dry-run: share of the peak that training and scoring reach (MFU) [default: 0.4]
    #[arg(long, value_name = "SHARE", requires = "dry_run", value_parser = share)]
    mfu: Option<f64>,
    /// With --dry-run: memory bandwidth of the priced GPU, in TB/s [default: 3.35]
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = above_zero)]
    peak_bandwidth: Option<f64>,
    /// With --dry-run: share of the bandwidth that sampling reaches (MBU) [default: 0.5]
    #[arg(long, value_name = "SHARE", requires = "dry_run", value_parser = share)]
    mbu: Option<f64>,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("expected a finite number above 0".to_owned()) }
}

fn share(text: &str) -> Result<f64, String> {
    above_zero(text).and_then(|share| if share <= 1.0 { Ok(share) } else { Err("expected at most 1".to_owned()) })
}

impl Rates {
    fn peak_tflops(&self) -> f64 {
        self.peak_tflops.unwrap_or(PEAK_TFLOPS)
    }

    fn mfu(&self) -> f64 {
        self.mfu.unwrap_or(MFU)
    }

    fn peak_bandwidth(&self) -> f64 {
        self.peak_bandwidth.unwrap_or(PEAK_BANDWIDTH)
    }

    fn mbu(&self) -> f64 {
        self.mbu.unwrap_or(MBU)
    }

    /// Computing and reading weights one after the other: what overlaps is not counted on.
    fn hours(&self, price: &Price) -> f64 {
        let computing = price.operations() / (self.mfu() * self.peak_tflops() * 1e12);
        let reading = price.sampling_bytes / (self.mbu() * self.peak_bandwidth() * 1e12);
        (computing + reading) / 3600.0
    }
}

/// The prices of a plan's cells, in the order of its table.
pub(super) struct Priced<'a> {
    rates: Rates,
    /// Experiment, cell, runs, price; games have none.
    cells: Vec<(&'a str, &'a str, usize, Option<Price>)>,
}

impl<'a> Priced<'a> {
    pub(super) fn of(experiments: &'a [Experiment], rates: &Rates) -> Result<Self, Failure> {
        let mut cells = Vec::new();
        for experiment in experiments {
            let groups = experiment::price(experiment).map_err(Failure::bad_input)?;
            for (index, cell) in experiment.cells.iter().enumerate() {
                let runs: Vec<_> = experiment.runs.iter().filter(|run| run.cell == index).collect();
                let mut price: Option<Price> = None;
                for group in runs.iter().filter_map(|run| groups[run.group].as_ref()) {
                    *price.get_or_insert_default() += group;
                }
                if !runs.is_empty() {
                    cells.push((&*experiment.name, &*cell.label, runs.len(), price));
                }
            }
        }
        Ok(Self { rates: *rates, cells })
    }

    /// One row a cell that costs tokens.
    pub(super) fn table(&self) -> Option<Table> {
        let mut table = Table::new(vec![
            Column::text("experiment"),
            Column::labels("cell"),
            Column::number("runs"),
            Column::number("tokens_generated"),
            Column::number("tokens_trained"),
            Column::number("tokens_read"),
            Column::number("verdicts"),
            Column::number("operations").titled("FLOP"),
            Column::number("gpu_hours").titled("GPU hours"),
            Column::number("server_tokens"),
        ]);
        for (experiment, cell, runs, price) in &self.cells {
            let Some(price) = price else { continue };
            let mut row = vec![Cell::text(*experiment), Cell::text(*cell), Cell::count(*runs)];
            row.extend(self.figures(price));
            table.push(row);
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn figures(&self, price: &Price) -> [Cell; 7] {
        [
            price.generated_tokens,
            price.trained_tokens,
            price.read_tokens,
            price.verdicts,
            price.operations(),
            self.rates.hours(price),
            price.server_tokens,
        ]
        .map(Cell::Number)
    }

    /// Puts the figures beside the plan's: one row a cell, for programs.
    pub(super) fn beside(&self, plan: &mut Table, prices: Table) {
        let figures = prices.columns.len() - 3;
        plan.columns.extend(prices.columns.into_iter().skip(3));
        for (row, (_, _, _, price)) in plan.rows.iter_mut().zip(&self.cells) {
            match price {
                Some(price) => row.extend(self.figures(price)),
                None => row.extend(std::iter::repeat_n(Cell::Empty, figures)),
            }
        }
    }

    /// What the prices rest on, in sentences.
    pub(super) fn say(&self) {
        let mut whole = Price::default();
        self.cells.iter().filter_map(|(_, _, _, price)| price.as_ref()).for_each(|price| whole += price);
        if whole == Price::default() {
            return;
        }
        for note in &whole.notes {
            output::say(format!("note: {}", output::visible(note)));
        }
        output::say(format!(
            "price: {} GPU hours at {} TFLOP/s (--peak-tflops), of which {} are reached (--mfu), and {} TB/s (--peak-bandwidth), of \
             which sampling reaches {} (--mbu); responses as long as they may be; {} tokens of servers",
            slhf_words::number(self.rates.hours(&whole)),
            self.rates.peak_tflops(),
            self.rates.mfu(),
            self.rates.peak_bandwidth(),
            self.rates.mbu(),
            slhf_words::number(whole.server_tokens),
        ));
    }
}
