//! Maximal lotteries: policies π with `Aπ ≤ 0`, by the simplex method.
//!
//! `A` is skew, so the value of the game is 0 and both players share their optimal policies. With a
//! constant added (`B = A/max|A| + 2`, entries in [1, 3], value 2) the linear program
//! `max Σx, Bx ≤ 1, x ≥ 0` starts from the feasible point 0, and `π = x/Σx`. The simplex method is
//! asked only for the *basis* (who plays, and against whom that is tight); the probabilities are
//! then computed from the basis with LU factors, so that they carry no trace of the pivots before.

use crate::linear::LuFactors;
use crate::numeric::{maximum, product};

/// What was found.
#[derive(Debug)]
pub(super) struct Lottery {
    pub(super) policy: Vec<f64>,
    /// `max_i (Aπ)_i`, at least 0: zero for an exact maximal lottery.
    pub(super) violation: f64,
    pub(super) uniqueness: Uniqueness,
}

/// Reduced costs below this count as zero (entries of B are in [1, 3]).
const COST_TOLERANCE: f64 = 1e-12;

/// Entries of the entering column below this are not pivoted on.
const PIVOT_TOLERANCE: f64 = 1e-11;

/// Weights and slacks above minus this count as non-negative (their sum is 1/2).
const FEASIBILITY_TOLERANCE: f64 = 1e-15;

/// A lottery that is violated by no more than this (relative to the largest margin) is exact.
const VIOLATION_GOAL: f64 = 1e-14;

/// How often the tableau is computed afresh in search of a lottery that exact.
const REBUILDS_MAX: usize = 5;

/// Pivots without progress after which Bland's rule, which cannot cycle, takes over.
const STALLED_PIVOTS_MAX: usize = 50;

/// Finds one maximal lottery of a skew-symmetric matrix.
pub(super) fn solve(margins: &[f64], actions: usize) -> Lottery {
    let scale = maximum(&margins.iter().map(|a| a.abs()).collect::<Vec<_>>());
    if scale == 0.0 {
        // Everybody ties with everybody: every policy is a maximal lottery.
        return Lottery {
            policy: vec![1.0 / actions as f64; actions],
            violation: 0.0,
            uniqueness: Uniqueness::MaybeNot,
        };
    }
    let payoffs: Vec<f64> = margins.iter().map(|a| a / scale + 2.0).collect();
    let mut tableau = Tableau::new(&payoffs, actions);
    let mut best = (vec![1.0 / actions as f64; actions], scale);
    for _ in 0..REBUILDS_MAX {
        tableau.optimise();
        let exact = tableau.values_from_factors(&payoffs);
        let candidates = [exact, Some(tableau.values())].into_iter().flatten();
        for candidate in candidates.filter_map(|values| judged(margins, &values)) {
            if candidate.1 < best.1 {
                best = candidate;
            }
        }
        if best.1 <= VIOLATION_GOAL * scale {
            break;
        }
        // Small pivots have spoilt the tableau: the same basis again, with the largest pivots first.
        tableau = tableau.rebuilt(&payoffs);
        tableau.restore_feasibility();
    }
    let uniqueness = if tableau.has_free_direction() { Uniqueness::MaybeNot } else { Uniqueness::Unique };
    let (policy, violation) = best;
    Lottery { policy, violation, uniqueness }
}

/// Clips what rounding left below zero, normalises, and measures `max(Aπ, 0)`.
fn judged(margins: &[f64], values: &[f64]) -> Option<(Vec<f64>, f64)> {
    let sum: f64 = values.iter().map(|x| x.max(0.0)).sum();
    if !(sum.is_finite() && sum > 0.0) {
        return None;
    }
    let policy: Vec<f64> = values.iter().map(|x| x.max(0.0) / sum).collect();
    let violation = maximum(&product(margins, &policy)).max(0.0);
    Some((policy, violation))
}

/// A variable of the program: an action's weight, or the slack of an action's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Variable {
    Weight(usize),
    Slack(usize),
}

/// How the entering and the leaving variable are chosen.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// The steepest cost and the largest pivot: few pivots, good precision.
    Greedy,
    /// The first candidate: slow, and never in a cycle.
    Bland,
}

/// The condensed tableau: one row a basic variable, one column a non-basic one, then the
/// right-hand side; below them the reduced costs.
struct Tableau {
    actions: usize,
    /// `(actions + 1) × (actions + 1)`, row-major.
    entries: Vec<f64>,
    basic: Vec<Variable>,
    non_basic: Vec<Variable>,
    /// Devex weights of the non-basic variables: estimates of how much the whole basis moves
    /// when one enters (Harris 1973; Forrest & Goldfarb 1992).
    weights: Vec<f64>,
}

