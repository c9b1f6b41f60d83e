//! REINFORCE on a finite game: what k sampled pairs say of the gradient.
//!
//! With scores `s_L = p + τ_F·k1_F(y′) − τ_L·k1_L(y)` for the Leader and `s_F = 1 − p − τ_F·k1_F(y′)` for the Follower
//! (k1 = log-probability − reference's), the mean of `(s_L − b_L)·∇log π(y)` is the exact gradient of the objective, and
//! that of `(s_F − b_F)·∇log ω(y′ | y)` of minus the objective: both ascend. (The derivative of k1 itself has mean zero.)
//! Under another divergence (RSPO, arXiv 2503.00030) a player's own k1 becomes [`slhf_game::Divergence::slope`], the derivative's number, and
//! the Follower's in the Leader's score [`slhf_game::Divergence::share`], whose mean is the divergence. For a softmax `∇log π(y) = e_y − π`: a batch is summed into coefficients c, and the gradient is `c − (Σc)·π`.

use crate::control::{BaselineRole, Batch, Control};
use crate::error::Cause;
use crate::problem::{Payoff, Problem};
use slhf_random::{Place, Purpose, uniforms};

/// A table of answers given y: entry (i, j) is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Answers<'a> {
    pub(crate) probabilities: &'a [f64],
    /// log ω − log `ω_ref`; empty where `τ_F` = 0 makes it unneeded.
    pub(crate) log_ratios: &'a [f64],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Answers<'_> {
    pub(crate) fn index(&self, i: usize, j: usize) -> usize {
        i * self.row_stride + j * self.column_stride
    }
}

/// π with log π − log `π_ref`.
#[derive(Clone, Copy)]
pub(crate) struct Commitment<'a> {
    pub(crate) probabilities: &'a [f64],
    pub(crate) log_ratios: &'a [f64],
}

/// Where in a run a batch is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// Update within the step: 0 is the one that the Leader shares.
    pub(crate) round: u32,
}

/// The pairs of one update and what they earned; reused from update to update.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pairs: Vec<(usize, usize)>,
    rewards: Vec<f64>,
    scores: Vec<f64>,
    baselines: Vec<f64>,
}

impl Sample {
    /// Draws `count` pairs y ~ π, y′ ~ ω(· | y).
    pub(crate) fn draw(&mut self, draw: Draw, count: usize, commitment: Commitment<'_>, answers: Option<Answers<'_>>) {
        let place = Place { purpose: Purpose::Pairs, step: draw.step, round: draw.round };
        self.pairs.clear();
        for index in 0..count {
            let [u, v] = uniforms(draw.seed, place, index as u32);
            let n = commitment.probabilities.len();
            let y = choose(u, n, |i| commitment.probabilities[i]);
            let answer = answers.map_or(0, |answers| choose(v, n, |j| answers.probabilities[answers.index(y, j)]));
            self.pairs.push((y, answer));
        }
    }

    /// Adds the Leader's coefficients to `coefficients` (n entries).
    pub(crate) fn leader(
        &mut self,
        step: u64,
        problem: &Problem,
        (commitment, answers): (Commitment<'_>, Option<Answers<'_>>),
        control: &mut Control,
        coefficients: &mut [f64],
    ) -> Result<(), Cause> {
        self.rewards.clear();
        self.scores.clear();
        for &(y, answer) in &self.pairs {
            let reward = match &problem.payoff {
                Payoff::Pairs(payoff) => payoff[y * problem.actions + answer],
                Payoff::Scores(scores) => scores[y],
            };
            let paid = problem.held.follower.share(log_ratio(answers, y, answer));
            let own = problem.held.leader.slope(commitment.log_ratios[y]);
            let score = reward + problem.tau_follower * paid - problem.tau_leader * own;
            self.rewards.push(reward);
            self.scores.push(score);
        }
        self.weigh(BaselineRole::Leader, step, control, |(y, _)| y, coefficients)
    }

    /// Adds the Follower's coefficients to `coefficients`, laid out as `answers` is.
    pub(crate) fn follower(
        &mut self,
        step: u64,
        problem: &Problem,
        answers: Answers<'_>,
        control: &mut Control,
        coefficients: &mut [f64],
    ) -> Result<(), Cause> {
        self.rewards.clear();
        self.scores.clear();
        let Payoff::Pairs(payoff) = &problem.payoff else { return Ok(()) };
        for &(y, answer) in &self.pairs {
            let reward = 1.0 - payoff[y * problem.actions + answer];
            self.rewards.push(reward);
            let own = problem.held.follower.slope(log_ratio(Some(answers), y, answer));
            self.scores.push(reward - problem.tau_follower * own);
        }
        self.weigh(BaselineRole::Follower, step, control, |(y, answer)| answers.index(y, answer), coefficients)
    }

    /// The rows (y) that were drawn; an action may come more than once.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.pairs.iter().map(|(y, _)| *y)
    }

    fn weigh(
        &mut self,
        role: BaselineRole,
        step: u64,
        control: &mut Control,
        place: impl Fn((usize, usize)) -> usize,
        coefficients: &mut [f64],
    ) -> Result<(), Cause> {
        let batch = Batch { role, step, rewards: &self.rewards, scores: &self.scores, prompts: &[] };
        control.baselines(&batch, &mut self.baselines)?;
        let share = 1.0 / self.pairs.len() as f64;
        for ((&pair, score), baseline) in self.pairs.iter().zip(&self.scores).zip(&self.baselines) {
            coefficients[place(pair)] += share * (score - baseline);
        }
        Ok(())
    }
}

fn log_ratio(answers: Option<Answers<'_>>, y: usize, answer: usize) -> f64 {
    match answers {
        Some(answers) if !answers.log_ratios.is_empty() => answers.log_ratios[answers.index(y, answer)],
        _ => 0.0,
    }
}

/// The action that holds the share `u` in [0, 1) of the mass.
pub(crate) fn choose(u: f64, n: usize, probability: impl Fn(usize) -> f64) -> usize {
    let mut cumulative = 0.0;
    let mut chosen = 0;
    for action in 0..n {
        let p = probability(action);
        if p > 0.0 {
            chosen = action;
        }
        cumulative += p;
        if u < cumulative {
            return action;
        }
    }
    // Rounding left the sum a hair below u: the last action that can be played.
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_chosen_as_often_as_its_probability_says() {
        let probabilities = [0.25, 0.0, 0.5, 0.25, 0.0];
        let check = |u, expected| assert_eq!(choose(u, 5, |i| probabilities[i]), expected, "{u}");
        check(0.0, 0);
        check(0.249, 0);
        check(0.25, 2);
        check(0.749, 2);
        check(0.75, 3);
        check(1.0 - f64::EPSILON / 2.0, 3);
    }
}
