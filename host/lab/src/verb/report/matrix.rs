//! Policies against each other, as `slhf-lab evaluate` found.

use serde::Deserialize;
use slhf_record::{Comparison, Record};
use slhf_report::{Block, Chart, HeatMap, MapCell};
use slhf_statistics::{Interval, Level};

use super::text::inline;
use crate::failure::Failure;
use crate::output::number;
use crate::verb::evaluate::circles;

/// The parts of an evaluation's document that a page shows.
#[derive(Debug, Deserialize)]
struct Document {
    judge: String,
    parameters: serde_json::Value,
    is_training_judge: bool,
    seeds: Vec<i64>,
    prompts: usize,
    policies: Vec<Policy>,
    matchups: Vec<Matchup>,
    triples: Triples,
    /// Documents of earlier versions have none.
    answer_triples: Option<AnswerTriples>,
    length_correlation: Option<f64>,
    order_bias: f64,
    failed_verdicts: u64,
}

#[derive(Debug, Deserialize)]
struct Policy {
    name: String,
    elo: f64,
    low: f64,
    high: f64,
    mean_tokens: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Matchup {
    first: String,
    second: String,
    win_rate: f64,
    low: f64,
    high: f64,
    p_holm: f64,
    is_significant: bool,
}

#[derive(Debug, Deserialize)]
struct Triples {
    total: usize,
    intransitive: usize,
    p_value: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AnswerTriples {
    total: usize,
    intransitive: usize,
    low: Option<f64>,
    high: Option<f64>,
    prompts: usize,
    prompts_with_circle: usize,
}

impl From<AnswerTriples> for slhf_statistics::AnswerTriples {
    fn from(found: AnswerTriples) -> Self {
        let AnswerTriples { total, intransitive, low, high, prompts, prompts_with_circle } = found;
        let interval = low.zip(high).map(|(low, high)| Interval { low, high, level: Level::PERCENT_95, n: prompts });
        Self { total, intransitive, interval, prompts, prompts_with_circle }
    }
}

impl Document {
    /// The judge with its parameters: two evaluations may differ in nothing else.
    fn label(&self) -> String {
        let mut settings = Vec::new();
        settings_of(&self.parameters, &mut settings);
        let judge = inline(&self.judge);
        if settings.is_empty() { judge } else { format!("{judge} ({})", inline(&settings.join(", "))) }
    }

