//! `slhf-lab evaluate`: the policies of an experiment against each other; or win rates from annotations of pairs.

mod annotations;
mod field;
mod judges;
mod standings;

pub(super) use standings::circles;

use std::path::PathBuf;

use clap::Args;
use slhf_record::OpenMode;

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output::{self, Format};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An experiment on language models (name, or name#3 for its third execution): its policies are compared with each other by the
    /// answers to held-out prompts that its runs recorded at their end
    #[arg(value_name = "EXPERIMENT", required_unless_present = "annotations", conflicts_with = "annotations")]
    experiment: Option<String>,
    /// A judge: NAME or NAME=JSON with parameters, `OUTER over INNER` where one wraps another, or `training` for the one that the runs were
    /// trained on; several may be given [default: training, and those of the TOML's evaluation.judges]
    #[arg(long, value_name = "JUDGE", conflicts_with = "annotations")]
    judge: Vec<String>,
    /// Further policies: NAME=FILE, a JSONL file of {"prompt": …, "response": …} with an answer to each held-out prompt
    #[arg(long, value_name = "NAME=FILE", conflicts_with = "annotations")]
    responses: Vec<String>,
    /// Only policies whose names contain one of these, separated by commas
    #[arg(long, value_name = "PARTS", value_delimiter = ',', conflicts_with = "annotations")]
    only: Vec<String>,
    /// Print every pair of policies, not every policy
    #[arg(long, conflicts_with = "annotations")]
    pairs: bool,
    /// Annotations as `AlpacaEval` writes them (.json), or a CSV with `length_1,length_2,preference` and perhaps `instruction`; preferences
    /// from 1 to 2, 2 being the model's output
    #[arg(long, value_name = "FILE")]
    annotations: Option<PathBuf>,
    /// A folder with `df_gamed.csv` (and `instruction_difficulty.csv`) of `AlpacaEval`: length control by the published
    /// definition instead of an estimate
    #[arg(long, value_name = "DIR", requires = "annotations")]
    auxiliary: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArgument,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match (&arguments.annotations, &arguments.experiment) {
        (Some(file), _) => annotations::evaluate(file, arguments.auxiliary.as_deref(), arguments.format),
        (None, Some(experiment)) => policies(arguments, experiment),
        (None, None) => {
            Err(Failure::bad_input("there is nothing to evaluate: name an experiment, or --annotations FILE"))
        }
    }
}

fn policies(arguments: &Arguments, experiment: &str) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let mut field = field::gather(&mut record, experiment)?;
    for given in &arguments.responses {
        field.add_responses(given)?;
    }
    field.keep(&arguments.only)?;
    let judges = judges::named(&arguments.judge, &field)?;
    let mut found = Vec::with_capacity(judges.len());
    for judge in &judges {
        let evaluation = judges::evaluate(&field, judge)?;
        for sentence in standings::remarks(judge, &evaluation) {
            output::say(output::visible(&sentence));
        }
        if record.is_writable() {
            let row = standings::row(judge, &evaluation)?;
            record.add_policy_evaluation(&field.experiment, field.execution, &row).map_err(Failure::failed)?;
        }
        found.push(evaluation);
    }
    if !record.is_writable() {
        output::say("note: the record is read-only: what was found is not kept");
    }
    standings::print(&judges, &found, arguments.pairs, arguments.format)
}
