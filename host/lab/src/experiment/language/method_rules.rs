//! Which settings belong to which method, and what they may be.

use slhf_plan::{ControlVariate, KlGradient, LanguageInpo, LanguageMethod, ModelOptimizer, RewardModelPlan, Sampling};

use super::super::rules::{Refusal, check_baseline, check_weight_curve, refuse};
use super::method_config::{LanguageMethodConfig, LanguageMethodKind as Kind, OptimizerKind};
use super::rules::{ROWS_MAX, check_sampling};

/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 100_000_000;

/// A setting that not every method has.
struct Owned {
    key: &'static str,
    given: fn(&LanguageMethodConfig) -> bool,
    owners: &'static [Kind],
    /// Why the others have no use for it.
    why: &'static str,
}

const PLAYERS: &str = "the others train one policy and know no Follower";
const COMMITTED: &str = "the others set their own baseline by what they are";
const PAIRWISE: &str = "the others hold the policy to the reference inside of their loss, or not at all";

/// Settings with their methods. What is said of training is read by every method and used by those that train.
const OWNED: [Owned; 16] = [
    Owned {
        key: "method.parameters",
        given: |method| method.parameters.is_some(),
        owners: &[Kind::StackelbergGda],
        why: PLAYERS,
    },
    Owned {
        key: "method.follower_beta",
        given: |method| method.follower_beta.is_some(),
        owners: &[Kind::StackelbergGda],
        why: PLAYERS,
    },
    Owned {
        key: "method.follower_reference",
        given: |method| method.follower_reference.is_some(),
        owners: &[Kind::StackelbergGda],
        why: PLAYERS,
    },
    Owned {
        key: "method.instruction",
        given: |method| method.instruction.is_some(),
        owners: &[Kind::StackelbergGda, Kind::SelfRefinement],
        why: "the others never ask for a better answer",
    },
    Owned {
        key: "method.reward",
        given: |method| method.reward.is_some(),
        owners: &[Kind::Rloo, Kind::Grpo, Kind::BestOfN],
        why: "the others learn from the judge's verdicts on pairs",
    },
    Owned {
        key: "method.reward_model",
        given: |method| method.reward_model.is_some(),
        owners: &[Kind::Rloo, Kind::Grpo],
        why: "the others are trained on no reward",
    },
    Owned {
        key: "method.score_baseline",
        given: |method| method.score_baseline.is_some(),
        owners: &[Kind::StackelbergGda, Kind::NashMd, Kind::Rloo],
        why: COMMITTED,
    },
    Owned {
        key: "method.kl_gradient",
        given: |method| method.kl_gradient.is_some(),
        owners: &[Kind::StackelbergGda, Kind::Rloo, Kind::Grpo, Kind::NashMd],
        why: PAIRWISE,
    },
    Owned {
        key: "method.mixture_coef",
        given: |method| method.mixture_coef.is_some(),
        owners: &[Kind::NashMd],
        why: "the others play against their own answers",
    },
    Owned {
        key: "method.labels",
        given: |method| method.labels.is_some(),
        owners: &[Kind::OnlineDpo, Kind::OnlineIpo, Kind::Inpo, Kind::Sft],
        why: "the others take verdicts as they are",
    },
    Owned {
        key: "method.scale_rewards",
        given: |method| method.scale_rewards.is_some(),
        owners: &[Kind::Grpo],
        why: "the others do not divide rewards",
    },
    Owned {
        key: "method.loss_type",
        given: |method| method.loss_type.is_some(),
        owners: &[Kind::Grpo],
        why: "the others do not divide by lengths",
    },
    Owned {
        key: "method.epsilon",
        given: |method| method.epsilon.is_some(),
        owners: &[Kind::Grpo],
        why: "the others clip no ratio",
    },
    Owned {
        key: "method.num_iterations",
        given: |method| method.num_iterations.is_some(),
        owners: &[Kind::Grpo, Kind::Sppo, Kind::Inpo],
        why: "the others are on-policy: one update a sample",
    },
    Owned {
        key: "method.eta",
        given: |method| method.eta.is_some(),
        owners: &[Kind::Sppo, Kind::Inpo],
        why: "the others have no last iterate to be held to",
    },
    Owned {
        key: "method.rounds",
        given: |method| method.rounds.is_some(),
        owners: &[Kind::SelfRefinement],
        why: "the others are not made of rounds (evaluations and `slhf-lab refine` have rounds of their own)",
    },
];

