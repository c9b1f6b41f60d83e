//! Asking until enough is known: prompts are drawn in a random order, and bounds that hold at every moment say when to stop.

use std::num::NonZeroUsize;

use slhf_plan::StopAtPlan;
use slhf_statistics::{
    Horizon, Interval, Level, Population, Risk, SequentialFamily, SequentialMean, StopAt, draw_order, fixed_size,
};

use crate::asking::{AskedPair, Counted, Judge};
use crate::error::ComparisonError;
use crate::field::Field;

/// Prompts of a pair that are asked about before its bounds are looked at again: a judge behind a server answers them side by side.
const GROUP: usize = 8;
/// Of the order in which prompts are drawn: the same for all pairs and judges.
const ORDER_SEED: u64 = 0;
/// A win rate that an interval's width says nothing of.
const TIE: f64 = 0.5;

/// What is known of the trained policies on their held-out prompts, at the moment when it sufficed.
#[derive(Debug)]
pub struct Stopped {
    /// What sufficed.
    pub rule: StopAtPlan,
    /// One a pair of policies, in the order of the matchups.
    pub pairs: Vec<StoppedPair>,
}

/// One pair: the win rate of these trained policies on these prompts, over all seeds and both orders. Nothing is said of other trainings.
#[derive(Debug)]
pub struct StoppedPair {
    /// 95 %, at every moment at once; the rate itself where all prompts were asked and no verdict failed.
    pub interval: Interval,
    /// Prompts that the judge was asked about.
    pub asked: usize,
    /// Prompts that both answered under every seed.
    pub prompts: usize,
    /// Prompts that were asked about and have no verdict under one of the seeds: they may be anything to the interval.
    pub failed: usize,
    /// Verdicts a prompt: seeds and both orders.
    pub verdicts_per_prompt: usize,
    /// An e-value of "neither is preferred", or of the rate that the rule names; infinite where that is impossible.
    pub e_value: f64,
    /// Whether e-BH says that it differs, with 5 % of all such claims wrong; `None`: the pair is not asked about.
    pub differs: Option<bool>,
    /// Prompts that a plan with a fixed number of them would have needed, had it guessed rate and deviation right; `None` of a single verdict.
    pub fixed: Option<usize>,
}

impl Stopped {
    /// The win rate that claims of a difference are about.
    pub fn differs_from(&self) -> f64 {
        differs_from(self.rule)
    }

    /// Verdicts that were asked for, and those that there would have been.
    pub fn verdicts(&self) -> (usize, usize) {
        let sum =
            |of: fn(&StoppedPair) -> usize| self.pairs.iter().map(|pair| of(pair) * pair.verdicts_per_prompt).sum();
        (sum(|pair| pair.asked), sum(|pair| pair.prompts))
    }

    /// Verdicts of a plan with a fixed number of prompts, in hindsight; nothing where one of its pairs has none.
    pub fn fixed_verdicts(&self) -> Option<usize> {
        self.pairs.iter().map(|pair| Some(pair.fixed? * pair.verdicts_per_prompt)).sum()
    }

    /// The part of `of` verdicts that was not needed; below 0 where more were.
    pub fn saved(&self, of: usize) -> f64 {
        1.0 - self.verdicts().0 as f64 / of.max(1) as f64
    }
}

