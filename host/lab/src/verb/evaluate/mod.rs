//! `slhf-lab evaluate`: the policies of an experiment against each other; or win rates from annotations of pairs.

mod annotations;
mod sampling;
mod tables;

use std::path::PathBuf;

use clap::Args;
use slhf_comparison::{Field, ResponsesFrom};
use slhf_data::prompts::Reading;
use slhf_plan::{OnBadRow, PluginPlan, StopAtError, StopAtPlan};
use slhf_record::{OpenMode, Record, RunSummary};

use self::sampling::Resampling;
use self::tables::Rows;
use super::common::RecordArgument;
use super::model::prompting::SamplingArguments;
use crate::failure::Failure;
use crate::granted::check_device;
use crate::granted::{GrantArgument, JudgeHost, Place, Settings};
use crate::output::{self, Format, say};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An experiment on language models (name, or name#3 for its third execution): its policies are compared with each other by the
    /// responses to held-out prompts that its runs recorded at their end
    #[arg(value_name = "EXPERIMENT", required_unless_present = "annotations", conflicts_with = "annotations")]
    experiment: Option<String>,
    /// A judge: NAME or NAME=JSON with parameters, `OUTER over INNER` where one wraps another, or `training` for the one that the runs were
    /// trained on; several may be given [default: training, and those of the TOML's evaluation.judges]
    #[arg(long, value_name = "JUDGE", conflicts_with = "annotations")]
    judge: Vec<String>,
    /// Further policies: NAME=FILE, a JSONL file of {"prompt": …, "response": …} with a response to each held-out prompt; where
    /// prompts share their text, `messages` (the conversation) or `prompt_id` names them
    #[arg(long, value_name = "NAME=FILE", conflicts_with = "annotations")]
    responses: Vec<String>,
    /// Further policies: NAME=MODEL, another model (a name, a folder, or a GGUF file) that responds to the held-out prompts now,
    /// sampled as the experiment's policies were
    #[arg(long, value_name = "NAME=MODEL", conflicts_with = "annotations")]
    model: Vec<String>,
    /// Sample the policies' responses now, from the runs' last checkpoints, in the place of the recorded ones
    #[arg(long, conflicts_with = "annotations")]
    sample: bool,
    /// With --sample: ask these prompts in the place of the held-out ones
    #[arg(long, value_name = "FILE", requires = "sample")]
    prompts: Option<PathBuf>,
    /// With --sample: rounds of refinement [default: as the runs were evaluated]
    #[arg(long, value_name = "K", requires = "sample", value_parser = clap::value_parser!(u32).range(1..=16))]
    rounds: Option<u32>,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Where responses are sampled (--sample, --model) and models that judges ask are run: auto, cpu, cuda or cuda:N [default: as the
    /// runs were computed]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Score responses instead of comparing them: a `reward` plugin as NAME or NAME=JSON with parameters, such as
    /// `instruction-accuracy`, or `all` for those of the TOML's evaluation.measures; several may be given
    #[arg(long, value_name = "METRIC", conflicts_with_all = ["annotations", "judge", "pairs"])]
    measure: Vec<String>,
    #[command(flatten)]
    granted: GrantArgument,
    /// Only policies whose names contain one of these, separated by commas
    #[arg(long, value_name = "PARTS", value_delimiter = ',', conflicts_with = "annotations")]
    only: Vec<String>,
    /// Ask no more about a pair of policies when enough is known of it: `width=W` (the interval of its win rate is so narrow),
    /// `difference_from=M` (its win rate is known to differ from M), or `none` [default: the TOML's `evaluation.stop_at`]
    #[arg(long, value_name = "RULE", conflicts_with_all = ["annotations", "measure"])]
    stop_at: Option<String>,
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
    check_sampling(arguments)?;
    let rule = arguments.stop_at.as_deref().map(stop_at).transpose()?;
    let mut record = arguments.record.open(OpenMode::Read)?;
    let mut field = field(arguments, &mut record, experiment)?;
    if let Some(rule) = rule {
        field.stop_at = rule;
    }
    if arguments.measure.is_empty() {
        field.keep(&arguments.only, 2)?;
        compare(arguments, &mut record, &field)
    } else {
        field.keep(&arguments.only, 1)?;
        let mut measures = slhf_comparison::named_measures(&field, &arguments.measure, &mut say)?;
        let host = host(arguments, &record, &field, measures.iter_mut().map(|(_, plugin)| plugin))?;
        let findings = slhf_comparison::measure(&field, &measures, host.host(), &mut say)?;
        host.remark();
        tables::print_metrics(&findings, arguments.format)
    }
}

/// A rule of the command line.
fn stop_at(rule: &str) -> Result<Option<StopAtPlan>, Failure> {
    if rule == "none" {
        return Ok(None);
    }
    rule.parse().map(Some).map_err(|error: StopAtError| Failure::bad_input(format!("--stop-at {error}; or \"none\"")))
}

fn check_sampling(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(device) = &arguments.device {
        check_device(device)?;
    }
    if samples(arguments) || arguments.sampling.is_usual() { Ok(()) } else { Err(sampled_already()) }
}

/// Whether any responses are sampled now.
fn samples(arguments: &Arguments) -> bool {
    arguments.sample || !arguments.model.is_empty()
}

fn sampled_already() -> Failure {
    Failure::bad_input(
        "recorded responses were sampled already: give --sample to sample them again, or --model to sample another model's",
    )
}

/// Everybody who is asked about.
fn field(arguments: &Arguments, record: &mut Record, experiment: &str) -> Result<Field, Failure> {
    // The plans say what becomes of bad rows; where they say nothing of it, the runs found none.
    let reading = Reading { layout: None, on_bad_row: OnBadRow::Skip };
    let prompts = arguments.prompts.as_deref().map(|file| slhf_foreign::prompts(file, reading));
    let again = Resampling {
        sampling: &arguments.sampling,
        rounds: arguments.rounds,
        prompts: prompts.transpose().map_err(Failure::bad_input)?,
        device: arguments.device.as_deref(),
    };
    let mut sample = |record: &mut Record, run: &RunSummary| again.responses(record, run);
    let mut from = if arguments.sample {
        ResponsesFrom::Sampled { prompts: again.prompts.as_ref(), sample: &mut sample }
    } else {
        ResponsesFrom::Record
    };
    let mut field = slhf_comparison::gather::<Failure>(record, experiment, &mut from, &mut say)?;
    for given in &arguments.responses {
        field.add_responses(given)?;
    }
    for given in &arguments.model {
        again.add_model(&mut field, given)?;
    }
    Ok(field)
}

/// Plugins with the models that they ask: run where the runs were, unless --device says otherwise. What a server replies is kept in
/// the record.
fn host<'p>(
    arguments: &Arguments,
    record: &Record,
    field: &Field,
    plugins: impl Iterator<Item = &'p mut PluginPlan>,
) -> Result<JudgeHost, Failure> {
    let mut plugins: Vec<&mut PluginPlan> = plugins.collect();
    arguments.granted.grants()?.give(&mut plugins).map_err(Failure::bad_input)?;
    let plugins: Vec<&PluginPlan> = plugins.into_iter().map(|plugin| &*plugin).collect();
    if arguments.device.is_some() && !samples(arguments) && !plugins.iter().any(|plugin| plugin.asks_on_device()) {
        return Err(sampled_already());
    }
    let own = &field.plan.device;
    let place = match &arguments.device {
        Some(device) => Place { threads: own.threads, ..Place::usual(device.clone()) },
        None => Place { device: own.name.clone(), threads: own.threads, precision: Some(own.precision) },
    };
    let kept = record.is_writable().then(|| Record::open(record.path(), OpenMode::Write));
    let settings = Settings { place, threads: None, record: kept.transpose().map_err(Failure::of_record)? };
    JudgeHost::granted(settings, &plugins)
}

