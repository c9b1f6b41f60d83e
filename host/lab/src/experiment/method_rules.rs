//! Which settings belong to which method on a game, and what they may be.

use slhf_game::PairWeights;
use slhf_plan::{
    ControlVariate, GameReward, Gradient, Inpo, Method, Optimizer, PairDistribution, Preconditioner, Temperatures,
};

use super::config::{MethodConfig, MethodKind, RewardConfig};
use super::resolve::Resolved;
use super::rules::{Refusal, check_weight_curve, refuse};

/// Answers of a best of N beyond which nobody means it.
const ANSWERS_MAX: u32 = 4096;
/// Groups over whose compositions a best of N by verdicts is summed, at most.
const GROUPS_MAX: f64 = 500_000.0;
/// Updates on the same samples beyond which nobody means it.
const ITERATIONS_MAX: u32 = 1024;
/// Rounds of refinement, as on language models.
const ROUNDS_MAX: u32 = 255;

/// A setting that not every method has.
struct Owned {
    key: &'static str,
    given: fn(&MethodConfig) -> bool,
    owners: &'static [MethodKind],
}

const REWARDED: &[MethodKind] = &[MethodKind::Rloo, MethodKind::Grpo, MethodKind::BestOfN];

/// Settings with their methods. What is said of training is read by every method and used by those that train.
const OWNED: [Owned; 10] = [
    Owned { key: "method.mixture_coef", given: |method| method.mixture_coef.is_some(), owners: &[MethodKind::NashMd] },
    Owned {
        key: "method.pairs",
        given: |method| method.pairs.is_some(),
        owners: &[MethodKind::Rlhf, MethodKind::Rloo, MethodKind::Grpo, MethodKind::BestOfN],
    },
    Owned { key: "method.reward", given: |method| method.reward.is_some(), owners: REWARDED },
    Owned {
        key: "method.labels",
        given: |method| method.labels.is_some(),
        owners: &[MethodKind::OnlineDpo, MethodKind::OnlineIpo, MethodKind::Inpo, MethodKind::Sft],
    },
    Owned { key: "method.scale_rewards", given: |method| method.scale_rewards.is_some(), owners: &[MethodKind::Grpo] },
    Owned { key: "method.kl_gradient", given: |method| method.kl_gradient.is_some(), owners: &[MethodKind::Grpo] },
    Owned { key: "method.epsilon", given: |method| method.epsilon.is_some(), owners: &[MethodKind::Grpo] },
    Owned {
        key: "method.num_iterations",
        given: |method| method.num_iterations.is_some(),
        owners: &[MethodKind::Grpo, MethodKind::Sppo, MethodKind::Inpo],
    },
    Owned { key: "method.eta", given: |method| method.eta.is_some(), owners: &[MethodKind::Sppo, MethodKind::Inpo] },
    Owned { key: "method.rounds", given: |method| method.rounds.is_some(), owners: &[MethodKind::SelfRefinement] },
];

/// What can be said before a default is filled in.
pub(super) fn check_settings(method: &MethodConfig) -> Result<(), Refusal> {
    if let Some(owned) = OWNED.iter().find(|owned| (owned.given)(method) && !owned.owners.contains(&method.name)) {
        let names: Vec<&str> = owned.owners.iter().map(|owner| owner.name()).collect();
        let problem = match names.as_slice() {
            [only] => format!("only {only} has it; put it beside name = \"{only}\""),
            [rest @ .., last] => format!("only {} and {last} have it; remove it here", rest.join(", ")),
            [] => String::new(),
        };
        return refuse(owned.key, problem);
    }
    if method.pairs.is_some() && !matches!(method.reward, None | Some(RewardConfig::BradleyTerry {})) {
        return refuse("method.pairs", "only a Bradley–Terry fit has it: remove it, or use reward = \"bradley_terry\"");
    }
    let has_control =
        matches!(method.name, MethodKind::StackelbergGda | MethodKind::NashMd | MethodKind::Rlhf | MethodKind::Rloo);
    if method.score_baseline.is_some() && method.gradient == Some(Gradient::Sampled) && !has_control {
        return refuse(
            "method.score_baseline",
            format!(
                "{} compares answers with each other and subtracts nothing else; only stackelberg-gda, nash-md, rlhf and \
                 rloo have it",
                method.name.name()
            ),
        );
    }
    Ok(())
}

/// A temperature that the method cannot do without.
pub(super) fn check_temperature(method: &Method, temperatures: Temperatures) -> Result<(), Refusal> {
    let plays_itself = match method {
        Method::NashMd(_) | Method::OnlineIpo(_) | Method::Inpo(_) => true,
        Method::Rloo(rloo) => rloo.reward == GameReward::Verdicts,
        Method::Grpo(grpo) => grpo.reward == GameReward::Verdicts,
        _ => false,
    };
    if plays_itself && temperatures.tau_nash == 0.0 {
        return refuse(
            "game.tau_nash",
            format!(
                "0 with {}: without regularisation self-play circles around the equilibrium of a cyclic game instead of \
                 reaching it; expected a number above 0",
                method.name().as_str()
            ),
        );
    }
    Ok(())
}