/// Asks about all pairs side by side, a group of prompts each in turn, until enough is known of each or its prompts are at an end.
/// `is_asked`: whether the experiment's family has a pair.
pub(crate) fn ask_until(
    rule: StopAtPlan,
    judge: &Judge<'_>,
    pairs: &mut [AskedPair<'_>],
    is_asked: &[bool],
    counted: &mut Counted,
) -> Result<Stopped, ComparisonError> {
    let stop = match rule {
        StopAtPlan::Width(width) => StopAt::width(width),
        StopAtPlan::DifferenceFrom(mean) => StopAt::difference_from(mean),
    }
    .map_err(ComparisonError::Sequential)?;
    let order = draw_order(judge.field.prompts.len(), ORDER_SEED);
    let mut drawn: Vec<Drawn> = pairs.iter().map(|pair| Drawn::new(judge.field, pair, &order)).collect();
    let mut means: Vec<SequentialMean> = drawn.iter().map(Drawn::nothing_seen).collect();
    loop {
        let family = SequentialFamily { means: &means, is_asked, rate: Risk::of(Level::PERCENT_95) };
        let needs_more = family.need_more(stop);
        let open: Vec<usize> = (0..pairs.len()).filter(|at| needs_more[*at] && !drawn[*at].left().is_empty()).collect();
        if open.is_empty() {
            break;
        }
        for at in open {
            drawn[at].ask_a_group(judge, &mut pairs[at], &mut means[at], counted)?;
        }
    }
    let mean = differs_from(rule);
    let differ = SequentialFamily { means: &means, is_asked, rate: Risk::of(Level::PERCENT_95) }.differ_from(mean);
    let pairs = drawn.iter().zip(&means).zip(differ);
    Ok(Stopped { rule, pairs: pairs.map(|((drawn, seen), differs)| drawn.found(seen, stop, mean, differs)).collect() })
}

fn differs_from(rule: StopAtPlan) -> f64 {
    match rule {
        StopAtPlan::Width(_) => TIE,
        StopAtPlan::DifferenceFrom(mean) => mean,
    }
}

/// The prompts of a pair, and how far it came.
struct Drawn {
    /// Under which both answered anything.
    seeds: Vec<usize>,
    /// That both answered under all of these, in the order in which they are drawn.
    prompts: Vec<usize>,
    asked: usize,
}

impl Drawn {
    fn new(field: &Field, pair: &AskedPair<'_>, order: &[usize]) -> Self {
        let both = |seed: usize, prompt: usize| pair.answers(seed, prompt).is_some();
        let seeds: Vec<usize> =
            (0..field.seeds.len()).filter(|&seed| order.iter().any(|&prompt| both(seed, prompt))).collect();
        let is_whole = |prompt: &usize| seeds.iter().all(|&seed| both(seed, *prompt));
        let prompts = order.iter().copied().filter(is_whole).collect();
        Self { seeds, prompts, asked: 0 }
    }

    fn left(&self) -> &[usize] {
        &self.prompts[self.asked..]
    }

    fn nothing_seen(&self) -> SequentialMean {
        // Without a prompt nothing is ever added, and the tournament says why there is no verdict.
        let size = NonZeroUsize::new(self.prompts.len()).unwrap_or(NonZeroUsize::MIN);
        SequentialMean::new(Level::PERCENT_95, Population::Finite(size), Horizon::Open)
    }

    fn ask_a_group(
        &mut self,
        judge: &Judge<'_>,
        pair: &mut AskedPair<'_>,
        seen: &mut SequentialMean,
        counted: &mut Counted,
    ) -> Result<(), ComparisonError> {
        let group = &self.left()[..self.left().len().min(GROUP)];
        pair.ask(judge, group, counted)?;
        for &prompt in group {
            let wins: Option<Vec<f64>> =
                self.seeds.iter().map(|seed| pair.wins[seed * judge.field.prompts.len() + prompt]).collect();
            match wins {
                Some(wins) => seen.add((wins.iter().sum::<f64>() / wins.len() as f64).clamp(0.0, 1.0)),
                None => seen.add_missing(),
            }
            .map_err(ComparisonError::Sequential)?;
        }
        self.asked += group.len();
        Ok(())
    }

    fn found(&self, seen: &SequentialMean, stop: StopAt, mean: f64, differs: Option<bool>) -> StoppedPair {
        let known = seen.known();
        let fixed = known.as_ref().and_then(|known| {
            let deviation = known.standard_deviation()?;
            Some(fixed_size(self.prompts.len(), known.mean(), deviation, stop, Level::PERCENT_95))
        });
        StoppedPair {
            interval: seen.interval(),
            asked: self.asked,
            prompts: self.prompts.len(),
            failed: seen.missing(),
            verdicts_per_prompt: 2 * self.seeds.len(),
            e_value: seen.e_value(mean),
            differs,
            fixed,
        }
    }
}