/// What can be said before a file is read or a plugin asked.
pub(super) fn check_method_settings(method: &LanguageMethodConfig) -> Result<(), Refusal> {
    let foreign = |owned: &&Owned| (owned.given)(method) && !owned.owners.contains(&method.name);
    if let Some(owned) = OWNED.iter().find(foreign) {
        let owners: Vec<&str> = owned.owners.iter().map(|owner| owner.name()).collect();
        let have = if owners.len() == 1 { "has" } else { "have" };
        return refuse(owned.key, format!("only {} {have} it: {}", owners.join(", "), owned.why));
    }
    if method.reward.is_some() && method.reward_model.is_some() {
        return refuse(
            "method.reward_model",
            "given beside method.reward, which is a reward already: remove one of the two",
        );
    }
    if let (Kind::Sppo | Kind::Sft, Some(beta)) = (method.name, method.beta.filter(|beta| *beta != 0.0)) {
        let problem = match method.name {
            Kind::Sppo => "sppo is held to its own last iterate by method.eta and to no reference",
            _ => "sft maximises likelihood and is held to no reference",
        };
        return refuse("method.beta", format!("{beta}, but {problem}: remove it, or set it to 0"));
    }
    if method.kl_gradient == Some(KlGradient::DifferentiatedK3) && method.name != Kind::Grpo {
        return refuse(
            "method.kl_gradient",
            "\"differentiated_k3\" is grpo's: it holds the policy by the forward divergence, and the others' targets are of \
             the reverse one; use another",
        );
    }
    check_eta(method)?;
    if method.kl_estimator.is_some() && method.kl_gradient != Some(KlGradient::Paper) {
        return refuse(
            "method.kl_estimator",
            "only used by kl_gradient = \"paper\": the other gradients do not choose an estimate",
        );
    }
    let adam = [
        ("method.adam_beta1", method.adam_beta1.is_some()),
        ("method.adam_beta2", method.adam_beta2.is_some()),
        ("method.adam_epsilon", method.adam_epsilon.is_some()),
        ("method.weight_decay", method.weight_decay.is_some()),
    ];
    if method.optimizer == Some(OptimizerKind::Sgd)
        && let Some((key, _)) = adam.into_iter().find(|(_, given)| *given)
    {
        return refuse(key, "only adamw has it; remove it, or use optimizer = \"adamw\"");
    }
    Ok(())
}

/// η weighs how far the policy has moved from the last iterate: at the first update towards the next it has not.
fn check_eta(method: &LanguageMethodConfig) -> Result<(), Refusal> {
    let alone = method.num_iterations.unwrap_or(1) == 1;
    let instead = match method.name {
        Kind::Sppo => "whatever it is, the slope is one half less the mean label",
        Kind::Inpo => "whatever it is, the slope is online-ipo's",
        _ => return Ok(()),
    };
    if method.eta.is_some() && alone {
        return refuse(
            "method.eta",
            format!(
                "given with num_iterations = 1, where it does nothing: it weighs how far the policy has moved from its last \
                 iterate, and at the first update, {instead}; remove it, or use num_iterations of at least 2"
            ),
        );
    }
    Ok(())
}

