//! What a run is trained on: the numbers of its game, as its method sees them, and its target in closed form.

use slhf_game::{
    BradleyTerryFit, Divergence, Existence, Game, GameError, Held, MixtureCoefficient, NashGame, Note, PairWeights,
    PreferenceMatrix, StackelbergSolution, TemperatureValues, Temperatures,
};
use slhf_plan::{GamePlan, PairDistribution};

use crate::LearnError;

/// A game under one method at one set of temperatures. Matrices are row-major n × n.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) actions: usize,
    pub(crate) payoff: Payoff,
    pub(crate) log_reference_leader: Vec<f64>,
    /// Empty for a method with one policy.
    pub(crate) log_reference_follower: Vec<f64>,
    /// The weight of the trained policy's own KL: `τ_L`, `τ_nash` or `τ_rlhf`.
    pub(crate) tau_leader: f64,
    /// `τ_F`; 0 for a method with one policy.
    pub(crate) tau_follower: f64,
    /// By which divergences the policies are held.
    pub(crate) held: Held,
    /// P as the judge gave it.
    pub(crate) preferences: PreferenceMatrix,
    pub(crate) target: Target,
    /// What the user should know of the game under this method.
    pub(crate) notes: Vec<Note>,
}

/// What is maximised, before regularisation.
#[derive(Debug)]
pub(crate) enum Payoff {
    /// P[y][y′], row-major: as given for Stackelberg, (P + 1 − Pᵀ)/2 for Nash.
    Pairs(Vec<f64>),
    /// r[y]: Bradley–Terry scores.
    Scores(Vec<f64>),
}

/// What the method converges to.
#[derive(Debug)]
pub(crate) enum Target {
    Stackelberg(StackelbergSolution),
    Nash {
        game: NashGame,
        /// log π of the regularised equilibrium; `None` at τ = 0, where it need not be unique.
        equilibrium: Option<Vec<f64>>,
        /// log π of the method's own fixed point under a constant m > 0.
        fixed_point: Option<Vec<f64>>,
    },
    Rlhf {
        log_policy: Vec<f64>,
        /// log π of the method's own fixed point, where that is another one and known.
        fixed_point: Option<Vec<f64>>,
    },
    /// Any Nash policy without regularisation, for the average of the iterates.
    Lottery(NashGame),
    /// One distribution.
    FixedPoint {
        log_policy: Vec<f64>,
    },
    /// Nothing is trained: log π is this from the start.
    Exact {
        log_policy: Vec<f64>,
    },
}

impl Target {
    /// Any Nash policy of the game without regularization, for the last iterate.
    pub(crate) fn unregularised(game: &Game) -> Result<Self, GameError> {
        let temperatures = game.temperatures();
        let bare = Game::new(
            game.preferences().clone(),
            game.reference_leader().clone(),
            game.reference_follower().clone(),
            Temperatures::new(TemperatureValues {
                leader: temperatures.leader(),
                follower: temperatures.follower(),
                nash: 0.0,
                rlhf: temperatures.rlhf(),
            })?,
        )?;
        Ok(Self::Nash { game: NashGame::of(&bare), equilibrium: None, fixed_point: None })
    }
}

impl Problem {
    pub(crate) fn stackelberg(game: &Game, held: Held) -> Self {
        Self {
            actions: game.actions(),
            payoff: Payoff::Pairs(game.preferences().entries().to_vec()),
            log_reference_leader: game.reference_leader().log_probabilities().to_vec(),
            log_reference_follower: game.reference_follower().log_probabilities().to_vec(),
            tau_leader: game.temperatures().leader(),
            tau_follower: game.temperatures().follower(),
            held,
            preferences: game.preferences().clone(),
            target: Target::Stackelberg(StackelbergSolution::held_by(game, held)),
            notes: Vec::new(),
        }
    }

    /// Nash-MD under a constant m, or under a curve; `renews`: the reference moves, and the target is the game's own Nash policy. Where another
    /// divergence holds the policy, the target is the Nash policy of the game that it regularizes.
    pub(crate) fn nash(
        game: &Game,
        mixture: Option<f64>,
        renews: bool,
        divergence: Divergence,
    ) -> Result<Self, GameError> {
        let nash = NashGame::of(game).held_by(divergence);
        let tau = nash.temperature();
        let fixed_point = match mixture {
            Some(m) if m > 0.0 => nash.mixture_fixed_point(MixtureCoefficient::new(m)?).map(|point| point.log_policy),
            _ => None,
        };
        let notes = if game.preferences().is_complementary(PreferenceMatrix::COMPLEMENTARY_TOLERANCE) {
            Vec::new()
        } else {
            vec![Note::Symmetrised(game.preferences().worst_asymmetry())]
        };
        let target = if renews {
            Target::unregularised(game)?
        } else {
            // A policy that Newton's method did not find to rounding is no target; the gap needs none.
            let solved =
                (tau > 0.0).then(|| nash.solve()).filter(|found| divergence.is_reverse() || found.is_precise());
            Target::Nash { equilibrium: solved.map(|found| found.log_policy), game: nash, fixed_point }
        };
        Ok(Self {
            payoff: Payoff::Pairs(game.preferences().symmetrised().entries().to_vec()),
            target,
            notes,
            held: Held { leader: divergence, ..Held::default() },
            ..Self::with_one_policy(game, tau)
        })
    }

