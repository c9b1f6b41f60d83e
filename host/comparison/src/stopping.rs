//! Asking until enough is known: prompts are drawn in a random order, and bounds that hold at every moment say when to stop.

use std::num::NonZeroUsize;

use slhf_plan::StopAtPlan;
use slhf_statistics::{
    Horizon, Interval, Level, Population, Risk, SequentialFamily, SequentialMean, StopAt, draw_order,
};

use crate::asking::{AskedPair, Counted, Judge};
use crate::error::ComparisonError;
use crate::field::Field;
use crate::stopping_said::StoppingSaid;

/// Prompts of a pair that are asked about before its bounds are looked at again: a judge behind a server answers them side by side.
const GROUP: usize = 8;
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

    /// What is said of it.
    pub(crate) fn said(&self) -> StoppingSaid {
        let of_family =
            |wanted: fn(bool) -> bool| self.pairs.iter().filter(|pair| pair.differs.is_some_and(wanted)).count();
        StoppingSaid {
            rule: self.rule,
            verdicts: self.verdicts(),
            differ: (of_family(|differs| differs), of_family(|_| true)),
            differs_from: self.differs_from(),
        }
    }

    /// The part of all verdicts that was not needed.
    pub fn saved(&self) -> f64 {
        let (asked, all) = self.verdicts();
        1.0 - asked as f64 / all.max(1) as f64
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
    let order = draw_order(judge.field.prompts.len(), order_seed(judge.field));
    let mut drawn: Vec<Drawn> = pairs.iter().map(|pair| Drawn::new(judge.field, pair, &order)).collect();
    let mut means: Vec<SequentialMean> = drawn.iter().map(Drawn::nothing_seen).collect();
    for until in (GROUP..).step_by(GROUP) {
        let family = SequentialFamily { means: &means, is_asked, rate: Risk::of(Level::PERCENT_95) };
        let needs_more = family.need_more(stop);
        let open: Vec<usize> = (0..pairs.len()).filter(|at| needs_more[*at] && !drawn[*at].left().is_empty()).collect();
        if open.is_empty() {
            break;
        }
        for at in open {
            drawn[at].ask_until(until, judge, (&mut pairs[at], &mut means[at]), counted)?;
        }
    }
    let mean = differs_from(rule);
    let differ = SequentialFamily { means: &means, is_asked, rate: Risk::of(Level::PERCENT_95) }.differ_from(mean);
    let pairs = drawn.iter().zip(&means).zip(differ);
    Ok(Stopped { rule, pairs: pairs.map(|((drawn, seen), differs)| drawn.found(seen, mean, differs)).collect() })
}

/// The order in which prompts are drawn is one for all pairs, judges and repetitions, and another for other prompts.
fn order_seed(field: &Field) -> u64 {
    let mut bytes = Vec::new();
    for prompt in &field.prompts {
        bytes.extend_from_slice(prompt.text.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(prompt.metadata.as_bytes());
        bytes.push(0);
    }
    let hash = slhf_files::sha256_hex(bytes);
    hash.bytes().take(16).fold(0, |seed, digit| seed << 4 | u64::from((digit as char).to_digit(16).unwrap_or(0)))
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
    /// That both answered under all of these, in the order in which they are drawn, each behind its place in the order of all.
    prompts: Vec<(usize, usize)>,
    asked: usize,
}

impl Drawn {
    fn new(field: &Field, pair: &AskedPair<'_>, order: &[usize]) -> Self {
        let both = |seed: usize, prompt: usize| pair.answers(seed, prompt).is_some();
        let seeds: Vec<usize> =
            (0..field.seeds.len()).filter(|&seed| order.iter().any(|&prompt| both(seed, prompt))).collect();
        let is_whole = |prompt: &usize| seeds.iter().all(|&seed| both(seed, *prompt));
        let prompts = order.iter().copied().enumerate().filter(|(_, prompt)| is_whole(prompt)).collect();
        Self { seeds, prompts, asked: 0 }
    }

    fn left(&self) -> &[(usize, usize)] {
        &self.prompts[self.asked..]
    }

    fn nothing_seen(&self) -> SequentialMean {
        // Without a prompt nothing is ever added, and the tournament says why there is no verdict.
        let size = NonZeroUsize::new(self.prompts.len()).unwrap_or(NonZeroUsize::MIN);
        SequentialMean::new(Level::PERCENT_95, Population::Finite(size), Horizon::Open)
    }

    /// Goes on to that place of the order of all prompts. Pairs stay side by side in it: one that ran ahead, because it has fewer prompts,
    /// would tell of prompts that others have still to draw.
    fn ask_until(
        &mut self,
        until: usize,
        judge: &Judge<'_>,
        (pair, seen): (&mut AskedPair<'_>, &mut SequentialMean),
        counted: &mut Counted,
    ) -> Result<(), ComparisonError> {
        let group: Vec<usize> =
            self.left().iter().take_while(|(place, _)| *place < until).map(|(_, prompt)| *prompt).collect();
        pair.ask(judge, &group, counted)?;
        for &prompt in &group {
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

    fn found(&self, seen: &SequentialMean, mean: f64, differs: Option<bool>) -> StoppedPair {
        StoppedPair {
            interval: seen.interval(),
            asked: self.asked,
            prompts: self.prompts.len(),
            failed: seen.missing(),
            verdicts_per_prompt: 2 * self.seeds.len(),
            e_value: seen.e_value(mean),
            differs,
        }
    }
}
