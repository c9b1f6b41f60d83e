//! `slhf-lab verdicts export`: the pairs of training as people keep pairs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use slhf_comparison::{AskedVerdict, TrainingPairs, training_pairs};
use slhf_data::pairs::RECORDED_VERDICT;
use slhf_record::{OpenMode, RecordedVerdict};
use thiserror::Error;

use crate::failure::Failure;
use crate::output::{self, say, visible};
use crate::verb::common::RecordArgument;

#[derive(Debug, Error)]
#[error("{file} cannot be written")]
struct ExportError {
    file: String,
    source: std::io::Error,
}

/// What is read in a row of pairs.
const KEYS_OF_PAIRS: [&str; 9] =
    ["prompt", "messages", "chosen", "rejected", "responses", "p_second", "label", "margin", "attributes"];

/// Arguments of `verdicts export`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run: a number, `latest`, experiment/cell/seed, or a unique beginning of it
    run: String,
    /// The file to write; without it, standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One row for a pair that was judged in both orders, with the mean of both
    #[arg(long)]
    one_row_per_pair: bool,
    #[command(flatten)]
    record: RecordArgument,
}

/// Reads and writes.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let pairs = training_pairs(&mut record, run.run, &mut say)?;
    let (what, rows) =
        if arguments.one_row_per_pair { ("pairs", each_pair(&pairs)) } else { ("verdicts", each_verdict(&pairs)) };
    let lines = rows.iter().map(|row| row.to_string() + "\n").collect::<String>();
    let lines = slhf_report::escape::json(&lines);
    let Some(file) = &arguments.output else { return output::print_raw(&lines) };
    let shown = visible(&file.display().to_string());
    slhf_files::replace(file, lines.as_bytes())
        .map_err(|source| Failure::failed(ExportError { file: shown.clone(), source }))?;
    say(format!("{} {what} of run {} written to {shown}", rows.len(), run.run));
    Ok(())
}

/// A row as `judge audit --pairs` and reward models read it. What failed has no `p_second`.
fn row(pairs: &TrainingPairs, verdict: &AskedVerdict, said: &Said) -> Value {
    let prompt = &pairs.prompts[verdict.prompt];
    let metadata: Value = serde_json::from_str(&prompt.metadata).unwrap_or(Value::Null);
    let mut row = match metadata {
        Value::Object(known) => known,
        _ => serde_json::Map::new(),
    };
    // A prompt's own row may be a pair: beside the responses that were judged its keys would say something else.
    row.retain(|key, _| !KEYS_OF_PAIRS.contains(&key.as_str()));
    let mut put = |key: &str, value: Value| _ = row.insert(key.to_owned(), value);
    put("messages", serde_json::to_value(prompt.conversation()).unwrap_or_default());
    put("responses", json!([&*verdict.first.text, &*verdict.second.text]));
    if let Some(probability) = said.probability {
        put("p_second", json!(1.0 - probability));
    }
    if !said.votes.is_empty() {
        let ratings = said.votes.iter().map(|(name, vote)| (name.clone(), json!([vote, 1.0 - vote])));
        put("attributes", Value::Object(ratings.collect()));
    }
    put("step", json!(verdict.step));
    if let Some(recorded) = &said.recorded {
        put(RECORDED_VERDICT, recorded.clone());
    }
    Value::Object(row)
}

/// What a row says of its responses.
#[derive(Default)]
struct Said {
    /// That the first is better; `None`: nobody said so.
    probability: Option<f64>,
    /// The first response's share of each attribute's vote: what an attribute head of a reward model is fit to.
    votes: BTreeMap<String, f64>,
    /// Everything, as it was said.
    recorded: Option<Value>,
}

impl Said {
    fn of(said: &RecordedVerdict) -> Self {
        let attribute = |(name, value, reason): &(String, Option<f64>, String)| json!({ "name": name, "value": value, "reason": reason });
        let attributes: Vec<Value> = said.attributes.iter().map(attribute).collect();
        let vote = |(name, value, _): &(String, Option<f64>, String)| {
            Some((name.clone(), value.filter(|share| (0.0..=1.0).contains(share))?))
        };
        Self {
            probability: said.probability,
            votes: said.attributes.iter().filter_map(vote).collect(),
            recorded: Some(
                json!({ "positions": [said.first, said.second], "failure": said.failure, "attributes": attributes }),
            ),
        }
    }

    /// Together with what was said in the other order: means; what one of them lacks is not said.
    fn with_turned(self, turned: &Self) -> Self {
        let mean = |there: f64, back: f64| 0.5 * (there + 1.0 - back);
        let votes = self.votes.into_iter().filter_map(|(name, there)| {
            let back = turned.votes.get(&name)?;
            Some((name, mean(there, *back)))
        });
        Self {
            probability: self.probability.zip(turned.probability).map(|(there, back)| mean(there, back)),
            votes: votes.collect(),
            recorded: None,
        }
    }
}

fn each_verdict(pairs: &TrainingPairs) -> Vec<Value> {
    pairs.verdicts.iter().map(|verdict| row(pairs, verdict, &Said::of(&verdict.said))).collect()
}

/// A pair that was asked about in both orders has one row, in the order of the positions.
pub(in crate::verb) fn each_pair(pairs: &TrainingPairs) -> Vec<Value> {
    let place = |verdict: &AskedVerdict| (verdict.step, verdict.said.first, verdict.said.second);
    let known: BTreeMap<_, &AskedVerdict> = pairs.verdicts.iter().map(|verdict| (place(verdict), verdict)).collect();
    let rows = pairs.verdicts.iter().filter_map(|verdict| {
        let (step, first, second) = place(verdict);
        let said = Said::of(&verdict.said);
        let said = match known.get(&(step, second, first)) {
            Some(_) if first > second => return None,
            Some(turned) => said.with_turned(&Said::of(&turned.said)),
            None => Said { recorded: None, ..said },
        };
        Some(row(pairs, verdict, &said))
    });
    rows.collect()
}