    pub(crate) fn rlhf(game: &Game, run: i64, plan: &GamePlan, pairs: &PairDistribution) -> Result<Self, LearnError> {
        let fit = bradley_terry(game, run, plan, pairs)?;
        let tau = game.temperatures().rlhf();
        Ok(Self {
            target: Target::Rlhf { log_policy: fit.log_policy(game.reference_leader(), tau), fixed_point: None },
            notes: notes_of(&fit),
            payoff: Payoff::Scores(fit.scores),
            ..Self::with_one_policy(game, tau)
        })
    }

    pub(crate) fn with_one_policy(game: &Game, tau_leader: f64) -> Self {
        Self {
            actions: game.actions(),
            payoff: Payoff::Scores(Vec::new()),
            log_reference_leader: game.reference_leader().log_probabilities().to_vec(),
            log_reference_follower: Vec::new(),
            tau_leader,
            tau_follower: 0.0,
            held: Held::default(),
            preferences: game.preferences().clone(),
            target: Target::Rlhf { log_policy: Vec::new(), fixed_point: None },
            notes: Vec::new(),
        }
    }

    /// f: what committing to each action is worth; empty for a method with one policy.
    pub(crate) fn leader_values(&self) -> &[f64] {
        match &self.target {
            Target::Stackelberg(solution) => solution.leader_values(),
            _ => &[],
        }
    }

    /// `P[i][j] − τ_F log ω_ref(j | i)`: the Follower's cost of an answer, but for `τ_F log ω`.
    pub(crate) fn follower_cost(&self) -> Vec<f64> {
        match &self.payoff {
            Payoff::Pairs(payoff) if self.log_reference_follower.is_empty() => payoff.clone(),
            Payoff::Pairs(payoff) => {
                let pairs = payoff.iter().zip(&self.log_reference_follower);
                pairs.map(|(p, log_reference)| p - self.tau_follower * log_reference).collect()
            }
            Payoff::Scores(_) => Vec::new(),
        }
    }

    /// `τ log π_ref`, plus the scores where there are any: the Leader's value, but for what the pairs give and −τ log π.
    pub(crate) fn leader_gain(&self) -> Vec<f64> {
        let mut gain: Vec<f64> = self.log_reference_leader.iter().map(|l| self.tau_leader * l).collect();
        if let Payoff::Scores(scores) = &self.payoff {
            for (gain, score) in gain.iter_mut().zip(scores) {
                *gain += score;
            }
        }
        gain
    }
}

/// Scores of the game over a distribution of pairs.
pub(crate) fn bradley_terry(
    game: &Game,
    run: i64,
    plan: &GamePlan,
    pairs: &PairDistribution,
) -> Result<BradleyTerryFit, LearnError> {
    let rows = match pairs {
        PairDistribution::Uniform => None,
        PairDistribution::Weights { weights } => Some(weights),
        PairDistribution::Counts => Some(plan.comparison_counts.as_ref().ok_or_else(|| LearnError::Setting {
            run,
            key: "method.pairs.kind".to_owned(),
            problem: "is counts, but the game was not counted from comparisons; use uniform or weights".to_owned(),
        })?),
    };
    let fit = match rows {
        None => Ok(BradleyTerryFit::with_uniform_weights(game.preferences())),
        Some(rows) => PairWeights::from_rows(rows).and_then(|w| BradleyTerryFit::of(game.preferences(), &w)),
    };
    fit.map_err(|source| LearnError::Game { run, source })
}

/// What the user should know of a fit.
pub(crate) fn notes_of(fit: &BradleyTerryFit) -> Vec<Note> {
    if fit.existence == Existence::Regularised { vec![Note::VirtualWins] } else { Vec::new() }
}

/// `matrix` (row-major n × n) with rows and columns exchanged.
pub(crate) fn transposed(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut result = Vec::with_capacity(matrix.len());
    for column in 0..n {
        result.extend(matrix.iter().skip(column).step_by(n.max(1)));
    }
    result
}
