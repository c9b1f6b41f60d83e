//! `slhf-lab refine`: the Leader's answer, and the Follower's refinements round after round.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use slhf_plan::{Message, ModelAnswer, ModelTask};

use super::common::{FormatArgument, RecordArgument};
use super::model::asking::{DeviceArguments, unexpected};
use super::model::choice::{of_run, plain};
use super::model::prompting::{SamplingArguments, messages, user};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `refine`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The prompt
    #[arg(value_name = "PROMPT", required_unless_present = "messages", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// A conversation in the place of PROMPT: a JSON file with a list of {role, content}
    #[arg(long, value_name = "FILE.json", conflicts_with = "prompt")]
    messages: Option<PathBuf>,
    /// The run whose Leader responds and whose Follower refines
    #[arg(long, value_name = "RUN", default_value = "latest")]
    run: String,
    /// Rounds of refinement
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    rounds: u32,
    /// Another model that gives the first response: a name, a folder, or a GGUF file
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Where the run's model lies, if not where the run found it
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

#[derive(Serialize)]
struct Round {
    #[serde(rename = "round")]
    number: u32,
    role: &'static str,
    text: String,
    token_ids: Vec<u32>,
    finished: bool,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut conversation = match (&arguments.messages, &arguments.prompt) {
        (Some(file), _) => messages(file)?,
        (None, prompt) => vec![user(prompt.as_deref().unwrap_or_default())],
    };
    if conversation.last().is_none_or(|last| last.role != "user" || last.content.trim().is_empty()) {
        return Err(Failure::bad_input(
            "there is nothing to respond to: the conversation must end with what a user says",
        ));
    }
    let found = of_run(&arguments.record, &arguments.run, arguments.model.as_deref())?;
    if arguments.rounds > 0 && !found.plan.method.has_follower() {
        return Err(Failure::bad_input(format!(
            "run {} was trained with {}, which has no Follower: --rounds 0 shows its response",
            found.plan.run,
            found.plan.method.name()
        )));
    }
    // As in training: prompts without a system message got the run's.
    let system = &found.plan.data.system;
    if !system.is_empty() && conversation.iter().all(|message| message.role != "system") {
        conversation.insert(0, Message { role: "system".to_owned(), content: system.clone() });
    }
    let from = arguments.from.as_deref().map(|named| plain(named, None, false)).transpose()?;
    let first = if from.is_some() { "from" } else { "leader" };
    let sampling = arguments.sampling.over(found.plan.evaluation.sampling)?;
    let task = ModelTask::Refine {
        model: found.source(),
        from,
        messages: conversation,
        rounds: arguments.rounds,
        sampling,
        seed: arguments.seed,
    };
    let format = arguments.format.format;
    let mut rounds = Vec::new();
    arguments.device.ask(task, |answer| {
        let ModelAnswer::Generated { index, text, token_ids, finished } = answer else { return Err(unexpected()) };
        let round =
            Round { number: index, role: if index == 0 { first } else { "follower" }, text, token_ids, finished };
        if format == Format::Table {
            output::print_text(&shown(&round))?;
        }
        rounds.push(round);
        Ok(())
    })?;
    match format {
        Format::Table => Ok(()),
        Format::Json => output::print_json(&rounds),
        format => output::print_table(&table(&rounds), format),
    }
}

/// For people, as soon as it is there.
fn shown(round: &Round) -> String {
    let gap = if round.number == 0 { "" } else { "\n" };
    let cut = if round.finished { "" } else { " […cut]" };
    let lines: Vec<String> = round.text.lines().map(|line| format!("  {}", output::visible(line))).collect();
    format!("{gap}round {} ({}){cut}\n{}\n", round.number, round.role, lines.join("\n"))
}

fn table(rounds: &[Round]) -> Table {
    let mut table = Table::new(vec![
        Column::number("round"),
        Column::text("role"),
        Column::text("text"),
        Column::number("tokens"),
        Column::text("finished"),
    ]);
    for round in rounds {
        table.push(vec![
            Cell::Integer(i64::from(round.number)),
            Cell::text(round.role),
            Cell::text(&round.text),
            Cell::count(round.token_ids.len()),
            Cell::Boolean(round.finished),
        ]);
    }
    table
}
