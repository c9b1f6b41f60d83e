//! What each method sees of a game, and its target.

use slhf_game::{
    BradleyTerryFit, Game, GameError, NashGame, Note, OnPolicyFit, PreferenceMatrix, TemperatureValues, Temperatures,
};
use slhf_plan::{GamePlan, GameReward, Gradient, GrpoKl, Labels, Method, ScaleRewards};

use super::{best_of_n, grpo, self_refinement, sft};
use crate::LearnError;
use crate::problem::{Payoff, Problem, Target, bradley_terry};
use crate::slopes::label;

/// A game before a method with one policy.
struct Seen<'a> {
    game: &'a Game,
    run: i64,
    plan: &'a GamePlan,
}

/// The problem of one of the methods here.
pub(crate) fn problem(game: &Game, run: i64, plan: &GamePlan, method: &Method) -> Result<Problem, LearnError> {
    let seen = Seen { game, run, plan };
    match method {
        Method::StackelbergGda(_) | Method::NashMd(_) | Method::Rlhf(_) => {
            Err(LearnError::Setting { run, key: "method.name", problem: "has a problem of its own".to_owned() })
        }
        Method::Rloo(rloo) => seen.rewarded(&rloo.reward, |_, _| None),
        Method::Grpo(grpo) => seen.rewarded(&grpo.reward, |scores, tau| own_fixed_point(&seen, grpo, scores, tau)),
        Method::OnlineDpo(dpo) => seen.on_policy_fit(dpo.labels),
        Method::OnlineIpo(ipo) => seen.nash(ipo.labels),
        Method::Inpo(inpo) => seen.nash(inpo.labels),
        Method::Sppo(_) => Ok(seen.lottery()),
        Method::Sft(sft) => Ok(seen.winners(sft.labels)),
        Method::BestOfN(best) => seen.best_of_n(best),
        Method::SelfRefinement(refined) => Ok(seen.refined(refined.rounds)),
    }
}

impl Seen<'_> {
    fn failed(&self, source: GameError) -> LearnError {
        LearnError::Game { run: self.run, source }
    }

    fn log_reference(&self) -> &[f64] {
        self.game.reference_leader().log_probabilities()
    }

    /// ℓ, row-major.
    fn labels(&self, labels: Labels) -> Vec<f64> {
        let preferences = self.game.preferences();
        let row = |(i, row): (usize, &[f64])| {
            let entries = row.iter().enumerate();
            entries.map(|(j, p)| label(*p, preferences.get(j, i), labels)).collect::<Vec<_>>()
        };
        preferences.rows().enumerate().flat_map(row).collect()
    }

    /// The game whose preferences are the labels.
    fn labelled(&self, labels: Labels) -> Result<Game, GameError> {
        let temperatures = self.game.temperatures();
        Game::new(
            PreferenceMatrix::new(self.game.actions(), self.labels(labels))?,
            self.game.reference_leader().clone(),
            self.game.reference_follower().clone(),
            Temperatures::new(TemperatureValues {
                leader: temperatures.leader(),
                follower: temperatures.follower(),
                nash: temperatures.nash(),
                rlhf: temperatures.rlhf(),
            })?,
        )
    }

    /// What the user should know where pairs are judged in both orders.
    fn notes(&self) -> Vec<Note> {
        if self.game.preferences().is_complementary(PreferenceMatrix::COMPLEMENTARY_TOLERANCE) {
            Vec::new()
        } else {
            vec![Note::Symmetrised(self.game.preferences().worst_asymmetry())]
        }
    }

    /// Pairs with these labels.
    fn pairs(&self, labels: Labels, tau: f64) -> Problem {
        Problem {
            payoff: Payoff::Pairs(self.labels(labels)),
            notes: self.notes(),
            ..Problem::with_one_policy(self.game, tau)
        }
    }

    /// Self-play at `τ_nash`; with hard labels the fixed point is that of the game they make.
    fn nash(&self, labels: Labels) -> Result<Problem, LearnError> {
        let nash = NashGame::of(self.game);
        let fixed_point = match labels {
            Labels::Soft => None,
            Labels::Hard => Some(NashGame::of(&self.labelled(labels).map_err(|e| self.failed(e))?).solve().log_policy),
        };
        let equilibrium = (nash.temperature() > 0.0).then(|| nash.solve().log_policy);
        let tau = nash.temperature();
        let target = Target::Nash { equilibrium, game: nash, fixed_point };
        Ok(Problem { target, ..self.pairs(labels, tau) })
    }

    fn lottery(&self) -> Problem {
        Problem { target: Target::Lottery(NashGame::of(self.game)), ..self.pairs(Labels::Soft, 0.0) }
    }

    fn on_policy_fit(&self, labels: Labels) -> Result<Problem, LearnError> {
        let tau = self.game.temperatures().rlhf();
        let reference = self.game.reference_leader();
        let labelled = PreferenceMatrix::new(self.game.actions(), self.labels(labels)).map_err(|e| self.failed(e))?;
        let rlhf = BradleyTerryFit::with_uniform_weights(self.game.preferences());
        let target = Target::Rlhf {
            log_policy: rlhf.log_policy(reference, tau),
            fixed_point: OnPolicyFit::of(&labelled, reference, tau).map(|fit| fit.log_policy),
        };
        Ok(Problem { target, ..self.pairs(labels, tau) })
    }

    fn winners(&self, labels: Labels) -> Problem {
        let log_policy = sft::winners(self.log_reference(), &self.labels(labels));
        Problem { target: Target::FixedPoint { log_policy }, ..self.pairs(labels, 0.0) }
    }

    /// A method with rewards; `own` is its fixed point where that is not the RLHF solution.
    fn rewarded(
        &self,
        reward: &GameReward,
        own: impl FnOnce(&[f64], f64) -> Option<Vec<f64>>,
    ) -> Result<Problem, LearnError> {
        let (scores, notes) = match reward {
            GameReward::Verdicts => return self.nash(Labels::Soft),
            GameReward::Scores { scores } => (scores.clone(), Vec::new()),
            GameReward::BradleyTerry { pairs } => {
                let fit = bradley_terry(self.game, self.run, self.plan, pairs)?;
                let notes = crate::problem::notes_of(&fit);
                (fit.scores, notes)
            }
        };
        let tau = self.game.temperatures().rlhf();
        let target = Target::Rlhf {
            log_policy: grpo::tilted(self.log_reference(), &scores, 1.0 / tau),
            fixed_point: own(&scores, tau),
        };
        Ok(Problem { target, payoff: Payoff::Scores(scores), notes, ..Problem::with_one_policy(self.game, tau) })
    }

    fn best_of_n(&self, best: &slhf_plan::BestOfN) -> Result<Problem, LearnError> {
        let answers = best.training.num_generations;
        let problem = match &best.reward {
            GameReward::Verdicts => {
                let groups = best_of_n::groups(self.game.actions(), answers);
                if groups > best_of_n::GROUPS_MAX {
                    return Err(LearnError::Setting {
                        run: self.run,
                        key: "method.num_generations",
                        problem: too_many_groups(answers, self.game.actions()),
                    });
                }
                self.pairs(Labels::Soft, self.game.temperatures().nash())
            }
            reward => self.rewarded(reward, |_, _| None)?,
        };
        let log_policy = match &problem.payoff {
            Payoff::Scores(scores) => best_of_n::by_reward(self.log_reference(), scores, answers),
            Payoff::Pairs(labels) => best_of_n::by_verdicts(self.log_reference(), labels, answers),
        };
        Ok(Problem { target: Target::Exact { log_policy }, ..problem })
    }

    fn refined(&self, rounds: u32) -> Problem {
        let log_follower = self.game.reference_follower().log_probabilities();
        let log_policy = self_refinement::refined(self.log_reference(), log_follower, rounds);
        Problem { target: Target::Exact { log_policy }, ..self.pairs(Labels::Soft, 0.0) }
    }
}

