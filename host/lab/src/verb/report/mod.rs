//! `slhf-lab report`: pages of results from the record, Markdown with SVG figures or one file of HTML.

mod certificates;
mod closed_sets;
mod equal_cost;
mod found;
mod games;
mod gradients;
mod held_out_pairs;
mod matrix;
mod measured;
mod paths;
mod plan;
mod profile;
mod refinement;
mod reward_models;
mod run_page;
mod text;
mod training;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use slhf_record::{Comparison, ExperimentSummary, OpenMode, Record, RunStatus};
use slhf_report::{Block, Page};

use self::found::Answer;
pub(super) use self::run_page::page as run_page;
use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;
use slhf_comparison::split_execution;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments (name, or name#3 for its third execution) and runs (number, unique prefix, latest, or
    /// experiment/cell/seed) [default: all experiments that the record holds]
    #[arg(value_name = "EXPERIMENT|RUN")]
    subjects: Vec<String>,
    /// The folder that the pages are written to: EXPERIMENT.md with its figures or EXPERIMENT.html, and, where
    /// nothing is named, a README.md or index.html that lists all of them
    #[arg(long, value_name = "DIR", default_value = "report")]
    out: PathBuf,
    /// What the pages are written as
    #[arg(long, value_enum, default_value_t = PageFormat::Markdown)]
    format: PageFormat,
    #[command(flatten)]
    record: RecordArgument,
}

/// What a page is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PageFormat {
    /// A Markdown file and its figures as SVG
    Markdown,
    /// One file a page that holds its figures and opens offline
    Html,
}

impl PageFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }

    /// What lists the pages of a folder.
    fn index(self) -> &'static str {
        match self {
            Self::Markdown => "README.md",
            Self::Html => "index.html",
        }
    }

    /// The files of a page.
    fn files(self, page: &Page, stem: &str) -> Vec<slhf_report::File> {
        let name = format!("{stem}.{}", self.extension());
        match self {
            Self::Markdown => page.markdown(&name),
            Self::Html => vec![slhf_report::File { name, text: page.html() }],
        }
    }
}

/// One experiment as it is gathered.
struct Subject {
    comparison: Comparison,
    kind: String,
}

