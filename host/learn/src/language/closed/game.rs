//! One prompt's closed set as a finite game under the run's method, with its solutions.

use slhf_game::{
    BradleyTerryFit, Distribution, FollowerReference, Game, GameError, NashGame, Part, PreferenceMatrix,
    StackelbergSolution, TemperatureValues, total_variation,
};
use slhf_plan::{ActionPlan, AnswerSetScores, GamePlan, GameRunPlan, Gradient, LanguagePlan, Temperatures};

use super::method::{on_a_game, temperatures};
use crate::LearnError;
use crate::evaluation::Measurement;
use crate::language::traits::{Answer, Prompt};
use crate::log_probabilities::log_probabilities;
use crate::problem::{Problem, Target};
use crate::problem_key::ProblemKey;

/// The references of a prompt, as log-probabilities.
#[derive(Clone, Debug)]
pub(super) struct References {
    /// log `π_ref`, n entries.
    pub(super) leader: Vec<f64>,
    /// log `ω_ref`, n × n.
    pub(super) follower: Vec<f64>,
}

/// What is known of a prompt before its game.
pub(super) struct Judged<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) answers: &'a [Answer],
    pub(super) references: &'a References,
    /// `P_x`, n × n.
    pub(super) verdicts: Vec<f64>,
    /// Of a reward plugin.
    pub(super) scores: Option<Vec<f64>>,
}

/// One prompt's game.
#[derive(Debug)]
pub(crate) struct PromptGame {
    pub(super) problem: Problem,
    concepts: Option<Concepts>,
}

/// The three solution concepts at the run's temperatures: log π of each.
#[derive(Debug)]
struct Concepts {
    stackelberg: Vec<f64>,
    nash: Vec<f64>,
    rlhf: Vec<f64>,
}

/// Policies of a closed set, as log-probabilities.
#[derive(Clone, Debug)]
pub(super) struct SetPolicies {
    /// log π, n entries.
    pub(super) leader: Vec<f64>,
    /// log ω, n × n; empty for a method with one policy.
    pub(super) follower: Vec<f64>,
}

impl SetPolicies {
    /// The scores restricted to the set.
    pub(super) fn of(scores: &AnswerSetScores) -> Self {
        let n = scores.leader.len();
        Self { leader: log_probabilities(&scores.leader, n), follower: log_probabilities(&scores.follower, n) }
    }
}

impl References {
    /// Every answer alike.
    pub(super) fn uniform(answers: usize) -> Self {
        let log = -libm::log(answers as f64);
        Self { leader: vec![log; answers], follower: vec![log; answers * answers] }
    }

    /// The frozen model's; without a Follower its reference is uniform, and nobody looks at it.
    pub(super) fn of_model(scores: &AnswerSetScores) -> Self {
        let SetPolicies { leader, follower } = SetPolicies::of(scores);
        let follower = if follower.is_empty() { Self::uniform(leader.len()).follower } else { follower };
        Self { leader, follower }
    }

    fn probabilities(log: &[f64]) -> Vec<f64> {
        log.iter().map(|l| libm::exp(*l)).collect()
    }
}

impl PromptGame {
    #[expect(clippy::default_trait_access, reason = "JSON is none of this crate's types")]
    pub(super) fn new(plan: &LanguagePlan, gradient: Gradient, judged: Judged<'_>) -> Result<Self, LearnError> {
        let Judged { prompt, answers, references, verdicts, scores } = judged;
        let refused = |source| LearnError::Game { run: plan.run, source };
        let missing = |key: &str, problem: &str| LearnError::Setting {
            run: plan.run,
            key: key.to_owned(),
            problem: problem.to_owned(),
        };
        let method = on_a_game(&plan.method, gradient, scores).ok_or_else(|| no_game(plan))?;
        let judge = plan.judge.clone().ok_or_else(|| missing("judge", "is missing, and closed sets are judged"))?;
        let preferences = PreferenceMatrix::new(answers.len(), verdicts).map_err(refused)?;
        let run = GameRunPlan {
            run: plan.run,
            game: 0,
            seed: plan.seed,
            temperatures: temperatures(&plan.method),
            method,
            schedule: plan.schedule,
        };
        let game = GamePlan {
            prompt: prompt.messages.last().map_or_else(String::new, |message| message.content.clone()),
            metadata: Default::default(),
            actions: answers.iter().map(action).collect(),
            judge,
            reference_leader: References::probabilities(&references.leader),
            reference_follower: References::probabilities(&references.follower)
                .chunks_exact(answers.len())
                .map(<[f64]>::to_vec)
                .collect(),
            comparison_counts: None,
        };
        let concepts = Concepts::of(&game, &preferences, run.temperatures).map_err(refused)?;
        let problem = Problem::of(&ProblemKey::of(&run), plan.run, &game, &preferences)?;
        Ok(Self { problem, concepts })
    }

    /// The policies as they are measured: those that the network gives, or what a method that trains nothing stands for.
    pub(super) fn standing(&self, scores: &AnswerSetScores) -> SetPolicies {
        match &self.problem.target {
            Target::Exact { log_policy } => SetPolicies { leader: log_policy.clone(), follower: Vec::new() },
            _ => SetPolicies::of(scores),
        }
    }

    /// Gaps, distances and values of policies, exactly.
    pub(super) fn measurement(&self, policies: &SetPolicies) -> Measurement {
        Measurement::of_policies(&self.problem, &policies.leader, &policies.follower, None)
    }

    /// Total variation between π and the three concepts' Leaders, by the concepts' names; nothing at β = 0.
    pub(super) fn distances(&self, policies: &SetPolicies) -> Vec<(&'static str, f64)> {
        let Some(Concepts { stackelberg, nash, rlhf }) = &self.concepts else { return Vec::new() };
        let distance = |concept: &[f64]| total_variation(&policies.leader, concept);
        vec![("stackelberg", distance(stackelberg)), ("nash", distance(nash)), ("rlhf", distance(rlhf))]
    }
}

/// The lab refuses it when it plans.
fn no_game(plan: &LanguagePlan) -> LearnError {
    let problem = format!("{} is no method of a game, and closed response sets are games", plan.method.name());
    LearnError::Setting { run: plan.run, key: "method.name".to_owned(), problem }
}

impl Concepts {
    fn of(plan: &GamePlan, preferences: &PreferenceMatrix, values: Temperatures) -> Result<Option<Self>, GameError> {
        if values.tau_leader <= 0.0 {
            return Ok(None);
        }
        let reference = Distribution::named(&plan.reference_leader, Part::ReferenceLeader)?;
        let game = Game::new(
            preferences.clone(),
            reference.clone(),
            FollowerReference::from_rows(&plan.reference_follower)?,
            slhf_game::Temperatures::new(TemperatureValues {
                leader: values.tau_leader,
                follower: values.tau_follower,
                nash: values.tau_nash,
                rlhf: values.tau_rlhf,
            })?,
        )?;
        Ok(Some(Self {
            stackelberg: StackelbergSolution::of(&game).log_leader().to_vec(),
            nash: NashGame::of(&game).solve().log_policy,
            rlhf: BradleyTerryFit::with_uniform_weights(preferences).log_policy(&reference, values.tau_rlhf),
        }))
    }
}

#[expect(clippy::default_trait_access, reason = "JSON is none of this crate's types")]
fn action(answer: &Answer) -> ActionPlan {
    ActionPlan { name: answer.text.to_string(), text: answer.text.to_string(), metadata: Default::default() }
}
