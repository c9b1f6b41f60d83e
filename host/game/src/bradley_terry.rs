//! RLHF: Bradley–Terry scores by maximum likelihood, and the policy that follows them.
//!
//! Source: Bradley & Terry 1952. The condition for a finite maximum (the graph of wins is strongly
//! connected) is Ford's, 1957.

use crate::error::{GameError, Part};
use crate::game::Game;
use crate::linear::LuFactors;
use crate::numeric::{exponentials, maximum, normalise_log};
use crate::preference::{PreferenceMatrix, flatten};
use crate::reference::Distribution;

/// Added to the wins of either side of every pair of actions when the likelihood alone has no finite
/// maximum; in units of comparisons, of which a pair has 1 under [`PairWeights::uniform`].
pub const VIRTUAL_WINS: f64 = 0.01;

/// Newton steps at most. On a flat tail a step adds 1 to a score, and log-odds of f64 stay below 745.
const NEWTON_STEPS_MAX: usize = 2_000;

/// How often each ordered pair of actions is compared: `w[i][j] ≥ 0` comparisons in which `i` is
/// shown first, of which `i` wins the share `P[i][j]`. The diagonal does not count. Only the
/// ratios matter, except against [`VIRTUAL_WINS`].
#[derive(Debug, Clone, PartialEq)]
pub struct PairWeights {
    actions: usize,
    entries: Vec<f64>,
}

impl PairWeights {
    /// Half a comparison for every ordered pair: one for every pair of actions.
    pub fn uniform(actions: usize) -> Self {
        Self { actions, entries: vec![0.5; actions * actions] }
    }

    /// From rows; as many columns as rows.
    pub fn from_rows<Row: AsRef<[f64]>>(rows: &[Row]) -> Result<Self, GameError> {
        let actions = rows.len();
        let entries = flatten(Part::PairWeights, rows)?;
        let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        if let Some(index) = entries.iter().position(|weight| !is_weight(weight)) {
            return Err(GameError::PairWeight { row: index / actions, column: index % actions, value: entries[index] });
        }
        let mut off_diagonal = entries.iter().enumerate().filter(|(index, _)| index / actions != index % actions);
        if !off_diagonal.any(|(_, weight)| *weight > 0.0) {
            return Err(GameError::NoPairs);
        }
        Ok(Self { actions, entries })
    }

    /// The number of actions.
    pub fn actions(&self) -> usize {
        self.actions
    }
}

/// Maximum-likelihood scores.
#[derive(Debug, Clone, PartialEq)]
pub struct BradleyTerryFit {
    /// One score an action, in nats (log-odds), centred: they sum to 0.
    pub scores: Vec<f64>,
    /// Whether a finite maximum existed without help.
    pub existence: Existence,
    /// The largest entry of the gradient of the log-likelihood at the scores, in comparisons.
    pub gradient: f64,
}

/// Whether the likelihood had a finite maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// The graph of wins is strongly connected: the scores maximise the likelihood.
    Finite,
    /// It is not: [`VIRTUAL_WINS`] were added to either side of every pair of actions first.
    Regularised,
}

impl BradleyTerryFit {
    /// Maximises `Σ_{i≠j} w_ij [P_ij log σ(r_i − r_j) + (1 − P_ij) log σ(r_j − r_i)]`.
    pub fn of(preferences: &PreferenceMatrix, weights: &PairWeights) -> Result<Self, GameError> {
        if weights.actions != preferences.actions() {
            return Err(GameError::ReferenceLength {
                what: Part::PairWeights,
                expected: preferences.actions(),
                found: weights.actions,
            });
        }
        Ok(Self::of_wins(Wins::of(preferences, weights)))
    }

    /// Every ordered pair of different actions weighted equally, one comparison a pair.
    pub fn with_uniform_weights(preferences: &PreferenceMatrix) -> Self {
        let weights = PairWeights::uniform(preferences.actions());
        Self::of_wins(Wins::of(preferences, &weights))
    }

    fn of_wins(mut wins: Wins) -> Self {
        let existence = if wins.are_strongly_connected() {
            Existence::Finite
        } else {
            wins.add_everywhere(VIRTUAL_WINS);
            Existence::Regularised
        };
        let (scores, gradient) = wins.maximise();
        Self { scores, existence, gradient }
    }

    /// `log π`, `π ∝ π_ref exp(r/τ)`, for a temperature > 0.
    ///
    /// # Panics
    /// If the reference is over another number of actions.
    pub fn log_policy(&self, reference: &Distribution, temperature: f64) -> Vec<f64> {
        assert_eq!(reference.actions(), self.scores.len(), "one score an action");
        let best = maximum(&self.scores);
        let mut logits: Vec<f64> = self
            .scores
            .iter()
            .zip(reference.log_probabilities())
            .map(|(score, log_ref)| log_ref + (score - best) / temperature)
            .collect();
        normalise_log(&mut logits);
        logits
    }
}

/// The RLHF solution of a game: scores over all pairs equally, and the policy at `τ_rlhf`.
#[derive(Debug, Clone, PartialEq)]
pub struct BradleyTerrySolution {
    /// The scores.
    pub fit: BradleyTerryFit,
    /// `π ∝ π_ref exp(r/τ_rlhf)`.
    pub policy: Vec<f64>,
    /// Its natural logarithm.
    pub log_policy: Vec<f64>,
}

impl BradleyTerrySolution {
    /// Solves for the game's reference and `τ_rlhf`.
    pub fn of(game: &Game) -> Self {
        let fit = BradleyTerryFit::with_uniform_weights(game.preferences());
        let log_policy = fit.log_policy(game.reference_leader(), game.temperatures().rlhf());
        Self { policy: exponentials(&log_policy), log_policy, fit }
    }
}