/// What the methods have in common.
pub(super) fn check_training(method: &LanguageMethod) -> Result<(), Refusal> {
    let training = method.training();
    if method.is_trained() && !(1..=STEPS_MAX).contains(&training.steps) {
        return refuse("method.steps", format!("{}; expected 1 to {STEPS_MAX}", training.steps));
    }
    for (key, value) in [
        ("method.prompts_per_step", training.prompts_per_step),
        ("method.num_generations", training.num_generations),
        ("method.micro_batch_size", training.micro_batch_size),
    ] {
        if !(1..=ROWS_MAX).contains(&value) {
            return refuse(key, format!("{value}; expected 1 to {ROWS_MAX}"));
        }
    }
    if training.sampling.temperature == 0.0 {
        return refuse(
            "method.temperature",
            "0: the likeliest token has no gradient to learn from; expected a number above 0 (evaluation.temperature \
             may be 0)",
        );
    }
    check_sampling(&training.sampling, ["method.temperature", "method.top_p", "method.max_new_tokens"])?;
    if method.is_trained() {
        check_whole_vocabulary(&training.sampling)?;
    }
    for (key, value) in [("method.beta", training.beta), ("method.max_grad_norm", training.max_grad_norm)] {
        if !(value.is_finite() && value >= 0.0) {
            return refuse(key, format!("{value}; expected a finite number, not negative"));
        }
    }
    if !training.missing_eos_penalty.is_finite() {
        return refuse(
            "method.missing_eos_penalty",
            format!("{}; expected a finite number", training.missing_eos_penalty),
        );
    }
    check_optimizer(&training.optimizer)?;
    check_baseline(&training.score_baseline, training.num_generations)
}

/// What is sampled must be what is trained: E[∇log π(y)] is 0 over samples of π and of nothing else.
fn check_whole_vocabulary(sampling: &Sampling) -> Result<(), Refusal> {
    let (key, given, all) = match sampling {
        Sampling { top_k: 1.., .. } => ("method.top_k", sampling.top_k.to_string(), "top_k = 0"),
        Sampling { top_p, .. } if *top_p < 1.0 => ("method.top_p", top_p.to_string(), "top_p = 1"),
        _ => return Ok(()),
    };
    refuse(
        key,
        format!(
            "{given}: training takes log π over the whole vocabulary, so that answers of a part of it bias its gradients: even a \
             constant reward may drift the policy towards that part; use {all} (evaluation.{} may be anything)",
            key.trim_start_matches("method.")
        ),
    )
}

fn check_optimizer(optimizer: &ModelOptimizer) -> Result<(), Refusal> {
    let ModelOptimizer::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay } = *optimizer else {
        return Ok(());
    };
    for (key, value) in [("method.adam_beta1", adam_beta1), ("method.adam_beta2", adam_beta2)] {
        if !(0.0..1.0).contains(&value) {
            return refuse(key, format!("{value}; expected a number in [0, 1)"));
        }
    }
    if !(adam_epsilon.is_finite() && adam_epsilon > 0.0) {
        return refuse("method.adam_epsilon", format!("{adam_epsilon}; expected a finite number above 0"));
    }
    if !(weight_decay.is_finite() && weight_decay >= 0.0) {
        return refuse("method.weight_decay", format!("{weight_decay}; expected a finite number, not negative"));
    }
    Ok(())
}

