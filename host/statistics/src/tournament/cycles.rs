//! Cycles of policies: each beats the next, beyond what noise and choosing among triples make of equals.

use super::significance::holm;
use super::wins::{Tournament, place};
use crate::crossed::{Located, Over};

/// Three policies of which each is said to beat the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cycle {
    /// The first beats the second, the second the third, the third the first.
    pub policies: [usize; 3],
    /// The largest of the three one-sided p-values (intersection–union: all three must hold), corrected over both directions of all
    /// triples (Holm 1979).
    pub p_holm: f64,
    /// Whom p speaks about: prompts alone where one of its edges has one seed.
    pub over: Over,
}

/// What is said of cycles among a field's policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycles {
    /// Triples of policies.
    pub triples: usize,
    /// Triples that are intransitive: `p_holm` below 0.05.
    pub found: Vec<Cycle>,
    /// The triple and direction with the least p, found or not; `None` with fewer than three policies.
    pub strongest: Option<Cycle>,
}

impl Cycles {
    /// The share of triples that are intransitive; 0 without any triple.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.triples == 0 { 0.0 } else { self.found.len() as f64 / self.triples as f64 }
    }
}

/// `located`: every pair's win rate, in the order of pairs.
pub(super) fn cycles(tournament: &Tournament, located: &[Located]) -> Cycles {
    let policies = tournament.policies;
    let beats = |i: usize, j: usize| {
        if i < j {
            located[place(policies, i, j)].p_above(0.5)
        } else {
            let turned = located[place(policies, j, i)];
            Located { mean: 1.0 - turned.mean, ..turned }.p_above(0.5)
        }
    };
    let over = |[a, b, c]: [usize; 3]| {
        let edges = [(a, b), (b, c), (c, a)].map(|(i, j)| place(policies, i.min(j), i.max(j)));
        let is_of_prompts = edges.iter().any(|pair| tournament.contests[*pair].over() == Over::Prompts);
        if is_of_prompts { Over::Prompts } else { Over::SeedsAndPrompts }
    };
    let mut candidates = Vec::new();
    for i in 0..policies {
        for j in i + 1..policies {
            for k in j + 1..policies {
                candidates.extend([[i, j, k], [i, k, j]]);
            }
        }
    }
    let p_values: Vec<f64> =
        candidates.iter().map(|&[a, b, c]| beats(a, b).max(beats(b, c)).max(beats(c, a))).collect();
    let corrected =
        candidates.iter().zip(holm(&p_values)).map(|(&of, p_holm)| Cycle { policies: of, p_holm, over: over(of) });
    let corrected: Vec<Cycle> = corrected.collect();
    // Corrected values tie at 1: the least p itself says which is the strongest.
    let least = (0..p_values.len()).min_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Cycles {
        triples: candidates.len() / 2,
        strongest: least.map(|at| corrected[at]),
        found: corrected.into_iter().filter(|cycle| cycle.p_holm < 0.05).collect(),
    }
}
