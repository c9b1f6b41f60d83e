//! `slhf-lab run`: plans experiments, has workers compute them, writes the record, and says what came of it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use slhf_launch::{LauncherKind, TaskSettings};
use slhf_plan::{FrozenWork, GroupPlan, Work};
use slhf_record::{CreatedGroup, FrozenGroup, OpenMode, Record, RecordError};

use super::common::{FormatArgument, RecordArgument};
use super::locked;
use super::pricing::{Priced, Rates};
use slhf_experiment::{self as experiment, Absent, Experiment, LoadOptions, PlannedGroup, SetOverride};
use slhf_words::chain;

use crate::failure::Failure;
use crate::launching::{self, Launch, LauncherArguments, Watching};
use crate::output::{self, Cell, Column, Format, Table};
use crate::running::{self, Errand, Gathering, GroupWork, PlaceArguments, Places, Signals, Tally, WorkerProgram};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the plan and its price and exit; a model or a file that is not here is priced by its `shape`
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    rates: Rates,
    /// Override a value before the grid is expanded: KEY=VALUE, the value as TOML or else as text
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<SetOverride>,
    /// A file of data in the place of the one that the experiment names
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    launcher: LauncherArguments,
    /// Skip what an identical finished run already covers
    #[arg(long)]
    needed: bool,
    /// Refuse plugins, models and data other than those of a recorded run and of what was planned with it
    #[arg(long, value_name = "RUN")]
    locked: Option<String>,
    /// Set aside all runs of earlier executions of these experiments
    #[arg(long)]
    supersede: bool,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(places) = arguments.place.places()? else { return Ok(()) };
    let experiments = plan(arguments, &places)?;
    if let Some(locked) = &arguments.locked {
        let mut record = Record::open(&arguments.record.db, OpenMode::Read).map_err(Failure::of_record)?;
        locked::check(&mut record, locked, &experiments)?;
    }
    let table = plan_table(&experiments);
    if arguments.dry_run {
        return dry_run((arguments, &places), &experiments, table);
    }
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    places.check(works(&experiments), &program)?;
    if let Some(kind) = arguments.launcher.kind() {
        launching::check(kind)?;
    }
    output::print_table_to_stderr(&table);
    say_notes(&experiments);
    output::say(summary(&experiments, &places));
    let record = arguments.record.open(OpenMode::Create)?;
    execute_all((arguments, &places), &experiments, record, &program)
}

/// What all groups are planned to do.
fn works(experiments: &[Experiment]) -> impl Iterator<Item = &Work> {
    experiments.iter().flat_map(|experiment| &experiment.groups).map(|group| &group.template)
}

/// Prints the plan and its price.
fn dry_run(
    (arguments, places): (&Arguments, &Places),
    experiments: &[Experiment],
    mut table: Table,
) -> Result<(), Failure> {
    let priced = Priced::of(experiments, &arguments.rates)?;
    say_notes(experiments);
    let format = arguments.format.format;
    match (priced.table(), format) {
        (Some(prices), Format::Json | Format::Csv) => {
            priced.beside(&mut table, prices);
            output::print_table(&table, format)?;
        }
        (Some(prices), Format::Table | Format::Markdown) => {
            output::print_table(&table, format)?;
            output::print_text("\n")?;
            output::print_table(&prices, format)?;
        }
        (None, _) => output::print_table(&table, format)?,
    }
    output::say(summary(experiments, places));
    priced.say();
    say_what_is_answered(arguments, experiments)
}

