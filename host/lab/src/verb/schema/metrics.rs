//! The reference of metrics, from their declaration.

use std::fmt::Write as _;

use serde::Serialize;
use slhf_plan::MetricKey;

/// A metric as JSON shows it.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    is_of_machine: bool,
}

/// Every metric.
pub(super) fn list() -> Vec<Described> {
    let described = |key: &MetricKey| Described {
        name: key.name(),
        unit: key.unit().as_str(),
        meaning: key.meaning(),
        is_of_machine: key.is_of_machine(),
    };
    MetricKey::ALL.iter().map(described).collect()
}

/// The page.
pub(super) fn page() -> String {
    let mut text = "# Metrics\n\nWhat a run records of its steps (the views `metrics` and `latest_metrics`). `cargo xtask docs` writes this page from \
                    `host/plan/src/metric.rs`.\nFigures of the machine differ when the same step is computed again; all others are the run's, and agree to the \
                    bit.\nEvaluations have names of their own: [record.md](record.md), [../evaluation.md](../evaluation.md).\n\n\
                    | metric | unit | meaning | figure of |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for Described { name, unit, meaning, is_of_machine } in list() {
        let figure = if is_of_machine { "machine" } else { "run" };
        let _ = writeln!(text, "| `{name}` | {unit} | {meaning} | {figure} |");
    }
    text
}
