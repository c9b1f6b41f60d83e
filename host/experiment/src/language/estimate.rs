//! How long a language-model run may take: a guess for people, by a fixed model. Nothing is decided by it.
//!
//! The figures are of SmolLM2-135M on two cores with packed weights (docs/benchmarks.md: decoding at batch 1, 8 and 32: 110, 350 and
//! 449 tokens a second; a training pass over 8 × 152 tokens: 5.7 s), scaled by parameters; answers are taken to be as long
//! as they may be. Other machines differ by small factors, GPUs by large ones.

use slhf_plan::{AdapterPlan, LanguageMethod, LanguagePlan, TransferSource};

use crate::phases::{MEASURED_PARAMETERS, Phases};

/// Seconds a generated token at batch 8.
const GENERATE_SECONDS: f64 = 1.0 / 350.0;
/// At batch 32 and beyond the products, not the reading of weights, are what a token costs.
const GENERATE_SECONDS_MIN: f64 = 1.0 / 450.0;
/// How much less a token costs with more rows: from batch 1 to batch 8.
const GENERATE_EXPONENT: f64 = 0.56;
/// Seconds a token of a forward and backward pass, the reference's forward pass included.
const TRAIN_SECONDS: f64 = 4.7e-3;
/// Of these the part of a forward pass without the backward and the reference's.
const READ_SECONDS: f64 = TRAIN_SECONDS / 3.0;
/// Tokens of a prompt or an instruction turn, where nobody has rendered one yet.
const PROMPT_TOKENS: f64 = 60.0;
const INSTRUCTION_TOKENS: f64 = 20.0;
/// A worker links libtorch and lays the weights out.
const START_SECONDS: f64 = 5.0;
/// A GPU against those two cores, a careful guess.
const CUDA_SPEED: f64 = 100.0;

/// Estimated seconds of one run; `parameters` of the model.
pub(super) fn seconds(plan: &LanguagePlan, parameters: f64) -> f64 {
    let phases = phases(plan, parameters);
    let steps = plan.method.training().steps;
    let on_the_way = steps.checked_div(plan.evaluation.every).unwrap_or(0) as f64;
    phases.start + steps as f64 * phases.step + on_the_way * phases.evaluation + phases.last_evaluation
}

/// Of its parts.
pub(crate) fn phases(plan: &LanguagePlan, parameters: f64) -> Phases {
    let scale = parameters / MEASURED_PARAMETERS;
    let speed = match plan.device.name.as_str() {
        "cpu" => f64::from(plan.device.threads.clamp(1, 16)) / 2.0,
        _ => CUDA_SPEED,
    };
    let training = plan.method.training();
    let rows = f64::from(training.prompts_per_step) * f64::from(training.num_generations);
    let answer = f64::from(training.sampling.max_new_tokens);
    let followers = plan.method.has_follower();
    let answers = if followers { 2.0 } else { 1.0 };
    let turn = if followers { INSTRUCTION_TOKENS } else { 0.0 };
    // Nash-MD's opponent is two models in lockstep.
    let sampled = if matches!(plan.method, LanguageMethod::NashMd(_)) { 3.0 } else { answers };
    let generate = rows * sampled * answer * token_seconds(rows);
    let past = plan.method.past_policies().len() as f64;
    if let Some(closed) = closed(plan) {
        let of_prompts = |count: f64| count * closed.tokens * scale / speed;
        let evaluation = of_prompts(2.0 * f64::from(plan.evaluation.prompts)) * READ_SECONDS;
        return Phases {
            start: START_SECONDS * scale.max(1.0),
            step: of_prompts(f64::from(training.prompts_per_step)) * (TRAIN_SECONDS + (past - 1.0) * READ_SECONDS),
            evaluation,
            last_evaluation: evaluation,
            every: plan.evaluation.every,
            evaluates_first: plan.evaluation.every > 0,
        };
    }
    if let Some(pairs) = plan.method.pairs_per_step() {
        return offline(plan, f64::from(pairs), (scale, scale / speed));
    }
    let full = if matches!(plan.model.adapter, AdapterPlan::Full) { 1.5 } else { 1.0 };
    let iterations = f64::from(plan.method.num_iterations());
    let train = iterations * rows * (PROMPT_TOKENS + turn + answers * answer) * TRAIN_SECONDS * full;
    let reward = if plan.method.reward_model().is_some() { answers } else { 0.0 };
    let read = (reward + past) * rows * (PROMPT_TOKENS + answer) * READ_SECONDS;
    let (evaluation, last) = evaluations(plan);
    let here = |seconds: f64| seconds * scale / speed;
    Phases {
        start: START_SECONDS * scale.max(1.0) + here(reward_model(plan, rows)),
        step: here(generate + read + train),
        evaluation: here(evaluation),
        last_evaluation: here(last),
        every: plan.evaluation.every,
        evaluates_first: plan.evaluation.every > 0,
    }
}