/// All files are read before anything starts: a slip in the last one costs no hours.
fn plan(arguments: &Arguments, places: &Places) -> Result<Vec<Experiment>, Failure> {
    let asked: OnceCell<Result<String, String>> = OnceCell::new();
    let auto_device = |threads: u32| {
        if let Some(named) = places.auto_device() {
            return Ok(named.to_owned());
        }
        let ask = || {
            let program = WorkerProgram::find().map_err(|error| chain(&error))?;
            let environment = program.probe("auto", threads).map_err(|error| chain(&error))?;
            Ok(environment.device)
        };
        asked.get_or_init(ask).clone()
    };
    let data = arguments.data.as_deref().map(std::path::absolute).transpose().map_err(Failure::bad_input)?;
    let find_run = |named: &str| super::common::reward_model_of(&arguments.record, named);
    let overrides: Vec<SetOverride> =
        arguments.overrides.iter().cloned().chain(places.ranks().map(Gathering::as_override)).collect();
    let options = LoadOptions {
        overrides: &overrides,
        auto_device: &auto_device,
        data: data.as_deref(),
        find_run: &find_run,
        absent: if arguments.dry_run { Absent::Priced } else { Absent::Refused },
    };
    let mut experiments: Vec<Experiment> = Vec::with_capacity(arguments.files.len());
    for file in &arguments.files {
        let experiment = experiment::load(file, &options).map_err(Failure::of_experiment)?;
        if let Some(twin) = experiments.iter().find(|known| known.name == experiment.name) {
            return Err(Failure::bad_input(format!(
                "{} and {} are both named \"{}\": give one of them another `name`",
                twin.path.display(),
                experiment.path.display(),
                experiment.name
            )));
        }
        experiments.push(experiment);
    }
    Ok(experiments)
}

/// One row a cell.
fn plan_table(experiments: &[Experiment]) -> Table {
    let mut table = Table::new(vec![
        Column::text("experiment"),
        Column::labels("cell"),
        Column::text("method"),
        Column::number("steps"),
        Column::number("seeds"),
        Column::number("actions"),
        Column::text("model"),
        Column::number("held_out").titled("held out"),
        Column::text("device"),
        Column::text("path"),
        Column::number("group"),
        Column::number("estimated_seconds").titled("estimated"),
    ])
    .captioned();
    for experiment in experiments {
        for (index, cell) in experiment.cells.iter().enumerate() {
            let mut runs = experiment.runs.iter().enumerate().filter(|(_, run)| run.cell == index);
            let Some((first, planned)) = runs.next() else { continue };
            let group = &experiment.groups[planned.group];
            let Some(at) = group.runs.iter().position(|run| *run == first) else { continue };
            let Some(shown) = Shown::of(&group.template, at) else { continue };
            let seeds = 1 + runs.count();
            let share = seeds as f64 / group.runs.len().max(1) as f64;
            table.push(vec![
                Cell::text(&experiment.name),
                Cell::text(&cell.label),
                Cell::text(shown.method),
                Cell::count(shown.steps as usize),
                Cell::count(seeds),
                shown.actions,
                shown.model,
                shown.held_out,
                Cell::text(group.template.device().0),
                shown.path,
                Cell::count(planned.group + 1),
                Cell::Duration(estimate(group.estimated_seconds * share)),
            ]);
        }
    }
    table.without_empty_columns()
}

/// What the plan's table shows of one run of a group.
struct Shown {
    method: &'static str,
    steps: u64,
    actions: Cell,
    model: Cell,
    held_out: Cell,
    path: Cell,
}

impl Shown {
    fn of(work: &Work, at: usize) -> Option<Self> {
        Some(match work {
            Work::Game(group) => {
                let run = group.runs.get(at)?;
                Self {
                    method: run.method.name().as_str(),
                    steps: run.method.training().steps,
                    actions: Cell::count(group.games.get(run.game)?.actions.len()),
                    model: Cell::Empty,
                    held_out: Cell::Empty,
                    path: Cell::text(path_name(group)),
                }
            }
            Work::RewardModel(plan) => Self {
                method: plan.head.name(),
                steps: plan.training.steps,
                actions: Cell::Empty,
                model: Cell::text(&plan.model.name),
                held_out: Cell::count(plan.data.held_out as usize),
                path: Cell::Empty,
            },
            Work::LanguageModel(plan) => Self {
                method: plan.method.name().as_str(),
                steps: plan.method.training().steps,
                actions: Cell::Empty,
                model: Cell::text(&plan.model.name),
                held_out: Cell::count(plan.data.held_out as usize),
                path: Cell::Empty,
            },
        })
    }
}

