//! `slhf-lab plugin try`: one verdict, and why; or agreement with the labels of a file of pairs.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use slhf_judge::{Attribute, Candidate, Comparison, ItemFailure, NO_METADATA, Response, World, inspect};
use thiserror::Error;

use super::asked::{self, PluginArguments};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `plugin try`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    plugin: PluginArguments,
    /// The prompt
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    prompt: String,
    /// The first response: the verdict is the probability that it is the better one
    #[arg(long, allow_hyphen_values = true, required_unless_present = "pairs")]
    first: Option<String>,
    /// The second response; a reward model scores it as well
    #[arg(long, allow_hyphen_values = true)]
    second: Option<String>,
    /// In the place of one pair, a file of labeled ones, as `slhf-lab judge audit` reads it: how often the judge agrees
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "first", "second", "metadata", "first_metadata", "second_metadata"])]
    pairs: Option<PathBuf>,
    /// Metadata of the data row, a JSON object
    #[arg(long, value_name = "JSON", default_value = NO_METADATA)]
    metadata: String,
    /// Metadata of the first response, a JSON object: attributes and the like
    #[arg(long, value_name = "JSON", default_value = NO_METADATA)]
    first_metadata: String,
    /// Metadata of the second response, a JSON object
    #[arg(long, value_name = "JSON", default_value = NO_METADATA)]
    second_metadata: String,
    /// The randomness the plugin is given
    #[arg(long, default_value_t = 0)]
    draw: u64,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error)]
enum TryError {
    #[error("'{plugin}' compares two responses: give the other one with --second TEXT")]
    NoSecond { plugin: String },
    #[error(
        "'{plugin}' is a control variate: it serves training runs and cannot be tried on a pair; `slhf-lab plugin check` examines it"
    )]
    Baseline { plugin: String },
    #[error("--{argument} is not a JSON object: {reason}")]
    Metadata { argument: &'static str, reason: serde_json::Error },
    #[error("'{plugin}' could not judge this: {reason}")]
    Failed { plugin: String, reason: String },
    #[error("cannot read {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// One answer: a probability or a reward.
struct Answer {
    about: &'static str,
    value: f64,
    attributes: Vec<Attribute>,
}

/// Asks the plugin and prints its answer.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut plan = arguments.plugin.plan()?;
    if let Some(file) = &arguments.pairs {
        return super::try_pairs::run(plan, &arguments.plugin.models, (file, arguments.draw), arguments.format);
    }
    let mut arguments = arguments;
    for (argument, text) in [
        ("metadata", &mut arguments.metadata),
        ("first-metadata", &mut arguments.first_metadata),
        ("second-metadata", &mut arguments.second_metadata),
    ] {
        let object = slhf_json::read_object(text.as_bytes())
            .map_err(|reason| Failure::bad_input(TryError::Metadata { argument, reason }))?;
        // As a file of prompts would pass it on.
        *text = slhf_json::without_marks(Value::Object(object)).to_string();
    }
    let name = || arguments.plugin.plugin.clone();
    let bytes = slhf_files::read(plan.path.as_ref(), slhf_judge::FILE_BYTES_MAX)
        .map_err(|source| Failure::bad_input(TryError::Unreadable { path: plan.path.clone(), source }))?;
    let asked = asked::host(&arguments.plugin.models, None, &mut plan)?;
    let host = asked.host();
    let answers = match inspect(&bytes).ok().and_then(|inspection| inspection.world) {
        Some(World::Reward) => {
            let reward = host.reward(&plan).map_err(Failure::bad_input)?;
            let candidates = arguments.candidates();
            let scores = reward.score(&candidates).map_err(Failure::failed)?;
            let about = ["first", "second"];
            let answer = |(about, score): (&'static str, Result<slhf_judge::Score, ItemFailure>)| {
                let score = score.map_err(|failure| failed(name(), &failure))?;
                Ok(Answer { about, value: score.value, attributes: score.attributes })
            };
            about.into_iter().zip(scores).map(answer).collect::<Result<Vec<_>, Failure>>()?
        }
        Some(World::Baseline) => return Err(Failure::bad_input(TryError::Baseline { plugin: name() })),
        // What is no plugin at all is the host's to refuse, in its own words.
        Some(World::Preference) | None => {
            let judge = host.preference(&plan).map_err(Failure::bad_input)?;
            let comparison =
                arguments.comparison().ok_or_else(|| Failure::bad_input(TryError::NoSecond { plugin: name() }))?;
            let mut verdicts = judge.compare(&[comparison]).map_err(Failure::failed)?;
            let verdict = verdicts.remove(0).map_err(|failure| failed(name(), &failure))?;
            vec![Answer { about: "verdict", value: verdict.probability, attributes: verdict.attributes }]
        }
    };
    asked.remark();
    print(&answers, arguments.format)
}

fn failed(plugin: String, failure: &ItemFailure) -> Failure {
    Failure::failed(TryError::Failed { plugin, reason: output::visible(&failure.reason) })
}

impl Arguments {
    /// There, unless a file of pairs is.
    fn first(&self) -> &str {
        self.first.as_deref().unwrap_or_default()
    }

    fn comparison(&self) -> Option<Comparison> {
        let second = self.second.as_deref()?;
        let mut comparison = Comparison::from_texts(self.prompt.as_str(), self.first(), second);
        comparison.metadata = self.metadata.as_str().into();
        comparison.first.metadata = self.first_metadata.as_str().into();
        comparison.second.metadata = self.second_metadata.as_str().into();
        comparison.draw = self.draw;
        Some(comparison)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |text: &str, metadata: &str| Candidate {
            metadata: self.metadata.as_str().into(),
            response: Response { metadata: metadata.into(), ..Response::from_text(text) },
            draw: self.draw,
            ..Candidate::from_text(self.prompt.as_str(), text)
        };
        let second = self.second.as_deref().map(|text| candidate(text, &self.second_metadata));
        [Some(candidate(self.first(), &self.first_metadata)), second].into_iter().flatten().collect()
    }
}

fn print(answers: &[Answer], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let attribute = |a: &Attribute| json!({ "name": a.name, "value": a.value, "reason": a.reason });
        let values = answers.iter().map(|answer| {
            let attributes: Vec<Value> = answer.attributes.iter().map(attribute).collect();
            match answer.about {
                "verdict" => json!({ "probability": answer.value, "attributes": attributes }),
                about => json!({ "response": about, "score": answer.value, "attributes": attributes }),
            }
        });
        let mut values: Vec<Value> = values.collect();
        // One verdict is an object; scores are a list, one a response.
        return if answers.iter().any(|answer| answer.about == "verdict") {
            output::print_json(&values.remove(0))
        } else {
            output::print_json(&values)
        };
    }
    let mut table = Table::new(vec![Column::text("what"), Column::number("value"), Column::text("reason")]);
    for answer in answers {
        let title = match answer.about {
            "verdict" => "p(first ≻ second)".to_owned(),
            about => format!("reward of the {about}"),
        };
        table.push(vec![Cell::Text(title), Cell::Number(answer.value), Cell::Empty]);
        for attribute in &answer.attributes {
            table.push(vec![
                Cell::Text(format!("  {}", attribute.name)),
                Cell::Number(attribute.value),
                Cell::text(attribute.reason.as_str()),
            ]);
        }
    }
    output::print_table(&table.without_empty_columns(), format)
}
