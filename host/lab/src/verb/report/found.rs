//! What a page says first, in three sentences: what was asked, what was found, how sure that is.

use slhf_plan::{MetricKey, Work};
use slhf_record::{ComparedCell, Comparison, Record};
use slhf_report::{Block, ROUNDING, escape};

use super::closed_sets;
use super::gradients;
use super::matrix;
use super::measured::own_target;
use super::text::{finished, inline, seeds};
use crate::failure::Failure;
use crate::output::number;
use crate::over_seeds::latest;

/// What the three sentences say.
pub(super) struct Answer {
    found: String,
    sure: String,
    notes: Vec<String>,
}

/// A run ends at its target where the gap is less.
const AT_TARGET: f64 = 1e-6;

impl Answer {
    /// The three sentences, and what else must be known before anything is read.
    pub(super) fn blocks(self, comparison: &Comparison) -> Vec<Block> {
        let asked =
            comparison.question.as_deref().map_or_else(|| "the experiment states no `question`.".to_owned(), inline);
        let mut said = vec![
            format!("**Asked:** {asked}"),
            format!("**Found:** {}", self.found),
            format!("**How sure:** {}", self.sure),
        ];
        said.extend(self.notes);
        said.into_iter().map(Block::Text).collect()
    }

    /// Of policies of language models, by the training judge; held-out judges follow on the page.
    pub(super) fn of_policies(record: &mut Record, comparison: &Comparison) -> Result<Self, Failure> {
        let mut notes = Vec::new();
        let outdated = matrix::outdated_judges(record, comparison)?;
        if outdated > 0 {
            notes.push(format!(
                "What was concluded of {outdated} judges is of an earlier version of the statistics, and is not shown: the sections below say \
                 how to make it anew."
            ));
        }
        notes.extend(earlier_version(record, comparison)?);
        let concluded = matrix::found(record, comparison)?;
        let (found, sure) = concluded.unwrap_or_else(|| {
            let found = format!(
                "policies were not compared with each other yet: `slhf-lab evaluate {}` does so.",
                escape::code(&comparison.experiment)
            );
            (found, format!("{}; nothing was tested.", seeds(comparison)))
        });
        Ok(Self { found, sure, notes })
    }

    /// Of finite games: who is worth most, and who reaches the target.
    pub(super) fn of_games(comparison: &Comparison) -> Self {
        if let Some(found) = gradients::found(comparison) {
            let sure = format!(
                "{}; gaps are exact and gradients counted to the step, of the seed that needed most; another grid of learning rates, or \
                 starts farther away, give other counts.",
                seeds(comparison)
            );
            return Self { found: format!("{found}."), sure, notes: Vec::new() };
        }
        let (at, far): (Vec<_>, Vec<_>) = targets(comparison).into_iter().partition(|target| target.gap < AT_TARGET);
        let mut found = Vec::new();
        let committed = extremes(comparison, MetricKey::ValueCommitted.name());
        if let Some(((most, best), (least, worst))) = committed {
            found.push(if (most - least).abs() < ROUNDING {
                format!("`value/committed` is {} for every policy", number(most))
            } else {
                format!(
                    "`value/committed` is highest for {} ({}) and lowest for {} ({})",
                    inline(best),
                    number(most),
                    inline(worst),
                    number(least)
                )
            });
        }
        let all = at.len() + far.len();
        match far.iter().max_by(|one, other| one.gap.total_cmp(&other.gap)) {
            _ if all == 0 => {}
            None => found.push(format!(
                "all {all} cells with a target in closed form end at it (gaps below {})",
                number(AT_TARGET)
            )),
            Some(farthest) => found.push(format!(
                "{} of {all} cells with a target in closed form end at it (gaps below {}); farthest is {} (`{}` {})",
                at.len(),
                number(AT_TARGET),
                inline(farthest.cell),
                farthest.key,
                number(farthest.gap)
            )),
        }
        let found = if found.is_empty() { "no run has recorded a value.".to_owned() } else { found.join("; ") + "." };
        let sure = format!(
            "{}; solutions and gaps are exact, and differences between seeds are differences of the training.",
            seeds(comparison)
        );
        Self { found, sure, notes: Vec::new() }
    }

    /// Of language models that are restricted to closed sets.
    pub(super) fn of_closed_sets(comparison: &Comparison) -> Self {
        let found = closed_sets::found(comparison).unwrap_or_else(|| "no run has recorded a value.".to_owned());
        let sure = format!(
            "{}; each prompt's distance is exact, so that what varies between seeds is the training; other prompts may be nearer or \
             farther.",
            seeds(comparison)
        );
        Self { found, sure, notes: Vec::new() }
    }

    /// Of reward models on held-out pairs.
    pub(super) fn of_reward_models(comparison: &Comparison, agreement: Option<String>) -> Self {
        let found = agreement.unwrap_or_else(|| "no run has measured its agreement on held-out pairs.".to_owned());
        Self {
            found,
            sure: format!(
                "{}; pairs of one prompt are not independent, so that intervals are over prompts.",
                seeds(comparison)
            ),
            notes: Vec::new(),
        }
    }
}

/// How far a cell ended from its own target.
struct Target<'a> {
    cell: &'a str,
    key: &'static str,
    gap: f64,
}

/// By the gap that each method is trained to close.
fn targets(comparison: &Comparison) -> Vec<Target<'_>> {
    let of = |cell: &'_ ComparedCell| {
        own_target(cell).map(|(key, found)| (key, found.mean)).filter(|(_, gap)| gap.is_finite())
    };
    let targets =
        comparison.cells.iter().filter_map(|cell| of(cell).map(|(key, gap)| Target { cell: &cell.label, key, gap }));
    targets.collect()
}

/// A value with whose it is.
type Of<'a> = (f64, &'a str);

/// The highest and the lowest mean over seeds.
fn extremes<'a>(comparison: &'a Comparison, key: &str) -> Option<(Of<'a>, Of<'a>)> {
    let values = || {
        let of = |cell: &'a ComparedCell| Some((latest(cell, key)?.mean, cell.label.as_str()));
        comparison.cells.iter().filter_map(of).filter(|(value, _)| value.is_finite())
    };
    // Of equal ones the first.
    let highest = values().reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    let lowest = values().reduce(|worst, next| if next.0 < worst.0 { next } else { worst })?;
    Some((highest, lowest))
}

/// Runs whose frozen plan has no stream of its own were computed before version 2 of the content hash.
fn earlier_version(record: &mut Record, comparison: &Comparison) -> Result<Option<String>, Failure> {
    let mut is_earlier = false;
    for run in comparison.cells.iter().flat_map(finished) {
        let frozen = record.frozen_plan(run.summary.run).map_err(Failure::failed)?;
        if let Some(Ok(Work::LanguageModel(plan))) = frozen.as_deref().map(Work::from_json) {
            is_earlier |= plan.evaluation.stream.is_none();
        }
    }
    Ok(is_earlier.then(|| {
        "**Runs of this page were computed before version 2 of the content hash**: some methods compute other numbers today, and cells shared \
         the uniforms that their held-out responses were sampled with (docs/what-changed.md of slhf-lab)."
            .to_owned()
    }))
}
