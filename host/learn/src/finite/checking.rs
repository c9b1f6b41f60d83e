//! What the methods here cannot have. The lab refuses it when it plans, in words of its own; a worker does not trust what it
//! is sent.

use slhf_plan::{GameReward, GameRunPlan, Gradient, Method, Preconditioner};

use super::problem::check_best_of_n;
use crate::LearnError;

/// Refuses settings of a run on a game of so many actions.
pub(crate) fn check(run: &GameRunPlan, actions: usize) -> Result<(), LearnError> {
    let refuse = |key, problem: String| Err(LearnError::Setting { run: run.run, key, problem });
    let training = run.method.training();
    let is_trained = run.method.name().is_trained();
    if !is_trained && training.steps > 0 {
        return refuse("method.steps", format!("is {}; nothing is trained here: expected 0", training.steps));
    }
    if super::of(&run.method).is_some() && training.gradient == Gradient::Sampled && training.num_generations < 2 {
        let problem = format!("is {}; answers are compared with each other: at least 2", training.num_generations);
        return refuse("method.num_generations", problem);
    }
    if matches!(run.method, Method::Sft(_)) && training.preconditioner == Preconditioner::Natural {
        let problem = "natural divides by probabilities that the reference, who samples, does not have; use \"none\"";
        return refuse("method.preconditioner", problem.to_owned());
    }
    match &run.method {
        Method::Rloo(method) => check_reward(run.run, &method.reward, actions),
        Method::Grpo(method) => {
            if !(method.epsilon.is_finite() && method.epsilon > 0.0) {
                return refuse("method.epsilon", format!("is {}; expected a finite number above 0", method.epsilon));
            }
            check_iterations(run.run, method.num_iterations)?;
            check_reward(run.run, &method.reward, actions)
        }
        Method::Sppo(method) => {
            if !(method.eta.is_finite() && method.eta > 0.0) {
                return refuse("method.eta", format!("is {}; expected a finite number above 0", method.eta));
            }
            check_iterations(run.run, method.num_iterations)
        }
        Method::Inpo(method) => {
            let tau = run.temperatures.tau_nash;
            if !(method.eta.is_finite() && method.eta > 0.0 && method.eta >= tau) {
                let problem = format!("is {}; expected a finite number above 0, at least tau_nash = {tau}", method.eta);
                return refuse("method.eta", problem);
            }
            check_iterations(run.run, method.num_iterations)
        }
        Method::BestOfN(method) => {
            check_best_of_n(method, actions).or_else(|problem| refuse("method.num_generations", problem))?;
            check_reward(run.run, &method.reward, actions)
        }
        Method::SelfRefinement(method) if method.rounds == 0 => {
            refuse("method.rounds", "is 0; expected at least 1".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_iterations(run: i64, num_iterations: u32) -> Result<(), LearnError> {
    if num_iterations > 0 {
        return Ok(());
    }
    Err(LearnError::Setting { run, key: "method.num_iterations", problem: "is 0; expected at least 1".to_owned() })
}

fn check_reward(run: i64, reward: &GameReward, actions: usize) -> Result<(), LearnError> {
    let problem = match reward {
        GameReward::Scores { scores } if scores.len() != actions => {
            format!("has {} entries; expected {actions}, one an action", scores.len())
        }
        GameReward::Scores { scores } if !scores.iter().all(|score| score.is_finite()) => {
            "holds something that is no finite number".to_owned()
        }
        _ => return Ok(()),
    };
    Err(LearnError::Setting { run, key: "method.reward.scores", problem })
}
