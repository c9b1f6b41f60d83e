//! Circles among the answers to one prompt: whether the judge itself ranks what it is shown, whoever said it.
//!
//! Circles of policies may cancel: a judge that goes round in circles on every prompt can still rank the policies, and one
//! that ranks the answers to every prompt can still make a circle of policies (Condorcet's paradox over prompts).

use std::cmp::Ordering;

use super::wins::{Tournament, place};
use crate::crossed::Over;
use crate::ratio::{Estimate, crossed_ratio_of_sums};
use crate::sample::Interval;

/// A margin that rounding makes is none.
const ROUNDING: f64 = 1e-12;

/// Triples of different answers to one prompt under one seed, and how many of them go round in a circle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerTriples {
    /// Triples with all three verdicts.
    pub total: usize,
    /// Those in which each answer is preferred to the next; a tie makes no circle.
    pub intransitive: usize,
    /// Of the triples those that go round: the mean over seeds of each seed's share; `None` without any triple.
    pub share: Option<f64>,
    /// 95 % of the share, as of any ratio of sums ([`crossed_ratio_of_sums`]), prompts as clusters; `None` without any triple.
    pub interval: Option<Interval>,
    /// Whom the interval speaks about.
    pub over: Over,
    /// Prompts with a triple, counted under every seed.
    pub prompts: usize,
    /// Those with a circle.
    pub prompts_with_circle: usize,
}

/// Of one seed and prompt.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    total: usize,
    intransitive: usize,
}

impl Tournament {
    /// Counts circles among the answers. `answer(policy, seed, prompt)` tells answers apart: equal ones are one answer, judged
    /// by the first verdict that there is on it; `None` where there is no answer.
    pub fn answer_triples<T: PartialEq>(&self, answer: impl Fn(usize, usize, usize) -> Option<T>) -> AnswerTriples {
        let mut counts = Vec::with_capacity(self.seeds * self.prompts);
        for seed in 0..self.seeds {
            for prompt in 0..self.prompts {
                let different = different((0..self.policies).map(|policy| answer(policy, seed, prompt)));
                counts.push(circles(different.len(), |a, b| self.verdict(&different[a], &different[b], seed, prompt)));
            }
        }
        let sum = |of: fn(&Counted) -> usize| counts.iter().map(of).sum();
        let clusters: Vec<(f64, f64)> =
            counts.iter().map(|counted| (counted.intransitive as f64, counted.total as f64)).collect();
        let rows: Vec<&[(f64, f64)]> = clusters.chunks(self.prompts).collect();
        let share: Option<Estimate> = crossed_ratio_of_sums(&rows);
        AnswerTriples {
            total: sum(|counted| counted.total),
            intransitive: sum(|counted| counted.intransitive),
            share: share.map(|share| share.value),
            interval: share.and_then(|share| share.interval),
            over: share.map_or(Over::seeds(self.seeds), |share| share.over),
            prompts: sum(|counted| usize::from(counted.total > 0)),
            prompts_with_circle: sum(|counted| usize::from(counted.intransitive > 0)),
        }
    }

    /// Whether one answer is preferred to another, by the first verdict between policies that gave them.
    fn verdict(&self, one: &[usize], other: &[usize], seed: usize, prompt: usize) -> Option<Ordering> {
        let at = seed * self.prompts + prompt;
        let mut pairs = one.iter().flat_map(|i| other.iter().map(move |j| (*i, *j)));
        pairs.find_map(|(i, j)| {
            let won = self.of_pair(place(self.policies, i.min(j), i.max(j)))[at];
            let margin = if i < j { won - 0.5 } else { 0.5 - won };
            let tie = margin.abs() <= ROUNDING;
            if tie { Some(Ordering::Equal) } else { margin.partial_cmp(&0.0) }
        })
    }
}

/// Who gave each of the different answers.
fn different<T: PartialEq>(answers: impl Iterator<Item = Option<T>>) -> Vec<Vec<usize>> {
    let mut known: Vec<(T, Vec<usize>)> = Vec::new();
    for (policy, answer) in answers.enumerate() {
        let Some(answer) = answer else { continue };
        match known.iter_mut().find(|(one, _)| *one == answer) {
            Some((_, policies)) => policies.push(policy),
            None => known.push((answer, vec![policy])),
        }
    }
    known.into_iter().map(|(_, policies)| policies).collect()
}

/// All triples of `many`, as far as all three were compared; `verdict(a, b)` is asked for a < b.
fn circles(many: usize, verdict: impl Fn(usize, usize) -> Option<Ordering>) -> Counted {
    let verdicts: Vec<Option<Ordering>> = (0..many * many)
        .map(|at| {
            let (a, b) = (at / many, at % many);
            if a < b { verdict(a, b) } else { None }
        })
        .collect();
    let of = |a: usize, b: usize| verdicts[a * many + b];
    let mut counted = Counted::default();
    for a in 0..many {
        for b in a + 1..many {
            let Some(first) = of(a, b) else { continue };
            for c in b + 1..many {
                let (Some(second), Some(third)) = (of(b, c), of(a, c)) else { continue };
                counted.total += 1;
                counted.intransitive += usize::from(first.is_ne() && second == first && third == first.reverse());
            }
        }
    }
    counted
}
