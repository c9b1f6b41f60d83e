//! Sentences and numbers of a page.

use std::fmt::Write as _;

use slhf_record::{ComparedCell, ComparedRun, Comparison, RunStatus};
use slhf_report::escape;

/// The runs that count.
pub(super) fn finished(cell: &ComparedCell) -> impl Iterator<Item = &ComparedRun> {
    cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished)
}

/// A person's text within a line of Markdown.
pub(super) fn inline(text: &str) -> String {
    escape::markdown(text)
}

/// Which seeds, which intervals, how to make the page again.
pub(super) fn preface(comparison: &Comparison) -> String {
    let runs: Vec<&ComparedRun> = comparison.cells.iter().flat_map(finished).collect();
    let mut seeds: Vec<i64> = runs.iter().map(|run| run.summary.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let unfinished = comparison.cells.iter().map(|cell| cell.runs.len()).sum::<usize>() - runs.len();
    let left_out =
        if unfinished > 0 { format!(" {unfinished} runs are not finished and are left out.") } else { String::new() };
    format!(
        "{} cells, {} finished runs, {} seeds ({}).{left_out} A value `a ± b (n)` is the mean over n seeds with the half width of \
         Student's 95 % interval over seeds; with one seed there is no interval. A share, such as a win rate, is `a [low, high] (n)`: Wilson's interval \
         at as many responses as its spread over the seeds amounts to, for other trainings on the same prompts; with one seed it is over \
         prompts. Written by `slhf-lab report {}` from the record; nothing \
         here is written by hand.",
        comparison.cells.len(),
        runs.len(),
        seeds.len(),
        ranges(&seeds),
        escape::code(&comparison.experiment),
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
