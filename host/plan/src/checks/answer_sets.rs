//! Closed answer sets: what they leave nothing to decide.

use crate::answer_sets::{AnswerSetsPlan, answer_set_problem};
use crate::language::LanguageEvaluationPlan;
use crate::methods::{LanguageMethod, Responses, UsualBeta};
use crate::model_settings::KlGradient;
use crate::settings::Problems;
use crate::{ControlVariate, Gradient};

/// What the method and the evaluation may not ask of closed answer sets.
pub(super) fn check_answer_sets(
    answers: &AnswerSetsPlan,
    (method, evaluation): (&LanguageMethod, &LanguageEvaluationPlan),
    problems: &mut Problems,
) {
    if !answers.given.is_empty()
        && let Some(problem) = answer_set_problem(&answers.given)
    {
        problems.push("data.answers", problem);
    }
    check_method(answers, method, problems);
    for (key, is_given) in [
        ("evaluation.judges", !evaluation.judges.is_empty()),
        ("evaluation.measures", !evaluation.measures.is_empty()),
        ("evaluation.transfer", !evaluation.transfer.is_empty()),
        ("evaluation.rounds", evaluation.rounds != 1),
        ("evaluation.stop_at", evaluation.stop_at.is_some()),
    ] {
        problems.require(!is_given, key, || {
            "given with closed response sets: their evaluation is exact, by the judge's own matrix, and samples no response; \
             remove it"
                .to_owned()
        });
    }
}

fn check_method(answers: &AnswerSetsPlan, method: &LanguageMethod, problems: &mut Problems) {
    let training = method.training();
    if matches!(method, LanguageMethod::Score(_)) {
        problems.push(
            "method.name",
            "\"score\" with closed response sets: where its two stages end is no solution of a game, and no gap is defined for it; \
             remove the sets, or use \"stackelberg-gda\"",
        );
    }
    problems.require(training.missing_eos_penalty == 0.0, "method.missing_eos_penalty", || {
        format!("{}; every response of a closed set ends by itself: remove it", training.missing_eos_penalty)
    });
    let is_regressed = method.uses().responses == Responses::OfClosedSets;
    if is_regressed && answers.gradient == Gradient::Sampled {
        let problem = format!(
            "\"sampled\" with {}, which takes the win rates of every response against the whole policy: those against a few drawn responses \
             would make another step of it; use \"exact\"",
            method.name()
        );
        problems.push("answers.gradient", problem);
    }
    // The last iterate of the regressed ones reaches a Nash policy without a temperature, too.
    if let (UsualBeta::Of(_), false) = (method.uses().beta, is_regressed) {
        problems.require(training.beta > 0.0, "method.beta", || {
            "0 with closed response sets, whose solutions are of a temperature above 0; expected a number above 0"
                .to_owned()
        });
    }
    if method.uses().kl_gradient.is_some() {
        problems.require(training.kl_gradient != KlGradient::Paper, "method.kl_gradient", || {
            "\"paper\" with closed response sets, whose KL divergence is an exact sum over the set; remove it"
                .to_owned()
        });
    }
    if method.reward_model().is_some_and(|model| model.l2.is_some()) {
        problems.push(
            "method.reward_model.l2",
            "given with closed response sets: Bradley–Terry scores are fitted to all pairs of a set, without a penalty; remove it",
        );
    }
    match method {
        LanguageMethod::Grpo(grpo) => grpo.check_closed_sets(problems),
        LanguageMethod::NashMd(nash_md) => nash_md.check_closed_sets(problems),
        LanguageMethod::StackelbergGda(game) => game.check_closed_sets(problems),
        _ => {}
    }
    let is_plugin = matches!(training.score_baseline, ControlVariate::Plugin { .. });
    if is_plugin && answers.gradient == Gradient::Exact {
        problems.push(
            "method.score_baseline",
            "a plugin with answers.gradient = \"exact\", which has no noise to take away; remove it, or use \"sampled\"",
        );
    }
}