/// Every policy against every other, judge by judge; kept in the record where that can be written and the answers are its own.
fn compare(arguments: &Arguments, record: &mut Record, field: &Field) -> Result<(), Failure> {
    let keeps = record.is_writable() && !arguments.sample && !field.is_selection;
    let mut judges = slhf_comparison::named(&arguments.judge, field, &mut say)?;
    let host = host(arguments, record, field, judges.iter_mut().map(|judge| &mut judge.plan))?;
    slhf_comparison::mark_training_judge(&mut judges, field)?;
    let mut found = Vec::with_capacity(judges.len());
    for judge in &judges {
        let evaluation = slhf_comparison::evaluate(field, judge, host.host())?;
        for sentence in slhf_comparison::remarks(judge, &evaluation) {
            say(output::visible(&sentence));
        }
        if keeps {
            let row = slhf_comparison::row(judge, &evaluation)?;
            record.add_policy_evaluation(&field.experiment, field.execution, &row).map_err(Failure::failed)?;
        }
        found.push(evaluation);
    }
    host.remark();
    if !keeps {
        let why = if arguments.sample {
            "responses were sampled anew"
        } else if field.is_selection {
            "--only leaves policies out"
        } else {
            "the record is read-only"
        };
        say(format!("note: {why}: the results are not recorded"));
    }
    let rows = if arguments.pairs { Rows::Pairs } else { Rows::Policies };
    tables::print(&judges, &found, rows, arguments.format)
}
