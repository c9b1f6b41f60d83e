//! One row before it is a row.

use std::collections::BTreeMap;

use slhf_record::ParameterValue;

use crate::output::Cell;
use crate::over_seeds::{OverSeeds, Quantity, step_prompts};

/// One row before it is a row: a cell of an execution, or a single run.
pub(super) struct Row {
    pub(super) experiment: String,
    pub(super) execution: i64,
    pub(super) label: String,
    pub(super) seeds: usize,
    pub(super) unfinished: usize,
    pub(super) parameters: BTreeMap<String, ParameterValue>,
    pub(super) metrics: BTreeMap<String, Vec<f64>>,
    /// The seeds of these values, in their order.
    pub(super) seeds_of: BTreeMap<String, Vec<i64>>,
    /// On how many prompts the values of a metric rest, the least of them.
    pub(super) prompts: BTreeMap<String, usize>,
}

impl Row {
    pub(super) fn over_seeds(&self, key: &str) -> Cell {
        let values = self.metrics.get(key).map_or(&[][..], Vec::as_slice);
        let prompts = self.prompts.get(key).copied().or_else(|| step_prompts(key, &self.parameters));
        OverSeeds::new(values, Quantity::of(key, values, prompts))
            .map_or(Cell::Empty, |found| Cell::measured(key, found.cell()))
    }
}

/// A row and the runs behind it: numbers and seeds.
pub(super) type RowWithRuns = (Row, Vec<(i64, i64)>);
