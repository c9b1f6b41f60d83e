//! The verbs and their dispatch.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure::Failure;
use crate::verb;

/// Under which heading of the help the options about messages stand.
const MESSAGES: &str = "Options for messages";

/// Learning language models from preferences as a sequential game: run experiments, judge with plugins, query the record.
#[derive(Debug, Parser)]
#[command(name = "slhf-lab", version, propagate_version = false, disable_help_subcommand = true)]
struct Cli {
    /// More log lines on stderr (-v info, -vv debug)
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = MESSAGES)]
    verbose: u8,
    /// Fewer lines on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = MESSAGES)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a commented experiment to begin with
    New(verb::new::Arguments),
    /// Run experiments
    Run(verb::run::Arguments),
    /// Finish what was interrupted
    Resume(verb::resume::Arguments),
    /// Validate experiments without running them
    Check(verb::check::Arguments),
    /// Print the exact solutions of a finite game side by side
    Solve(verb::solve::Arguments),
    /// List runs
    Ls(verb::ls::Arguments),
    /// Show everything about one run
    Show(verb::show::Arguments),
    /// Show responses of a run's language models, with the judge's verdicts
    Samples(verb::samples::Arguments),
    /// Compare the runs of an experiment
    Compare(verb::compare::Arguments),
    /// Compare or score the policies of an experiment by their responses, under any judge; or win rates from annotated pairs
    Evaluate(verb::evaluate::Arguments),
    /// Write pages of results: Markdown with figures, from the record
    Report(verb::report::Arguments),
    /// Look at the record in a browser: tables, curves, samples, pages that follow what runs
    Ui(verb::ui::Arguments),
    /// Watch a run that another process computes, in the terminal
    Watch(verb::watch::Arguments),
    /// Draw curves in the terminal, or as a picture
    Plot(verb::plot::Arguments),
    /// Query the record in SQL (read-only)
    Query(verb::query::Arguments),
    /// Write results for other tools: Parquet, CSV, JSON lines, TensorBoard, MLflow, preferences
    Export(verb::export::Arguments),
    /// Tag runs, to find them by
    Tag(verb::tag::Arguments),
    /// Write a note on a run
    Note(verb::note::Arguments),
    /// Move runs into the trash, or back
    Rm(verb::rm::Arguments),
    /// Maintain the record: merge, copy, back up, check, clean up, export, list its views
    Db(verb::db::Arguments),
    /// Inspect language models, sample from them, export them as Hugging Face folders
    Model(verb::model::Arguments),
    /// Let a run's Follower refine a response, round after round
    Refine(verb::refine::Arguments),
    /// Put a judge on trial before it is trusted
    Judge(verb::judge::Arguments),
    /// Export what a judge said in training, or have another judge say it again
    Verdicts(verb::verdicts::Arguments),
    /// Create, build, check and benchmark plugins
    Plugin(verb::plugin::Arguments),
    /// Print JSON Schemas of the input files
    Schema(verb::schema::Arguments),
    /// Report what is installed and what is missing, with the command that fixes it
    Doctor(verb::doctor::Arguments),
    /// Print completions for a shell
    Completions(verb::manual::CompletionsArguments),
    /// Write pages of the manual, one a verb
    Man(verb::manual::ManArguments),
    /// Compute a task of a launch; a launcher calls it
    #[command(hide = true)]
    Task(verb::task::Arguments),
    /// Compute a run again from its frozen plan, and compare all of its numbers
    Reproduce(verb::reproduce::Arguments),
}

/// Parses the command line, runs the verb, prints what went wrong (once), and says how it ended.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            say_usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    crate::log::start(cli.verbose, cli.quiet);
    let result = match cli.verb {
        Verb::New(arguments) => verb::new::run(&arguments),
        Verb::Run(arguments) => verb::run::run(&arguments),
        Verb::Resume(arguments) => verb::resume::run(&arguments),
        Verb::Check(arguments) => verb::check::run(arguments),
        Verb::Solve(arguments) => verb::solve::run(arguments),
        Verb::Ls(arguments) => verb::ls::run(&arguments),
        Verb::Show(arguments) => verb::show::run(&arguments),
        Verb::Samples(arguments) => verb::samples::run(&arguments),
        Verb::Compare(arguments) => verb::compare::run(&arguments),
        Verb::Evaluate(arguments) => verb::evaluate::run(&arguments),
        Verb::Report(arguments) => verb::report::run(&arguments),
        Verb::Ui(arguments) => verb::ui::run(&arguments),
        Verb::Watch(arguments) => verb::watch::run(&arguments),
        Verb::Plot(arguments) => verb::plot::run(&arguments),
        Verb::Query(arguments) => verb::query::run(&arguments),
        Verb::Export(arguments) => verb::export::run(&arguments),
        Verb::Tag(arguments) => verb::tag::run(&arguments),
        Verb::Note(arguments) => verb::note::run(&arguments),
        Verb::Rm(arguments) => verb::rm::run(&arguments),
        Verb::Db(arguments) => verb::db::run(&arguments),
        Verb::Model(arguments) => verb::model::run(&arguments),
        Verb::Refine(arguments) => verb::refine::run(&arguments),
        Verb::Judge(arguments) => verb::judge::run(&arguments),
        Verb::Verdicts(arguments) => verb::verdicts::run(&arguments),
        Verb::Plugin(arguments) => verb::plugin::run(arguments),
        Verb::Schema(arguments) => verb::schema::run(arguments),
        Verb::Doctor(arguments) => verb::doctor::run(arguments),
        Verb::Completions(arguments) => verb::manual::completions(&arguments, Cli::command()),
        Verb::Man(arguments) => verb::manual::pages(&arguments, Cli::command()),
        Verb::Task(arguments) => verb::task::run(&arguments),
        Verb::Reproduce(arguments) => verb::reproduce::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if is_broken_pipe(&failure) => ExitCode::SUCCESS,
        Err(failure) => {
            for sentence in failure.sentences() {
                crate::output::say(format_args!("error: {}", crate::output::visible(&sentence)));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// As clap prints it; without colours where an argument holds what could steer the terminal.
fn say_usage(error: &clap::Error) {
    let plain = error.render().to_string();
    if matches!(slhf_report::escape::lines(&plain), std::borrow::Cow::Borrowed(_)) {
        let _ = error.print();
    } else {
        crate::output::say(plain.trim_end());
    }
}

/// A reader that has seen enough (`slhf-lab ls | head`) is no failure.
fn is_broken_pipe(failure: &Failure) -> bool {
    let (Failure::BadInput(error) | Failure::Failed(error)) = failure else { return false };
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
