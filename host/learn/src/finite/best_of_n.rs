//! Best of N without training: of N answers of the reference the best is taken, of equals the first sampled. On a finite game
//! its distribution is exact.
//!
//! By a reward: with F(r) the reference's mass of rewards up to r and F(r−) that below,
//! `π(y) = π_ref(y)/mass(r_y) · [F(r_y)^N − F(r_y−)^N]` (Beirami et al., arXiv 2401.01879, equation 2, and its form for
//! ties). By the judge's mean verdict against the other N − 1 (`reward = "verdicts"`) who is best depends on who else was
//! drawn: the sum over all compositions of the group, of which there are (N + n − 1 over n − 1).

use slhf_plan::GameReward;

use super::problem::{Seen, Sees};
use crate::LearnError;
use crate::log_probabilities::log_probabilities;
use crate::problem::{Payoff, Problem, Target};

impl Sees for slhf_plan::BestOfN {
    fn problem(&self, seen: &Seen<'_>) -> Result<Problem, LearnError> {
        let answers = self.training.num_generations;
        let problem = match &self.rewards.reward {
            GameReward::Verdicts => seen.pairs(slhf_plan::Labels::Soft, seen.game.temperatures().nash()),
            reward => seen.rewarded(reward, |_, _| None)?,
        };
        let log_policy = match &problem.payoff {
            Payoff::Scores(scores) => by_reward(seen.log_reference(), scores, answers),
            Payoff::Pairs(labels) => by_verdicts(seen.log_reference(), labels, answers),
        };
        Ok(Problem { target: Target::Exact { log_policy }, ..problem })
    }
}

/// log of the distribution of the best of `answers` by `rewards`.
pub(crate) fn by_reward(log_reference: &[f64], rewards: &[f64], answers: u32) -> Vec<f64> {
    let reference: Vec<f64> = log_reference.iter().map(|l| libm::exp(*l)).collect();
    let mass = |keep: &dyn Fn(f64) -> bool| {
        let kept = reference.iter().zip(rewards).filter(|(_, reward)| keep(**reward));
        kept.map(|(p, _)| p).sum::<f64>()
    };
    let chosen = |(log, own): (&f64, &f64)| {
        let (below, equal) = (mass(&|reward| reward < *own), mass(&|reward| reward == *own));
        let up_to = (below + equal).min(1.0);
        // log [F^N − F−^N], in logarithms: the least of rewards may have a probability that is no f64.
        let power = f64::from(answers) * libm::log(up_to);
        let rest = libm::log1p(-libm::pow(below / (below + equal), f64::from(answers)));
        log - libm::log(equal) + power + rest
    };
    let logs: Vec<f64> = log_reference.iter().zip(rewards).map(chosen).collect();
    log_probabilities(&logs, logs.len())
}

/// log of the distribution of the best of `answers` by mean label against the others of the group. Labels row-major.
pub(crate) fn by_verdicts(log_reference: &[f64], labels: &[f64], answers: u32) -> Vec<f64> {
    let mut log_factorials = vec![0.0; answers as usize + 1];
    for count in 1..log_factorials.len() {
        log_factorials[count] = log_factorials[count - 1] + libm::log(count as f64);
    }
    let mut sum = Groups {
        log_reference,
        labels,
        log_factorials,
        counts: vec![0; log_reference.len()],
        wins: vec![0.0; log_reference.len()],
        chosen: vec![0.0; log_reference.len()],
    };
    sum.visit(0, answers);
    sum.chosen.into_iter().map(libm::log).collect()
}

/// The sum over compositions, depth first.
struct Groups<'a> {
    log_reference: &'a [f64],
    labels: &'a [f64],
    log_factorials: Vec<f64>,
    counts: Vec<u32>,
    wins: Vec<f64>,
    chosen: Vec<f64>,
}