/// What is the method's own.
pub(super) fn check_method(method: &LanguageMethod) -> Result<(), Refusal> {
    if method.instruction().is_some_and(|instruction| instruction.trim().is_empty()) {
        return refuse("method.instruction", "empty; expected the user turn that asks for a better answer");
    }
    if let Some(model) = method.reward_model() {
        check_reward_model(model)?;
    }
    match method {
        LanguageMethod::StackelbergGda(game) => {
            if !(game.follower_beta.is_finite() && game.follower_beta >= 0.0) {
                return refuse(
                    "method.follower_beta",
                    format!("{}; expected a finite number, not negative", game.follower_beta),
                );
            }
            return Ok(());
        }
        LanguageMethod::Rloo(rloo) if rloo.training.score_baseline != ControlVariate::LeaveOneOut => {
            return refuse("method.score_baseline", "rloo is REINFORCE with the leave-one-out baseline: remove it");
        }
        LanguageMethod::NashMd(nash) => {
            return check_weight_curve("method.mixture_coef", &nash.mixture_coef, nash.training.steps);
        }
        LanguageMethod::Grpo(grpo) => {
            if !(grpo.epsilon.is_finite() && grpo.epsilon > 0.0) {
                return refuse("method.epsilon", format!("{}; expected a finite number above 0", grpo.epsilon));
            }
            check_iterations(grpo.num_iterations)?;
        }
        LanguageMethod::Sppo(sppo) => {
            if !(sppo.eta.is_finite() && sppo.eta > 0.0) {
                return refuse("method.eta", format!("{}; expected a finite number above 0", sppo.eta));
            }
            check_iterations(sppo.num_iterations)?;
        }
        LanguageMethod::Inpo(inpo) => check_inpo(inpo)?,
        LanguageMethod::SelfRefinement(refined) if !(1..=ROUNDS_MAX).contains(&refined.rounds) => {
            return refuse("method.rounds", format!("{}; expected 1 to {ROUNDS_MAX}", refined.rounds));
        }
        _ => {}
    }
    check_group(method)
}

/// Rounds that a random stream can tell apart.
const ROUNDS_MAX: u32 = 255;
/// Updates on the same samples beyond which nobody means it.
const ITERATIONS_MAX: u32 = 1024;

fn check_iterations(num_iterations: u32) -> Result<(), Refusal> {
    if (1..=ITERATIONS_MAX).contains(&num_iterations) {
        return Ok(());
    }
    refuse("method.num_iterations", format!("{num_iterations}; expected 1 to {ITERATIONS_MAX}"))
}

/// Pairs whose features a machine still holds: 512 MiB at 4096 features.
const REWARD_MODEL_PAIRS_MAX: u32 = 1 << 14;

fn check_reward_model(model: &RewardModelPlan) -> Result<(), Refusal> {
    if !(2..=REWARD_MODEL_PAIRS_MAX).contains(&model.pairs) {
        let problem = format!("{}; expected 2 to {REWARD_MODEL_PAIRS_MAX}", model.pairs);
        return refuse("method.reward_model.pairs", problem);
    }
    match model.l2 {
        Some(l2) if !(l2.is_finite() && l2 > 0.0) => {
            refuse("method.reward_model.l2", format!("{l2}; expected a finite number above 0"))
        }
        _ => Ok(()),
    }
}

fn check_inpo(inpo: &LanguageInpo) -> Result<(), Refusal> {
    let beta = inpo.training.beta;
    if !(inpo.eta.is_finite() && inpo.eta > 0.0 && inpo.eta >= beta) {
        return refuse(
            "method.eta",
            format!("{}; expected a finite number above 0 and at least method.beta, which is {beta}", inpo.eta),
        );
    }
    check_iterations(inpo.num_iterations)
}

/// A method that compares the answers of a prompt needs two of them, and some need them together.
fn check_group(method: &LanguageMethod) -> Result<(), Refusal> {
    let (training, name) = (method.training(), method.name());
    let n = training.num_generations;
    if matches!(method, LanguageMethod::SelfRefinement(_)) {
        return Ok(());
    }
    if n < 2 {
        return refuse(
            "method.num_generations",
            format!("{n} with {name}: it compares the answers of one prompt with each other; use at least 2"),
        );
    }
    let together = match method {
        LanguageMethod::BestOfN(_) | LanguageMethod::Sppo(_) | LanguageMethod::Sft(_) => return Ok(()),
        LanguageMethod::Rloo(_) if training.kl_gradient != KlGradient::Paper => return Ok(()),
        LanguageMethod::Rloo(_) => "with kl_gradient = \"paper\" the KL is part of the reward",
        _ => "its loss is of the answers of a prompt together",
    };
    if training.micro_batch_size < n {
        return refuse(
            "method.micro_batch_size",
            format!(
                "{} with {name}: {together}, so all {n} of them must be in one micro-batch; use at least {n}",
                training.micro_batch_size
            ),
        );
    }
    Ok(())
}