/// A page that is to be written.
struct Written {
    stem: String,
    title: String,
    question: String,
    page: Page,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let known = record.experiments().map_err(Failure::failed)?;
    let mut names = arguments.subjects.clone();
    if names.is_empty() {
        names = known.iter().map(|known| known.experiment.clone()).collect();
        names.sort();
    }
    if names.is_empty() {
        return Err(Failure::bad_input("the record holds no run yet: `slhf-lab run FILE.toml` makes some"));
    }
    if arguments.out.exists() && !arguments.out.is_dir() {
        return Err(Failure::bad_input(format!(
            "{} is no folder, and pages and figures are written into one: name another with --out",
            arguments.out.display()
        )));
    }
    std::fs::create_dir_all(&arguments.out).map_err(|error| cannot_write(&arguments.out, &error))?;
    let format = arguments.format;
    let mut pages = Vec::new();
    for name in &names {
        pages.push(written(&mut record, name, &known, format)?);
    }
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for written in &pages {
        let rendered = format.files(&written.page, &written.stem);
        files.extend(rendered.into_iter().map(|file| (arguments.out.join(file.name), file.text)));
    }
    if arguments.subjects.is_empty() {
        files.push((arguments.out.join(format.index()), index(&pages, format)));
    }
    // All are looked at before the first is written.
    for (path, _) in &files {
        check_own(path)?;
    }
    for (path, text) in &files {
        slhf_files::replace(path, text.as_bytes()).map_err(|error| cannot_write(path, &error))?;
    }
    for written in &pages {
        let path = arguments.out.join(format!("{}.{}", written.stem, format.extension()));
        output::print_text(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

/// The page of an experiment, or of a run where no experiment has the name.
fn written(
    record: &mut Record,
    name: &str,
    known: &[ExperimentSummary],
    format: PageFormat,
) -> Result<Written, Failure> {
    let (experiment, execution) = split_execution(name);
    let found = known.iter().find(|known| known.experiment == experiment);
    if found.is_none()
        && let Ok(run) = record.resolve_run(name)
    {
        let page = run_page::page(record, &run)?;
        let stem = format!("run-{}", run.run);
        return Ok(Written { title: page.title.clone(), stem, question: String::new(), page });
    }
    let comparison = record.comparison(experiment, execution).map_err(Failure::of_record)?;
    let finished =
        comparison.cells.iter().flat_map(|cell| &cell.runs).any(|run| run.summary.status == RunStatus::Finished);
    if !finished {
        return Err(Failure::bad_input(format!(
            "'{}' has no finished run to report on: `slhf-lab resume` goes on with it",
            output::visible(name)
        )));
    }
    let kind = found.map_or_else(String::new, |known| known.kind.clone());
    let subject = Subject { comparison, kind };
    let page = page(record, &subject)?;
    let question = subject.comparison.question.unwrap_or_default();
    Ok(Written { stem: file_stem(experiment, format), title: experiment.to_owned(), question, page })
}

/// What lists the pages of a folder.
fn index(pages: &[Written], format: PageFormat) -> String {
    let file = |written: &Written| format!("{}.{}", written.stem, format.extension());
    let rows: Vec<(String, String, String)> =
        pages.iter().map(|written| (written.title.clone(), file(written), written.question.clone())).collect();
    match format {
        PageFormat::Markdown => text::index(&rows),
        PageFormat::Html => {
            let link = |(title, file, question): &(String, String, String)| {
                format!("- [{}]({file}): {}", text::inline(title), text::inline(question))
            };
            let list = rows.iter().map(link).collect::<Vec<_>>().join("\n");
            Page { title: "Results".to_owned(), blocks: vec![Block::Text(list)] }.html()
        }
    }
}

/// What a file may be named after.
fn file_stem(experiment: &str, format: PageFormat) -> String {
    let kept = |character: char| if character.is_alphanumeric() || "-_.".contains(character) { character } else { '_' };
    let stem: String = experiment.chars().map(kept).collect();
    let name = format!("{stem}.{}", format.extension());
    let is_index = format.index().eq_ignore_ascii_case(&name);
    if stem == experiment && !is_index {
        return stem;
    }
    // Two names can lose what tells them apart.
    let hash = slhf_files::sha256_hex(experiment.as_bytes());
    format!("{stem}-{}", hash.get(..8).unwrap_or_default())
}

/// A page takes the place of an earlier one of its kind, and of nothing else.
fn check_own(path: &Path) -> Result<(), Failure> {
    let earlier =
        slhf_files::read_if_there(path, slhf_files::DATA_BYTES_MAX).map_err(|error| cannot_write(path, &error))?;
    if earlier.is_some_and(|bytes| !std::str::from_utf8(&bytes).is_ok_and(slhf_report::is_own)) {
        return Err(Failure::bad_input(format!(
            "{} is there already and was not written by `slhf-lab report`: name another folder with --out, or move the file away",
            path.display()
        )));
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

/// The page of an experiment's execution, as the browser shows it too.
pub(super) fn experiment_page(record: &mut Record, comparison: Comparison) -> Result<Page, Failure> {
    let known = record.experiments().map_err(Failure::failed)?;
    let found = known.iter().find(|known| known.experiment == comparison.experiment);
    let kind = found.map_or_else(String::new, |known| known.kind.clone());
    page(record, &Subject { comparison, kind })
}

fn page(record: &mut Record, subject: &Subject) -> Result<Page, Failure> {
    let comparison = &subject.comparison;
    let stem = &file_stem(&comparison.experiment, PageFormat::Markdown);
    let evaluations = measured::Evaluations::read(record, comparison)?;
    let mut blocks = match subject.kind.as_str() {
        "game" => Answer::of_games(comparison),
        _ if closed_sets::are_closed(comparison) => Answer::of_closed_sets(comparison),
        "reward-model" => Answer::of_reward_models(comparison, reward_models::agreement(comparison, &evaluations)),
        _ => Answer::of_policies(record, comparison)?,
    }
    .blocks(comparison);
    match subject.kind.as_str() {
        "game" => {
            blocks.extend(gradients::blocks(comparison));
            let narrowed = gradients::narrowed(comparison);
            let shown = narrowed.as_ref().unwrap_or(comparison);
            blocks.extend(measured::gaps(shown));
            blocks.extend(profile::of_metrics(shown, stem));
            blocks.extend(games::blocks(record, shown, &evaluations, stem)?);
            if narrowed.is_none() {
                blocks.extend(training::game_curves(record, comparison, stem)?);
            }
        }
        "reward-model" => {
            blocks.extend(reward_models::blocks(comparison, &evaluations));
            blocks.extend(training::curves(record, comparison, stem)?);
            blocks.extend(training::costs(record, comparison)?);
        }
        _ if closed_sets::are_closed(comparison) => {
            blocks.extend(closed_sets::blocks(comparison, &evaluations));
            blocks.extend(training::game_curves(record, comparison, stem)?);
            blocks.extend(training::schedule(record, comparison)?);
            blocks.extend(training::costs(record, comparison)?);
        }
        _ => {
            blocks.extend(held_out_pairs::blocks(comparison, &evaluations));
            blocks.extend(measured::held_out(comparison, &evaluations));
            blocks.extend(profile::of_evaluations(comparison, &evaluations, stem));
            blocks.extend(matrix::blocks(record, comparison, stem)?);
            blocks.extend(certificates::blocks(comparison, &evaluations));
            blocks.extend(measured::measures(comparison, &evaluations));
            blocks.extend(measured::reward_models(comparison, &evaluations));
            blocks.extend(refinement::curve(comparison, &evaluations, stem));
            blocks.extend(training::frontier(record, comparison, &evaluations, stem)?);
            blocks.extend(training::curves(record, comparison, stem)?);
            blocks.extend(training::schedule(record, comparison)?);
            blocks.extend(training::costs(record, comparison)?);
            blocks.extend(equal_cost::blocks(record, comparison)?);
            blocks.extend(training::samples(record, comparison)?);
        }
    }
    blocks.push(Block::Heading("How this was made".to_owned()));
    blocks.push(Block::Text(text::reading(&comparison.experiment)));
    blocks.extend(plan::blocks(record, comparison)?);
    blocks.extend(plan::provenance(record, comparison)?);
    Ok(Page { title: comparison.experiment.clone(), blocks })
}
