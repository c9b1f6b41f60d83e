//! `slhf-lab report`: pages of results from the record, Markdown with SVG figures.

mod equal_cost;
mod found;
mod matrix;
mod measured;
mod plan;
mod profile;
mod refinement;
mod reward_models;
mod text;
mod training;

use std::path::{Path, PathBuf};

use clap::Args;
use slhf_record::{Comparison, OpenMode, Record, RunStatus};
use slhf_report::{Block, Page};

use super::common::RecordArgument;
use crate::failure::Failure;
use crate::output;
use slhf_comparison::split_execution;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Experiments (name, or name#3 for its third execution) [default: all that the record holds]
    #[arg(value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// The folder that the pages are written to: EXPERIMENT.md with its figures, and, where no
    /// EXPERIMENT is named, README.md that lists all of them
    #[arg(long, value_name = "DIR", default_value = "report")]
    out: PathBuf,
    #[command(flatten)]
    record: RecordArgument,
}

/// One experiment as it is gathered.
struct Subject {
    comparison: Comparison,
    kind: String,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let known = record.experiments().map_err(Failure::failed)?;
    let mut names = arguments.experiments.clone();
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
    let mut listed = Vec::new();
    let mut files = Vec::new();
    for name in &names {
        let (experiment, execution) = split_execution(name);
        let comparison = record.comparison(experiment, execution).map_err(Failure::of_record)?;
        let finished =
            comparison.cells.iter().flat_map(|cell| &cell.runs).any(|run| run.summary.status == RunStatus::Finished);
        if !finished {
            return Err(Failure::bad_input(format!(
                "'{}' has no finished run to report on: `slhf-lab resume` goes on with it",
                output::visible(name)
            )));
        }
        let kind = known.iter().find(|known| known.experiment == experiment);
        let subject = Subject { kind: kind.map_or_else(String::new, |known| known.kind.clone()), comparison };
        let page = page(&mut record, &subject)?;
        let file = format!("{}.md", file_stem(experiment));
        let rendered = page.render(&file).map_err(Failure::failed)?;
        files.extend(rendered.into_iter().map(|written| (arguments.out.join(written.name), written.text)));
        listed.push((experiment.to_owned(), file, subject.comparison.question.unwrap_or_default()));
    }
    if arguments.experiments.is_empty() {
        files.push((arguments.out.join(INDEX), text::index(&listed)));
    }
    // All are looked at before the first is written.
    for (path, _) in &files {
        check_own(path)?;
    }
    for (path, text) in &files {
        slhf_files::replace(path, text.as_bytes()).map_err(|error| cannot_write(path, &error))?;
    }
    for (_, file, _) in &listed {
        output::print_text(&format!("{}\n", arguments.out.join(file).display()))?;
    }
    Ok(())
}

/// Of a folder of pages.
const INDEX: &str = "README.md";

/// What a file may be named after.
fn file_stem(experiment: &str) -> String {
    let kept = |character: char| if character.is_alphanumeric() || "-_.".contains(character) { character } else { '_' };
    let stem: String = experiment.chars().map(kept).collect();
    let is_index = INDEX.strip_suffix(".md").is_some_and(|index| index.eq_ignore_ascii_case(&stem));
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

fn page(record: &mut Record, subject: &Subject) -> Result<Page, Failure> {
    let comparison = &subject.comparison;
    let stem = file_stem(&comparison.experiment);
    let mut page = Page { title: comparison.experiment.clone(), blocks: Vec::new() };
    if let Some(question) = &comparison.question {
        page.blocks.push(Block::Text(format!("> {}", text::inline(question))));
    }
    page.blocks.push(Block::Text(text::preface(comparison)));
    page.blocks.extend(match subject.kind.as_str() {
        "game" => found::of_games(comparison),
        "reward-model" => Vec::new(),
        _ => found::of_policies(record, comparison)?,
    });
    page.blocks.extend(plan::blocks(record, comparison)?);
    if subject.kind == "reward-model" {
        let evaluations = measured::Evaluations::read(record, comparison)?;
        page.blocks.extend(reward_models::blocks(comparison, &evaluations));
        page.blocks.extend(training::curves(record, comparison, &stem)?);
        page.blocks.extend(training::costs(record, comparison)?);
    } else if subject.kind == "game" {
        page.blocks.extend(measured::gaps(comparison));
        page.blocks.extend(profile::of_metrics(comparison, &stem));
        let evaluations = measured::Evaluations::read(record, comparison)?;
        page.blocks.extend(measured::policies(comparison, &evaluations));
        page.blocks.extend(profile::of_policies(comparison, &evaluations, &stem));
    } else {
        let evaluations = measured::Evaluations::read(record, comparison)?;
        page.blocks.extend(measured::win_rates(comparison, &evaluations));
        page.blocks.extend(measured::measures(comparison, &evaluations));
        page.blocks.extend(measured::reward_models(comparison, &evaluations));
        page.blocks.extend(profile::of_evaluations(comparison, &evaluations, &stem));
        page.blocks.extend(matrix::blocks(record, comparison, &stem)?);
        page.blocks.extend(refinement::curve(comparison, &evaluations, &stem));
        page.blocks.extend(training::frontier(record, comparison, &evaluations, &stem)?);
        page.blocks.extend(training::curves(record, comparison, &stem)?);
        page.blocks.extend(training::schedule(record, comparison)?);
        page.blocks.extend(training::costs(record, comparison)?);
        page.blocks.extend(equal_cost::blocks(record, comparison)?);
        page.blocks.extend(training::samples(record, comparison)?);
    }
    page.blocks.extend(plan::provenance(record, comparison)?);
    Ok(page)
}
