//! Sentences and numbers of a page.

use std::fmt::Write as _;

use slhf_record::{ComparedCell, ComparedRun, Comparison, RunStatus};
use slhf_report::escape;
use slhf_statistics::{Level, Sample, share_over_seeds};

use crate::output;

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
         Student's 95 % interval; with one seed there is no interval. Written by `slhf-lab report {}` from the record; nothing \
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

/// `0.681 ± 0.013 (3)`
pub(super) fn estimate(values: &[f64]) -> String {
    let Ok(sample) = Sample::new(values.to_vec()) else { return "–".to_owned() };
    let (mean, n) = (output::number(sample.mean()), sample.n());
    match sample.mean_interval(Level::PERCENT_95) {
        Some(interval) => format!("{mean} ± {} ({n})", output::half_width(interval.half_width())),
        None => format!("{mean} ({n})"),
    }
}

/// `0.906 [0.671, 0.979] (3)`: of a share of so many prompts, which has an interval of a share.
pub(super) fn estimate_of_share(shares: &[f64], prompts: usize) -> String {
    share_over_seeds(shares, prompts).map_or_else(
        || estimate(shares),
        |(share, interval)| format!("{share:.3} [{:.3}, {:.3}] ({})", interval.low, interval.high, shares.len()),
    )
}

/// The mean and Student's interval.
pub(super) fn mean_and_range(values: &[f64]) -> Option<(f64, Option<(f64, f64)>)> {
    let sample = Sample::new(values.to_vec()).ok()?;
    Some((sample.mean(), sample.mean_interval(Level::PERCENT_95).map(|interval| (interval.low, interval.high))))
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
