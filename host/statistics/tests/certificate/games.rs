//! Small finite games, one a prompt, with a trained pair at some distance from the equilibrium; closed forms by their definitions.

use slhf_random::SplitMix64;
use slhf_statistics::{LeaderAnswer, OwnAnswer};

/// Actions of a game.
const ACTIONS: usize = 4;

pub(crate) struct Game {
    /// P(y ≻ y′).
    pub(crate) preferences: [[f64; ACTIONS]; ACTIONS],
    follower_reference: [[f64; ACTIONS]; ACTIONS],
    follower: [[f64; ACTIONS]; ACTIONS],
    leader_reference: [f64; ACTIONS],
    pub(crate) leader: [f64; ACTIONS],
}

/// Both temperatures, and how far the Follower is from its best answers: 0 is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) tau_follower: f64,
    pub(crate) tau_leader: f64,
    pub(crate) strays: f64,
    /// The Leader's.
    pub(crate) leader_strays: f64,
}

fn normalized(weights: [f64; ACTIONS]) -> [f64; ACTIONS] {
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

fn reference(draws: &mut SplitMix64) -> [f64; ACTIONS] {
    normalized(std::array::from_fn(|_| (0.7 * draws.normal()).exp()))
}

pub(crate) fn drawn(distribution: &[f64; ACTIONS], draws: &mut SplitMix64) -> usize {
    let mut left = draws.uniform();
    for (action, probability) in distribution.iter().enumerate() {
        left -= probability;
        if left < 0.0 {
            return action;
        }
    }
    ACTIONS - 1
}

fn divergence(one: &[f64; ACTIONS], other: &[f64; ACTIONS]) -> f64 {
    one.iter().zip(other).map(|(p, q)| if *p > 0.0 { p * (p / q).ln() } else { 0.0 }).sum()
}

impl Game {
    pub(crate) fn new(setting: Setting, draws: &mut SplitMix64) -> Self {
        let mut preferences = [[0.5; ACTIONS]; ACTIONS];
        for (first, second) in (0..ACTIONS).flat_map(|first| (first + 1..ACTIONS).map(move |second| (first, second))) {
            preferences[first][second] = draws.uniform();
            preferences[second][first] = 1.0 - preferences[first][second];
        }
        let mut game = Self {
            preferences,
            follower_reference: std::array::from_fn(|_| reference(draws)),
            follower: [[0.0; ACTIONS]; ACTIONS],
            leader_reference: reference(draws),
            leader: [0.0; ACTIONS],
        };
        let mut stray = |by: f64| (by * draws.normal()).exp();
        game.follower = std::array::from_fn(|y| {
            let best = |other: usize| {
                game.follower_reference[y][other] * (-preferences[y][other] / setting.tau_follower).exp()
            };
            normalized(std::array::from_fn(|other| best(other) * stray(setting.strays)))
        });
        let value = |y: usize| game.value(y, setting.tau_follower);
        let best: [f64; ACTIONS] =
            std::array::from_fn(|y| game.leader_reference[y] * (value(y) / setting.tau_leader).exp());
        game.leader = normalized(best.map(|best| best * stray(setting.leader_strays)));
        game
    }

    /// f(y).
    pub(crate) fn value(&self, y: usize, tau: f64) -> f64 {
        let sum: f64 =
            (0..ACTIONS).map(|z| self.follower_reference[y][z] * (-self.preferences[y][z] / tau).exp()).sum();
        -tau * sum.ln()
    }

    /// `E_ω P + τ KL − f` of one answer.
    pub(crate) fn follower_gap(&self, y: usize, tau: f64) -> f64 {
        let preference: f64 = (0..ACTIONS).map(|z| self.follower[y][z] * self.preferences[y][z]).sum();
        preference + tau * divergence(&self.follower[y], &self.follower_reference[y]) - self.value(y, tau)
    }

    pub(crate) fn leader_gap(&self, setting: Setting) -> f64 {
        let value = |y: usize| self.value(y, setting.tau_follower);
        let tau = setting.tau_leader;
        let reach: f64 = (0..ACTIONS).map(|y| self.leader_reference[y] * (value(y) / tau).exp()).sum();
        tau * reach.ln() - self.committed(setting.tau_follower) + tau * divergence(&self.leader, &self.leader_reference)
    }

    /// `E_π f`.
    pub(crate) fn committed(&self, tau: f64) -> f64 {
        (0..ACTIONS).map(|y| self.leader[y] * self.value(y, tau)).sum()
    }

    /// An answer of the Leader, with one of each Follower. Divergences along it stray around those of the policies, as those along texts do.
    pub(crate) fn leader_answer(&self, draws: &mut SplitMix64) -> LeaderAnswer {
        let y = drawn(&self.leader, draws);
        let (own, divergences) = self.own(y, 1, draws);
        LeaderAnswer {
            against_reference: self.of_reference(y, 1, draws)[0],
            against_follower: own[0].preference,
            divergence: -draws.uniform().max(1e-12).ln() * divergence(&self.leader, &self.leader_reference),
            follower_divergence: divergences[0],
        }
    }

    /// P of answers of the Follower's reference to y.
    pub(crate) fn of_reference(&self, y: usize, many: usize, draws: &mut SplitMix64) -> Vec<f64> {
        (0..many).map(|_| self.preferences[y][drawn(&self.follower_reference[y], draws)]).collect()
    }

    pub(crate) fn leader_answer_of_reference(&self, draws: &mut SplitMix64) -> usize {
        drawn(&self.leader_reference, draws)
    }

    /// The Follower's own answers to y, and divergences along them that stray around the policies', as those along texts do; none is negative.
    pub(crate) fn own(&self, y: usize, many: usize, draws: &mut SplitMix64) -> (Vec<OwnAnswer>, Vec<f64>) {
        let own = |draws: &mut SplitMix64| {
            let z = drawn(&self.follower[y], draws);
            let log_weight = (self.follower_reference[y][z] / self.follower[y][z]).ln();
            let along = -draws.uniform().max(1e-12).ln() * divergence(&self.follower[y], &self.follower_reference[y]);
            (OwnAnswer { preference: self.preferences[y][z], log_weight }, along)
        };
        (0..many).map(|_| own(draws)).unzip()
    }
}