fn path_name(group: &GroupPlan) -> &'static str {
    match group.device.path {
        slhf_plan::ComputePath::Tensor => "tensor",
        slhf_plan::ComputePath::Scalar => "scalar",
    }
}

/// A guess may be anything; a length of time is finite and not negative.
fn estimate(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

fn summary(experiments: &[Experiment], places: &Places) -> String {
    let runs: usize = experiments.iter().map(|experiment| experiment.runs.len()).sum();
    let cells: usize = experiments.iter().map(|experiment| experiment.cells.len()).sum();
    let groups: usize = experiments.iter().map(|experiment| experiment.groups.len()).sum();
    let seconds: f64 = experiments
        .iter()
        .map(|experiment| {
            let side_by_side = places.asked_for().min(experiment.groups.len().max(1));
            experiment.estimated_seconds() / side_by_side as f64
        })
        .sum();
    let mut groups_planned = experiments.iter().flat_map(|experiment| &experiment.groups);
    let is_model = |group: &&PlannedGroup| matches!(group.template, Work::LanguageModel(_) | Work::RewardModel(_));
    let (mut of_models, mut on_gpus) = (false, false);
    for group in groups_planned.by_ref().filter(is_model) {
        of_models = true;
        on_gpus |= group.template.device().0 != "cpu";
    }
    let rough = match (of_models, on_gpus) {
        (false, _) => "",
        (true, false) => {
            " (rough: figures of a 135M model on two cores, scaled by size, responses as long as they may be)"
        }
        (true, true) => {
            " (rough: figures of a 135M model on two cores, scaled by size, any GPU taken to be 100 times as fast, responses as long \
             as they may be)"
        }
    };
    format!(
        "{}, {}, {}, {}: about {}{rough}",
        counted(experiments.len(), "experiment"),
        counted(cells, "cell"),
        counted(runs, "run"),
        counted(groups, "batch group"),
        output::duration(estimate(seconds))
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn say_notes(experiments: &[Experiment]) {
    for experiment in experiments {
        for note in &experiment.notes {
            output::say(format!("note: {}: {}", output::visible(&experiment.name), output::visible(note)));
        }
    }
}

/// One experiment after the other; one that fails does not keep the next from running.
fn execute_all(
    (arguments, places): (&Arguments, &Places),
    experiments: &[Experiment],
    mut record: Record,
    program: &WorkerProgram,
) -> Result<(), Failure> {
    let signals = Signals::handle();
    let provenance = running::provenance(program)
        .map_err(|error| Failure::failed(format!("the program's own files cannot be read: {error}")))?;
    let mut whole = Tally::default();
    let mut results: Option<Table> = None;
    for experiment in experiments {
        if signals.stop_asked() {
            break;
        }
        let execution = Execution { arguments, places, experiment, program, signals: &signals };
        let (returned, tally, table) = execution.execute(record, provenance.clone())?;
        record = returned;
        whole.add(tally);
        let title = if experiment.question.is_empty() {
            experiment.name.clone()
        } else {
            format!("{}: {}", experiment.name, experiment.question)
        };
        show_results(table, &title, arguments.format.format, &mut results)?;
    }
    if let Some(table) = results {
        output::print_table(&table, arguments.format.format)?;
    }
    conclude(&whole, &signals, &arguments.record)
}

/// Tables of two experiments may show other metrics; JSON and CSV get one table with the columns of both.
fn merge(all: &mut Table, more: Table) {
    let mut positions = Vec::with_capacity(more.columns.len());
    for column in more.columns {
        let known = all.columns.iter().position(|known| known.key == column.key);
        positions.push(known.unwrap_or_else(|| {
            all.columns.push(column);
            all.columns.len() - 1
        }));
    }
    let width = all.columns.len();
    for row in &mut all.rows {
        row.resize(width, Cell::Empty);
    }
    for row in more.rows {
        let mut wide = vec![Cell::Empty; width];
        for (cell, position) in row.into_iter().zip(&positions) {
            wide[*position] = cell;
        }
        all.rows.push(wide);
    }
}

/// For people, each experiment's results as soon as they are there; for programs, one table at the end.
pub(super) fn show_results(table: Table, title: &str, format: Format, all: &mut Option<Table>) -> Result<(), Failure> {
    let title = output::visible(title);
    match format {
        Format::Json | Format::Csv => {
            match all {
                Some(all) => merge(all, table),
                None => *all = Some(table),
            }
            return Ok(());
        }
        Format::Markdown => output::print_text(&format!("\n### {title}\n\n"))?,
        Format::Table => output::print_text(&format!("\n{title}\n"))?,
    }
    // The title names the experiment.
    output::print_measured(table.without("experiment"), format)
}

/// Warnings that are said one by one.
const WARNINGS_MAX: usize = 10;

/// Says what did not end well and chooses the exit code.
pub(super) fn conclude(tally: &Tally, signals: &Signals, record: &RecordArgument) -> Result<(), Failure> {
    say_reasons("failed", &tally.failed);
    say_reasons("interrupted", &tally.interrupted);
    tally.warnings.iter().take(WARNINGS_MAX).for_each(|warning| output::say(format!("warning: {warning}")));
    if let Some(more) = tally.warnings.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
        output::say(format!("warning: likewise {more} more runs"));
    }
    if tally.pending > 0 {
        output::say(format!("{} not started", counted(tally.pending, "run")));
    }
    if !tally.interrupted.is_empty() || tally.pending > 0 {
        output::say("hint: `slhf-lab resume` goes on with what is interrupted");
    }
    if signals.stop_asked() {
        return Err(Failure::Interrupted);
    }
    let unfinished = tally.failed.len() + tally.interrupted.len();
    if unfinished > 0 {
        let all = unfinished + tally.finished.len();
        return Err(Failure::failed(format!("{unfinished} of {} did not finish", counted(all, "run"))));
    }
    if !tally.finished.is_empty() {
        output::say(format!("hint: `{}` shows it in a browser", record.command("ui")));
    }
    Ok(())
}

/// Runs of one group share a reason: it is said once.
fn say_reasons(status: &str, runs: &[(i64, String)]) {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for (run, reason) in runs {
        match by_reason.iter_mut().find(|(known, _)| *known == reason.as_str()) {
            Some((_, runs)) => runs.push(run.to_string()),
            None => by_reason.push((reason, vec![run.to_string()])),
        }
    }
    for (reason, runs) in by_reason {
        let noun = if runs.len() == 1 { "run" } else { "runs" };
        output::say(format!("{noun} {} {status}: {}", runs.join(", "), output::visible(reason)));
    }
}

/// One execution of one experiment.
struct Execution<'a> {
    arguments: &'a Arguments,
    places: &'a Places,
    experiment: &'a Experiment,
    program: &'a WorkerProgram,
    signals: &'a Signals,
}

impl Execution<'_> {
    fn execute(
        &self,
        mut record: Record,
        provenance: slhf_record::Provenance,
    ) -> Result<(Record, Tally, Table), Failure> {
        let experiment = self.experiment;
        let hashes: Vec<String> = experiment.runs.iter().map(|run| run.content_hash.clone()).collect();
        let answers = record.finished_runs_by_content(&hashes).map_err(Failure::failed)?;
        self.say_answers(&answers);
        let taken = if self.arguments.needed { answers } else { HashMap::new() };
        let new = running::new_execution(experiment, provenance, &taken);
        let mut plans = Vec::new();
        let created = record
            .create_execution(&new, |runs| {
                plans = running::freeze(experiment, runs)?;
                Ok(plans.iter().map(FrozenGroup::of).collect())
            })
            .map_err(Failure::failed)?;
        if self.arguments.supersede {
            let reason = format!("superseded by execution {} (--supersede)", created.execution);
            let count =
                record.supersede_earlier(&experiment.name, created.execution, &reason).map_err(Failure::failed)?;
            output::say(format!("{} of earlier executions superseded", counted(count as usize, "run")));
        }
        let groups = created.groups.iter().zip(plans);
        let (mut record, tally) = match self.arguments.launcher.kind() {
            Some(kind) => self.hand_over(record, kind, groups.map(|(_, plan)| plan).collect())?,
            None => self.compute(record, groups)?,
        };
        let table = running::results(&mut record, &experiment.name, created.execution).map_err(Failure::failed)?;
        Ok((record, tally, table))
    }

    /// By this lab.
    fn compute<'a>(
        &self,
        record: Record,
        groups: impl Iterator<Item = (&'a CreatedGroup, FrozenWork)>,
    ) -> Result<(Record, Tally), Failure> {
        let work = |(group, plan): (&CreatedGroup, FrozenWork)| GroupWork {
            group: group.group,
            plan,
            resume: Vec::new(),
            divergence: None,
        };
        let errand = Errand {
            label: &self.experiment.name,
            groups: groups.map(work).collect(),
            places: self.places,
            processes: None,
            budget_tokens: None,
            program: self.program,
            signals: self.signals,
        };
        running::compute_all(record, errand)
    }

    /// By tasks of a launcher.
    fn hand_over(
        &self,
        mut record: Record,
        kind: LauncherKind,
        plans: Vec<FrozenWork>,
    ) -> Result<(Record, Tally), Failure> {
        if plans.is_empty() {
            return Ok((record, Tally::default()));
        }
        let group = |plan: &FrozenWork| plan.work().runs().into_iter().map(|(run, _)| run).collect::<Vec<_>>();
        let launch = Launch {
            experiment: &self.experiment.name,
            launcher: kind,
            settings: TaskSettings::default(),
            tasks_max: self.arguments.launcher.tasks_max(),
            groups: plans.iter().map(|plan| (group(plan), plan.work())).collect(),
        };
        let new = Some(launching::launch(&mut record, launch)?);
        let works = plans.iter().map(FrozenWork::work);
        let at_once = launching::at_once(kind, self.places, (works, None));
        let watching = Watching { launcher: kind, at_once, new, open: Vec::new(), signals: self.signals };
        let tally = launching::watch(&mut record, watching)?;
        Ok((record, tally))
    }

    fn say_answers(&self, answers: &HashMap<String, i64>) {
        let what =
            if self.arguments.needed { "skipped (--needed)" } else { "computed again (--needed would skip them)" };
        if let Some(share) = answered(self.experiment, answers) {
            output::say(format!("{share}: {what}"));
        }
    }
}

