//! A replay as a table and as a document.

use serde_json::{Value, json};
use slhf_comparison::{TrainingPairs, chain};
use slhf_statistics::{Agreement, Estimate, Interval};

use super::pair::{ComparedWith, Found, Pair};
use crate::output::{Cell, Column, Table};

/// Differences that the table shows.
const SHOWN_MAX: usize = 5;
/// Characters of a text that it shows.
const SHOWN_CHARACTERS: usize = 60;

/// What a replay found.
pub(super) struct Replay<'a> {
    pub(super) run: i64,
    pub(super) name: String,
    pub(super) judge: String,
    pub(super) recorded: &'a TrainingPairs,
    pub(super) found: Found<'a>,
}

/// The numbers.
pub(super) fn table(replay: &Replay<'_>) -> Table {
    let mut table = Table::new(vec![
        Column::text("what"),
        Column::number("value"),
        Column::number("low"),
        Column::number("high"),
        Column::number("n"),
    ]);
    let found = &replay.found;
    let pairs = found.pairs.len();
    let mut estimate = |what: &str, of: Option<Estimate>, n: usize| {
        let Some(of) = of else { return };
        let end = |end: fn(Interval) -> f64| of.interval.map(end).into();
        let (low, high) = (end(|interval| interval.low), end(|interval| interval.high));
        table.push(vec![Cell::text(what), Cell::Number(of.value), low, high, Cell::count(n)]);
    };
    if let Some(agreement) = &found.agreement {
        estimate("prefers what the recorded judge preferred", agreement.accuracy, decided(agreement));
        estimate("Cohen's kappa", agreement.kappa, agreement.labeled);
    }
    estimate("mean |p - recorded p|", found.difference, pairs);
    for attribute in &found.attributes {
        let with = match attribute.with {
            ComparedWith::Attribute => "",
            ComparedWith::Verdict => ", against the verdict",
        };
        estimate(&format!("kappa: {}{with}", attribute.name), attribute.agreement.kappa, attribute.agreement.labeled);
    }
    let mut share = |what: &str, many: usize, of: usize| {
        let share = Cell::Number(many as f64 / of.max(1) as f64);
        table.push(vec![Cell::text(what), share, Cell::Empty, Cell::Empty, Cell::count(many)]);
    };
    let verdicts = replay.recorded.verdicts.len();
    share("pairs that flip", flipped(found).count(), pairs);
    share("recorded ties", found.agreement.as_ref().map_or(0, |agreement| agreement.tied_labels), pairs);
    share("recorded verdicts that had failed", found.failed_then, verdicts);
    share("verdicts that fail now", found.failed_now, verdicts);
    table
}

fn decided(agreement: &Agreement) -> usize {
    agreement.labeled - agreement.tied_labels
}

fn flipped<'a>(found: &'a Found<'_>) -> impl Iterator<Item = &'a Pair<'a>> {
    found.pairs.iter().filter(|pair| pair.verdicts.is_flip())
}

/// The pairs that flip, the farthest first.
fn by_distance<'a>(found: &'a Found<'_>) -> Vec<&'a Pair<'a>> {
    let distance = |pair: &Pair<'_>| (pair.verdicts.probability - pair.verdicts.label).abs();
    let mut pairs: Vec<&Pair<'_>> = flipped(found).collect();
    pairs.sort_by(|one, other| distance(other).total_cmp(&distance(one)));
    pairs
}

/// Some of the pairs that flip.
pub(super) fn flips(replay: &Replay<'_>) -> Table {
    let mut table = Table::new(vec![
        Column::number("step"),
        Column::text("prompt"),
        Column::text("response"),
        Column::text("other"),
        Column::number("recorded"),
        Column::number("now"),
    ]);
    for pair in by_distance(&replay.found).into_iter().take(SHOWN_MAX) {
        let [response, other] = sides(pair);
        let text = |text: &str| Cell::text(shortened(text));
        table.push(vec![
            Cell::count(pair.asked.step.unsigned_abs() as usize),
            text(&replay.recorded.prompts[pair.asked.prompt].text),
            text(response),
            text(other),
            Cell::Number(pair.verdicts.label),
            Cell::Number(pair.verdicts.probability),
        ]);
    }
    table
}

fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
    if characters.next().is_some() { format!("{beginning}…") } else { beginning }
}

/// The response with the lower position first: probabilities are its own.
fn sides<'a>(pair: &'a Pair<'_>) -> [&'a str; 2] {
    let (first, second) = (&*pair.asked.first.text, &*pair.asked.second.text);
    if pair.asked.said.first < pair.asked.said.second { [first, second] } else { [second, first] }
}

/// Everything.
pub(super) fn document(replay: &Replay<'_>) -> Value {
    let found = &replay.found;
    let agreement = |of: &Agreement| {
        json!({
            "pairs": of.labeled,
            "recorded_ties": of.tied_labels,
            "share": of.accuracy.map(estimate),
            "kappa": of.kappa.map(estimate),
        })
    };
    let attribute = |one: &super::pair::AttributeFound| {
        let with = match one.with {
            ComparedWith::Attribute => "attribute",
            ComparedWith::Verdict => "verdict",
        };
        json!({ "name": one.name, "compared_with": with, "agreement": agreement(&one.agreement) })
    };
    let flip = |pair: &Pair<'_>| {
        json!({
            "step": pair.asked.step,
            "prompt": &*replay.recorded.prompts[pair.asked.prompt].text,
            "responses": sides(pair),
            "recorded": pair.verdicts.label,
            "now": pair.verdicts.probability,
        })
    };
    json!({
        "run": replay.run,
        "name": replay.name,
        "recorded_judge": chain(&replay.recorded.training_judge),
        "judge": replay.judge,
        "verdicts": replay.recorded.verdicts.len(),
        "failed_recorded": found.failed_then,
        "failed_now": found.failed_now,
        "first_failure": found.first_failure,
        "agreement": found.agreement.as_ref().map(agreement),
        "mean_difference": found.difference.map(estimate),
        "attributes": found.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "flips": by_distance(found).into_iter().map(flip).collect::<Vec<_>>(),
    })
}

fn estimate(estimate: Estimate) -> Value {
    json!({
        "value": estimate.value,
        "low": estimate.interval.map(|interval| interval.low),
        "high": estimate.interval.map(|interval| interval.high),
    })
}
