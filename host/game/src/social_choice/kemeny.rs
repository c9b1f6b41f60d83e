//! Kemeny (1959): rankings with the least disagreement, exact, by dynamic programming over subsets (Held & Karp 1962).
//!
//! The disagreement of a ranking is `Σ P[j][i]` over the pairs with i above j: the expected number of pairs in which one comparison
//! drawn from each contradicts it. On complete ballots that is Kemeny's distance to the profile over its voters. The best ranking of a
//! set is the best choice of who stands on top of the best ranking of the rest: `2ⁿ n` sums, hence the limit.

use super::majority::Majority;
use crate::numeric::TIE_TOLERANCE;

/// The rankings with the least disagreement.
#[derive(Debug, Clone, PartialEq)]
pub struct Kemeny {
    /// The least disagreement: a number of pairs, from 0 to n(n − 1)/4.
    pub disagreement: f64,
    /// How many rankings reach it, within [`TIE_TOLERANCE`] at each place.
    pub optimal_rankings: u64,
    /// The first of them in the order of the actions, [`Self::RANKINGS_MAX`] at most; best action first.
    pub rankings: Vec<Vec<usize>>,
    /// Who stands on top of one of the optimal rankings, ascending.
    pub winners: Vec<usize>,
}

/// Why there is no Kemeny ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not computed above {} actions", Kemeny::ACTIONS_MAX)]
pub struct TooManyActions {
    /// How many the game has.
    pub actions: usize,
}

impl Kemeny {
    /// The most actions that are ranked.
    pub const ACTIONS_MAX: usize = 10;

    /// The most optimal rankings that are kept.
    pub const RANKINGS_MAX: usize = 100;

    pub(super) fn of(majority: &Majority) -> Result<Self, TooManyActions> {
        let actions = majority.actions();
        if actions > Self::ACTIONS_MAX {
            return Err(TooManyActions { actions });
        }
        let subsets = Subsets::of(majority);
        let everybody = (1 << actions) - 1;
        let mut rankings = Vec::new();
        subsets.collect(everybody, &mut Vec::new(), &mut rankings);
        Ok(Self {
            disagreement: subsets.least[everybody],
            optimal_rankings: subsets.counts[everybody],
            rankings,
            winners: subsets.tops(everybody),
        })
    }
}

/// What is known of every subset of the actions, as the bits of its index.
struct Subsets {
    actions: usize,
    /// `(1 << actions) × actions`: the disagreement of an action above all of a subset.
    above: Vec<f64>,
    /// The least disagreement within the subset.
    least: Vec<f64>,
    /// How many of its rankings reach it.
    counts: Vec<u64>,
}

impl Subsets {
    fn of(majority: &Majority) -> Self {
        let actions = majority.actions();
        let number = 1 << actions;
        let mut subsets =
            Self { actions, above: vec![0.0; number * actions], least: vec![0.0; number], counts: vec![1; number] };
        for set in 1..number {
            subsets.add(set, majority);
        }
        subsets
    }

    /// The subsets of `set` were added before.
    fn add(&mut self, set: usize, majority: &Majority) {
        let last = set.trailing_zeros() as usize;
        let rest = set & (set - 1);
        for action in 0..self.actions {
            let known = self.above[rest * self.actions + action];
            self.above[set * self.actions + action] = known + 0.5 + majority.margin(last, action);
        }
        let costs = self.members(set).map(|top| self.with_top(set, top));
        self.least[set] = costs.fold(f64::INFINITY, f64::min);
        self.counts[set] = self.tops(set).into_iter().map(|top| self.counts[set & !(1 << top)]).sum();
    }

    fn members(&self, set: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.actions).filter(move |action| set >> action & 1 == 1)
    }

    /// The least disagreement of a ranking of `set` that begins with `top`.
    fn with_top(&self, set: usize, top: usize) -> f64 {
        let rest = set & !(1 << top);
        self.above[rest * self.actions + top] + self.least[rest]
    }

    /// Who may stand on top of `set`.
    fn tops(&self, set: usize) -> Vec<usize> {
        let best = self.least[set] + TIE_TOLERANCE;
        self.members(set).filter(|top| self.with_top(set, *top) <= best).collect()
    }

    /// The optimal rankings of `set` below `beginning`, until there are enough.
    fn collect(&self, set: usize, beginning: &mut Vec<usize>, rankings: &mut Vec<Vec<usize>>) {
        if rankings.len() == Kemeny::RANKINGS_MAX {
            return;
        }
        if set == 0 {
            rankings.push(beginning.clone());
            return;
        }
        for top in self.tops(set) {
            beginning.push(top);
            self.collect(set & !(1 << top), beginning, rankings);
            beginning.pop();
        }
    }
}
