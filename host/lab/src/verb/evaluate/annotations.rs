//! `slhf-lab evaluate --annotations`: win rates from annotations of pairs of outputs, plain and controlled for length.

use std::path::Path;

use serde_json::{Value as Json, json};
use slhf_data::{AnnotatedPair, AnnotationTables};
use slhf_statistics::{
    Annotation, AuxiliaryTables, GamedRow, LengthControl, LengthControlled, WinRates, length_controlled, win_rates,
};

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Of the interval: the same file gives the same interval everywhere.
const SEED: u64 = 0;

/// Reads the annotations, and prints their rates.
pub(super) fn evaluate(path: &Path, tables: Option<&Path>, format: Format) -> Result<(), Failure> {
    let rows: Vec<Annotation> =
        slhf_foreign::annotations(path).map_err(Failure::bad_input)?.iter().map(annotation).collect();
    let tables = match tables {
        Some(folder) => Some(auxiliary(slhf_foreign::annotation_tables(folder).map_err(Failure::bad_input)?)),
        None => None,
    };
    let rates = win_rates(&rows).map_err(Failure::bad_input)?;
    let controlled = length_controlled(&rows, tables.as_ref(), SEED);
    for sentence in remarks(&controlled) {
        output::say(output::visible(&sentence));
    }
    match format {
        Format::Json => output::print_json(&json_of(&rates, &controlled)),
        format => output::print_table(&table(&rates, &controlled), format),
    }
}

/// Preferences from 1 to 2 become preferences from 0 to 1.
fn annotation(pair: &AnnotatedPair) -> Annotation {
    Annotation {
        instruction: pair.instruction,
        length_1: pair.length_1,
        length_2: pair.length_2,
        preference: pair.preference.map(|preference| preference - 1.0),
    }
}

fn auxiliary(tables: AnnotationTables) -> AuxiliaryTables {
    let row = |row: slhf_data::GamedAnnotation| GamedRow {
        standardised_difference: row.standardised_difference,
        difficulty: row.difficulty,
        preference: row.preference,
    };
    AuxiliaryTables { gamed: tables.gamed.into_iter().map(row).collect(), difficulty: tables.difficulty }
}

/// As the JSON names it.
fn name(control: LengthControl) -> &'static str {
    match control {
        LengthControl::PublishedDefinition => "published-definition",
        LengthControl::Estimate => "estimate",
        LengthControl::OutsideModel => "outside-model",
        LengthControl::Unavailable => "unavailable",
    }
}

/// What a reader of the number must know.
fn remarks(controlled: &LengthControlled) -> Vec<String> {
    let reasons = controlled.reasons.join("; ");
    match controlled.control {
        LengthControl::PublishedDefinition => Vec::new(),
        LengthControl::Estimate => vec![
            "the length-controlled win rate is an estimate: the published metric needs AlpacaEval's auxiliary tables \
             (--auxiliary DIR)"
                .to_owned(),
        ],
        LengthControl::OutsideModel => {
            vec![format!(
                "the length-controlled win rate is not to be trusted, the entry is outside of its model: {reasons}"
            )]
        }
        LengthControl::Unavailable => vec![format!("there is no length-controlled win rate: {reasons}")],
    }
}

/// All rates × 100, as the field writes them.
fn json_of(rates: &WinRates, controlled: &LengthControlled) -> Json {
    json!({
        "win_rate": 100.0 * rates.win_rate,
        "standard_error": rates.standard_error.map(|error| 100.0 * error),
        "discrete_win_rate": 100.0 * rates.discrete_win_rate,
        "n_total": rates.n_total,
        "n_missing": rates.n_missing,
        "length_controlled_win_rate": controlled.win_rate.map(|rate| 100.0 * rate),
        "interval": controlled.interval.map(|interval| [100.0 * interval.low, 100.0 * interval.high]),
        "length_coefficient": controlled.length_coefficient,
        "length_control": name(controlled.control),
        "reasons": controlled.reasons,
    })
}

fn table(rates: &WinRates, controlled: &LengthControlled) -> Table {
    let mut table = Table::new(vec![
        Column::number("win_rate").titled("win rate"),
        Column::number("standard_error").titled("standard error"),
        Column::number("discrete_win_rate").titled("discrete"),
        Column::number("n_total").titled("n"),
        Column::number("n_missing").titled("missing"),
        Column::number("length_controlled_win_rate").titled("length-controlled"),
        Column::number("low").titled("95 % low"),
        Column::number("high").titled("high"),
        Column::number("length_coefficient").titled("length coefficient"),
        Column::text("length_control").titled("which is"),
    ]);
    let percent = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(100.0 * value));
    table.push(vec![
        percent(Some(rates.win_rate)),
        percent(rates.standard_error),
        percent(Some(rates.discrete_win_rate)),
        Cell::count(rates.n_total),
        Cell::count(rates.n_missing),
        percent(controlled.win_rate),
        percent(controlled.interval.map(|interval| interval.low)),
        percent(controlled.interval.map(|interval| interval.high)),
        controlled.length_coefficient.map_or(Cell::Empty, Cell::Number),
        Cell::text(name(controlled.control)),
    ]);
    table
}