/// What is the method's own.
pub(super) fn check_method(cell: &Resolved) -> Result<(), Refusal> {
    check_group(&cell.method)?;
    match &cell.method {
        Method::NashMd(method) => {
            check_weight_curve("method.mixture_coef", &method.mixture_coef, method.training.steps)
        }
        Method::Rlhf(method) => check_pairs(cell, &method.pairs),
        Method::Rloo(method) => {
            let sampled = method.training.gradient == Gradient::Sampled;
            if sampled && method.training.score_baseline != ControlVariate::LeaveOneOut {
                return refuse("method.score_baseline", "rloo is REINFORCE with the leave-one-out baseline: remove it");
            }
            check_reward(cell, &method.reward)
        }
        Method::Grpo(method) => {
            if !(method.epsilon.is_finite() && method.epsilon > 0.0) {
                return refuse("method.epsilon", format!("{}; expected a finite number above 0", method.epsilon));
            }
            check_iterations(method.num_iterations)?;
            check_reward(cell, &method.reward)
        }
        Method::Sppo(method) => {
            if !(method.eta.is_finite() && method.eta > 0.0) {
                return refuse("method.eta", format!("{}; expected a finite number above 0", method.eta));
            }
            check_iterations(method.num_iterations)
        }
        Method::Inpo(method) => check_inpo(method, cell.temperatures.tau_nash),
        Method::Sft(method) => {
            let is_natural = method.training.preconditioner == Preconditioner::Natural;
            if is_natural && method.training.optimizer == Optimizer::Sgd {
                return refuse(
                    "method.preconditioner",
                    "\"natural\" with sft: what is trained on comes from the reference, and a natural step divides by the \
                     policy's probabilities, which may have left it; use preconditioner = \"none\"",
                );
            }
            Ok(())
        }
        Method::BestOfN(method) => {
            check_reward(cell, &method.reward)?;
            check_answers(method.training.num_generations, &method.reward, cell.game.actions.len())
        }
        Method::SelfRefinement(method) if !(1..=ROUNDS_MAX).contains(&method.rounds) => {
            refuse("method.rounds", format!("{}; expected 1 to {ROUNDS_MAX}", method.rounds))
        }
        Method::StackelbergGda(_) | Method::OnlineDpo(_) | Method::OnlineIpo(_) | Method::SelfRefinement(_) => Ok(()),
    }
}

/// Answers that are compared with each other are at least two.
fn check_group(method: &Method) -> Result<(), Refusal> {
    let training = method.training();
    let compares = !matches!(method, Method::StackelbergGda(_) | Method::NashMd(_) | Method::Rlhf(_));
    if compares && training.gradient == Gradient::Sampled && training.num_generations < 2 {
        return refuse(
            "method.num_generations",
            format!(
                "{} with {}: it compares the answers of one prompt with each other; use at least 2",
                training.num_generations,
                method.name().as_str()
            ),
        );
    }
    Ok(())
}

fn check_iterations(num_iterations: u32) -> Result<(), Refusal> {
    if (1..=ITERATIONS_MAX).contains(&num_iterations) {
        return Ok(());
    }
    refuse("method.num_iterations", format!("{num_iterations}; expected 1 to {ITERATIONS_MAX}"))
}

fn check_inpo(inpo: &Inpo, tau_nash: f64) -> Result<(), Refusal> {
    if !(inpo.eta.is_finite() && inpo.eta > 0.0 && inpo.eta >= tau_nash) {
        return refuse(
            "method.eta",
            format!("{}; expected a finite number above 0 and at least game.tau_nash, which is {tau_nash}", inpo.eta),
        );
    }
    check_iterations(inpo.num_iterations)
}

fn check_reward(cell: &Resolved, reward: &GameReward) -> Result<(), Refusal> {
    let n = cell.game.actions.len();
    match reward {
        GameReward::Verdicts => Ok(()),
        GameReward::BradleyTerry { pairs } => check_pairs(cell, pairs),
        GameReward::Scores { scores } if scores.len() != n => {
            refuse("method.reward", format!("{} rewards; expected {n}, one for each action", scores.len()))
        }
        GameReward::Scores { scores } => match scores.iter().position(|score| !score.is_finite()) {
            Some(index) => refuse(
                "method.reward",
                format!("{} for \"{}\"; expected a finite number", scores[index], cell.game.actions[index].name),
            ),
            None => Ok(()),
        },
    }
}

fn check_pairs(cell: &Resolved, pairs: &PairDistribution) -> Result<(), Refusal> {
    let n = cell.game.actions.len();
    match pairs {
        PairDistribution::Counts if cell.game.comparison_counts.is_none() => refuse(
            "method.pairs",
            "\"counts\" needs a game that was counted from data; this one is a matrix of probabilities: use \
             \"uniform\", or { kind = \"weights\", weights = [...] }",
        ),
        PairDistribution::Uniform | PairDistribution::Counts => Ok(()),
        PairDistribution::Weights { weights } if weights.len() != n => {
            refuse("method.pairs.weights", format!("{} rows; expected {n}, one for each action", weights.len()))
        }
        PairDistribution::Weights { weights } => match PairWeights::from_rows(weights) {
            Ok(_) => Ok(()),
            Err(error) => refuse("method.pairs.weights", error.to_string()),
        },
    }
}

/// A best of N whose distribution can be computed.
fn check_answers(answers: u32, reward: &GameReward, actions: usize) -> Result<(), Refusal> {
    if !(1..=ANSWERS_MAX).contains(&answers) {
        return refuse("method.num_generations", format!("{answers}; expected 1 to {ANSWERS_MAX}"));
    }
    // C(N + n − 1, n − 1)
    let groups = (1..actions).fold(1.0, |count, index| count * (f64::from(answers) + index as f64) / index as f64);
    if *reward == GameReward::Verdicts && groups > GROUPS_MAX {
        return refuse(
            "method.num_generations",
            format!(
                "{answers} with reward = \"verdicts\": {answers} answers over {actions} actions make more than {GROUPS_MAX} \
                 different groups, too many to sum over exactly; lower it, or choose by reward = \"bradley_terry\""
            ),
        );
    }
    Ok(())
}