impl Groups<'_> {
    fn visit(&mut self, action: usize, left: u32) {
        if action + 1 == self.counts.len() {
            self.counts[action] = left;
            self.weigh();
            return;
        }
        for count in 0..=left {
            self.counts[action] = count;
            self.visit(action + 1, left - count);
        }
    }

    /// Adds the probability of this composition to those who win it. Two that are equally good and drawn a and b times are
    /// first with a : b.
    fn weigh(&mut self) {
        /// As [`slhf_game::TIE_TOLERANCE`], in wins over a group.
        const TIE_TOLERANCE: f64 = 1e-9;
        let n = self.counts.len();
        let mut log_probability = self.log_factorials[self.log_factorials.len() - 1];
        for (count, log) in self.counts.iter().zip(self.log_reference) {
            log_probability += f64::from(*count) * log - self.log_factorials[*count as usize];
        }
        let mut best = f64::NEG_INFINITY;
        for y in 0..n {
            if self.counts[y] > 0 {
                let row = &self.labels[y * n..(y + 1) * n];
                let met: f64 = row.iter().zip(&self.counts).map(|(label, count)| label * f64::from(*count)).sum();
                // Everyone meets all but itself, and the label of an equal is ½.
                self.wins[y] = met - row[y];
                best = best.max(self.wins[y]);
            }
        }
        let wins = |y: usize| self.counts[y] > 0 && self.wins[y] >= best - TIE_TOLERANCE;
        let winners: u32 = (0..n).filter(|&y| wins(y)).map(|y| self.counts[y]).sum();
        let share = libm::exp(log_probability) / f64::from(winners);
        for y in (0..n).filter(|&y| wins(y)).collect::<Vec<_>>() {
            self.chosen[y] += share * f64::from(self.counts[y]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_random::{Place, Purpose, uniforms};

    const REFERENCE: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
    const LABELS: [[f64; 4]; 4] = [[0.5, 0.9, 0.2, 0.5], [0.1, 0.5, 0.8, 0.5], [0.8, 0.2, 0.5, 0.5], [0.5; 4]];
    const DRAWS: u32 = 200_000;

    /// Frequencies of the first of the best of N by `coefficient(y, group)`, drawn.
    fn simulated(answers: usize, coefficient: impl Fn(usize, &[usize]) -> f64) -> [f64; 4] {
        let mut found = [0.0; 4];
        for draw in 0..DRAWS {
            let place = Place { purpose: Purpose::Pairs, step: u64::from(draw), round: 0 };
            let one = |index| crate::sampling::choose(uniforms(3, place, index)[0], 4, |y| REFERENCE[y]);
            let group: Vec<usize> = (0..answers as u32).map(one).collect();
            let mut best = group[0];
            for &y in &group {
                if coefficient(y, &group) > coefficient(best, &group) + 1e-9 {
                    best = y;
                }
            }
            found[best] += 1.0 / f64::from(DRAWS);
        }
        found
    }

    fn check(exact: &[f64], simulated: &[f64]) {
        let exact: Vec<f64> = exact.iter().map(|l| l.exp()).collect();
        assert!((exact.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{exact:?}");
        for (p, found) in exact.iter().zip(simulated) {
            let error = (p * (1.0 - p) / f64::from(DRAWS)).sqrt();
            assert!((p - found).abs() < 5.0 * error + 1e-12, "{exact:?} is not {simulated:?}");
        }
    }

    #[test]
    fn the_best_by_reward_is_drawn_as_often_as_the_formula_says_ties_included() {
        let logs = REFERENCE.map(f64::ln);
        for rewards in [[0.3, 0.1, 0.2, 0.9], [1.0, 1.0, 0.0, 1.0]] {
            for answers in [1, 2, 5] {
                check(&by_reward(&logs, &rewards, answers), &simulated(answers as usize, |y, _| rewards[y]));
            }
        }
    }

    #[test]
    fn the_best_by_verdicts_is_drawn_as_often_as_the_sum_says() {
        let logs = REFERENCE.map(f64::ln);
        for answers in [1_u32, 2, 3, 6] {
            let mean = |y: usize, group: &[usize]| group.iter().map(|&z| LABELS[y][z]).sum::<f64>() - 0.5;
            let exact = by_verdicts(&logs, &LABELS.concat(), answers);
            check(&exact, &simulated(answers as usize, mean));
        }
    }

    #[test]
    fn what_is_hardly_ever_chosen_has_a_finite_logarithm() {
        let found = by_reward(&[0.5_f64.ln(); 2], &[0.0, 1.0], 4096);
        assert!((found[0] + 4096.0 * 2.0_f64.ln()).abs() < 1e-6, "{found:?}");
        assert_eq!(found[1], 0.0);
    }
}