impl Tableau {
    fn new(payoffs: &[f64], actions: usize) -> Self {
        let mut entries = Vec::with_capacity((actions + 1) * (actions + 1));
        for row in payoffs.chunks_exact(actions) {
            entries.extend_from_slice(row);
            entries.push(1.0);
        }
        entries.extend(std::iter::repeat_n(-1.0, actions));
        entries.push(0.0);
        Self {
            actions,
            entries,
            basic: (0..actions).map(Variable::Slack).collect(),
            non_basic: (0..actions).map(Variable::Weight).collect(),
            weights: vec![1.0; actions],
        }
    }

    fn width(&self) -> usize {
        self.actions + 1
    }

    fn costs(&self) -> &[f64] {
        &self.entries[self.actions * self.width()..][..self.actions]
    }

    fn objective(&self) -> f64 {
        self.entries[self.actions * self.width() + self.actions]
    }

    /// Pivots until no reduced cost is negative. Bland's rule guarantees an end in exact arithmetic,
    /// the limit in this one.
    fn optimise(&mut self) {
        let pivots_max = 1_000 + 50 * self.actions;
        let mut stalled = 0;
        for _ in 0..pivots_max {
            let rule = if stalled > STALLED_PIVOTS_MAX { Rule::Bland } else { Rule::Greedy };
            let entering = match rule {
                Rule::Bland => self.first_improving(),
                Rule::Greedy => self.most_improving(),
            };
            let Some(column) = entering else { return };
            let Some(row) = self.leaving(column, rule) else {
                return;
            };
            let before = self.objective();
            self.pivot(row, column);
            let progressed = self.objective() > before + 1e-15;
            stalled = if progressed { 0 } else { stalled + 1 };
        }
    }

    /// Dual simplex pivots while a weight or a slack is below zero: what a rebuilt tableau shows when
    /// the spoilt one had gone astray. Costs stay where they are to within rounding.
    fn restore_feasibility(&mut self) {
        let width = self.width();
        for _ in 0..10 * self.actions {
            let value = |row: usize| self.entries[row * width + self.actions];
            let least = (0..self.actions).min_by(|&a, &b| value(a).total_cmp(&value(b)));
            let Some(row) = least.filter(|&row| value(row) < -FEASIBILITY_TOLERANCE) else {
                return;
            };
            let entries = &self.entries[row * width..row * width + self.actions];
            let ratio = |column: usize| self.costs()[column].max(0.0) / -entries[column];
            let open = (0..self.actions).filter(|&column| entries[column] < -PIVOT_TOLERANCE);
            let Some(column) = open.min_by(|&a, &b| ratio(a).total_cmp(&ratio(b))) else {
                return;
            };
            self.pivot(row, column);
        }
    }

