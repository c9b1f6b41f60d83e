//! Circles among the answers to one prompt: whether the judge itself ranks what it is shown, whoever said it.
//!
//! Circles of policies may cancel: a judge that goes round in circles on every prompt can still rank the policies, and one
//! that ranks the answers to every prompt can still make a circle of policies (Condorcet's paradox over prompts).

use std::cmp::Ordering;

use super::resampling::weights;
use super::{Tournament, TournamentSettings, interval, place};
use crate::random::SplitMix64;
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
    /// 95 % of the share, by the bootstrap of the tournament (seeds, then prompts); `None` without any triple. Where nothing or
    /// everything is a circle no resample can say otherwise, and both ends are the share.
    pub interval: Option<Interval>,
    /// Prompts with a triple, counted under every seed.
    pub prompts: usize,
    /// Those with a circle.
    pub prompts_with_circle: usize,
}

impl AnswerTriples {
    /// The share of intransitive triples; `None` without any triple.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.intransitive as f64 / self.total as f64)
    }
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
    pub fn answer_triples<T: PartialEq>(
        &self,
        settings: &TournamentSettings,
        answer: impl Fn(usize, usize, usize) -> Option<T>,
    ) -> AnswerTriples {
        let mut counts = Vec::with_capacity(self.seeds * self.prompts);
        for seed in 0..self.seeds {
            for prompt in 0..self.prompts {
                let different = different((0..self.policies).map(|policy| answer(policy, seed, prompt)));
                counts.push(circles(different.len(), |a, b| self.verdict(&different[a], &different[b], seed, prompt)));
            }
        }
        let sum = |of: fn(&Counted) -> usize| counts.iter().map(of).sum();
        AnswerTriples {
            total: sum(|counted| counted.total),
            intransitive: sum(|counted| counted.intransitive),
            interval: self.share_interval(&counts, settings),
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

    /// The share in resamples of seeds, then prompts. One that has no triple keeps what was observed.
    fn share_interval(&self, counts: &[Counted], settings: &TournamentSettings) -> Option<Interval> {
        let share = |seeds: &[f64], prompts: &[f64]| {
            let (mut intransitive, mut total) = (0.0, 0.0);
            for (seed, row) in seeds.iter().zip(counts.chunks(self.prompts)) {
                for (prompt, counted) in prompts.iter().zip(row) {
                    intransitive += seed * prompt * counted.intransitive as f64;
                    total += seed * prompt * counted.total as f64;
                }
            }
            (total > 0.0).then(|| intransitive / total)
        };
        let observed = share(&vec![1.0; self.seeds], &vec![1.0; self.prompts])?;
        let mut generator = SplitMix64::new(settings.seed);
        let mut drawn: Vec<f64> = (0..settings.resamples.max(1))
            .map(|_| {
                let seeds = weights(self.seeds, &mut generator);
                let prompts = weights(self.prompts, &mut generator);
                share(&seeds, &prompts).unwrap_or(observed)
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        Some(interval(&drawn, counts.iter().filter(|counted| counted.total > 0).count()))
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