/// Pairs of a file: two responses of a pair are passed, none is sampled but in evaluations. How long they are nobody has looked up.
fn offline(plan: &LanguagePlan, pairs: f64, (scale, factor): (f64, f64)) -> Phases {
    /// Tokens of a response of a file.
    const RESPONSE_TOKENS: f64 = 100.0;
    let full = if matches!(plan.model.adapter, AdapterPlan::Full) { 1.5 } else { 1.0 };
    let read = if matches!(plan.method, LanguageMethod::SftChosen(_)) { 1.0 } else { 2.0 };
    let step = read * pairs * (PROMPT_TOKENS + RESPONSE_TOKENS) * TRAIN_SECONDS * full;
    let scored = |prompts: u32| 4.0 * f64::from(prompts) * (PROMPT_TOKENS + RESPONSE_TOKENS) * READ_SECONDS;
    let (evaluation, last) = evaluations(plan);
    Phases {
        start: START_SECONDS * scale.max(1.0),
        step: step * factor,
        evaluation: (evaluation + scored(plan.evaluation.prompts)) * factor,
        last_evaluation: (last + scored(plan.data.held_out)) * factor,
        every: plan.evaluation.every,
        evaluates_first: plan.evaluation.every > 0,
    }
}

/// A prompt with its closed set of answers.
struct ClosedPrompt {
    /// What goes through the model, shared beginnings once.
    tokens: f64,
}

/// No response is sampled, and no reference read in a step.
fn closed(plan: &LanguagePlan) -> Option<ClosedPrompt> {
    /// Answers of a row, and tokens of an answer, where nobody has read one yet.
    const ANSWERS: usize = 4;
    const ANSWER_TOKENS: f64 = 6.0;
    let answers = plan.answers.as_ref()?;
    let n = if answers.given.is_empty() { ANSWERS } else { answers.given.len() } as f64;
    let followers = if plan.method.has_follower() { n * (INSTRUCTION_TOKENS + n * ANSWER_TOKENS) } else { 0.0 };
    Some(ClosedPrompt { tokens: PROMPT_TOKENS + n * ANSWER_TOKENS + followers })
}

/// A reward model reads two answers a pair, which are sampled as many at once as in a step.
fn reward_model(plan: &LanguagePlan, rows: f64) -> f64 {
    let Some(model) = plan.method.reward_model() else { return 0.0 };
    let answer = f64::from(plan.method.training().sampling.max_new_tokens);
    2.0 * f64::from(model.pairs) * (answer * token_seconds(rows) + (PROMPT_TOKENS + answer) * READ_SECONDS)
}

/// One on the way, and the last one. Every evaluation samples the Leader, the reference, and with a Follower its answers to both.
fn evaluations(plan: &LanguagePlan) -> (f64, f64) {
    let evaluation = &plan.evaluation;
    let answers = match &plan.method {
        LanguageMethod::StackelbergGda(_) | LanguageMethod::Score(_) => 2.0 + 2.0 * f64::from(evaluation.rounds),
        LanguageMethod::BestOfN(best) => 1.0 + f64::from(best.training.num_generations),
        LanguageMethod::SelfRefinement(refined) => 2.0 + f64::from(refined.rounds),
        _ => 2.0,
    };
    let others: f64 = evaluation
        .transfer
        .iter()
        .map(|other| {
            let refined = match &plan.method {
                LanguageMethod::StackelbergGda(_) | LanguageMethod::Score(_) | LanguageMethod::SelfRefinement(_) => {
                    f64::from(evaluation.rounds)
                }
                _ => 0.0,
            };
            refined + f64::from(u8::from(matches!(other.source, TransferSource::Model { .. })))
        })
        .sum();
    let row = answers * f64::from(evaluation.sampling.max_new_tokens);
    let of_others = others * f64::from(plan.data.held_out) * f64::from(evaluation.sampling.max_new_tokens);
    let token = token_seconds(f64::from(evaluation.batch_size));
    (f64::from(evaluation.prompts) * row * token, (f64::from(plan.data.held_out) * row + of_others) * token)
}

fn token_seconds(rows: f64) -> f64 {
    (GENERATE_SECONDS * (8.0 / rows.max(1.0)).powf(GENERATE_EXPONENT)).max(GENERATE_SECONDS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_costs_less_in_company() {
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 0.1, "{a} {b}");
        close(token_seconds(1.0), 1.0 / 110.0);
        close(token_seconds(8.0), 1.0 / 350.0);
        close(token_seconds(32.0), 1.0 / 449.0);
        close(token_seconds(1000.0), 1.0 / 449.0);
    }
}