    /// Devex pricing: the steepest of the negative reduced costs. On 1,000 actions this takes a
    /// fraction of the pivots that the most negative one (Dantzig's rule) does.
    fn most_improving(&self) -> Option<usize> {
        let columns = self.costs().iter().zip(&self.weights).enumerate();
        columns
            .filter(|(_, (cost, _))| **cost < -COST_TOLERANCE)
            .map(|(column, (cost, weight))| (column, cost * cost / weight))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(column, _)| column)
    }

    /// Bland's rule: the first variable whose reduced cost is negative.
    fn first_improving(&self) -> Option<usize> {
        let costs = self.costs().iter().enumerate();
        costs
            .filter(|(_, cost)| **cost < -COST_TOLERANCE)
            .map(|(column, _)| column)
            .min_by_key(|&column| self.non_basic[column])
    }

    /// The ratio test: the basic variable that reaches zero first. Of those that tie, the one with the
    /// largest pivot (for precision) or, under Bland's rule, the first.
    fn leaving(&self, column: usize, rule: Rule) -> Option<usize> {
        let width = self.width();
        let pivot = |row: usize| self.entries[row * width + column];
        let ratio = |row: usize| self.entries[row * width + self.actions].max(0.0) / pivot(row);
        let open: Vec<usize> = (0..self.actions).filter(|&row| pivot(row) > PIVOT_TOLERANCE).collect();
        let least = open.iter().map(|&row| ratio(row)).fold(f64::INFINITY, f64::min);
        let tied = open.into_iter().filter(|&row| ratio(row) <= least + 1e-14);
        match rule {
            Rule::Greedy => tied.max_by(|&a, &b| pivot(a).total_cmp(&pivot(b))),
            Rule::Bland => tied.min_by_key(|&row| self.basic[row]),
        }
    }

    /// The tableau of the same basis computed afresh, pivoting on the largest entry that is left.
    fn rebuilt(&self, payoffs: &[f64]) -> Self {
        let mut fresh = Self::new(payoffs, self.actions);
        let (mut playing, mut tight) = self.basis();
        while !playing.is_empty() {
            let size = |row: usize, column: usize| fresh.entries[row * fresh.width() + column].abs();
            let pairs = tight.iter().flat_map(|&row| playing.iter().map(move |&column| (row, column)));
            let Some((row, column)) = pairs.max_by(|a, b| size(a.0, a.1).total_cmp(&size(b.0, b.1))) else {
                break;
            };
            if size(row, column) < f64::MIN_POSITIVE {
                break;
            }
            fresh.pivot(row, column);
            playing.retain(|&other| other != column);
            tight.retain(|&other| other != row);
        }
        fresh
    }

    /// The actions with a weight in the basis and the actions whose row has no slack; ascending,
    /// and equally many.
    fn basis(&self) -> (Vec<usize>, Vec<usize>) {
        let mut playing = Vec::new();
        let mut tight = Vec::new();
        for variable in &self.basic {
            if let Variable::Weight(action) = *variable {
                playing.push(action);
            }
        }
        for variable in &self.non_basic {
            if let Variable::Slack(action) = *variable {
                tight.push(action);
            }
        }
        playing.sort_unstable();
        tight.sort_unstable();
        (playing, tight)
    }

    /// Exchanges a basic with a non-basic variable.
    fn pivot(&mut self, row: usize, column: usize) {
        let width = self.width();
        let inverse = 1.0 / self.entries[row * width + column];
        let mut pivot_row = self.entries[row * width..(row + 1) * width].to_vec();
        for entry in &mut pivot_row {
            *entry *= inverse;
        }
        pivot_row[column] = inverse;
        let entering = self.weights[column];
        for (weight, entry) in self.weights.iter_mut().zip(&pivot_row) {
            *weight = weight.max(entry * entry * entering);
        }
        self.weights[column] = (entering * inverse * inverse).max(1.0);
        for (index, entries) in self.entries.chunks_exact_mut(width).enumerate() {
            if index == row {
                entries.copy_from_slice(&pivot_row);
                continue;
            }
            let factor = entries[column];
            if factor == 0.0 {
                continue;
            }
            entries[column] = 0.0;
            for (entry, above) in entries.iter_mut().zip(&pivot_row) {
                *entry -= factor * above;
            }
        }
        std::mem::swap(&mut self.basic[row], &mut self.non_basic[column]);
    }

    /// The weights as the tableau has them.
    fn values(&self) -> Vec<f64> {
        let mut values = vec![0.0; self.actions];
        for (row, variable) in self.basic.iter().enumerate() {
            if let Variable::Weight(action) = *variable {
                values[action] = self.entries[row * self.width() + self.actions];
            }
        }
        values
    }

    /// The weights recomputed from the basis: the rows without slack are tight, so
    /// `B[tight, playing] x = 1`; once more on what rounding left over.
    fn values_from_factors(&self, payoffs: &[f64]) -> Option<Vec<f64>> {
        let (playing, tight) = self.basis();
        let order = playing.len();
        let mut matrix = Vec::with_capacity(order * order);
        for &row in &tight {
            matrix.extend(playing.iter().map(|&column| payoffs[row * self.actions + column]));
        }
        let factors = LuFactors::of(matrix.clone(), order)?;
        let mut solution = vec![1.0; order];
        factors.solve(&mut solution);
        let reached = product(&matrix, &solution);
        let mut correction: Vec<f64> = reached.iter().map(|r| 1.0 - r).collect();
        factors.solve(&mut correction);
        let mut values = vec![0.0; self.actions];
        for ((&action, x), dx) in playing.iter().zip(&solution).zip(&correction) {
            values[action] = x + dx;
        }
        Some(values)
    }

    /// Whether a variable could enter the basis at no cost.
    fn has_free_direction(&self) -> bool {
        self.costs().iter().any(|cost| *cost < COST_TOLERANCE)
    }
}

/// Whether a solution is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// It is.
    Unique,
    /// The linear program's dual is degenerate: there may be other maximal lotteries.
    MaybeNot,
}