    /// A policy's rate over another, its interval, p, and whether it is significant.
    fn over(&self, first: &str, second: &str) -> Option<(f64, (f64, f64), f64, bool)> {
        self.matchups.iter().find_map(|matchup| {
            let Matchup { win_rate, low, high, p_holm, is_significant, .. } = *matchup;
            if (matchup.first.as_str(), matchup.second.as_str()) == (first, second) {
                Some((win_rate, (low, high), p_holm, is_significant))
            } else if (matchup.second.as_str(), matchup.first.as_str()) == (first, second) {
                Some((1.0 - win_rate, (1.0 - high, 1.0 - low), p_holm, is_significant))
            } else {
                None
            }
        })
    }
}

/// `key value` of every parameter; those of a wrapped judge after those of the one that wraps it.
fn settings_of(parameters: &serde_json::Value, settings: &mut Vec<String>) {
    let Some(fields) = parameters.as_object() else { return };
    if let (Some(outer), Some(inner)) = (fields.get("parameters"), fields.get("upstream")) {
        settings_of(outer, settings);
        settings_of(inner, settings);
        return;
    }
    settings.extend(fields.iter().map(|(key, value)| format!("{key} {value}")));
}

/// A heat map, the scale, and what is not significant, judge by judge; then all judges side by side.
pub(super) fn blocks(record: &mut Record, comparison: &Comparison, stem: &str) -> Result<Vec<Block>, Failure> {
    let found = record.policy_evaluations(&comparison.experiment, comparison.execution).map_err(Failure::failed)?;
    let documents: Vec<Document> =
        found.iter().map(|row| serde_json::from_str(&row.document)).collect::<Result<_, _>>().map_err(|error| {
            Failure::failed(format!("an evaluation of policies in the record cannot be read: {error}"))
        })?;
    let mut blocks = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        blocks.extend(one(document, &format!("{stem}-matrix-{}", number + 1)));
    }
    if documents.len() > 1 {
        blocks.extend(judges(&documents));
    }
    Ok(blocks)
}

fn one(document: &Document, figure: &str) -> Vec<Block> {
    let role = if document.is_training_judge { "the training judge" } else { "a judge that nobody was trained on" };
    let mut order: Vec<&Policy> = document.policies.iter().collect();
    order.sort_by(|a, b| b.elo.total_cmp(&a.elo));
    let names: Vec<String> = order.iter().map(|policy| policy.name.clone()).collect();
    let cell = |row: &String, column: &String| {
        document.over(row, column).map(|(value, _, _, is_significant)| MapCell { value, is_significant })
    };
    let cells = names.iter().map(|row| names.iter().map(|column| cell(row, column)).collect()).collect();
    let rows = order.iter().enumerate().map(|(place, policy)| {
        let over = document.over(&policy.name, "reference");
        vec![
            format!("{} {}", place + 1, policy.name),
            format!("{:.0} [{:.0}, {:.0}]", policy.elo, policy.low, policy.high),
            over.map_or_else(String::new, |(rate, (low, high), _, _)| format!("{rate:.3} [{low:.3}, {high:.3}]")),
            over.map_or_else(String::new, |(_, _, p, _)| number(p)),
            policy.mean_tokens.map_or_else(String::new, number),
        ]
    });
    let columns = ["policy", "Elo", "win rate over the reference", "p (Holm)", "tokens"].map(str::to_owned).to_vec();
    vec![
        Block::Heading(format!("Policies against each other, by {}", document.label())),
        Block::Text(format!(
            "By `{}`, {role}: {} policies, {} prompts × {} seeds, both orders. Intervals: 95 %, bootstrap over seeds, then \
             prompts. p: permutation test over prompts, corrected over all {} pairs (Holm). A difference is called \
             significant where p < 0.05 and the interval leaves out ½.",
            document.label(),
            document.policies.len(),
            document.prompts,
            document.seeds.len(),
            document.matchups.len(),
        )),
        Block::Table { columns, rows: rows.collect() },
        Block::Figure {
            name: figure.to_owned(),
            caption: "How often the row is preferred to the column; significant differences in bold".to_owned(),
            chart: Chart::Map(HeatMap { names: names.clone(), cells }),
        },
        Block::Text(sentences(document, &names)),
    ]
}

/// What was found and what was not.
fn sentences(document: &Document, names: &[String]) -> String {
    let mut said = Vec::new();
    let triples = &document.triples;
    said.push(format!(
        "{} of {} triples of policies are intransitive (p = {}): {}",
        triples.intransitive,
        triples.total,
        number(triples.p_value),
        if triples.p_value < 0.05 {
            "**more than noise makes; no single scale holds these policies, and their Elo points are no ranking**."
        } else {
            "not more than noise makes, one scale may hold these policies."
        }
    ));
    if let Some(sentence) = document.answer_triples.and_then(|found| circles(&found.into())) {
        said.push(format!("Under this judge, {sentence}."));
    }
    if let Some(correlation) = document.length_correlation {
        said.push(format!("A win correlates with the difference in length (characters) by {correlation:.2}."));
    }
    said.push(format!("The judge's mean bias towards a place is {}.", number(document.order_bias)));
    if document.failed_verdicts > 0 {
        said.push(format!("{} verdicts failed and are left out.", document.failed_verdicts));
    }
    let mut not = Vec::new();
    for (place, first) in names.iter().enumerate() {
        for second in &names[place + 1..] {
            if let Some((rate, (low, high), _, false)) = document.over(first, second) {
                not.push(format!("{first} over {second}: {rate:.3} [{low:.3}, {high:.3}]"));
            }
        }
    }
    if not.is_empty() {
        said.push("Every difference is significant.".to_owned());
        return said.join(" ");
    }
    let (many, all) = (not.len(), document.matchups.len());
    let list: Vec<String> = not.iter().map(|one| format!("- {}", inline(one))).collect();
    format!(
        "{}\n\n**Not significant: {many} of {all} differences.**\n\n<details><summary>Which</summary>\n\n{}\n\n</details>",
        said.join(" "),
        list.join("\n")
    )
}

/// The gain under the training judge beside the gain under the others.
fn judges(documents: &[Document]) -> Vec<Block> {
    let columns = std::iter::once("win rate over the reference".to_owned())
        .chain(documents.iter().map(|document| {
            format!("{}{}", document.label(), if document.is_training_judge { " (trained on)" } else { "" })
        }))
        .collect();
    let Some(first) = documents.first() else { return Vec::new() };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for policy in first.policies.iter().filter(|policy| policy.name != "reference") {
        let by = |document: &Document| {
            document.over(&policy.name, "reference").map_or_else(String::new, |(rate, (low, high), _, significant)| {
                let mark = if significant { "" } else { " (n. s.)" };
                format!("{rate:.3} [{low:.3}, {high:.3}]{mark}")
            })
        };
        rows.push(std::iter::once(policy.name.clone()).chain(documents.iter().map(by)).collect());
    }
    let correlation = |document: &Document| document.length_correlation.map_or_else(String::new, |r| format!("{r:.2}"));
    rows.push(
        std::iter::once("*correlation with length*".to_owned()).chain(documents.iter().map(correlation)).collect(),
    );
    vec![
        Block::Heading("Judge beside judge".to_owned()),
        Block::Text(
            "A gain under the judge that was trained on that the others do not see is over-optimisation. (n. s.): not \
             significant."
                .to_owned(),
        ),
        Block::Table { columns, rows },
    ]
}