/// `C[i][j]`: how often `i` won against `j`. The diagonal is 0.
struct Wins {
    actions: usize,
    counts: Vec<f64>,
}

impl Wins {
    fn of(preferences: &PreferenceMatrix, weights: &PairWeights) -> Self {
        let actions = preferences.actions();
        let mut counts = Vec::with_capacity(actions * actions);
        for row in 0..actions {
            counts.extend((0..actions).map(|column| {
                if row == column {
                    return 0.0;
                }
                let shown_first = weights.entries[row * actions + column];
                let shown_second = weights.entries[column * actions + row];
                shown_first * preferences.get(row, column) + shown_second * (1.0 - preferences.get(column, row))
            }));
        }
        Self { actions, counts }
    }

    fn add_everywhere(&mut self, wins: f64) {
        let actions = self.actions;
        for (index, count) in self.counts.iter_mut().enumerate() {
            if index / actions != index % actions {
                *count += wins;
            }
        }
    }

    /// Whether everybody has beaten everybody, if need be through others.
    fn are_strongly_connected(&self) -> bool {
        let won = |from: usize, to: usize| self.counts[from * self.actions + to] > 0.0;
        self.reached(won) == self.actions && self.reached(|from, to| won(to, from)) == self.actions
    }

    /// How many actions can be reached from the first.
    fn reached(&self, edge: impl Fn(usize, usize) -> bool) -> usize {
        let mut seen = vec![false; self.actions];
        seen[0] = true;
        let mut open = vec![0];
        let mut count = 0;
        while let Some(from) = open.pop() {
            count += 1;
            for (to, seen) in seen.iter_mut().enumerate() {
                if !*seen && edge(from, to) {
                    *seen = true;
                    open.push(to);
                }
            }
        }
        count
    }

    /// Newton's method on the concave log-likelihood, from equal scores, until the step is rounding;
    /// returns the centred scores and the largest entry of the gradient.
    fn maximise(&self) -> (Vec<f64>, f64) {
        let mut scores = vec![0.0; self.actions];
        let mut gradient = self.gradient(&scores);
        let mut previous_size = f64::INFINITY;
        for _ in 0..NEWTON_STEPS_MAX {
            let Some(step) = self.newton_step(&scores, &gradient) else {
                break;
            };
            let size = largest(&step);
            let scale = 1.0 + largest(&scores);
            // Below this the step is rounding once it no longer shrinks.
            if size <= 1e-15 * scale || (size <= 1e-10 * scale && size >= 0.5 * previous_size) {
                break;
            }
            previous_size = size;
            scores = self.ascend(&scores, &step, &gradient);
            gradient = self.gradient(&scores);
        }
        let mean = scores.iter().sum::<f64>() / self.actions as f64;
        for score in &mut scores {
            *score -= mean;
        }
        (scores, largest(&gradient))
    }

    /// The longest of the steps 1, ½, ¼ … after which the likelihood still rises along the step:
    /// a sufficient test of progress on a concave function, and free of cancellation.
    fn ascend(&self, scores: &[f64], step: &[f64], gradient: &[f64]) -> Vec<f64> {
        let slope_before = crate::numeric::dot(gradient, step);
        let mut length = 1.0;
        loop {
            let moved: Vec<f64> = scores.iter().zip(step).map(|(score, change)| score + length * change).collect();
            let slope = crate::numeric::dot(&self.gradient(&moved), step);
            // A step this short, or one in the quadratic region, is taken as it is.
            if slope >= -0.5 * slope_before || largest(step) < 1e-3 || length < 1e-6 {
                return moved;
            }
            length /= 2.0;
        }
    }

    /// `g_i = Σ_j C_ij σ(r_j − r_i) − C_ji σ(r_i − r_j)`: every term keeps its relative precision.
    fn gradient(&self, scores: &[f64]) -> Vec<f64> {
        let n = self.actions;
        let mut gradient = vec![0.0; n];
        for i in 0..n {
            for j in i + 1..n {
                let surplus = self.counts[i * n + j] * logistic(scores[j] - scores[i])
                    - self.counts[j * n + i] * logistic(scores[i] - scores[j]);
                gradient[i] += surplus;
                gradient[j] -= surplus;
            }
        }
        gradient
    }

    /// Solves `H step = gradient` with the negative Hessian, a weighted Laplacian, and the first
    /// action's score held fixed (only differences count).
    fn newton_step(&self, scores: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
        let n = self.actions;
        let order = n - 1;
        let mut hessian = vec![0.0; order * order];
        for i in 0..n {
            for j in i + 1..n {
                let d = scores[i] - scores[j];
                let comparisons = self.counts[i * n + j] + self.counts[j * n + i];
                let weight = comparisons * logistic(d) * logistic(-d);
                if i > 0 {
                    hessian[(i - 1) * order + i - 1] += weight;
                    hessian[(i - 1) * order + j - 1] -= weight;
                    hessian[(j - 1) * order + i - 1] -= weight;
                }
                hessian[(j - 1) * order + j - 1] += weight;
            }
        }
        let mut step = gradient[1..].to_vec();
        LuFactors::of(hessian, order)?.solve(&mut step);
        let mean = step.iter().sum::<f64>() / n as f64;
        let mut centred = Vec::with_capacity(n);
        centred.push(-mean);
        centred.extend(step.iter().map(|s| s - mean));
        centred.iter().all(|s| s.is_finite()).then_some(centred)
    }
}

/// `1 / (1 + e^(−x))`, without overflow.
pub(crate) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// The largest absolute value.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| v.abs().max(most))
}
