//! Sentences and numbers of a page.

use std::fmt::Write as _;

use slhf_record::{ComparedCell, ComparedRun, Comparison, RunStatus};
use slhf_report::{ROUNDING, escape};

use crate::output::number;

/// The runs that count.
pub(super) fn finished(cell: &ComparedCell) -> impl Iterator<Item = &ComparedRun> {
    cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished)
}

/// A person's text within a line of Markdown.
pub(super) fn inline(text: &str) -> String {
    escape::markdown(text)
}

/// Cells, runs and seeds that the page rests on.
pub(super) fn seeds(comparison: &Comparison) -> String {
    let runs: Vec<&ComparedRun> = comparison.cells.iter().flat_map(finished).collect();
    let mut seeds: Vec<i64> = runs.iter().map(|run| run.summary.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let unfinished = comparison.cells.iter().map(|cell| cell.runs.len()).sum::<usize>() - runs.len();
    let left_out = match unfinished {
        0 => String::new(),
        1 => " (one run is not finished and is left out)".to_owned(),
        many => format!(" ({many} runs are not finished and are left out)"),
    };
    let counted = |count: usize, one: &str, many: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
    };
    format!(
        "{}, {} over {} ({}){left_out}",
        counted(comparison.cells.len(), "cell", "cells"),
        counted(runs.len(), "finished run", "finished runs"),
        counted(seeds.len(), "seed", "seeds"),
        ranges(&seeds)
    )
}

/// How numbers are to be read, and how to make the page again.
pub(super) fn reading(command: &str) -> String {
    format!(
        "A value `a ± b` is the mean over n seeds with the half width of Student's 95 % interval over seeds; with one seed there is no interval. \
         A share, such as a win rate, is `a [low, high]`: Wilson's interval at as many responses as its spread over the seeds amounts to, for \
         other trainings on the same prompts; with one seed it is over prompts. What is below {} is rounding. Written by \
         `slhf-lab report {}` from the record; nothing here is written by hand.",
        number(ROUNDING),
        escape::code(command),
    )
}

/// `1–3, 7`
fn ranges(sorted: &[i64]) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for &seed in sorted {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == seed => *last = seed,
            _ => parts.push((seed, seed)),
        }
    }
    let part = |(first, last): &(i64, i64)| if first == last { first.to_string() } else { format!("{first}–{last}") };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Of `docs/results`.
pub(super) fn index(pages: &[(String, String, String)]) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `slhf-lab report` from a record; nothing here is written by hand.\n\n| experiment | question \
         |\n| :--- | :--- |\n",
    );
    for (experiment, file, question) in pages {
        let _ = writeln!(text, "| [{}]({file}) | {} |", inline(experiment), inline(question));
    }
    text
}