/// Why a best of N by verdicts is refused.
fn too_many_groups(answers: u32, actions: usize) -> String {
    format!(
        "is {answers}: {answers} answers over {actions} actions make more than {} different groups, too many to sum over; \
         lower it, or choose by reward = \"bradley_terry\" or scores",
        best_of_n::GROUPS_MAX
    )
}

/// Whether the best of so many answers by verdicts can be computed; else why not.
pub(crate) fn check_best_of_n(best: &slhf_plan::BestOfN, actions: usize) -> Result<(), String> {
    let answers = best.training.num_generations;
    if !(1..=best_of_n::ANSWERS_MAX).contains(&answers) {
        return Err(format!("is {answers}; expected 1 to {}", best_of_n::ANSWERS_MAX));
    }
    if best.reward == GameReward::Verdicts && best_of_n::groups(actions, answers) > best_of_n::GROUPS_MAX {
        return Err(too_many_groups(answers, actions));
    }
    Ok(())
}

/// GRPO's fixed point where it is not the RLHF solution; `None` too where it is not known in closed form (a scaled group
/// of few answers).
fn own_fixed_point(seen: &Seen<'_>, grpo: &slhf_plan::Grpo, scores: &[f64], tau: f64) -> Option<Vec<f64>> {
    let (reference, kl) = (seen.log_reference(), grpo.kl_gradient);
    match (grpo.scale_rewards, grpo.training.gradient) {
        (ScaleRewards::None, Gradient::Exact) if kl == GrpoKl::RewardToGo => None,
        (ScaleRewards::None, Gradient::Exact) => Some(grpo::held(reference, scores, (kl, tau))),
        (ScaleRewards::Group, Gradient::Exact) => Some(grpo::scaled_policy(reference, scores, (kl, tau))),
        (ScaleRewards::None, Gradient::Sampled) => {
            let k = f64::from(grpo.training.num_generations);
            Some(grpo::held(reference, scores, (kl, k * tau / (k - 1.0))))
        }
        (ScaleRewards::Group, Gradient::Sampled) => None,
    }
}
