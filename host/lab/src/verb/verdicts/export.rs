//! `slhf-lab verdicts export`: the pairs of training as people keep pairs.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use slhf_comparison::{AskedVerdict, TrainingPairs, training_pairs};
use slhf_data::pairs::RECORDED_VERDICT;
use slhf_record::OpenMode;
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

/// What `judge audit --pairs` reads in a row.
const KEYS_OF_PAIRS: [&str; 7] = ["prompt", "messages", "chosen", "rejected", "responses", "p_second", "label"];

/// Arguments of `verdicts export`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run: a number, `latest`, experiment/cell/seed, or a unique beginning of it
    run: String,
    /// The file to write; without it, standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgument,
}

/// Reads and writes.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let pairs = training_pairs(&mut record, run.run, &mut say)?;
    let lines: Vec<String> = pairs.verdicts.iter().map(|verdict| row(&pairs, verdict).to_string()).collect();
    let lines = lines.join("\n") + "\n";
    let lines = slhf_report::escape::json(&lines);
    let Some(file) = &arguments.output else { return output::print_raw(&lines) };
    let shown = visible(&file.display().to_string());
    slhf_files::replace(file, lines.as_bytes())
        .map_err(|source| Failure::failed(ExportError { file: shown.clone(), source }))?;
    say(format!("{} verdicts of run {} written to {shown}", pairs.verdicts.len(), run.run));
    Ok(())
}

/// A row as `judge audit --pairs` reads it. What failed has no `p_second`.
fn row(pairs: &TrainingPairs, verdict: &AskedVerdict) -> Value {
    let prompt = &pairs.prompts[verdict.prompt];
    let metadata: Value = serde_json::from_str(&prompt.metadata).unwrap_or(Value::Null);
    let mut row = match metadata {
        Value::Object(known) => known,
        _ => serde_json::Map::new(),
    };
    // A prompt's own row may be a pair: beside the responses that were judged its keys would say something else.
    row.retain(|key, _| !KEYS_OF_PAIRS.contains(&key.as_str()));
    let said = &verdict.said;
    let attribute = |(name, value, reason): &(String, Option<f64>, String)| json!({ "name": name, "value": value, "reason": reason });
    let attributes: Vec<Value> = said.attributes.iter().map(attribute).collect();
    let mut put = |key: &str, value: Value| _ = row.insert(key.to_owned(), value);
    put("messages", serde_json::to_value(prompt.conversation()).unwrap_or_default());
    put("responses", json!([&*verdict.first.text, &*verdict.second.text]));
    if let Some(probability) = said.probability {
        put("p_second", json!(1.0 - probability));
    }
    put("step", json!(verdict.step));
    let recorded = json!({ "positions": [said.first, said.second], "failure": said.failure, "attributes": attributes });
    put(RECORDED_VERDICT, recorded);
    Value::Object(row)
}