/// `note: name: 3 of 4 runs are already answered by identical finished runs`; nothing where none is.
fn answered(experiment: &Experiment, answers: &HashMap<String, i64>) -> Option<String> {
    let runs = experiment.runs.iter().filter(|run| answers.contains_key(&run.content_hash)).count();
    (runs > 0).then(|| {
        format!(
            "note: {}: {runs} of {} are already covered by identical finished runs",
            output::visible(&experiment.name),
            counted(experiment.runs.len(), "run")
        )
    })
}

/// Of `--needed --dry-run`: what the record would be spared. Nothing is made where there is no record.
fn say_what_is_answered(arguments: &Arguments, experiments: &[Experiment]) -> Result<(), Failure> {
    if !arguments.needed {
        return Ok(());
    }
    let mut record = match Record::open(&arguments.record.db, OpenMode::Read) {
        Ok(record) => Some(record),
        Err(RecordError::Absent { .. }) => None,
        Err(error) => return Err(Failure::of_record(error)),
    };
    for experiment in experiments {
        let hashes: Vec<String> = experiment.runs.iter().map(|run| run.content_hash.clone()).collect();
        let answers = match &mut record {
            Some(record) => record.finished_runs_by_content(&hashes).map_err(Failure::of_record)?,
            None => HashMap::new(),
        };
        output::say(match answered(experiment, &answers) {
            Some(share) => format!("{share}: --needed skips them"),
            None => format!(
                "note: {}: none of {} is covered yet: --needed skips nothing",
                output::visible(&experiment.name),
                counted(experiment.runs.len(), "run")
            ),
        });
    }
    Ok(())
}
